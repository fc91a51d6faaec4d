"""One run of fit: search, derive, retrain, test, report."""
