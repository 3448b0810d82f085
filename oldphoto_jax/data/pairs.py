"""Photos with true masks: those that somebody drew, or corrected after a program had drawn them."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from oldphoto_jax.data.source import Broken, Source, find
from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.disk import files, mask_files, names


class Pairs(Source):
    """The photos of a folder and below that have a mask, sorted by name.

    `source[i]` is `{"photo": uint8 [H,W,3] sRGB, "mask": uint8 [H,W,1], "name": str}`, both
    upright, and the mask 1 where the photo is damaged: where the file is white. The mask of NAME
    is called as `oldphoto restore` calls it and takes it, `NAME_mask` or, in a folder `masks` of
    the photos' tree, also `NAME`, with any ending. Photos without one are left out, and counted
    in `unpaired`. A mask that does not fit its photo, or is no mask, makes the pair a broken one.

    Raises FileNotFoundError for a folder that is not there, ValueError where nothing is paired.
    """

    def __init__(self, photos: str | os.PathLike[str], masks: str | os.PathLike[str] | None = None):
        super().__init__()
        self.path = Path(photos).expanduser()
        self.masks = self.path if masks is None else Path(masks).expanduser()
        for path, what in ((self.path, "photos"), (self.masks, "masks")):
            if not path.is_dir():
                is_what = "is a file" if path.exists() else "does not exist"
                raise FileNotFoundError(
                    f"pairs: the folder of {what} {path} {is_what}; give the "
                    "photos' folder, or PHOTOS@MASKS for masks in a folder of their own"
                )
        self.found, self.unpaired = self._pair()
        if not self.found:
            raise ValueError(
                f"pairs: no photo in {self.path} has a mask in {self.masks}. The mask of NAME.jpg "
                "is called NAME_mask.png, white where damaged; if the masks lie elsewhere, as what "
                "`oldphoto restore` writes, give PHOTOS@MASKS"
            )
        if self.unpaired:
            logging.warning("%r: left out %d pictures without a mask", self, self.unpaired)

    @classmethod
    def named(cls, words: str) -> Pairs:
        """The pairs of FOLDER or of PHOTOS@MASKS; raises ValueError where no folder is named."""
        photos, _, masks = words.partition("@")
        if words and Path(words).expanduser().is_dir():  # its name may have an @
            photos, masks = words, ""
        if not photos:
            raise ValueError(f"pairs: {words!r} names no folder of photos; give one, such as .")
        return cls(photos, masks or None)

    def _pair(self) -> tuple[list[tuple[str, Path, list[Path]]], int]:
        """(name, photo, files that are called as its mask) of every pair; photos without one."""
        home, index = self.masks.resolve(), mask_files.by_place(self.masks)
        everything = find(self.path)
        outside = [path for path in everything if home not in path.resolve().parents]
        photos = outside or everything  # unless the masks lie among the photos or above them
        inside = [path.relative_to(self.path) for path in photos]
        pairs = []
        called = {Path(name): label for name, label in names.earlier(self.masks).items()}
        labels = names.labels(inside, kept=called)
        for path, name, label in zip(photos, inside, labels, strict=True):
            stems = mask_files.stems(name.name, label)
            masks = mask_files.named(index, name.parent.as_posix(), stems, path)
            pairs.append((name.as_posix(), path, masks))
        used = {mask.resolve() for _, _, masks in pairs for mask in masks}
        pairs = [pair for pair in pairs if pair[1].resolve() not in used]
        found = [pair for pair in pairs if pair[2]]
        return found, len(pairs) - len(found)

    @property
    def names(self) -> list[str]:
        """Those of the photos, relative to their folder, with forward slashes."""
        return [name for name, _, _ in self.found]

    def only(self, names: Collection[str]) -> Pairs:
        """The pairs of these names alone, in the same order."""
        part = copy.copy(self)
        part.found, part.broken = [pair for pair in self.found if pair[0] in names], {}
        return part

    def __len__(self) -> int:
        return len(self.found)

    def __repr__(self) -> str:
        return f"Pairs({str(self.path)!r}, {str(self.masks)!r}, {len(self)} photos)"

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The name and the bytes of a photo's file; raises Broken if it cannot be opened."""
        name, photo, _ = self.found[index]
        try:
            return name, photo.read_bytes()
        except OSError as error:
            raise Broken(name, error.strerror or error) from error

    def record(self, index: int) -> dict[str, Any]:
        """The pair of exactly this index; raises Broken if it cannot be read or does not fit."""
        name, photo, masks = self.found[index]
        try:
            if len(masks) > 1:
                raise ValueError(mask_files.several(masks))
            # As `oldphoto restore` reads them: what it calls upright is what the mask was made of.
            pixels, drawn = (files.read(path).pixels for path in (photo, masks[0]))
            mask_files.check_size(drawn, pixels.shape[:2])
            mask = mask_files.marked(drawn)
        except ValueError as error:
            raise Broken(name, error) from error
        return {"photo": _rgb(pixels), "mask": mask[..., None], "name": name}


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Pixels of a file [H,W,1|3] of 8 or 16 bits as uint8 [H,W,3]."""
    photo = np.empty((*pixels.shape[:2], 3), np.uint8)
    for band in scratch.bands(pixels):
        rows = pixels[band]
        photo[band] = rows if rows.dtype == np.uint8 else (rows.astype(np.uint32) + 128) // 257
    return photo
