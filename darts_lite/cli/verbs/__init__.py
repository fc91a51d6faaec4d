"""Verbs that have arguments of their own, one module each."""
