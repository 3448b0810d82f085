"""Memory that a process keeps: XLA asks for the same hundred megabytes at every call of a program.

glibc hands such pieces back to Linux as soon as they are free, and Linux clears every page when it
is asked for them again, which costs a network much of its time. Here they stay with the process,
and in pages of 2 MiB, where Linux gives them to those who ask.
"""

from __future__ import annotations

import ctypes

RESERVED = 1 << 30  # bytes of addresses, no memory: what is touched of them comes in large pages
HUGE = 2 << 20  # bytes of a large page
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of malloc.h
MADV_HUGEPAGE = 14  # of sys/mman.h


def keep() -> bool:
    """Lets this process keep what it has freed; says whether it could: with glibc alone.

    To be called before there are threads, which have memory of their own. Results are the same
    with and without.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - others have mallopt and read it in other ways
        mallopt, malloc, free, madvise = libc.mallopt, libc.malloc, libc.free, libc.madvise
    except (AttributeError, OSError, TypeError):  # another system's library, or none by this way
        return False
    malloc.restype = ctypes.c_void_p
    malloc.argtypes, free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    most = 2**31 - 1
    told = [
        mallopt(*pair) for pair in ((M_ARENA_MAX, 1), (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, most))
    ]
    if start := malloc(RESERVED):
        first = -(-start // HUGE) * HUGE
        madvise(first, (start + RESERVED - first) // HUGE * HUGE, MADV_HUGEPAGE)
        free(start)
    return all(told)
