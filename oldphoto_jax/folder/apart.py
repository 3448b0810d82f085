"""Photos that runs ended at, each worked on in a process of its own, so that it is the last to die.

Whatever ended a run (a fault of the machine, the memory, a user who lost patience), the photos that
were being worked on are under suspicion, and most of them wrongly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oldphoto_jax.folder.batch import FAULTS, Fatal, GroupWork
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo.disk import contained
from oldphoto_jax.photo.disk.child import Child, serve

PATIENCE = 1800.0  # seconds, of which most go to programs that are compiled
PER_MEGAPIXEL = 120.0  # seconds more
MEND = "try a smaller --tile, or more memory; --force tries it again"


class Apart:
    """A GroupWork that does what the work of `factory` does, one job at a time, in another process.

    A job at which that dies, or takes longer than any photo does, fails; the next has a new
    process. Where none can be had, for want of memory or of a second accelerator, `here` does the
    jobs instead. `factory` must be picklable.
    """

    def __init__(self, factory: Callable[[], GroupWork], here: GroupWork):
        self._factory, self._here = factory, here
        self._child: Child | None = None

    def __call__(self, jobs: Sequence[Job]) -> list[Entry | Exception]:
        """What became of each; one at which the process died is Fatal."""
        return [self._one(job) for job in jobs]

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._child:
            self._child.close()
            self._child = None

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, job: Job) -> Entry | Exception:
        try:
            child = self._started()
        except FAULTS as error:
            print(f"no process of its own for {job.name}: {error}", file=sys.stderr)
            return self._here([job])[0]
        try:
            with child.within(_patience(job)):
                child.send(job)
                return child.receive()
        except (ChildProcessError, TimeoutError) as error:
            self._child = None
            message = "a run ended while working on it, and again in a process of its own, which"
            return Fatal(f"{message} {error}; {MEND}")

    def _started(self) -> Child:
        """The process, ready to work. Raises one of FAULTS."""
        if self._child is None:
            child = Child(__name__, quiet=False)
            with child.within(PATIENCE):
                child.send(self._factory)
                answer = child.receive()
            if isinstance(answer, Exception):
                child.close()
                raise answer
            self._child = child
        return self._child


def main() -> None:
    """The other process: gets the factory, and then job after job."""
    works: list[GroupWork] = []

    def answer(asked: Any) -> Iterator[object]:
        try:
            if works:
                yield _portable(works[0]([asked])[0])
            else:
                works.append(asked())
                yield None
        except FAULTS as error:
            yield _portable(error)

    serve(answer)


def _portable(outcome: Entry | Exception) -> Entry | Exception:
    """What an error says, for not every error survives being pickled."""
    if not isinstance(outcome, Exception):
        return outcome
    error = ValueError(str(outcome))
    for note in getattr(outcome, "__notes__", ()):
        error.add_note(note)
    return error


def _patience(job: Job) -> float:
    try:
        header = contained.header(job.photo)
    except FAULTS:
        return PATIENCE
    return PATIENCE + PER_MEGAPIXEL * header.height * header.width / 1e6
