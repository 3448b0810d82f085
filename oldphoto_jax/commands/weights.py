"""`oldphoto weights`: what networks there are, what is known of each, whether files are whole."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oldphoto_jax.commands import options

if TYPE_CHECKING:
    from oldphoto_jax.weights.rows import Row

NAME = "see oldphoto weights list"


def add(commands: options.Commands, shared: ArgumentParser) -> None:
    """The command's part of the command line."""
    text = "list the weights that come along or can be had; show one's card; verify; get; import"
    weights = commands.add_parser("weights", help=text, description=text)
    actions = weights.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[[Namespace], int], text: str) -> ArgumentParser:
        one = actions.add_parser(name, parents=[shared], help=text, description=text)
        one.set_defaults(command=run)
        return one

    listed = action(
        "list", list_all, "name, size, where, thickest defect learned, checksum, licence, origin"
    )
    listed.add_argument("--json", action="store_true", help="as JSON, with origins and cards")
    text = "print what is known of one: how it was trained, what it reaches, where it fails"
    action("card", card, text).add_argument("name", metavar="NAME", help=NAME)
    action("verify", verify, "compare every file here with its published checksum")
    text = "fetch published weights, make safetensors of them in the user's cache; print their path"
    action("get", get, text).add_argument("name", metavar="NAME", help=NAME)
    text = "the same of the published file that you have, or of another address that has it"
    brought = action("import", bring, text)
    brought.add_argument("name", metavar="NAME", help=NAME)
    text = "the file; a folder or zip with it; or https://..."
    brought.add_argument("given", metavar="FILE_OR_ADDRESS", help=text)


def list_all(args: Namespace) -> int:
    """Prints the catalogue; returns the exit status."""
    from oldphoto_jax.weights import catalogue, pins

    if args.json:
        print(json.dumps([_facts(row) for row in catalogue.ROWS], indent=1))
        return 0
    layout = "{:29} {:>8}  {:10}  {:>6}  {:12}  {}"
    print(layout.format("name", "MB", "where", "max px", "SHA-256", "what for; licence; origin"))
    for row in catalogue.ROWS:
        start = pins.expected(row.source)[:12] or "not stated"
        thick = (row.card and row.card.trained_max) or "-"
        words = f"{row.purpose}; {row.licence}; {row.source.origin}"
        print(layout.format(row.name, row.megabytes, _where(row), thick, start, words))
    return 0


def card(args: Namespace) -> int:
    """Prints one card, as it stands in MODEL_ZOO.md; returns the exit status."""
    from oldphoto_jax.weights import catalogue, zoo

    print(zoo.card(catalogue.find(args.name)), end="")
    return 0


def verify(args: Namespace) -> int:
    """Checks all files of the package and the cache; returns the exit status, 1 if one is wrong."""
    from oldphoto_jax.weights import cache, catalogue, fetch, installed

    wrong = 0
    for row in catalogue.ROWS:
        if row.card or row.path.is_file():
            problem = catalogue.trouble(row)
        elif isinstance(row.source, installed.Installed) and row.source.path():
            problem = row.source.lacking()
        else:
            print(f"{row.name}: {_where(row)}")
            continue
        wrong += bool(problem)
        print(f"{row.name}: {problem or 'whole'}")
    for source in dict.fromkeys(row.source for row in catalogue.ROWS if not row.card):
        path = cache.folder("weights") / source.file
        if path.is_file():
            whole = fetch.whole(path, source)
            wrong += not whole
            print(f"{source.file}: {'whole' if whole else f'{path}: wrong SHA-256; delete it'}")
    if wrong:
        print(
            f"files that are wrong: {wrong}. Install the package again for those in it; "
            "`oldphoto weights get NAME` makes others anew",
            file=sys.stderr,
        )
    return 1 if wrong else 0


def get(args: Namespace) -> int:
    """Prints the path of the weights, which are there then; returns the exit status."""
    from oldphoto_jax.weights import catalogue

    return _told(args.name, catalogue.get(args.name))


def bring(args: Namespace) -> int:
    """Prints the path of the weights made of what the user has; returns the exit status."""
    from oldphoto_jax.weights import catalogue

    return _told(args.name, catalogue.bring(args.name, args.given))


def _told(name: str, path: pathlib.Path) -> int:
    from oldphoto_jax.weights import catalogue

    print(path)
    if waiting := catalogue.find(name).waiting:
        kept = "They are kept by their authors' names; a later version goes on from there"
        print(f"{waiting}. {kept}", file=sys.stderr)
    return 0


def _where(row: Row) -> str:
    """Where the weights are now, or what brings them."""
    from oldphoto_jax.weights import installed, npm

    if row.card:
        return "package"
    if row.path.is_file():
        return "cache"
    if isinstance(row.source, installed.Installed):
        return "installed" if row.source.path() else "to install"
    return "to pack" if isinstance(row.source, npm.Packed) else "to fetch"


def _facts(row: Row) -> dict[str, Any]:
    from oldphoto_jax.weights import pins

    return dataclasses.asdict(row) | {
        "where": _where(row),
        "path": str(row.path),
        "origin": row.source.origin,
        "waiting": row.waiting,
        "pinned": pins.pinned(row.source),
    }
