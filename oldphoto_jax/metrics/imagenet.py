"""ImageNet's 1000 classes (ILSVRC 2012): their order, and the names that folders of them have."""

from __future__ import annotations

import functools
import importlib.resources
import re

UNKNOWN = -1
ID = re.compile(r"n\d{8}(?!\d)")  # of WordNet


def index(name: str) -> int:
    """Which class is called so, in the order of classifiers' logits; UNKNOWN where none is.

    `name` begins with a WordNet id ("n01440764", "n01440764-tench"), or is one of WordNet's words,
    in whatever case, with spaces, "_" or "-" ("great_white_shark"). A word of several classes is of
    the one that it comes first for; "crane", "cardigan" and "maillot" are of two, and so of none.
    """
    ids, words = _tables()
    if known := ID.match(name):
        return ids.get(known[0], UNKNOWN)
    return words.get(_plain(name), UNKNOWN)


@functools.cache
def _tables() -> tuple[dict[str, int], dict[str, int]]:
    """The class of each id, and of each word that leads to one."""
    text = importlib.resources.files(__package__).joinpath("imagenet.txt").read_text("utf-8")
    lines = [line.split(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    ids = {line[0]: number for number, line in enumerate(lines)}
    words: dict[str, int] = {}
    told = [[_plain(word) for word in line[1].split(", ")] for line in lines]
    for these in ([[first] for first, *_ in told], told):
        found: dict[str, set[int]] = {}
        for number, own in enumerate(these):
            for word in own:
                found.setdefault(word, set()).add(number)
        for word, numbers in found.items():
            words.setdefault(word, numbers.pop() if len(numbers) == 1 else UNKNOWN)
    return ids, words


def _plain(word: str) -> str:
    return " ".join(re.split(r"[\s_-]+", word.lower().replace("'", "")))
