"""What is said aloud, to whoever listens; the work is done all the same where nobody does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

STREAMS = 3  # stdin, stdout, stderr, by number


class Forgiving:
    """A stream for messages that falls silent where it can no longer be written to."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes, if that is possible; returns how many letters were given."""
        try:
            return self._stream.write(text)
        except OSError:  # a pipe that nobody reads, a terminal that is gone, a full disk
            self._silence()
            return len(text)

    def flush(self) -> None:
        """Lets go of what was kept back."""
        try:
            self._stream.flush()
        except OSError:
            self._silence()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self) -> None:
        """Leads it to nowhere; libraries in C that print there, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def listened() -> Iterator[None]:
    """Nothing that is said to the user on stderr can fail.

    Streams that were closed are opened to nowhere, or the next file to be opened would have their
    number, and get what libraries print.
    """
    for number in range(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    with contextlib.ExitStack() as stack:
        stream = sys.stderr or stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stderr(cast(TextIO, Forgiving(stream))))
        yield
