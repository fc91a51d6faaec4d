"""The networks of cells: the skeleton around them, mixed cells and discrete cells."""
