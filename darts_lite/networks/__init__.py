"""The skeleton, the supernet and the discrete net."""
