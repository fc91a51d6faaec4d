"""The supernet and the discrete net, and the kinds of spaces that make them."""
