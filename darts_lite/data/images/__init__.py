"""Images: their files and data sets, how a net sees them, and how they are augmented."""
