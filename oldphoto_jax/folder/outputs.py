"""What `oldphoto restore` makes of a photo: kinds of files, their endings, what is used again."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.folder import batch, known, written
from oldphoto_jax.folder.jobs import LOSSLESS, Job
from oldphoto_jax.folder.report import Report
from oldphoto_jax.photo.codecs import encode
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import names
from oldphoto_jax.restore.request import (
    PICTURES,
    RESTORED,
    RESTORED_COLOR,
    further,
    picture_of,
)

STAGE = "restore"  # what the report calls it
MASK, PROBABILITY, SHEET = "mask", "prob", "sheet"
FORMATS = ("same", "lossless", "png", "tif", "webp", "jpg")


def suffix(photo: pathlib.Path, kind: str, form: str = FORMATS[0]) -> str:
    """The ending of what is made of a photo: of pictures its own, unless another `form` is asked.

    "lossless" changes those that lose something when they are written anew. BMP becomes PNG.
    """
    if kind in (MASK, PROBABILITY):
        return ".png"
    if kind == SHEET:
        return ".jpg"
    if form not in FORMATS[:2]:
        return f".{form}"
    keeps = photo.suffix.lower() in (*LOSSLESS, *(written.LOSSY if form == "same" else ()))
    return photo.suffix if keeps else ".png"


def kinds(
    pictures: Sequence[str], with_sheet: bool = False, masked: bool = False, candidates: int = 1
) -> list[str]:
    """The files to be made of a photo, pictures last; `masked` says that masks are given.

    Of pictures in colour there are so many `candidates`. Raises ValueError for other names than
    PICTURES, and for none.
    """
    unknown = [name for name in pictures if name not in PICTURES]
    if unknown or not pictures:
        listed = ", ".join(map(repr, unknown)) or "nothing"
        raise ValueError(f"--outputs: {listed} asked for; choose some of {','.join(PICTURES)}")
    pictures = [name for name in PICTURES if name in pictures]
    damage = [MASK] if masked else [PROBABILITY, MASK]
    fills = {RESTORED, RESTORED_COLOR} & {*pictures}
    more = [one for name in pictures if name != RESTORED for one in further(name, candidates)]
    return [*([SHEET] if with_sheet else []), *(damage if fills else []), *pictures, *more]


def stored(
    jobs: Sequence[Job], report: Report, settings: Mapping[str, Any]
) -> dict[str, pathlib.Path]:
    """The probability maps among the jobs' outputs that detecting anew would only repeat.

    Those of the same photo, weights and tiles, whatever the threshold; not those that were given
    then, nor those of a run that was killed while it worked on the photo.
    """
    maps = {}
    for job in jobs:
        before = report.done.get(job.name)
        if not before or job.name in report.remains:
            continue
        if before.get("source") != batch.identity(job.photo):
            continue
        if _detecting(before["settings"]) != _detecting(settings):
            continue
        for number in range(max(1, len(job.pages))):
            one = job.of_page(number)
            path = one.outputs.get(PROBABILITY)
            given = names.of_page("probability", number) in before.get("inputs", {})
            if path and path.exists() and not given:
                maps[one.name] = path
    return maps


def _detecting(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What probabilities depend on."""
    options = settings.get("detect", {})
    own = {name: options.get(name) for name in ("weights", "tta", "tile", "overlap", "coarse")}
    cropped = settings.get("margin") == known.CROP
    return own | {"cropped": cropped, "infrared": settings.get("infrared", False)}


def check(
    outputs: Mapping[str, pathlib.Path], photo: PhotoFile[np.ndarray], colored: bool, quality: int
) -> None:
    """Raises ValueError for pictures that their format cannot hold, before any is made.

    `colored` says whether the photo gets colours.
    """
    shape = (*photo.pixels.shape[:2], 3)
    rgb = dataclasses.replace(photo, pixels=np.broadcast_to(photo.pixels, shape), icc=None)
    for kind in (name for name in outputs if picture_of(name) in PICTURES):
        one = rgb if colored and kind != RESTORED else photo
        ending = outputs[kind].suffix
        reason = encode.refusal(ending, one, quality)
        if reason and not encode.refusal(".tif", one):  # no fault of the photo's own
            asked, why = f"--format {ending[1:]}", reason.split(";")[0]
            raise ValueError(f"{asked}: {why}; choose --format png or tif")
