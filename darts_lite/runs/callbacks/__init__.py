"""What a run records while it goes on."""
