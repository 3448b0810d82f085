"""What lies in a folder: the photos, and all else, with the reason why it was passed over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from oldphoto_jax.photo.codecs import kinds
from oldphoto_jax.photo.content import PhotoError
from oldphoto_jax.photo.disk import names

THUMBNAILS = ".thumbnails"  # lie where a run has written its page
REPORTS = (names.REPORT, "index.html")  # of a run that wrote into this folder
FOLDER, FILE, LINK = "folder", "file", "link"


class Left(NamedTuple):
    """Something that was passed over: what it is (FOLDER, FILE or LINK) and why.

    `unreadable` says that a photo may be lost there; otherwise it is no photo.
    """

    path: Path
    what: str
    reason: str
    unreadable: bool


class Survey(NamedTuple):
    """What is in a folder and below: `photos` and what was `passed_over`, sorted by path."""

    photos: list[Path]
    passed_over: list[Left]


def survey(folder: str | os.PathLike, but: Path | None = None) -> Survey:
    """The photos in a folder and all below it, and whatever else lies there.

    A file is a photo if its first bytes are those of one (`kinds.recognize`), whatever its name,
    or if its name ends like a photo's: then reading it says what is wrong with it. Links to files
    count as files; those to folders are not followed. Hidden files and folders are no one's
    business, nor are the reports of this tool, nor the folder `but`. Raises PhotoError if the
    folder itself cannot be read.
    """
    folder = Path(folder)
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise PhotoError(
            f"{folder}: cannot be read ({error.strerror}); check what it is"
        ) from error
    found = [*_walk(folder, but and but.resolve())]
    photos = sorted(path for path in found if isinstance(path, Path))
    return Survey(photos, sorted(one for one in found if isinstance(one, Left)))


def _walk(folder: Path, but: Path | None) -> Iterator[Path | Left]:
    try:
        with os.scandir(folder) as entries:
            everything = [*entries]
    except OSError as error:
        yield _unreadable(folder, FOLDER, error)
        return
    reported = {names.REPORT, THUMBNAILS} & {entry.name for entry in everything}
    for entry in everything:
        path = folder / entry.name
        if entry.name.startswith(".") or (reported and entry.name in REPORTS):
            continue
        if entry.is_dir(follow_symlinks=False):
            if but is None or path.resolve() != but:
                yield from _walk(path, but)
        else:
            yield _look_at(path)


def _look_at(path: Path) -> Path | Left:
    """A path that is no folder: itself if it is a photo."""
    is_link = path.is_symlink()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if is_link:
            reason = f"leads nowhere ({error.strerror}); mend it or take it away"
            return Left(path, LINK, reason, True)
        return _unreadable(path, FILE, error)
    if stat.S_ISDIR(mode):
        return Left(path, LINK, "leads to a folder and is not followed; name that folder", False)
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        return Left(path, FILE, "is no file but a pipe, a socket or a device", False)
    if path.suffix.lower() in kinds.EXTENSIONS:
        return path
    try:
        known = kinds.of(path)
    except OSError as error:
        return _unreadable(path, FILE, error)
    return path if known else Left(path, FILE, "is no photo by its content", False)


def _unreadable(path: Path, what: str, error: OSError) -> Left:
    reason = f"cannot be read ({error.strerror}); give yourself the right to"
    return Left(path, what, reason, True)
