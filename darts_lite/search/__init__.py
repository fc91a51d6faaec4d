"""Searches for architectures by gradients."""
