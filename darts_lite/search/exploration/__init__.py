"""Searches without gradients."""
