"""The search by real trainings, which start short and grow longer for fewer nets."""
