"""Damage meets a photo: an ink that contrasts with what it hides, and the truth about each pixel.

All colours are whole numbers of 8 bits, so that the same exam has the same pixels everywhere.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from oldphoto_jax.metrics.width import width_bins
from oldphoto_jax.obvious.canvas import Canvas

CONTRAST = 0.25  # of luma, mean of a piece, with what it hides
OPACITY = (0.8, 1.0)
THINNEST = 4  # px
THICKEST = 1 / 4  # of the side
VISIBLE = 16 / 255  # a change of luma from which it is seen
CLEAR = 0.75  # of each piece at least so much differs by half of CONTRAST
WHOLE = 0.6  # of each piece at least so much is also THINNEST or thicker
LEAST, MOST = 120, 0.35  # pixels damaged; share of the photo
ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class Painted:
    """A damaged photo uint8 [S,S,3] and its truth, bool [S,S].

    `mask` is where damage is seen and thick enough; `rim` is what else it touched, which counts
    neither as damaged nor as whole: the outer half of a soft edge, a tip thinner than THINNEST,
    and what hardly differs from what it hides.
    """

    photo: np.ndarray
    mask: np.ndarray
    rim: np.ndarray
    piece: np.ndarray  # int [S,S], 0 where there is none
    opacity: float


def luma(photo: np.ndarray) -> np.ndarray:
    """BT.601 luma of uint8 [..,3] in whole numbers 0..255."""
    red, green, blue = np.moveaxis(photo.astype(np.int64), -1, 0)
    return (77 * red + 150 * green + 29 * blue + 128) >> 8


def paint(
    target: np.ndarray, canvas: Canvas, dark: bool, rng: np.random.Generator
) -> Painted | None:
    """Target uint8 [S,S,3] damaged, darker or lighter than it was.

    Pieces that do not contrast with what they hide are left out; None if too little is left, too
    much is damaged, or something is too thick.
    """
    opacity = OPACITY[0] + (OPACITY[1] - OPACITY[0]) * rng.random()
    ink = _ink(target, canvas, dark, opacity, rng)
    if ink is None:
        return None
    for _ in range(ROUNDS):
        painted = _cover(target, canvas, ink, opacity)
        weak = _weak(target, painted, canvas, dark)
        if not len(weak):
            return painted if _fits(painted) else None
        canvas = canvas.without(weak)
    return None


def _ink(
    target: np.ndarray, canvas: Canvas, dark: bool, opacity: float, rng: np.random.Generator
) -> np.ndarray | None:
    """Colour [S,S,3] of what covers, as floats 0..255; None if no gray is far enough off."""
    shape, extreme, tone = rng.random(3)
    tint = canvas.tint * (2 * rng.random(3) - 1)
    if canvas.warm:
        tint = canvas.tint * shape * np.array([1.0, 0.3, -1.6])
    core = canvas.cover >= 0.5
    if not core.any():
        return None
    hidden = int(luma(target)[core].sum()) / (255 * int(core.sum()))
    room = (hidden if dark else 1 - hidden) - 1.12 * CONTRAST / opacity
    if room < 0:
        return None
    away = min(0.08, room) * tone if extreme < 0.5 else room * tone  # from black or white
    gray = away if dark else 1 - away
    if not _is_gray(target):
        gray = gray + tint - (77 * tint[0] + 150 * tint[1] + 29 * tint[2]) / 256
    color = np.broadcast_to(gray, 3) + canvas.relief[..., None]
    paper = 0.93 - 0.1 * shape
    color = color + canvas.fiber[..., None] * (paper - color)
    return np.clip(255 * color, 0, 255)


def _cover(target: np.ndarray, canvas: Canvas, ink: np.ndarray, opacity: float) -> Painted:
    alpha = np.rint(255 * opacity * canvas.cover).astype(np.int64)
    thick, ink = alpha[..., None], np.rint(ink).astype(np.int64)
    photo = ((thick * ink + (255 - thick) * target.astype(np.int64) + 127) // 255).astype(np.uint8)
    change = np.abs(luma(photo) - luma(target))
    seen = (change >= 255 * VISIBLE) & (canvas.cover >= 0.5)
    mask = width_bins(seen, (THINNEST,)) > 0
    return Painted(photo, mask, (alpha > 0) & ~mask, canvas.piece, opacity)


def _weak(target: np.ndarray, painted: Painted, canvas: Canvas, dark: bool) -> np.ndarray:
    """Numbers of the pieces that are too thin, hardly seen, or of too little contrast."""
    core = canvas.cover >= 0.5
    change = luma(painted.photo) - luma(target)
    change = -change if dark else change
    top = int(canvas.piece.max()) + 1

    def pixels(where: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(
            canvas.piece[where], None if weights is None else weights[where], minlength=top
        )

    whole, counted = pixels(core), pixels(painted.mask)
    clear = pixels(core & (change >= 255 * CONTRAST / 2))
    good = (clear >= CLEAR * whole) & (counted >= WHOLE * whole)
    good &= pixels(painted.mask, change) >= 255 * CONTRAST * counted
    there = pixels(canvas.cover > 0) > 0
    there[0] = False
    return np.flatnonzero(there & ~(good & (counted > 0)))


def _fits(painted: Painted) -> bool:
    count, side = int(painted.mask.sum()), len(painted.mask)
    if not LEAST <= count <= MOST * side * side:
        return False
    return not width_bins(painted.mask, (int(THICKEST * side) + 1,)).any()


def _is_gray(photo: np.ndarray) -> bool:
    return bool((photo == photo[..., :1]).all())
