"""`oldphoto detect`: photos in, masks out."""

from __future__ import annotations

import functools
import pathlib
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import DETECTOR, Detecting

if TYPE_CHECKING:
    from oldphoto_jax.folder.single import Finding


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "find scratches, dust, stains and tears; write a mask and a probability map per photo"
    detect = commands.add_parser("detect", parents=[shared], help=text, description=text)
    options.add_photos(detect, "a packaged photo, to try it out")
    add = detect.add_argument
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where masks go")
    options.add_weights(detect)
    options.add_flags(detect, Detecting)
    add("--overlay", action="store_true", help="also write the photo with its defects in red")
    add("--force", action="store_true", help="make again what is already there")
    detect.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Finds the defects; returns the exit status."""
    options.start_reading()
    from oldphoto_jax import sample
    from oldphoto_jax.folder.jobs import plan

    kinds = ("mask", "prob", "overlay") if args.overlay else ("mask", "prob")
    photos = sample.write(args.out) if args.sample else args.photos
    jobs = plan(photos, args.out, kinds)
    return options.perform(jobs, args, functools.partial(_work, args)).status


def _work(args: Namespace) -> Finding:
    from oldphoto_jax.folder.single import Finding
    from oldphoto_jax.predictors.defects import DefectPredictor
    from oldphoto_jax.restore import stage
    from oldphoto_jax.restore.detect import Detector

    stage.prepare()
    loaded = stage.load(args.weights, DETECTOR, DefectPredictor)
    return Finding(Detector(stage=loaded, **options.chosen(args, Detecting)))
