"""What a run over a folder passes over: nothing in silence, and nothing that may be a photo."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable

from oldphoto_jax.folder.report import PASSED_OVER, REPORT, Entry
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.survey import FILE, FOLDER, LINK, Left, Survey, survey
from oldphoto_jax.restore.status import FAILED

WORDS = {  # of one, and of several
    (FILE, False): ("file is no photo", "files are no photos"),
    (LINK, False): ("link to a folder was not followed", "links to folders were not followed"),
    (FOLDER, True): ("folder could not be read", "folders could not be read"),
    (FILE, True): ("file could not be read", "files could not be read"),
    (LINK, True): ("link leads nowhere", "links lead nowhere"),
}


def look_through(source: pathlib.Path, out: pathlib.Path) -> Survey:
    """The photos at `source` that do not lie in `out`, and what else is there.

    Raises ValueError where there is no photo, and where `out` holds some that no run has put there.
    """
    if not source.is_dir():
        return Survey(files.find(source), [])
    home = out.resolve()
    within = source.resolve() in home.parents
    contents = survey(source, but=out if within else None)
    if within and out.is_dir() and not (out / REPORT).exists() and files.find(out):
        raise ValueError(f"--out {out}: holds photos of its own; choose an empty folder")
    photos = [
        photo for photo in contents.photos if not within or home not in photo.resolve().parents
    ]
    if not photos:
        rest = f" ({counted(contents.passed_over)})" if contents.passed_over else ""
        raise ValueError(f"{source}: no photos in there{rest}")
    return Survey(photos, contents.passed_over)


def entry(left: Left, begun: Entry) -> Entry:
    """The line of the report for what was passed over, of one that has been begun."""
    status = FAILED if left.unreadable else PASSED_OVER
    return {name: begun[name] for name in ("photo", "stage")} | {
        "status": status,
        "reason": left.reason,
    }


def counted(passed_over: Iterable[Left]) -> str:
    """How much was passed over of each kind, in words; nothing if nothing was."""
    counts = collections.Counter((one.what, one.unreadable) for one in passed_over)
    phrases = {kind: words[counts[kind] > 1] for kind, words in WORDS.items() if counts[kind]}
    return ", ".join(f"{counts[kind]} {words}" for kind, words in phrases.items())
