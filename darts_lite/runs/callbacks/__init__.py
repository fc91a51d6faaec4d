"""Callbacks that record and show a run."""
