"""The net for other programs."""
