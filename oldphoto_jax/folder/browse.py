"""What is looked at of restored photos: their sheets, and the thumbnails of the folder's page."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from oldphoto_jax.folder import batch, outputs, page, sheet
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo import encoding
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import contained, files
from oldphoto_jax.photo.types import Rows
from oldphoto_jax.restore.request import PICTURES
from oldphoto_jax.restore.status import FAILED

MASK = "mask"  # the file that the picture of what was found is made of


def captioned(
    photo: PhotoFile[Rows], mask: np.ndarray | None, pictures: Mapping[str, Rows | None]
) -> Iterator[tuple[str, Rows]]:
    """What the sheet of a photo shows: as it came, what the mask [H,W] marks, what it became."""
    yield page.CAPTIONS[page.ORIGINAL], photo.pixels
    if mask is not None and mask.any():
        yield page.CAPTIONS[page.FOUND], sheet.found(photo.pixels, mask)
    for kind, rows in pictures.items():
        if rows is not None:
            yield page.CAPTIONS[kind], rows


def make(
    out: pathlib.Path,
    name: str,
    photo: PhotoFile[Rows],
    mask: np.ndarray | None,
    pictures: Mapping[str, Rows],
) -> None:
    """Makes the thumbnails of one photo: as it came, what the mask [H,W] marks, what it became."""
    shown: dict[str, Rows] = {page.ORIGINAL: photo.pixels}
    if mask is not None:
        shown[page.FOUND] = sheet.found(photo.pixels, mask)
    for kind, rows in (shown | dict(pictures)).items():
        icc = photo.icc if rows.shape[-1] == photo.pixels.shape[-1] else None
        page.thumbnail(out, name, kind, rows, icc)


def catch_up(
    out: pathlib.Path,
    jobs: Sequence[Job],
    entries: Mapping[str, Entry],
    kinds: Sequence[str],
    max_pixels: int = files.MAX_PIXELS,
) -> None:
    """Makes thumbnails that are missing, or older than their files, of photos that are done.

    `entries` tell by name what became of photos, `kinds` are the pictures to be shown. Files that
    cannot be read are said on stderr; their photo stays without.
    """
    for job in jobs:
        for number in range(max(1, len(job.pages))):
            one = job.of_page(number)
            entry = entries.get(one.name)
            if not entry or entry["status"] == FAILED or "role" in entry:
                continue
            try:
                _catch_up(out, one, number, entry, kinds, max_pixels)
            except batch.FAULTS as error:
                print(f"no thumbnails of {one.name}: {error}", file=sys.stderr)


def _catch_up(
    out: pathlib.Path,
    job: Job,
    number: int,
    entry: Entry,
    kinds: Sequence[str],
    max_pixels: int,
) -> None:
    """Those of one page of a photo, counted from 0."""
    for kind, path in _late(out, job, entry.get("files", {}), kinds):
        shared = kind == page.ORIGINAL or kind in job.shared
        picture = _shown(path, max_pixels, number if shared else 0)
        if kind == page.FOUND:
            picture = _found(_shown(job.photo, max_pixels, number), picture.pixels)
        page.thumbnail(out, job.name, kind, picture.pixels, picture.icc)


def _shown(path: pathlib.Path, max_pixels: int, number: int) -> PhotoFile[np.ndarray]:
    """A page of a photo as it is meant to look."""
    photo = contained.read(path, max_pixels, number)
    return encoding.shown(photo, encoding.view(photo))


def _found(photo: PhotoFile[np.ndarray], mask: np.ndarray) -> PhotoFile[np.ndarray]:
    """A photo, small, with what its mask [H,W,1] marks."""
    pixels = sheet.found(photo.pixels, mask[..., 0])
    return PhotoFile(pixels, icc=photo.icc if photo.pixels.shape[-1] == 3 else None)


def _late(
    out: pathlib.Path, job: Job, made: Mapping[str, str], kinds: Sequence[str]
) -> Iterator[tuple[str, pathlib.Path]]:
    """The thumbnails that are to be made, and of which files."""
    sources = {page.ORIGINAL: job.photo}
    if MASK in made:
        sources[page.FOUND] = out / made[MASK]
    sources |= {kind: out / made[kind] for kind in kinds if kind in made}
    for kind, source in sources.items():
        small = out / page.place(job.name, kind)
        if not small.exists() or os.path.getmtime(small) < os.path.getmtime(source):
            yield kind, source


def write_page(
    out: pathlib.Path, jobs: Sequence[Job], max_pixels: int = files.MAX_PIXELS
) -> pathlib.Path:
    """The contact page of all photos that the report in `out` tells of.

    Of photos among the jobs thumbnails are made, where earlier runs made none.
    """
    entries = page.collect(out, outputs.STAGE)
    catch_up(out, jobs, entries, PICTURES, max_pixels)
    return page.write(out, entries, (page.FOUND, *PICTURES))
