"""Brings old photographs back. This version finds their defects.

Importing this package imports neither JAX nor Flax, so that the command line answers at once.
"""

__version__ = "0.1.0"
