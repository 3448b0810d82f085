"""What files made of photos are called, so that no two of them share a name."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from oldphoto_jax.photo.codecs import kinds as formats

REPORT = "report.jsonl"  # what a run says of the photos whose files it wrote into a folder
PAGE = re.compile(r"p(\d+)_(.+)")
LONGEST = 255  # bytes of a name, on every common file system
LABEL = 224  # bytes of a label: what is put behind it, "_p12_restored_color.jpeg", fits as well


def labels(
    photos: Iterable[pathlib.Path],
    kinds: Sequence[str] = ("",),
    kept: Mapping[pathlib.Path, str] | None = None,
    further: Mapping[pathlib.Path, Sequence[str]] | None = None,
) -> list[str]:
    """A name for each photo that no other photo of its folder has, on any file system.

    Nor do two of them with kinds behind: the "restored_color" of a is no "color" of a_restored.
    Those that `kept` names stay as they were called before; newcomers make way for them. `further`
    are kinds of single photos: those of their further pages.
    """
    photos, kept, further = list(photos), dict(kept or {}), further or {}
    chosen = [kept.get(photo) or short(formats.stem(photo)) for photo in photos]
    while True:
        names = [
            {(photo.parent, plain(f"{label}_{kind}")) for kind in (*kinds, *further.get(photo, ()))}
            for photo, label in zip(photos, chosen, strict=True)
        ]
        taken = collections.Counter(name for own in names for name in own)
        held = collections.Counter(
            name for photo, own in zip(photos, names, strict=True) if photo in kept for name in own
        )
        new = [
            _next(photo, label, own, taken, held, photo in kept)
            for photo, own, label in zip(photos, names, chosen, strict=True)
        ]
        if new == chosen:
            return chosen
        kept = {p: kept[p] for p, label in zip(photos, new, strict=True) if kept.get(p) == label}
        chosen = new


def _next(
    photo: pathlib.Path,
    label: str,
    own: set[tuple[pathlib.Path, str]],
    taken: Mapping[tuple[pathlib.Path, str], int],
    held: Mapping[tuple[pathlib.Path, str], int],
    is_kept: bool,
) -> str:
    """The label, or a longer one where others have its names: with the ending, then marked."""
    longer, longest = short(photo.name), _marked(photo.name, LABEL)
    if is_kept:
        return longer if any(held[name] > 1 for name in own) else label
    if label not in (longer, longest):
        return longer if any(taken[name] > 1 for name in own) else label
    return longest if any(held[name] for name in own) else label


def of_page(kind: str, page: int) -> str:
    """The kind of a further page of a photo, counted from 0: p2_mask is the mask of the second."""
    return f"p{page + 1}_{kind}" if page else kind


def page_of(kind: str) -> tuple[int, str]:
    """Of which page, counted from 0, this is a kind, and what the kind is called without others."""
    found = PAGE.fullmatch(kind)
    return (int(found[1]) - 1, found[2]) if found else (0, kind)


def short(name: str, most: int = LABEL) -> str:
    """The name, or its beginning and a mark of all of it, in at most so many bytes of UTF-8."""
    return name if len(os.fsencode(name)) <= most else _marked(name, most)


def plain(name: str) -> str:
    """What is the same of names that some file systems take for one: case, and how accents are.

    An é is one character or two, and macOS turns the one into the other (Unicode's NFC and NFD).
    """
    return composed(composed(name).casefold())


def composed(name: str) -> str:
    """The name in Unicode's NFC, in which most people's keyboards and file systems write it."""
    return unicodedata.normalize("NFC", name)


def earlier(folder: pathlib.Path) -> dict[str, str]:
    """What the files of photos in a folder are called, NAME_mask.png by NAME, by its report.

    The keys are the photos' names in the report; of those that failed nothing is told.
    """
    called: dict[str, str] = {}
    try:
        lines = (folder / REPORT).read_bytes().splitlines()
    except OSError:  # no run has been here
        return called
    for line in lines:
        try:
            entry = json.loads(line)
            made = entry.get("files", {}) if entry.get("page", 1) == 1 else {}
            own = {_label(kind, path) for kind, path in made.items()} - {""}
            called |= {entry["photo"]: max(own)} if own else {}
        except (ValueError, TypeError, KeyError, AttributeError):  # who reads it all, says so
            continue
    return called


def recalled(photos: Iterable[str], called: Mapping[str, str]) -> list[str]:
    """The photos' names as `earlier` has them, which may write the same accents in another way."""
    photos = list(photos)
    others = {composed(name): name for name in called.keys() - {*photos}}
    return [name if name in called else others.pop(composed(name), name) for name in photos]


def _label(kind: str, path: str) -> str:
    return pathlib.PurePosixPath(path).name.rpartition(f"_{kind}.")[0]


def _marked(name: str, most: int) -> str:
    mark = "~" + hashlib.sha256(os.fsencode(composed(name))).hexdigest()[:12]
    while len(os.fsencode(name)) + len(mark) > most:
        name = name[:-1]
    return name + mark
