"""`oldphoto detect`: photos in, masks out."""

from __future__ import annotations

import functools
import pathlib
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from oldphoto_jax.commands import options

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
    options.add_threshold(detect)
    add("--tta", action="store_true", help="average over mirror images: four times the work")
    near = "look at large scans from near by alone: broad defects are missed"
    add("--no-coarse", dest="coarse", action="store_false", help=near)
    add("--tile", type=int, default=1024, metavar="PX", help="largest tile side (%(default)s)")
    add("--overlap", type=int, default=64, metavar="PX", help="shared by tiles (%(default)s)")
    add("--min-size", type=int, default=0, metavar="PX", help="leave out smaller specks")
    add("--overlay", action="store_true", help="also write the photo with its defects in red")
    add("--force", action="store_true", help="make again what is already there")
    detect.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Finds the defects; returns the exit status."""
    options.start_reading()
    from oldphoto_jax.folder import sample
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

    stage.keep_compiled()
    detector = Detector(
        stage=stage.load(args.weights, options.DETECTOR, DefectPredictor),
        threshold=args.threshold,
        careful=args.careful,
        tta=args.tta,
        tile=args.tile,
        overlap=args.overlap,
        min_size=args.min_size,
        coarse=args.coarse,
    )
    return Finding(detector)
