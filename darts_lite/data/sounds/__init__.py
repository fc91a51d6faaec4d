"""Sounds: their files, their log-mel maps, and how they are augmented."""
