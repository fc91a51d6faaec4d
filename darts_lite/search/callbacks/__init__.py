"""Callbacks that safeguard a search, add a cost to its loss, or select its architecture."""
