"""Networks of users: computed with all their choices mixed, and with the chosen parts alone."""
