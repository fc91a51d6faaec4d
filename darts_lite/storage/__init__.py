"""Files on disk: atomic writes, safe checkpoints, the run's folder and its records."""
