"""`oldphoto inpaint`: photos and masks in, photos without holes out."""

from __future__ import annotations

import functools
import pathlib
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import INPAINTER, Inpainting

if TYPE_CHECKING:
    from oldphoto_jax.folder.single import Filling


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "fill what a mask marks as damaged; every other pixel stays as it is, to the last bit"
    inpaint = commands.add_parser("inpaint", parents=[shared], help=text, description=text)
    options.add_photos(inpaint, "a packaged photo and its mask")
    add = inpaint.add_argument
    where = "white where damaged; NAME_mask.png or NAME.png for each NAME of a folder"
    add("--mask", "-m", type=pathlib.Path, metavar="FILE_OR_FOLDER", help=where)
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where photos go")
    options.add_weights(inpaint)
    options.add_flags(inpaint, Inpainting)
    add("--force", action="store_true", help="make again what is already there")
    inpaint.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Fills the holes; returns the exit status."""
    options.start_reading()
    from oldphoto_jax import sample
    from oldphoto_jax.folder import masks
    from oldphoto_jax.folder.jobs import lossless, plan
    from oldphoto_jax.restore import inpaint

    if args.sample and args.mask:
        raise ValueError("--mask: the sample brings its own; give --sample or --mask")
    if not args.sample and args.mask is None:
        raise ValueError("--mask: name the photo's mask, or the folder of the masks")
    photos = sample.write(args.out) if args.sample else args.photos
    jobs = plan(photos, args.out, ["restored"], lossless)
    jobs = masks.pair(jobs, args.out / sample.TRUTH if args.sample else args.mask)
    if args.weights and args.method not in inpaint.TRAINED:
        raise ValueError(f"--weights: {args.method} takes none")
    done = options.perform(jobs, args, functools.partial(_work, args))
    stage, report = done.work.stage, done.report
    most = stage.predictor.max_size if stage else 0
    kinds = {
        f"holes beyond training, thicker than {most} pixels": "guessed",
        f"holes thicker than {args.max_hole} pixels, left as they are": "left",
    }
    for what, kind in kinds.items():
        numbers = [entry[kind] for entry in report.told if entry.get(kind)]
        if numbers:
            text = f"{what}: {sum(numbers)} in {len(numbers)} photos; see {report.path}"
            print(text, file=sys.stderr)
    return done.status


def _work(args: Namespace) -> Filling:
    from oldphoto_jax.folder.single import Filling
    from oldphoto_jax.predictors.filling import FillingPredictor
    from oldphoto_jax.restore import inpaint, stage

    stage.prepare()
    trained = args.method in inpaint.TRAINED
    loaded = stage.load(args.weights, INPAINTER, FillingPredictor) if trained else None
    return Filling(inpaint.Inpainter(stage=loaded, **options.chosen(args, Inpainting)))
