"""Differentiable architecture search that leaves a small trained network behind.

The public names stand in `__init__.pyi`, with their modules. Each is imported when it is first
asked for, so that what needs no torch, as ``--help``, does not wait for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
