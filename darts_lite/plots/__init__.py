"""Drawings of cells, runs and predictions."""
