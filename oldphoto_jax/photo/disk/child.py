"""A process of our own that does what may end a process: whatever it dies of, we live and say so.

It is started as a program of its own, not forked: where JAX computes there are threads, which a
fork would leave behind in the middle of things. It asks and is answered in pickled messages over
its pipes; it ends when the other end of them does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

import numpy as np

import oldphoto_jax

TICK = 0.1  # seconds
GRACE = 5.0  # seconds in which a process ends that has begun to
ROOT = str(pathlib.Path(oldphoto_jax.__file__).parent.parent)
# Threads that one who waits for disks needs not, and what they take of a limited memory
SPARING = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
SPARING |= {"MALLOC_ARENA_MAX": "1"}


class Gone(Exception):
    """The pipe has an end."""


@dataclasses.dataclass
class Limit:
    """How many seconds an answer may take, and whether it took longer."""

    seconds: float
    passed: bool = False


class Child:
    """A process that runs `main` of a module of ours, which calls `serve`.

    It is for one thread at a time. What it writes to stderr is kept, to be asked for by `noise`,
    unless `quiet` is False; then it goes where ours goes.
    """

    def __init__(self, module: str, quiet: bool = True):
        package, _, name = module.rpartition(".")
        # By this, and not by -m, it finds what we have found, wherever we are by now
        code = f"import sys; sys.path[:] = {[*sys.path, ROOT]!r}; from {package} import {name}"
        self._noise: IO[bytes] | None = None
        self._last = ""
        if quiet:
            self._noise = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; {name}.main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=os.environ | (SPARING if quiet else {}),
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as one can know."""
        return self._process.poll() is None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[Limit]:
        """Talk to it that must not take longer; the limit that comes may be moved meanwhile.

        Raises TimeoutError where it did, and ChildProcessError where the process has died. After
        either, and after any other error in the middle of talk, it is at an end.
        """
        limit, done = Limit(seconds), threading.Event()
        threading.Thread(target=self._watch, args=(limit, done), daemon=True).start()
        try:
            yield limit
        except Gone as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)  # to know what of; the pipe is closed a little earlier
            self.close()
            if limit.passed:
                raise TimeoutError(f"took longer than {limit.seconds:.0f} s") from error
            raise ChildProcessError(death(self._process.returncode)) from error
        except BaseException:
            self.close()
            raise
        finally:
            done.set()

    def _watch(self, limit: Limit, done: threading.Event) -> None:
        # Counted, not looked up: a machine that sleeps, or a run that is stopped, takes no time
        waited = 0.0
        while not done.wait(TICK):
            waited += TICK
            if waited >= limit.seconds:
                limit.passed = True
                self._process.kill()
                return

    def send(self, message: object) -> None:
        """Asks something. Raises Gone, or what pickling raises."""
        data = pickle.dumps(message)
        try:
            self._to.write(data)
            self._to.flush()
        except OSError as error:
            raise Gone from error

    def receive(self) -> Any:
        """The next message. Raises Gone."""
        try:
            return pickle.load(self._from)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise Gone from error

    def receive_into(self, array: np.ndarray) -> None:
        """Fills an array with the bytes of one that was answered. Raises Gone."""
        view = memoryview(array.reshape(-1).view(np.uint8))
        while len(view):
            count = self._from.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise Gone
            view = view[count:]

    def noise(self) -> str:
        """What it has written to stderr since this was asked; its last words too."""
        if self._noise is None or self._noise.closed:
            words, self._last = self._last, ""
            return words
        self._noise.seek(0)
        text = self._noise.read().decode("utf-8", "replace")
        self._noise.seek(0)  # its place as well, for both have opened the file together
        self._noise.truncate()
        return text

    def close(self) -> None:
        """Ends it, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()
        if self._noise:
            self._last = self.noise()
            self._noise.close()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):  # what was not yet sent
                pipe.close()


def death(status: int) -> str:
    """What a process has died of, by its exit status, as the end of a sentence."""
    if status == -getattr(signal, "SIGKILL", 9):
        return "was killed (SIGKILL), as happens where memory runs out"
    if status < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"crashed ({names.get(-status, f'signal {-status}')})"
    return f"ended with status {status:#x}" if status > 255 else f"ended with status {status}"


def serve(answer: Callable[[Any], Iterator[object]]) -> None:
    """The other side: for each message, all that `answer` gives, until nobody asks any more.

    Arrays go as the bytes that they are. What libraries print goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, whose user ends our parent
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    asked: queue.SimpleQueue[object] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, asked), daemon=True).start()
    while True:
        for part in answer(asked.get()):
            if isinstance(part, np.ndarray):
                outgoing.write(memoryview(part.reshape(-1).view(np.uint8)))
            else:
                pickle.dump(part, outgoing)
            outgoing.flush()


def _listen(incoming: BinaryIO, asked: queue.SimpleQueue[object]) -> None:
    """Hears of our parent's end whatever the process is at."""
    while True:
        try:
            asked.put(pickle.load(incoming))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)
