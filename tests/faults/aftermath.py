"""What a run of `oldphoto restore` leaves in a folder, and ways to spoil the run."""

from __future__ import annotations

import contextlib
import ctypes
import pathlib
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from experiments.speed.visit import REPORT, lines
from oldphoto_jax.photo.disk import files

DOING = ".doing-restore"
BEFORE = "done before with the same settings"  # what the report says of a photo that is finished
READ_ANYTHING = (1, 2)  # capabilities that root has: DAC_OVERRIDE and DAC_READ_SEARCH
LIBC = ctypes.CDLL(None, use_errno=True)
DROP = 24  # prctl's PR_CAPBSET_DROP
ROOM = 64  # MiB, of the disk that is full no longer


def finished(out: pathlib.Path) -> Counter:
    """How often each photo was restored, as the report has it."""
    return Counter(
        line["photo"]
        for line in lines(out)
        if line["status"] != "failed" and line.get("reason") != BEFORE
    )


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """All files, hidden ones too, but the report."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != REPORT)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(out: pathlib.Path, expected: dict[str, bytes]) -> str:
    """In words, how the files in a folder differ from those expected; empty if they don't."""
    made = tree(out)
    wrong = [name for name in made.keys() & expected.keys() if made[name] != expected[name]]
    told = {
        "other bytes in": wrong,
        "left over:": made.keys() - expected.keys(),
        "missing:": expected.keys() - made.keys(),
    }
    return "; ".join(
        f"{what} {', '.join(sorted(names)[:5])}" for what, names in told.items() if names
    )


def whole(out: pathlib.Path) -> int:
    """The number of pictures in a folder, all of which can be read; raises where one cannot."""
    return len([files.read(path) for path in files.find(out)])


def stem(made: str) -> str:
    """The photo's name without ending, of the name of a file that was made of it."""
    return pathlib.PurePath(made).name.partition("_")[0]


def torn(out: pathlib.Path) -> set[str]:
    """The photos, without endings, of which there are files but no line in the report."""
    begun = {stem(path.name) for path in out.glob("[!.]*") if path.name != REPORT}
    return begun - {pathlib.Path(name).stem for name in finished(out)}


def reached(out: pathlib.Path, target: int, late: Callable[[pathlib.Path], None]) -> bool:
    """Whether so many photos are done, and `late` has passed since."""
    if len(finished(out)) < target:
        return False
    late(out)
    return True


def wait(seconds: float, out: pathlib.Path) -> None:
    """A moment that has nothing to do with the files."""
    time.sleep(seconds)


def among_files(out: pathlib.Path) -> None:
    """Until there are files of a photo that is not done, at most a minute."""
    end = time.perf_counter() + 60
    while not torn(out) and time.perf_counter() < end:
        time.sleep(0.001)


def bind_root() -> None:
    """Lets permissions bind this process's programs, although root starts them."""
    for capability in READ_ANYTHING:
        if LIBC.prctl(DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


@contextlib.contextmanager
def disk(folder: pathlib.Path, size: int):
    """A small disk at `folder`: what it is, what limits a process to it, what makes room on it."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = not subprocess.run(["mount", *options], capture_output=True).returncode
    except FileNotFoundError:
        mounted = False
    if not mounted:
        most = 5000  # bytes; some pictures are larger, and the report is soon
        limits = (most, most)
        what = f"files of at most {most} bytes, as no tmpfs can be mounted"
        yield what, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits), lambda: None
        return
    larger = ["mount", "-o", f"remount,size={ROOM}m", str(folder)]
    try:
        what = f"tmpfs of {size >> 10} KiB"
        yield what, None, lambda: subprocess.run(larger, check=True, capture_output=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
