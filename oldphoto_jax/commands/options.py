"""What the commands share: photos, weights, flags of a step's options, a run and its last line."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from oldphoto_jax.restore.options import Option, Options, offered

if TYPE_CHECKING:
    from oldphoto_jax.folder.batch import GroupWork
    from oldphoto_jax.folder.jobs import Job
    from oldphoto_jax.folder.report import Report
    from oldphoto_jax.folder.single import Single

COLORING = "colorize-lite, eccv16, siggraph17, a training run or a safetensors file"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Group: TypeAlias = "argparse.ArgumentParser | argparse._ArgumentGroup"


def add_photos(command: argparse.ArgumentParser, sample: str) -> None:
    """What to work on, or the packaged sample, which `sample` describes."""
    photos = command.add_mutually_exclusive_group(required=True)
    photos.add_argument("photos", nargs="?", type=pathlib.Path, metavar="PHOTO_OR_FOLDER")
    photos.add_argument("--sample", action="store_true", help=sample)


def add_weights(command: argparse.ArgumentParser, *names: str, **more: Any) -> None:
    """The option that names trained weights, and other names of it."""
    where: dict[str, Any] = dict(
        metavar="WORKDIR_OR_FILE", help="a training run or a safetensors file"
    )
    command.add_argument("--weights", "-w", *names, type=pathlib.Path, **(where | more))


def add_colors(group: Group) -> None:
    """What people know of the colours: hints, and a photo that has them."""
    add = group.add_argument
    where: dict[str, Any] = dict(type=pathlib.Path, metavar="FILE_OR_FOLDER")
    told = "colours of some places: JSON, or a transparent PNG drawn over the photo (NAME_hints)"
    add("--hints", **where, help=told)
    text = "take the colours of this photo, where they are likely"
    add("--like", type=pathlib.Path, metavar="PHOTO", help=text)


def hinted(jobs: list[Job], path: pathlib.Path | None) -> list[Job]:
    """The jobs with the hints that there are for them at a path."""
    from oldphoto_jax.folder import masks
    from oldphoto_jax.photo.disk import hint_files

    if path is None:
        return jobs
    return masks.pair(jobs, path, hint_files.HINTS, hint_files.SUFFIX, needed=False)


def add_flags(group: Group, kind: type[Options], chained: bool = False) -> None:
    """The flags of a step's options, alone or in the chain: see `restore.options.offered`."""
    known = offered(kind, chained)
    exclusive = {
        one.instead: group.add_mutually_exclusive_group() for one in known.values() if one.instead
    }
    for name, one in known.items():
        if one.flag is None:
            others = [other for other in known.values() if other.flag == name]
            add_flag(exclusive.get(one.instead or name, group), name, one, others)


def add_flag(group: Group, name: str, option: Option, others: Sequence[Option] = ()) -> None:
    """The flag of an option, which sets `others` too; without it, each has its own default."""
    if option.reads is bool:
        action = "store_false" if option.default else "store_true"
        group.add_argument(flag(name, option), dest=name, action=action, help=option.help)
        return
    defaults = [option.default, *(f"{other.help}: {other.default}" for other in others)]
    note = "" if option.default is None else f" ({'; '.join(map(str, defaults))})"
    group.add_argument(
        flag(name, option),
        type=option.reads,
        choices=option.choices,
        default=None if others else option.default,
        metavar=option.metavar,
        help=option.help + note,
    )


def flag(name: str, option: Option) -> str:
    """What is typed to set an option otherwise than it is."""
    return f"--{'no-' if option.default is True else ''}{name.replace('_', '-')}"


def chosen(args: argparse.Namespace, kind: type[Options], chained: bool = False) -> dict[str, Any]:
    """The options of a step by their names, as users set them; None is for the default."""
    known = offered(kind, chained).items()
    return {name: getattr(args, option.flag or name) for name, option in known}


def changed(args: argparse.Namespace, kind: type[Options], chained: bool = False) -> list[str]:
    """The flags of those that are not at their defaults."""
    given = chosen(args, kind, chained)
    known = offered(kind, chained).items()
    return [
        flag(name, option) for name, option in known if given[name] not in (None, option.default)
    ]


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
    summary = ", ".join(f"{number} {status}" for status, number in counts.items())
    stage = work.stage
    shapes = f"; programs for {len(stage.compiled)} shapes of {seen}" if stage else ""
    print(summary + shapes, file=sys.stderr)
    if left := closing(jobs):
        print(left, file=sys.stderr)
    return Done(work, report, 1 if counts[FAILED] else 0)


def _alone(factory: Callable[[], Single]) -> GroupWork:
    """In a process of its own, the work of one photo at a time."""
    from oldphoto_jax.folder import batch

    return batch.alone(factory())
