"""Holes of free form: strokes of a brush and missing pieces, for learning to fill anything."""

import dataclasses

import cv2
import numpy as np

from oldphoto_jax.damage.blend import thicker

SUBPIXEL = 4  # bits: OpenCV takes coordinates in sixteenths of a pixel


@dataclasses.dataclass(kw_only=True)
class Holes:
    """Draws masks of holes that no defect has the shape of.

    Strokes follow the free-form masks of Yu et al., 2019 (https://arxiv.org/abs/1806.03589).
    """

    max_size: int = 64
    """Largest thickness of a hole in pixels: the diameter of the largest disc inside it."""
    strokes: float = 0.4
    """Share of photos with strokes."""
    large: float = 0.15
    """Share of photos with one large hole, at least half as thick as `max_size`."""

    def __call__(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A mask [H,W] of bool. Same generator state, same mask; often empty.

        Raises ValueError for impossible settings.
        """
        for name in ("strokes", "large"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"holes: {name}={getattr(self, name)} is a share; give 0 to 1")
        if self.max_size < 8:
            raise ValueError(f"holes: max_size={self.max_size} pixels is no room; give 8 or more")
        mask = np.zeros(shape, np.uint8)
        if rng.random() < self.strokes:
            for _ in range(int(rng.integers(1, 5))):
                mask = _join(mask, _stroke(shape, self.max_size, rng), self.max_size)
        if rng.random() < self.large:
            mask = _join(mask, _piece(shape, self.max_size, rng), self.max_size)
        return mask > 0


def _join(mask: np.ndarray, more: np.ndarray, max_size: int) -> np.ndarray:
    """Both, unless they grow together into something too thick."""
    union = mask | more
    return mask if thicker(union, max_size) else union


def _stroke(shape: tuple[int, int], max_size: int, rng: np.random.Generator) -> np.ndarray:
    """A brush that wanders: thin ones as often as thick ones, on a logarithmic scale."""
    mask = np.zeros(shape, np.uint8)
    width = np.exp(rng.uniform(np.log(2), np.log(max(max_size / 2.5, 3))))
    reach = np.hypot(*shape) / 10
    point = rng.uniform(0, 1, 2) * shape[::-1]
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, 10))):
        angle += rng.normal(0, 0.7)
        step = np.clip(rng.normal(reach, reach / 2), 2, 3 * reach)
        after = point + step * np.array([np.cos(angle), np.sin(angle)])
        start, end = (np.rint(p * 2**SUBPIXEL).astype(int).tolist() for p in (point, after))
        thickness = max(1, round(float(width * rng.uniform(0.8, 1.2))))
        cv2.line(mask, start, end, 1, thickness, cv2.LINE_8, SUBPIXEL)
        point = after
    return mask


def _piece(shape: tuple[int, int], max_size: int, rng: np.random.Generator) -> np.ndarray:
    """A blob with an uneven rim, often at the border, where photos lose their corners."""
    center = rng.uniform(0, 1, 2) * shape[::-1]
    if rng.random() < 0.3:
        axis = int(rng.integers(2))
        center[axis] = rng.choice([0, shape[::-1][axis]])
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    two, three, five = (
        rng.uniform(0, 0.25 / k) * np.cos(k * turns + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)
    )
    waves = two + three + five
    stretch = np.array([rng.uniform(1, 2), 1.0])
    tilt = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    outline = (1 + waves)[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1) * stretch @ turn.T
    radius = rng.uniform(0.28, 0.5) * max_size
    while True:
        mask = np.zeros(shape, np.uint8)
        points = np.rint((center + radius * outline) * 2**SUBPIXEL).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, cv2.LINE_8, SUBPIXEL)
        if not thicker(mask, max_size):
            return mask
        radius *= 0.9
