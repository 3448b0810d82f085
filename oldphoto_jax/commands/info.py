"""`oldphoto info`: versions, devices, weights."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from oldphoto_jax.commands import options


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    info = commands.add_parser("info", parents=[shared], help="versions, devices, weights")
    info.add_argument("--json", action="store_true", help="as JSON, for a bug report")
    info.set_defaults(command=run)


def run(args: Namespace) -> int:
    """Prints them; returns the exit status."""
    from oldphoto_jax.restore.about import about

    facts = about()
    if args.json:
        print(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            print(f"{name:24} {value if isinstance(value, str) else json.dumps(value)}")
    return 0
