"""Being asked to stop: by SIGTERM, as clusters do, or by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import types
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import multihost_utils

Handler = Callable[[int, types.FrameType | None], Any] | int | signal.Handlers | None


class Interrupted(SystemExit):
    """The run was asked to stop, saved its state, and can be resumed."""


class StopSignal:
    """Notices SIGTERM and Ctrl-C on one process, SIGTERM on any of several.

    A second Ctrl-C stops at once, without saving. Use it in a `with` block.
    """

    def __init__(self) -> None:
        self.seen: signal.Signals | None = None
        self.old: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> StopSignal:
        # Several processes must stop at the same step: JAX listens to SIGTERM for them. And
        # Python handles signals in the main thread only.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.old[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        if number == signal.SIGINT == self.seen:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            # Not print: the signal may have come in the middle of one.
            os.write(2, b"\nsaving after this step; Ctrl-C again stops at once\n")
        self.seen = signal.Signals(number)

    def asked(self, step: int) -> signal.Signals | None:
        """The signal to stop for after this step; all processes get the same answer."""
        if jax.process_count() == 1:
            return self.seen
        return signal.SIGTERM if multihost_utils.reached_preemption_sync_point(step) else None
