"""The user's cache folder: what can be made or fetched again."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

MEND = "Make room, or move the cache folder (on Linux by XDG_CACHE_HOME in the environment)"
TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # what systems say of a lock that is held


def folder(room: str) -> pathlib.Path:
    """Where things of one kind are kept between runs, such as "weights"; it need not exist yet.

    XDG_CACHE_HOME (LOCALAPPDATA on Windows) moves all of them; on macOS nothing does.
    """
    home = pathlib.Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return pathlib.Path(base) / "oldphoto_jax" / room


def unwritable(path: pathlib.Path, error: OSError, size: int | None) -> str:
    """What to tell of a file, of that many bytes if known, that can't be written in the cache."""
    takes = f"it takes {size / 1e6:.1f} MB. " if size else ""
    return f"{path}: can't be written ({error}); {takes}{MEND}"


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Lets one process in at a time; when one dies, the system takes the lock at `path` from it."""
    with open(path, "ab") as file:
        waiting = False
        while not locked(file):
            if not waiting:
                print(f"another process holds {path}: waiting for it", file=sys.stderr)
            waiting = True
            time.sleep(0.1)
        yield  # closing the file gives the lock back


def locked(file: IO[bytes]) -> bool:
    """Takes the lock of an open file, unless another process has it; closing gives it back."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return False
    return True
