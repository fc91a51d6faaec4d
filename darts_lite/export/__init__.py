"""Writes trained nets in formats of other programs."""
