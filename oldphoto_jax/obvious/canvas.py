"""What a kind of damage draws on before it meets a photo: how much is covered, piece by piece."""

from __future__ import annotations

import numpy as np


class Canvas:
    """Damage without a photo: float64 fields [S,S], and int `piece`, 0 where there is none.

    `cover` is 0..1. `fiber` is the share of bare white paper in what covers, 0..1. `relief` is
    added to its luma. `tint` is how far its colour may leave gray, and `warm` whether towards
    yellow only.
    """

    def __init__(self, size: int, tint: float = 0.03, warm: bool = False):
        self.size, self.tint, self.warm = size, tint, warm
        self.cover, self.fiber, self.relief = np.zeros((3, size, size))
        self.piece = np.zeros((size, size), int)

    def add(self, cover: np.ndarray) -> None:
        """One more piece; where it covers more than what is there, it lies on top."""
        self.piece[cover > self.cover] = self.piece.max() + 1
        self.cover = np.maximum(self.cover, cover)

    def turn(self, rng: np.random.Generator) -> Canvas:
        """Turns and mirrors everything at random."""
        turns, mirror = int(rng.integers(4)), rng.random() < 0.5
        for name in ("cover", "fiber", "relief", "piece"):
            field = np.rot90(getattr(self, name), turns)
            setattr(self, name, np.ascontiguousarray(field[::-1] if mirror else field))
        return self

    def without(self, pieces: np.ndarray) -> Canvas:
        """The same without some of its pieces, given by number."""
        rest = Canvas(self.size, self.tint, self.warm)
        rest.fiber, rest.relief = self.fiber, self.relief
        gone = np.isin(self.piece, pieces)
        rest.cover = np.where(gone, 0.0, self.cover)
        rest.piece = np.where(gone, 0, self.piece)
        return rest
