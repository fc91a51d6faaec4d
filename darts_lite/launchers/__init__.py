"""Starts jobs, each a process of its own: on this machine, or on a cluster."""
