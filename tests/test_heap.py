import subprocess
import sys

WORK = """
import ctypes, mmap, resource
from oldphoto_jax import heap
kept = heap.keep() if {keeps} else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)
size = 64 << 20
def use():
    start = libc.malloc(size)
    ctypes.memset(start, 1, size)
    libc.free(start)
use()
before = faults()
for _ in range(4):
    use()
print(kept, faults() - before)
"""


def asked(keeps):
    """What a process of its own says: whether it keeps memory, and how many pages it got anew."""
    told = subprocess.run(
        [sys.executable, "-c", WORK.format(keeps=keeps)], capture_output=True, text=True, check=True
    ).stdout.split()
    return told[0], int(told[1])


def test_memory_that_was_freed_is_there_without_asking_for_pages_again():
    kept, pages = asked(True)
    assert kept == "True" and pages < 100
    assert asked(False)[1] > pages + 50  # each time all of them, large or small
