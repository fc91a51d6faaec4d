"""The networks of layers: a chain of them, and the widest net that holds all chains."""
