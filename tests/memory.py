"""Memory of a process that compiles one program after the other."""

import ctypes
import gc
import sys

COMPILED = "/jax/core/compile/backend_compile_duration"
_made: list[str] | None = None  # what was compiled since the last release; None: nobody counts


def release():
    """Lets go of all compiled programs, and gives back to the system what compiling left over.

    The second frees more than the first: glibc keeps hundreds of megabytes for the next time. Where
    nothing was compiled since the last time there is nothing to be had, and half a second to lose.
    """
    global _made
    if "jax" not in sys.modules or _made == []:
        return
    if _made is None:
        _made = []
        monitoring = sys.modules["jax"].monitoring
        monitoring.register_event_duration_secs_listener(_count)
    sys.modules["jax"].clear_caches()
    _made.clear()
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)


def _count(event: str, *_: object, **__: object) -> None:
    if event == COMPILED and _made is not None:
        _made.append(event)
