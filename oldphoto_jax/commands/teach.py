"""`oldphoto teach`: photos with corrected masks in, a finder that knows this album out."""

from __future__ import annotations

import pathlib
import sys
from argparse import ArgumentParser, Namespace

from oldphoto_jax.commands import options
from oldphoto_jax.restore.options import DETECTOR


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "tune the finder on photos whose masks you have corrected; tell what it gained and lost"
    ends = "exit status: 0 it gained, 1 it did not and nothing was written, 2 wrong usage"
    teach = commands.add_parser("teach", parents=[shared], help=text, description=text, epilog=ends)
    add = teach.add_argument
    where = "photos and NAME_mask.png of each NAME, white where damaged; or the masks in MASKS"
    add("pairs", metavar="FOLDER[@MASKS]", help=where)
    add("--out", "-o", type=pathlib.Path, required=True, metavar="FILE", help="a safetensors file")
    options.add_weights(teach, help=f"what to begin with ({DETECTOR})")
    add("--steps", type=int, metavar="N", help="at most; it stops when nothing is gained any more")
    add("--seed", type=int, default=0, help="another seed holds back others (%(default)s)")
    teach.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Teaches; returns the exit status, 1 if nothing was gained and so nothing written."""
    from absl import logging

    from oldphoto_jax import teach
    from oldphoto_jax.data.pairs import Pairs
    from oldphoto_jax.restore import stage

    logging.set_verbosity(logging.WARNING)
    stage.prepare()
    weights = stage.find(args.weights or DETECTOR)
    pairs = Pairs.named(args.pairs)
    steps = teach.STEPS if args.steps is None else args.steps
    try:
        outcome = teach.teach(pairs, weights, args.out, steps, args.seed)
    except KeyboardInterrupt:
        print("oldphoto: interrupted; nothing was written", file=sys.stderr)
        return 130
    print(f"made {outcome.steps} steps; the best weights were those of step {outcome.best}")
    print(f"\n{outcome.table()}\n")
    if not outcome.taught:
        print(f"Not gained, so nothing was written: {outcome.reason}")
        return 1
    print(f"wrote {args.out}; use it by oldphoto restore --detector {args.out}")
    return 0
