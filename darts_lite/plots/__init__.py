"""Draws cells, runs and predictions."""
