"""`oldphoto restore`: photos in; restored, restored and coloured, and coloured photos out."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import pathlib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import STEPS, Colorizing, Detecting, Inpainting, Marking, offered

if TYPE_CHECKING:
    from oldphoto_jax.folder.jobs import Job
    from oldphoto_jax.folder.report import Report
    from oldphoto_jax.restore.restorer import Restorer

PICTURES = "restored,restored_color,color"
WEIGHTS = {  # and what else their flags are called
    "detector": ("--weights-detect",),
    "inpainter": ("--weights-inpaint",),
    "colorizer": ("--weights-color",),
}
FORMATS = ("same", "lossless", "png", "tif", "webp", "jpg")


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "find defects, fill them, colour the photo: three pictures of each, the mask, a report"
    restore = commands.add_parser("restore", parents=[shared], help=text, description=text)
    options.add_photos(restore, "a packaged photo, grown old and damaged")
    add = restore.add_argument
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where all goes")
    add("--outputs", default=PICTURES, metavar="LIST", help="some of %(default)s")
    add("--force", action="store_true", help="make again what is already there")
    _add_mask(restore.add_argument_group("the mask"))
    _add_looks(restore.add_argument_group("the pictures"))
    _add_files(restore.add_argument_group("the files").add_argument)
    _add_machine(restore.add_argument_group("the machine"))
    restore.set_defaults(command=run)


def _add_mask(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    where: dict[str, Any] = dict(type=pathlib.Path, metavar="FILE_OR_FOLDER")
    add("--mask", "-m", **where, help="use these masks as they are; nothing is detected")
    add("--mask-add", **where, help="mark these pixels as well")
    add("--mask-remove", **where, help="never touch these pixels")
    again = "NAME_prob.png of an earlier run: nothing is detected (those in DIR are used anyway)"
    add("--probability", **where, help=again)
    red = "damage is what this channel of film scans shows: their own, or that of NAME_IR files"
    add("--infrared", nargs="?", const=True, metavar="FILE_OR_FOLDER", type=pathlib.Path, help=red)
    for kind in (Detecting, Marking, Inpainting):
        options.add_flags(group, kind, chained=True)


def _add_looks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--strength",
        action="append",
        default=[],
        type=_strength,
        metavar="STAGE=S",
        help="inpaint=0.5, colorize=0.7: from 0, the photo as it is, to 1",
    )
    options.add_flags(group, Colorizing, chained=True)
    options.add_colors(group)
    add("--sheet", action="store_true", help="also write NAME_sheet.jpg, before and after")
    add("--page", action="store_true", help="also write index.html, to look through them all")
    seed = "damage the sample otherwise; the networks draw no numbers"
    add("--seed", type=int, metavar="N", help=seed)


def _add_files(add: Callable[..., Any]) -> None:
    form = "of the pictures: same as the photo's, or lossless, or always one kind (%(default)s)"
    add("--format", choices=FORMATS, default=FORMATS[0], help=form)
    lid = (
        "what the scanner saw beside the print: leave it, fill it, crop to the print (%(default)s)"
    )
    add("--margin", choices=("leave", "fill", "crop"), default="leave", help=lid)
    add("--quality", type=int, default=95, metavar="1..100", help="of JPEG, HEIC (%(default)s)")
    add("--strip-gps", action="store_true", help="leave out where the photo was taken")
    limit = "refuse files whose header promises more (%(default)s)"
    add("--max-pixels", type=int, default=500_000_000, metavar="N", help=limit)


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    weights: dict[str, Any] = dict(
        type=pathlib.Path, metavar="WORKDIR_OR_FILE", help="other weights"
    )
    for name in WEIGHTS:
        others = {"help": options.COLORING} if name == "colorizer" else {}
        add(f"--{name}", *WEIGHTS[name], **(weights | others))
    add("--device", choices=("auto", "cpu", "gpu", "tpu"), default="auto", help="(%(default)s)")
    batch = "photos of one size at once (one a CPU, eight a GPU)"
    add("--batch", type=int, metavar="N", help=batch)
    options.add_flag(group, "tile", offered(Detecting)["tile"])
    add("--offline", action="store_true", help="never use the network; restoring needs none")
    add("--ray", metavar="ADDRESS", help="spread over a Ray cluster; `local` starts one here")


def run(args: Namespace) -> int:
    """Restores the photos; returns the exit status."""
    if args.offline:
        os.environ["OLDPHOTO_OFFLINE"] = "1"
    options.start_reading()
    from oldphoto_jax.folder import apart, batch, browse, chain, outputs, written
    from oldphoto_jax.folder.jobs import closing, plan
    from oldphoto_jax.restore import stage
    from oldphoto_jax.restore.request import picture_of
    from oldphoto_jax.restore.status import FAILED

    if args.ray:  # workers have another working directory
        for name in ("out", "like", *WEIGHTS):
            path = getattr(args, name)
            if path and (path.exists() or name == "out"):  # else a name of weights
                setattr(args, name, path.absolute())
    stage.use(args.device)
    pictures = [name.strip() for name in args.outputs.split(",") if name.strip()]
    kinds = outputs.kinds(pictures, args.sheet, args.mask is not None, args.candidates)
    _check(args, pictures, outputs.MASK in kinds)
    count = stage.photos_at_once() if args.batch is None else args.batch
    restoring = _restoring(args, pictures, count)
    factory = functools.partial(chain.build, restoring, _filing(args), args.device)
    work = factory(maps={})  # settings that don't fit end the run before anything is written
    photos = _sample(args) if args.sample else args.photos
    endings = functools.partial(outputs.suffix, form=args.format)
    pages = functools.partial(written.pages, max_pixels=args.max_pixels)
    copied = [kind for kind in kinds if picture_of(kind) in pictures and args.format == FORMATS[0]]
    jobs = plan(photos, args.out, kinds, endings, pages, copied)
    jobs = _given(args, jobs)
    report = batch.Report(args.out, outputs.STAGE)
    work.maps = outputs.stored(jobs, report, work.settings)
    factory = functools.partial(factory, maps=work.maps)
    if args.ray:
        from oldphoto_jax.folder import cluster

        counts = cluster.run(
            jobs,
            report,
            factory,
            work.settings,
            args.force,
            address=args.ray,
            key=work.key,
            most=count,
        )
    else:
        with apart.Apart(factory, work) as way:
            counts = batch.run_groups(
                jobs,
                report,
                work,
                work.settings,
                args.force,
                work.key,
                max(count, chain.BESIDE),
                apart=way,
            )
    if args.page:
        browse.write_page(args.out, jobs, args.max_pixels)
    _tell(args, counts, work.restorer, report)
    if left := closing(jobs):
        print(left, file=sys.stderr)
    return 1 if counts[FAILED] else 0


def _sample(args: Namespace) -> pathlib.Path:
    """The packaged photo, grown old, in a file of the folder of results."""
    from oldphoto_jax import sample  # takes a while, and few ask for it

    return sample.write(args.out, sample.SEED if args.seed is None else args.seed)


def _restoring(args: Namespace, pictures: list[str], count: int) -> dict[str, Any]:
    """What the restorer is to be like."""
    given = {name: getattr(args, name) for name in (*WEIGHTS, "tile")}
    for kind in STEPS.values():
        given |= options.chosen(args, kind, chained=True)
    given["like"] = args.like
    return given | {"outputs": pictures, "strength": dict(args.strength), "count": count}


def _filing(args: Namespace) -> dict[str, Any]:
    """What the files are to be like."""
    names = ("out", "quality", "max_pixels", "strip_gps", "page", "margin")
    own = {name: getattr(args, name) for name in names}
    return own | {"infrared": args.infrared is not None}


def _check(args: Namespace, pictures: list[str], fills: bool) -> None:
    """Raises ValueError for options that would be without effect beside others."""
    if args.batch is not None and args.batch < 1:
        raise ValueError(f"--batch {args.batch}: give 1 or more")
    given = [name for name in ("mask", "mask_add", "mask_remove") if getattr(args, name)]
    if given and not fills:
        option = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{option}: `color` needs no mask; ask for another of the --outputs too")
    for option, given in {
        "--infrared": args.infrared,
        "--margin fill": args.margin == "fill",
    }.items():
        if given and not fills:
            raise ValueError(
                f"{option}: `color` fills nothing; ask for another of the --outputs too"
            )
    colors = [f"--{name}" for name in ("hints", "like") if getattr(args, name)]
    colors += ["--candidates"] if args.candidates != 1 else []
    if colors and pictures == ["restored"]:
        raise ValueError(
            f"{colors[0]}: `restored` is not coloured; ask for another of the --outputs"
        )
    if args.hints and args.margin == "crop":
        raise ValueError(
            "--hints: are about places of the whole scan; crop it first (--margin crop), then "
            "give hints for what was cropped"
        )
    if args.infrared and args.probability:
        raise ValueError("--infrared: makes a map of its own; leave out --probability")
    idle = [f"--{name}" for name in ("infrared", "probability") if getattr(args, name) is not None]
    idle += options.changed(args, Detecting, chained=True)
    if args.mask and idle:
        raise ValueError(f"--mask: is used as it is; leave out {' and '.join(idle)}")


def _given(args: Namespace, jobs: list[Job]) -> list[Job]:
    """The jobs with the files that say where the photos are damaged."""
    from oldphoto_jax.folder import masks

    if args.mask:
        jobs = masks.pair(jobs, args.mask)
    if args.probability:
        jobs = masks.pair(jobs, args.probability, "probability", masks.PROBABILITY)
    if isinstance(args.infrared, pathlib.Path):
        jobs = masks.pair(jobs, args.infrared, "infrared", masks.INFRARED, needed=False)
    elif (
        args.infrared and args.photos and args.photos.is_dir()
    ):  # among the photos is where scanners put them
        with contextlib.suppress(ValueError):  # no photo has a file beside it
            jobs = masks.pair(jobs, args.photos, "infrared", masks.INFRARED, needed=False)
    for kind, path in (("add", args.mask_add), ("remove", args.mask_remove)):
        if path:
            jobs = masks.pair(jobs, path, kind, needed=False)
    return options.hinted(jobs, args.hints)


def _strength(text: str) -> tuple[str, float]:
    """What STAGE=S says; argparse makes wrong usage of the error."""
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        words = f"{text!r}: give STAGE=S, such as inpaint=0.5"
        raise argparse.ArgumentTypeError(words) from error


def _tell(args: Namespace, counts: Mapping[str, int], restorer: Restorer, report: Report) -> None:
    """The last lines: how many photos ended how, what was guessed, what was compiled."""
    summary = ", ".join(f"{number} {status}" for status, number in counts.items())
    shapes = "" if args.ray else f"; programs for {restorer.made} shapes"
    print(summary + shapes, file=sys.stderr)
    if counts["beyond_training"] and restorer.inpainter:
        most = restorer.inpainter.trained.predictor.max_size
        what = f"holes thicker than {most} pixels, more than the network was trained on"
        print(f"{counts['beyond_training']} photos with {what}; see {report.path}", file=sys.stderr)
