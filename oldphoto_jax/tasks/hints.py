"""Colours as people might give them for some places of a photo, drawn from the truth.

As in training by Zhang et al., 2017 (https://arxiv.org/abs/1705.02999): points of the true colour,
few or many. Beside them strokes, as with a brush, that keep to one thing; and things whose colour
was changed, which nothing in the gray photo tells, so that only a hint can: who is shown none of
these learns to believe its own guess.
"""

import dataclasses

import cv2
import numpy as np

from oldphoto_jax.photo import color, image

ALIKE = 12.0  # units of a and b by which the colours under one stroke may differ
CLOSE = (2, 3, 4, 6, 9)  # steps from pixel to pixel inside one thing, in bytes: one is tried
SHARE = (0.01, 0.4)  # of the photo, that a thing to be recoloured may take
VIVID = (0.05, 0.25)  # distance to gray, in the plane of Cb and Cr, of its new colour
TRIES = 8


@dataclasses.dataclass(kw_only=True)
class Hints:
    """How many hints there are, of which kinds and where.

    The number of points follows a geometric distribution from 0 on; each is a square whose pixels
    all have its mean colour. Plain and mutable, for the flags: --config.task.hints.none=0.5.
    """

    none: float = 0.25  # share of the examples without any
    points: float = 7.0  # mean number; 7 leaves an eighth with none, as published
    largest: int = 9  # side of a point, from 1 pixel on
    spread: float = 0.25  # of points around the photo's middle, in its sides: a deviation
    strokes: float = 0.3  # share of the other examples with strokes
    most: int = 3  # strokes in an example
    widest: int = 24  # of a stroke, pixels, from 2 on
    recoloured: float = 0.4  # share of the other examples in which one thing gets another colour

    def __post_init__(self) -> None:
        """Raises ValueError for a share or a size that there is not."""
        shares = (self.none, self.strokes, self.recoloured)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"none, strokes and recoloured are shares, 0 to 1; they are {shares}")
        if min(self.points, self.spread) < 0 or self.largest < 1 or self.most < 1:
            raise ValueError(f"hints need a number, a spread and sizes that are possible: {self}")
        if self.widest < 2:
            raise ValueError(f"widest={self.widest}: a stroke is 2 pixels wide at least")

    def __call__(
        self, ycbcr: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Y, Cb, Cr [H,W,3] in gamut, of which a thing may have another colour, and the hints.

        Those are [H,W,3] float32: a and b of Lab, and 1 where there is a hint; else zeros.
        """
        hints = np.zeros(ycbcr.shape, np.float32)
        if rng.random() < self.none:
            return ycbcr, hints
        thing = None
        if rng.random() < self.recoloured and (thing := find_thing(ycbcr, rng)) is not None:
            ycbcr = recolour(ycbcr, thing, rng)
        ab = color.rgb_to_lab(color.ycbcr_to_rgb(ycbcr))[..., 1:]
        for _ in range(rng.geometric(1 / (1 + self.points)) - 1):
            self._point(hints, ab, self._middle(ab, rng), rng)
        strokes = int(rng.integers(1, self.most + 1)) if rng.random() < self.strokes else 0
        for _ in range(strokes):
            self._stroke(hints, ab, self._anywhere(np.ones(ab.shape[:2], bool), rng), rng)
        if thing is not None:  # nobody else could tell
            draw = self._point if rng.random() < 0.5 else self._stroke
            draw(hints, ab, self._anywhere(thing, rng), rng)
        return ycbcr, hints

    def _middle(self, ab: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        """A place near the photo's middle, (y, x)."""
        height, width = ab.shape[:2]
        y, x = (rng.normal(0.5, self.spread) * side for side in (height, width))
        return int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))

    def _anywhere(self, where: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        y, x = np.unravel_index(rng.choice(np.flatnonzero(where)), where.shape)
        return int(y), int(x)

    def _point(
        self,
        hints: np.ndarray,
        ab: np.ndarray,
        place: tuple[int, int],
        rng: np.random.Generator,
    ) -> None:
        side = int(rng.integers(1, self.largest + 1))
        y, x = (
            min(max(at - side // 2, 0), max(full - side, 0))
            for at, full in zip(place, ab.shape[:2], strict=True)
        )
        patch = np.s_[y : y + side, x : x + side]
        hints[patch] = (*ab[patch].mean((0, 1)), 1)

    def _stroke(
        self,
        hints: np.ndarray,
        ab: np.ndarray,
        place: tuple[int, int],
        rng: np.random.Generator,
    ) -> None:
        """A line with a bend, of which what has the colour of its first end is kept."""
        height, width = ab.shape[:2]
        ways = rng.normal(0, min(height, width) / 8, (2, 2)).cumsum(0)
        line = np.rint(np.array([(0, 0), *ways]) + place).astype(np.int32)[:, ::-1]
        drawn = np.zeros((height, width), np.uint8)
        cv2.polylines(drawn, [line[:, None]], False, 1, int(rng.integers(2, self.widest + 1)))
        near = np.linalg.norm(ab - ab[place], axis=-1) < ALIKE
        kept = (drawn > 0) & near
        kept[place] = True
        hints[kept] = (*ab[kept].mean(0), 1)


def find_thing(ycbcr: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Pixels [H,W] that are joined and smooth, neither few nor most; None where none was found."""
    small = cv2.blur(image.to_uint8(np.clip(ycbcr, 0, 1)), (3, 3))
    height, width = small.shape[:2]
    for _ in range(TRIES):
        step = (int(rng.choice(CLOSE)),) * 3
        start = int(rng.integers(width)), int(rng.integers(height))
        found = np.zeros((height + 2, width + 2), np.uint8)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        cv2.floodFill(small, found, start, 0, step, step, flags)
        thing = cv2.morphologyEx(found[1:-1, 1:-1], cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        if SHARE[0] < thing.mean() < SHARE[1]:
            return thing > 0
    return None


def recolour(ycbcr: np.ndarray, thing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photo with another mean colour where the thing [H,W] is; luma stays, all fits sRGB."""
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(*VIVID)
    colour = 0.5 + radius * np.array([np.cos(angle), np.sin(angle)])
    soft = cv2.blur(thing.astype(np.float32), (3, 3))[..., None]
    shift = np.float32(colour - ycbcr[thing][:, 1:].mean(0))
    chroma = ycbcr[..., 1:] + soft * shift
    return color.fit_gamut(np.concatenate([ycbcr[..., :1], chroma], -1))
