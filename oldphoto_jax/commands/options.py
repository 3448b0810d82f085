"""What the commands share: weights to use, methods to choose from, the run and its last line."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from oldphoto_jax.folder.batch import GroupWork
    from oldphoto_jax.folder.jobs import Job
    from oldphoto_jax.folder.report import Report
    from oldphoto_jax.folder.single import Single

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DETECTOR = "segment-lite"  # the packaged weights that a command without --weights uses
INPAINTER = "inpaint-lite"
COLORIZER = "colorize-lite"
FILLERS = ("network", "auto", "telea", "navier-stokes", "biharmonic")


def add_photos(command: argparse.ArgumentParser, sample: str) -> None:
    """What to work on, or the packaged sample, which `sample` describes."""
    photos = command.add_mutually_exclusive_group(required=True)
    photos.add_argument("photos", nargs="?", type=pathlib.Path, metavar="PHOTO_OR_FOLDER")
    photos.add_argument("--sample", action="store_true", help=sample)


def add_weights(command: argparse.ArgumentParser, **more: Any) -> None:
    """The option that names trained weights."""
    where: dict[str, Any] = dict(
        metavar="WORKDIR_OR_FILE", help="a training run or a safetensors file"
    )
    command.add_argument("--weights", "-w", type=pathlib.Path, **(where | more))


def add_threshold(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The options that say how sure the finder must be."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("--threshold", type=float, metavar="P", help="probability from which a pixel is a defect")
    text = "mark only what is hardly ever wrong: the higher of the two thresholds of the weights"
    add("--careful", action="store_true", help=text)


def start_reading() -> None:
    """Starts the process that reads photos, while JAX is still being imported here."""
    from oldphoto_jax.photo.disk import contained

    contained.start()


@dataclasses.dataclass(frozen=True)
class Done:
    """A run that has ended: what did it, and what became of the photos."""

    work: Single
    report: Report
    status: int  # of the process


def perform(
    jobs: Sequence[Job], args: argparse.Namespace, factory: Callable[[], Single], seen: str = "tile"
) -> Done:
    """Does what a factory makes for each job, and says at the end how many photos ended how.

    `seen` is what the network was shown of the photos.
    """
    from oldphoto_jax.folder import apart, batch
    from oldphoto_jax.folder.jobs import closing
    from oldphoto_jax.restore.status import FAILED

    work = factory()
    report = batch.Report(args.out, work.report)
    with apart.Apart(functools.partial(_alone, factory), batch.alone(work)) as way:
        counts = batch.run(jobs, report, work, work.settings, args.force, way)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    stage = work.stage
    shapes = f"; programs for {len(stage.compiled)} shapes of {seen}" if stage else ""
    print(told + shapes, file=sys.stderr)
    if left := closing(jobs):
        print(left, file=sys.stderr)
    return Done(work, report, 1 if counts[FAILED] else 0)


def _alone(factory: Callable[[], Single]) -> GroupWork:
    """In a process of its own, the work of one photo at a time."""
    from oldphoto_jax.folder import batch

    return batch.alone(factory())
