"""Memory of a process that compiles one program after the other."""

import ctypes
import gc
import sys


def release():
    """Lets go of all compiled programs, and gives back to the system what compiling left over.

    The second frees more than the first: glibc keeps hundreds of megabytes for the next time.
    """
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)
