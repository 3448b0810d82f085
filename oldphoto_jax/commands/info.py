"""`oldphoto info`: versions, devices, weights, and the cache."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace

from oldphoto_jax.commands import options


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    info = commands.add_parser("info", parents=[shared], help="versions, devices, weights")
    info.add_argument("--json", action="store_true", help="as JSON, for a bug report")
    clear = "take away the programs that are kept between runs, for them to be made anew"
    info.add_argument("--clear-cache", action="store_true", help=clear)
    info.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Prints them, or clears the cache; returns the exit status."""
    from oldphoto_jax.restore import exported
    from oldphoto_jax.restore.about import about

    if args.clear_cache:
        print(f"{exported.clear() / 1e6:.1f} MB of kept programs taken away", file=sys.stderr)
        return 0

    facts = about()
    if args.json:
        print(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            print(f"{name:24} {value if isinstance(value, str) else json.dumps(value)}")
    return 0
