"""Mask files and probability maps: which belongs to which photo, and what they mark."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.photo.content import PHOTO
from oldphoto_jax.photo.disk import contained, files, hint_files, mask_files, names

SUFFIX = mask_files.SUFFIX
PROBABILITY = "_prob"  # NAME_prob.png is what `oldphoto detect` writes
INFRARED = "_IR"  # NAME_IR.tif is what scanning programs write beside the photo
WORDS = {
    "infrared": "infra-red channel",  # what to call the kinds of inputs
    "mask": "mask",
    "add": "mask to add",
    "remove": "mask to remove",
    "probability": "probability map",
    hint_files.HINTS: "file of hints",
}
MOST = mask_files.MOST


def read(path: str | os.PathLike, size: tuple[int, int], most: float = MOST) -> np.ndarray:
    """The mask [H,W] uint8 in a file, 1 where it is white: from half of full scale on.

    Any transparency is ignored. Raises ValueError when its size isn't `size` (H, W), and for a
    picture that isn't black and white, is white in more than the share `most`, or has gray but no
    white. Beside the file's pixels and the mask only a band of rows is held.
    """
    pixels = _read(path, size, "mask")
    try:
        return mask_files.marked(pixels, most)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
    pixels = contained.read(path, max(files.MAX_PIXELS, math.prod(size))).pixels
    try:
        mask_files.check_size(pixels, size, what)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return pixels


def pair(
    jobs: Sequence[Job],
    masks: str | os.PathLike,
    kind: str = "mask",
    suffix: str = SUFFIX,
    needed: bool = True,
) -> list[Job]:
    """The jobs with their masks: one file, or those of a folder that has the photos' tree.

    A photo's mask is called like the photo, `NAME_mask` or else `NAME`, with any ending. NAME has
    the photo's ending (a.jpg_mask.png) where photos share theirs, as in `names.labels`. A job
    with several, or without one where it is `needed`, gets a `problem`. Masks among the photos are
    no photos, nor is anything in a folder of masks among them. `kind` is what the input is called,
    `suffix` stands in for _mask. Of a photo of several pages each further one that is a photo has a
    mask of its own, `NAME_p2_mask`. Raises ValueError for one mask and several photos, nothing at
    the path, or a folder where no photo has one.
    """
    masks = pathlib.Path(masks)
    beside = [job for job in jobs if job.passed_over]
    jobs = [job for job in jobs if not job.passed_over]
    if masks.is_file():
        if len(jobs) > 1:
            raise ValueError(f"{masks}: is one {WORDS[kind]} for {len(jobs)} photos; give a folder")
        return [*(_with(job, kind, masks) for job in map(_of_one_page, jobs)), *beside]
    home = masks.resolve()
    outside = [job for job in jobs if home not in job.photo.resolve().parents]
    jobs = outside or jobs  # unless the masks lie among the photos or above them
    index = (hint_files if kind == hint_files.HINTS else mask_files).by_place(masks)
    called = {job.name: job.called for job in jobs if job.called} | names.earlier(masks)
    labels = names.labels(
        [pathlib.Path(job.name) for job in jobs],
        kept={pathlib.Path(name): label for name, label in called.items()},
    )
    paired = [
        _pair_pages(job, label, suffix, index, masks, kind, needed)
        for job, label in zip(jobs, labels, strict=True)
    ]
    if not needed and not any(kind in job.inputs for job in paired):
        raise ValueError(
            f"{masks}: holds no {WORDS[kind]} of any of these photos; "
            f"name one {_stems(jobs[0], labels[0], suffix)[0]}.png, for example"
        )
    used = {path.resolve() for job in paired for path in job.inputs.values()}
    photos = [job for job in paired if kind in job.inputs or job.photo.resolve() not in used]
    return photos + beside


def _stems(job: Job, label: str, suffix: str) -> list[str]:
    """What the mask may be called, the likeliest name first; some are always called so.

    For a file that bears the photo's own name is often the same photo in another format.
    """
    stems = mask_files.stems(pathlib.PurePosixPath(job.name).name, label, suffix)
    strict = suffix in (INFRARED, hint_files.SUFFIX)
    return [stem for stem in stems if stem.endswith(suffix)] if strict else stems


def _of_one_page(job: Job) -> Job:
    """The job, with a problem where one mask would be for several pages."""
    count = sum(page.role == PHOTO for page in job.pages)
    if count < 2:
        return job
    problem = f"has {count} pages and one mask; give a folder with NAME_mask.png, NAME_p2_mask.png"
    return dataclasses.replace(job, problem=problem)


def _pair_pages(
    job: Job,
    label: str,
    suffix: str,
    index: mask_files.Index,
    masks: pathlib.Path,
    kind: str,
    needed: bool,
) -> Job:
    """The job with its masks: one, or one for each photo among its pages."""
    job = _pair(job, kind, _stems(job, label, suffix), index, masks, kind, needed)
    for page in job.pages[1:]:
        if page.role == PHOTO and not job.problem:
            own = f"_{names.of_page(suffix.removeprefix('_'), page.index)}"
            stems = [stem for stem in _stems(job, label, own) if stem.endswith(own)]
            name = names.of_page(kind, page.index)
            job = _pair(job, name, stems, index, masks, kind, needed)
    return job


def _pair(
    job: Job,
    name: str,
    stems: Sequence[str],
    index: mask_files.Index,
    masks: pathlib.Path,
    kind: str,
    needed: bool,
) -> Job:
    """The job with one of its masks, which its inputs shall call `name`."""
    parent = pathlib.PurePosixPath(job.name).parent.as_posix()
    paths = mask_files.named(index, parent, stems, job.photo)
    if len(paths) == 1:
        return _with(job, name, paths[0])
    if paths:
        problem = mask_files.several(paths, WORDS[kind])
        return dataclasses.replace(job, problem=problem)
    if not needed:
        return job
    looked = masks / parent / f"{stems[0]}.png"
    problem = f"has no {WORDS[kind]}: there is no {looked} of any kind; make one first"
    return dataclasses.replace(job, problem=problem)


def _with(job: Job, kind: str, path: pathlib.Path) -> Job:
    return dataclasses.replace(job, inputs={**job.inputs, kind: path})
