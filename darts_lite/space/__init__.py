"""What may be chosen, and what was chosen: the protocol of spaces, operations, costs."""
