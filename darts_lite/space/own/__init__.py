"""Networks of users with choices inside: what may be chosen in them, and what was chosen."""
