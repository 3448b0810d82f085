"""`oldphoto weights`: what networks there are, what is known of each, whether files are whole."""

from __future__ import annotations

import dataclasses
import json
import sys

NAME = "see oldphoto weights list"


def add(commands, shared) -> None:
    """The command's part of the command line."""
    text = "list the weights that come along or can be fetched; show one's card; verify; get"
    weights = commands.add_parser("weights", help=text, description=text)
    actions = weights.add_subparsers(required=True, metavar="ACTION")

    def action(name, run, text):
        one = actions.add_parser(name, parents=[shared], help=text, description=text)
        one.set_defaults(command=run)
        return one

    listed = action(
        "list", list_all, "name, size, where, thickest defect learned, checksum, licence"
    )
    listed.add_argument("--json", action="store_true", help="as JSON, with addresses and cards")
    text = "print what is known of one: how it was trained, what it reaches, where it fails"
    action("card", card, text).add_argument("name", metavar="NAME", help=NAME)
    action("verify", verify, "compare every file here with its published checksum")
    text = "fetch weights into the user's cache folder, as safetensors; print their path"
    action("get", get, text).add_argument("name", metavar="NAME", help=NAME)


def list_all(args) -> int:
    """Prints the catalogue; returns the exit status."""
    from oldphoto_jax.weights import catalogue

    if args.json:
        print(json.dumps([_facts(row) for row in catalogue.ROWS], indent=1))
        return 0
    layout = "{:27} {:>8}  {:8}  {:>6}  {:12}  {}"
    print(layout.format("name", "MB", "where", "max px", "SHA-256", "what for; licence"))
    for row in catalogue.ROWS:
        size, start = f"{row.source.size / 1e6:.1f}", row.source.sha256[:12]
        thick = (row.card and row.card.trained_max) or "-"
        words = f"{row.use}; {row.licence}"
        print(layout.format(row.name, size, _where(row), thick, start, words))
    return 0


def card(args) -> int:
    """Prints one card, as it stands in MODEL_ZOO.md; returns the exit status."""
    from oldphoto_jax.weights import catalogue, zoo

    print(zoo.card(catalogue.find(args.name)), end="")
    return 0


def verify(args) -> int:
    """Checks all files of the package and the cache; returns the exit status, 1 if one is wrong."""
    from oldphoto_jax.weights import cache, catalogue, fetch

    wrong = 0
    for row in catalogue.ROWS:
        if row.source.places and not row.path.is_file():
            print(f"{row.name}: not fetched")
            continue
        problem = catalogue.trouble(row)
        wrong += bool(problem)
        print(f"{row.name}: {problem or 'whole'}")
    for source in {row.source for row in catalogue.ROWS if row.source.places}:
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


def get(args) -> int:
    """Prints the path of the weights, which are there then; returns the exit status."""
    from oldphoto_jax.weights import catalogue

    print(catalogue.get(args.name))
    return 0


def _where(row) -> str:
    if not row.source.places:
        return "package"
    return "cache" if row.path.is_file() else "to fetch"


def _facts(row) -> dict:
    return dataclasses.asdict(row) | {"where": _where(row), "path": str(row.path)}
