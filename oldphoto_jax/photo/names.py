"""What files made of photos are called, so that no two of them share a name."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable, Sequence


def labels(photos: Iterable[pathlib.Path], kinds: Sequence[str] = ("",)) -> list[str]:
    """A name for each photo that no other photo of its folder has, on any file system.

    Nor do two of them with kinds behind: the "restored_color" of a is no "color" of a_restored.
    """
    photos = list(photos)
    chosen = [photo.stem for photo in photos]
    while True:
        names = [
            [(photo.parent, f"{label}_{kind}".casefold()) for kind in kinds]
            for photo, label in zip(photos, chosen, strict=True)
        ]
        taken = collections.Counter(name for own in names for name in own)
        new = [
            photo.name if any(taken[name] > 1 for name in own) else label
            for photo, own, label in zip(photos, names, chosen, strict=True)
        ]
        if new == chosen:
            return chosen
        chosen = new
