"""A drawing board for defects: strokes of changing width and polygons, anti-aliased."""

import cv2
import numpy as np

SCALE = 4  # drawn this much larger and averaged down: true sub-pixel widths


class Canvas:
    """Collects strokes and blobs; `alpha()` gives them as [H,W] float32 in 0..1."""

    def __init__(self, shape: tuple[int, int]):
        self.shape = shape
        self.board = np.zeros((shape[0] * SCALE, shape[1] * SCALE), np.uint8)
        self.limits = np.array([shape[1] + 40, shape[0] + 40]) * SCALE  # beyond it nothing shows

    def stroke(
        self, points: np.ndarray, width: float | np.ndarray, strength: float | np.ndarray = 1.0
    ) -> None:
        """Draws a path [N,2] of (x, y); width in pixels and strength 0..1, one or N each.

        Pieces of no width or no strength leave gaps; fewer than two points draw nothing.
        """
        count = len(points)
        if count < 2:
            return
        half = np.broadcast_to(np.asarray(width, float) * (SCALE / 2), count)
        values = np.broadcast_to(np.asarray(strength, float) * 255, count).astype(int)
        points = points * SCALE
        ahead = np.empty_like(points)
        ahead[1:] = points[1:] - points[:-1]
        ahead[0] = ahead[1]
        ahead[1:-1] += ahead[2:]
        side = (
            ahead[:, ::-1] * (half / np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-6))[:, None]
        )
        side[:, 0] *= -1
        left, right = np.round(points + side), np.round(points - side)
        quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1).astype(np.int32)
        inside = ((points > -40 * SCALE) & (points < self.limits)).all(axis=1)
        drawn = (values[:-1] > 0) & (half[:-1] > 0.05 * SCALE) & inside[:-1]
        for quad, value in zip(quads[drawn], values[:-1][drawn].tolist(), strict=True):
            cv2.fillConvexPoly(self.board, quad, value)

    def polygon(self, points: np.ndarray, strength: float = 1.0) -> None:
        """Fills a closed outline [N,2] of (x, y)."""
        corners = np.round(np.asarray(points) * SCALE).astype(np.int32)
        cv2.fillPoly(self.board, [corners], int(strength * 255))

    def specks(
        self,
        centers: np.ndarray,
        sizes: np.ndarray,
        strengths: np.ndarray,
        rng: np.random.Generator,
        longest: float = 2.0,
    ) -> None:
        """Angular grains at centers [N,2], `sizes` pixels wide, up to `longest` times as long."""
        count = len(centers)
        angle = np.arange(7) * (2 * np.pi / 7)
        radius = sizes[:, None] / 2 * rng.uniform(0.55, 1.2, (count, 7))
        stretch = rng.uniform(1, longest, (count, 1))
        x, y = radius * np.cos(angle) * stretch, radius * np.sin(angle)
        turn = rng.uniform(0, np.pi, (count, 1))
        turned = [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]
        self._fill(centers[:, None] + np.stack(turned, axis=2), strengths)

    def streaks(
        self,
        starts: np.ndarray,
        angles: np.ndarray,
        lengths: np.ndarray,
        widths: np.ndarray,
        strengths: np.ndarray,
        bends: np.ndarray,
    ) -> None:
        """Many short curved strokes at once, thin at both ends: all [N], `starts` [N,2].

        `bends` is how far the middle bulges, as a share of the length.
        """
        t = np.linspace(0, 1, 7)
        along = lengths[:, None] * t
        bulge = lengths[:, None] * bends[:, None] * 4 * t * (1 - t)
        half = widths[:, None] / 2 * (0.3 + 0.7 * np.sin(np.pi * t))
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        sides = [
            np.stack([along * cos - v * sin, along * sin + v * cos], axis=2)
            for v in (bulge + half, bulge - half)
        ]
        outlines = np.concatenate([sides[0], sides[1][:, ::-1]], axis=1) + starts[:, None]
        self._fill(outlines, strengths)

    def alpha(self) -> np.ndarray:
        """What was drawn, [H,W] float32 in 0..1."""
        half = cv2.resize(self.board, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        small = cv2.resize(half, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return small * np.float32(1 / 255)

    def _fill(self, outlines: np.ndarray, strengths: np.ndarray) -> None:
        corners = np.round(outlines * SCALE).astype(np.int32)
        values = (np.asarray(strengths) * 255).astype(int).tolist()
        for outline, value in zip(corners, values, strict=True):
            cv2.fillPoly(self.board, [outline], value)
