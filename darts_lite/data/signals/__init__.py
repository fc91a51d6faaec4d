"""Signals: rows of numbers over time, of one channel or several, as maps of height 1."""
