"""`oldphoto colorize`: gray photos in, coloured photos out."""

from __future__ import annotations

import functools
import pathlib
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import COLORIZER, Colorizing

if TYPE_CHECKING:
    from oldphoto_jax.folder.single import Coloring


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "give gray and toned photos colours; how light each pixel is stays as it was"
    colorize = commands.add_parser("colorize", parents=[shared], help=text, description=text)
    options.add_photos(colorize, "a packaged photo, made gray")
    add = colorize.add_argument
    add("--out", "-o", type=pathlib.Path, required=True, metavar="DIR", help="where photos go")
    options.add_weights(colorize, "--weights-color", help=options.COLORING)
    options.add_flags(colorize, Colorizing)
    options.add_colors(colorize)
    again = "colour photos that are in colour already, and make again what is already there"
    add("--force", action="store_true", help=again)
    colorize.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Colours the photos; returns the exit status."""
    options.start_reading()
    from oldphoto_jax import sample
    from oldphoto_jax.folder.jobs import lossless, plan
    from oldphoto_jax.restore.request import COLOR, further

    photos = sample.write_gray(args.out) if args.sample else args.photos
    jobs = plan(photos, args.out, [COLOR, *further(COLOR, args.candidates)], lossless)
    jobs = options.hinted(jobs, args.hints)
    return options.perform(jobs, args, functools.partial(_work, args), "photo").status


def _work(args: Namespace) -> Coloring:
    from oldphoto_jax.folder.single import Coloring
    from oldphoto_jax.predictors.colors import ColorPredictor
    from oldphoto_jax.restore import pictures, stage
    from oldphoto_jax.restore.colorize import Colorizer

    stage.prepare()
    loaded = stage.load(args.weights, COLORIZER, ColorPredictor)
    reference = None if args.like is None else pictures.open_reference(args.like)
    given = options.chosen(args, Colorizing)
    painter = Colorizer(stage=loaded, reference=reference, recolor=args.force, **given)
    return Coloring(painter)
