"""Search spaces, and the architectures that come out of them."""
