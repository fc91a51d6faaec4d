"""Tells about a run, from its files, on one page."""
