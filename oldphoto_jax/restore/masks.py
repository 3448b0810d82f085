"""Mask files and probability maps: which belongs to which photo, and what they mark."""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from oldphoto_jax.photo import files, scratch
from oldphoto_jax.restore import batch

SUFFIX = "_mask"  # NAME_mask.png is what `oldphoto detect` writes
PROBABILITY = "_prob"  # and NAME_prob.png
WORDS = {  # what to call the kinds of inputs
    "mask": "mask",
    "add": "mask to add",
    "remove": "mask to remove",
    "probability": "probability map",
}
BETWEEN = 0.1  # share of pixels that may be neither black nor white; soft edges are
COLORED = 0.001  # share of pixels that may have a colour
MOST = 0.5  # more than this share is damaged in no photo, but in a mask that is inverted

Index = Mapping[tuple[str, str], list[pathlib.Path]]


def read(path: str | os.PathLike, size: tuple[int, int], most: float = MOST) -> np.ndarray:
    """The mask [H,W] uint8 in a file, 1 where it is white: from half of full scale on.

    Any transparency is ignored. Raises ValueError when its size isn't `size` (H, W), and for a
    picture that isn't black and white, is white in more than the share `most`, or has gray but no
    white. Beside the file's pixels and the mask only a band of rows is held.
    """
    pixels = _read(path, size, "mask")
    full = np.iinfo(pixels.dtype).max
    mask = np.empty(size, np.uint8)
    colored = between = white = brightest = 0
    for band in scratch.bands(pixels):
        gray = pixels[band].max(axis=-1)
        colored += int(np.count_nonzero(gray - pixels[band].min(axis=-1) > full // 8))
        between += int(np.count_nonzero((gray > full // 8) & (gray < full - full // 8)))
        np.greater(gray, full // 2, out=mask[band], casting="unsafe")
        white += int(np.count_nonzero(mask[band]))
        brightest = max(brightest, int(gray.max()))
    if colored > COLORED * mask.size:
        raise ValueError(
            f"{path}: has colours, so it is no mask (an overlay?); a mask is black and white"
        )
    if between > BETWEEN * mask.size:
        raise ValueError(
            f"{path}: {between / mask.size:.0%} of its pixels are gray, so it is no mask; a mask "
            "is white where the photo is damaged and black elsewhere"
        )
    if brightest and not white:
        raise ValueError(
            f"{path}: nothing in it is white, its brightest pixel is {brightest} of {full}; white "
            f"must mean damaged, so save it with 0 and {full} instead of 0 and {brightest}"
        )
    if white > most * mask.size:
        raise ValueError(
            f"{path}: marks {white / mask.size:.0%} of the photo as damaged; white must mean "
            "damaged, so invert it if it is the other way round"
        )
    return mask


def read_probability(path: str | os.PathLike, size: tuple[int, int]) -> np.ndarray:
    """The probability of damage [H,W] uint16 in a file, 65535 = certain, as `detect` writes it.

    Raises ValueError for another size, and for what is no gray picture of 16 bits.
    """
    pixels = _read(path, size, "probability map")
    if pixels.dtype != np.uint16 or pixels.shape[-1] != 1:
        raise ValueError(
            f"{path}: is no map of probabilities, which is gray and has 16 bits; "
            "`oldphoto detect` and `oldphoto restore` write them as NAME_prob.png"
        )
    return pixels[..., 0]


def _read(path: str | os.PathLike, size: tuple[int, int], what: str) -> np.ndarray:
    pixels = files.read(path, max(files.MAX_PIXELS, math.prod(size))).pixels
    if pixels.shape[:2] != tuple(size):
        there, wanted = (f"{w} x {h} pixels" for h, w in (pixels.shape[:2], size))
        raise ValueError(f"{path}: the {what} has {there}, the photo {wanted}; they must agree")
    return pixels


def pair(
    jobs: Sequence[batch.Job],
    masks: str | os.PathLike,
    kind: str = "mask",
    suffix: str = SUFFIX,
    needed: bool = True,
) -> list[batch.Job]:
    """The jobs with their masks: one file, or those of a folder that has the photos' tree.

    A photo's mask is called like the photo, `NAME_mask` or else `NAME`, with any ending. NAME has
    the photo's ending (a.jpg_mask.png) where photos share theirs, as in `batch.labels`. A job
    with several, or without one where it is `needed`, gets a `problem`. Masks among the photos are
    no photos, nor is anything in a folder of masks among them. `kind` is what the input is called,
    `suffix` stands in for _mask. Raises ValueError for one mask and several photos, nothing at
    the path, or a folder where no photo has one.
    """
    masks = pathlib.Path(masks)
    if masks.is_file():
        if len(jobs) > 1:
            raise ValueError(f"{masks}: is one {WORDS[kind]} for {len(jobs)} photos; give a folder")
        return [_with(job, kind, masks) for job in jobs]
    home = masks.resolve()
    outside = [job for job in jobs if home not in job.photo.resolve().parents]
    jobs = outside or jobs  # unless the masks lie among the photos or above them
    index: dict[tuple[str, str], list[pathlib.Path]] = collections.defaultdict(list)
    for path in files.find(masks):
        inside = path.relative_to(masks)
        index[inside.parent.as_posix(), inside.stem].append(path)
    labels = batch.labels([pathlib.Path(job.name) for job in jobs])
    paired = [
        _pair(job, _stems(job, label, suffix), index, masks, kind, needed)
        for job, label in zip(jobs, labels, strict=True)
    ]
    if not needed and not any(kind in job.inputs for job in paired):
        raise ValueError(
            f"{masks}: holds no {WORDS[kind]} of any of these photos; "
            f"name one {_stems(jobs[0], labels[0], suffix)[0]}.png, for example"
        )
    used = {job.inputs[kind].resolve() for job in paired if kind in job.inputs}
    return [job for job in paired if kind in job.inputs or job.photo.resolve() not in used]


def _stems(job: batch.Job, label: str, suffix: str) -> list[str]:
    """What the mask may be called, the likeliest name first."""
    name = pathlib.PurePosixPath(job.name).name
    return [*dict.fromkeys((label + suffix, name + suffix, label, name))]


def _pair(
    job: batch.Job,
    stems: Sequence[str],
    index: Index,
    masks: pathlib.Path,
    kind: str,
    needed: bool,
) -> batch.Job:
    parent = pathlib.PurePosixPath(job.name).parent.as_posix()
    for stem in stems:
        found = index.get((parent, stem), [])
        found = [path for path in found if path.resolve() != job.photo.resolve()]
        if len(found) == 1:
            return _with(job, kind, found[0])
        if found:
            told = " and ".join(map(str, found))
            problem = f"has several files as its {WORDS[kind]}: {told}; keep one"
            return dataclasses.replace(job, problem=problem)
    if not needed:
        return job
    looked = masks / parent / f"{stems[0]}.png"
    problem = f"has no {WORDS[kind]}: there is no {looked} of any kind; make one first"
    return dataclasses.replace(job, problem=problem)


def _with(job: batch.Job, kind: str, path: pathlib.Path) -> batch.Job:
    return dataclasses.replace(job, inputs={**job.inputs, kind: path})
