"""The pictures of a photo to their files: copied where nothing has changed, else written and told.

A reader carries much of a file, but never all. So a photo that is not changed is copied byte for
byte in every format, but for four reasons: another format is asked for, the place is to be taken
out, the photo must be turned upright, or its file was read in spite of a fault.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.folder import untouched
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo.codecs import encode, kinds
from oldphoto_jax.photo.content import Page, PhotoFile
from oldphoto_jax.photo.disk import contained, files
from oldphoto_jax.photo.types import Rows

PROFILE = "gray ICC profile left out of pictures in colour"
LOSSY = (".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".hif")
TURNED = range(2, 9)  # EXIF's numbers of what must be turned


def pages(photo: pathlib.Path, max_pixels: int = files.MAX_PIXELS) -> tuple[Page, ...]:
    """The pages of a photo that has several; what is wrong with it, reading it will say."""
    try:
        all_pages = files.pages(photo, max_pixels) if kinds.of(photo) == "TIFF" else ()
    except (OSError, ValueError):
        return ()
    return all_pages if len(all_pages) > 1 else ()


def put(
    source: pathlib.Path,
    path: pathlib.Path,
    photo: PhotoFile[np.ndarray],
    rows: Rows,
    *,
    mask: np.ndarray | None = None,
    feather: int = 0,
    colored: bool = False,
    quality: int | None = None,
    anew: bool = False,
    max_pixels: int = files.MAX_PIXELS,
    folder: str | os.PathLike | None = None,
    further: bool = False,
    copy: pathlib.Path | None = None,
) -> Entry:
    """Writes one picture, `rows`, of a photo that was read from `source`; says what came of it.

    Unless they are the photo's own, rows differ from them in mask [H,W] uint8 and within `feather`
    pixels of it, or everywhere if `colored`. With `anew` nothing is copied. JPEG and HEIC need a
    `quality`. Scratch space for large photos is taken in `folder`. With `further` the other pages
    of the photo come along behind this one, where the format holds them. A copy goes to `copy`, if
    that is given, and what earlier runs left at the other path is taken away.

    Told are `copied` and `coded_anew` where they are so, `profile` and `left_out` on what the file
    lacks, and `untouched`. Raises as `files.write` and `untouched.compare` do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    target = copy or path
    if rows is photo.pixels and not anew and copyable(source, target, photo, max_pixels):
        copy_to(source, target, path)
        return {"copied": True, "untouched": untouched.copied(photo)}
    made, entry = picture(photo, rows, path.suffix)
    if copy:
        copy.unlink(missing_ok=True)
    if path.suffix.lower() in LOSSY:
        files.write(path, made, quality=quality)
        return entry | {"coded_anew": True, "untouched": untouched.CODED_ANEW}
    others = pages(source, max_pixels)[1:] if further else ()
    if others and path.suffix.lower() in files.TIFF:
        behind = (contained.read(source, max_pixels, page.index, folder) for page in others)
        files.write_pages(path, itertools.chain([made], behind))
    else:
        files.write(path, made)
        if others:
            left = f"{len(others)} further page{'s' * (len(others) > 1)}"
            entry["left_out"] = [*entry.get("left_out", ()), left]
    if colored:
        return entry | {"untouched": untouched.COLORED}
    filled = None if rows is photo.pixels else mask
    reach: dict[str, Any] = dict(feather=feather, max_pixels=max_pixels, folder=folder)
    return entry | {"untouched": untouched.compare(photo, path, filled, **reach)}


def copy_to(source: pathlib.Path, target: pathlib.Path, path: pathlib.Path) -> None:
    """Copies a photo to `target`, which stands for `path` from then on, and checks the copy."""
    files.copy(source, target)
    untouched.check_copy(source, target)
    if target != path:
        path.unlink(missing_ok=True)


def named(
    names: Mapping[str, str], entries: Mapping[str, Entry], copies: Mapping[str, pathlib.Path]
) -> dict[str, str]:
    """The names of files by their kinds, those of copies in place of the pictures' own."""
    copied = {kind for kind in names if "copied" in entries.get(kind, ()) and kind in copies}
    return dict(names) | {
        kind: pathlib.PurePosixPath(names[kind]).with_name(copies[kind].name).as_posix()
        for kind in copied
    }


def picture(photo: PhotoFile[np.ndarray], rows: Rows, suffix: str) -> tuple[PhotoFile[Rows], Entry]:
    """The photo with `rows` as its pixels; what a file of this suffix lacks, to be told."""
    came: PhotoFile[Rows] = photo
    made = dataclasses.replace(came, pixels=rows)
    entry: Entry = {}
    if photo.icc and rows.shape[-1] != photo.pixels.shape[-1]:
        made, entry = dataclasses.replace(made, icc=None), {"profile": PROFILE}
    if lost := encode.left_out(suffix, made):
        entry["left_out"] = lost
    return made, entry


def copyable(
    source: pathlib.Path,
    path: pathlib.Path,
    photo: PhotoFile[Rows],
    max_pixels: int = files.MAX_PIXELS,
) -> bool:
    """Whether a copy of the photo's file says at `path` all that is to be said."""
    upright = not photo.faulty and contained.header(source, max_pixels).orientation not in TURNED
    return upright and same_format(source, path)


def same_format(source: pathlib.Path, path: pathlib.Path) -> bool:
    """Whether the file at `path` is to have the format that the photo has."""
    ending = path.suffix.lower()
    return ending in (kinds.own_ending(source).lower(), kinds.ending(source).lower())


def unseen(source: pathlib.Path) -> list[str]:
    """What a command has to note that looks at the first page of a photo alone."""
    count = len(pages(source)[1:])
    what = f"{count} further page{'s' * (count > 1)}: `oldphoto restore` looks at all of them"
    return [what] if count else []


def together(entries: Mapping[str, Entry], notes: Sequence[str] = ()) -> Entry:
    """What `put` says of the pictures of a photo, by their kinds, as one line of the report.

    `copied` lists the kinds that are copies; `left_out` is by kind, `untouched` too where there are
    several. `notes` are those on the photo's file.
    """
    line: Entry = {"notes": [*notes]} if notes else {}
    for one in entries.values():
        line |= {key: one[key] for key in ("coded_anew", "profile") if key in one}
    if copied := [kind for kind, one in entries.items() if "copied" in one]:
        line["copied"] = copied
    if lost := {kind: one["left_out"] for kind, one in entries.items() if "left_out" in one}:
        line["left_out"] = lost
    kept = {kind: one["untouched"] for kind, one in entries.items() if "untouched" in one}
    if kept:
        line["untouched"] = kept if len(kept) > 1 else [*kept.values()][0]
    return line
