"""The first kind of space: cells of nodes and edges, stacked in a skeleton."""
