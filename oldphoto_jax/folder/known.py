"""What is known of a photo's damage before any network is asked: masks, maps, infra-red, margin."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np

from oldphoto_jax.folder import masks, written
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.photo import infrared, margin
from oldphoto_jax.photo.content import PHOTO, PhotoFile
from oldphoto_jax.photo.disk import contained

MASK, PROBABILITY, INFRARED, ADD, REMOVE = "mask", "probability", "infrared", "add", "remove"
LEAVE, FILL, CROP = MARGINS = ("leave", "fill", "crop")
UNNAMED = 0  # TIFF's ExtraSamples number of a channel that says nothing of itself


def print_in(
    path: pathlib.Path,
    photo: PhotoFile[np.ndarray],
    page: int,
    max_pixels: int,
    folder: str | os.PathLike | None = None,
) -> margin.Margin | None:
    """Where the print lies in a page of a file, or None where there is no margin beside it.

    In a mask or infra-red channel it lies where it does in the photo before, if of the same size.
    """
    if photo.role == PHOTO:
        return margin.find(photo.pixels)
    for before in reversed(written.pages(path, max_pixels)[:page]):
        if before.role == PHOTO:
            if (before.height, before.width) != photo.pixels.shape[:2]:
                return None
            return margin.find(contained.read(path, max_pixels, before.index, folder).pixels)
    return None


def given(
    job: Job, size: tuple[int, int], place: margin.Margin | None = None
) -> dict[str, np.ndarray]:
    """What files say of the damage of a photo [H,W], by the names that `Request` has for it.

    Of a photo that was cropped to the print, at this `place` in its scan, files of the whole scan
    are cropped, too. Raises ValueError for a file that is no mask or map of this photo.
    """

    def fitted(
        path: pathlib.Path, read: Callable[[pathlib.Path, tuple[int, int]], np.ndarray]
    ) -> np.ndarray:
        if place is None:
            return read(path, size)
        header = contained.header(path)
        if (header.height, header.width) != place.scan:
            return read(path, size)
        return np.ascontiguousarray(read(path, place.scan)[place.window])

    damage: dict[str, np.ndarray] = {}
    for name in (MASK, ADD, REMOVE):
        if name in job.inputs:
            most = masks.MOST if name == MASK else 1.0
            damage[name] = fitted(job.inputs[name], functools.partial(masks.read, most=most))
    if path := job.inputs.get(PROBABILITY):
        damage[PROBABILITY] = fitted(path, masks.read_probability)
    return damage


def by_infrared(
    job: Job,
    photo: PhotoFile[np.ndarray],
    page: int,
    level: float,
    max_pixels: int,
    folder: str | os.PathLike | None = None,
) -> np.ndarray:
    """The map of damage [H,W] uint16 that a photo's infra-red channel makes, `level` as its middle.

    The channel is in a file of its own, among the job's inputs; or a page behind that of the photo;
    or a further channel without a name. Raises ValueError where there is none, and where it shows a
    picture.
    """
    channel = None
    if path := job.inputs.get(INFRARED):
        channel = contained.read(path, max_pixels, folder=folder).pixels[..., 0]
    for behind in written.pages(job.photo, max_pixels)[page + 1 :]:
        if channel is None and behind.role == INFRARED:
            opened = contained.read(job.photo, max_pixels, behind.index, folder=folder)
            channel = opened.pixels[..., 0]
        if behind.role == PHOTO:
            break
    if channel is None and photo.extra is not None and UNNAMED in photo.extra_kinds:
        channel = photo.extra[..., photo.extra_kinds.index(UNNAMED)]
    if channel is None:
        raise ValueError(
            "has no infra-red channel: no further channel, no page behind it and no NAME_IR file; "
            "leave out --infrared"
        )
    return infrared.levelled(infrared.probability(channel, photo.pixels), level)


def beside(pixels: np.ndarray) -> np.ndarray | None:
    """The margin of a scan [H,W,1|3] as a mask [H,W] uint8, or None where it has none."""
    place = margin.find(pixels)
    return None if place is None else place.mask(*pixels.shape[:2])
