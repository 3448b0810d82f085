"""Brings old photographs back: finds their defects, fills them, gives them colours.

Importing this package imports neither JAX nor Flax, so that the command line answers at once.
"""

__version__ = "0.1.0"
