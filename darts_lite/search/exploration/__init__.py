"""Searches for architectures without gradients."""
