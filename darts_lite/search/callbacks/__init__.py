"""Safeguards of a search, and selection."""
