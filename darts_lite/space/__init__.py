"""What may be chosen, and what was chosen."""
