"""The front of the command line: what reads and answers before torch is imported."""
