"""The fast executor: a mixed cell's numbers in a fraction of the passes."""
