"""What lies on disk: whole files, safe checkpoints, the run's folder and its records."""
