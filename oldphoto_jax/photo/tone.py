"""Tells gray, toned, faded and colour photos apart, so that nobody colours what has colours.

Toning, yellowing and film dyes gone alike leave one tint for each lightness, changing slowly over
the sheet. `measure` fits such a tint to the photo and calls colour what the fit leaves over.

Colour whose darkest parts are no longer black, but light or red, has faded: dyes lose the same
share of every density, which shows most where there was most of it, and on old prints cyan, which
holds red back, goes first (Wilhelm and Brower, The Permanence and Care of Color Photographs, 1993).
Haze and photos without anything dark look the same, and prints gone yellow keep dark blacks: this
border is a blurred one, and nothing but a word in reports hangs on it. That between {GRAY, TONED}
and COLORED is the one to rely on.

It goes by the middle of the photo, half of its area. What covers less than a twentieth of that (a
stamp, pen marks, a small stain, tinted cheeks and lips) and an album page around change nothing.
Larger hand-tinting counts as colour, and so do large stains that differ much in tint from the
photo. A colour photo of things all gray or of one hue, or faded to one hue, looks toned: no rule
on colours alone can tell it.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from oldphoto_jax.photo import color, image

GRAY, TONED, FADED, COLOR = "gray", "toned", "faded", "color"
COLORED = frozenset({FADED, COLOR})
"""The kinds that have colours of their own and are never coloured anew unless asked."""

MARGIN = 0.15  # of each side left out: paper borders, album pages, the worst of yellowed edges
FIRST, CELLS = 256, 64  # longest side after each reduction; grain and noise average out
WINDOW = 3  # cells of a median: noise, blocks of JPEG and thin pen marks are no colours
SEEN = 0.95  # a twentieth of the middle may do what it likes
FAINTEST = 2.3  # units of Lab: the least difference that the eye notices (Mahy et al., 1994)
LEFT_OVER = 2.2  # units of Lab: 1 % of toned photos leave more, 0.2 % of good colour photos less
HUED = 5.0  # mean chroma at which a tint has a certain hue
ALONG = 0.5  # weight of residuals along that hue: toning and fading are uneven in strength
ROUNDS = 6  # of the robust fit; more change nothing visible
DARKEST = 0.02  # share of the middle, in cells, that makes its black
REDDER = 2.0  # units of lightness that one of red (a of Lab) stands for in a faded black
LIFTED = 26.0  # units of Lab: one in six good colour photos has such blacks (see tone_kinds.md)


@dataclasses.dataclass(frozen=True)
class Tone:
    """What kind of photo it is, and the numbers that say so."""

    kind: str
    """GRAY, TONED, FADED or COLOR."""
    chroma: float
    """Distance from gray, units of Lab; 95 % of the middle lie below. GRAY up to FAINTEST."""
    residual: float
    """Distance from the fitted tint, units of Lab, as above. COLORED above LEFT_OVER."""
    hue: float
    """Direction of the mean tint in the plane of a and b, 0 to 360 degrees: sepia is near 75."""
    black: float
    """Lightness of the darkest parts plus REDDER times their red. Above LIFTED colour has FADED."""


def kind(pixels: np.ndarray) -> str:
    """GRAY, TONED, FADED or COLOR: `measure`'s verdict on pixels [H,W,1 or 3], uint8 or uint16."""
    return measure(pixels).kind


def measure(pixels: np.ndarray) -> Tone:
    """Fits a tint to pixels [H,W,1 or 3], sRGB in uint8 or uint16, and measures what is left over.

    One channel is gray. Costs one area reduction of the photo, whatever its size, and a fit to
    64 x 64 cells. Raises ValueError for another shape and TypeError for another type.
    """
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"measure takes [H,W,1] or [H,W,3], not empty, got {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"measure takes uint8 or uint16, got {pixels.dtype}: see image.to_uint8")
    if pixels.shape[-1] == 1:
        pixels = np.repeat(_shrink(pixels, FIRST), 3, axis=-1)
    lab = color.rgb_to_lab(_reduce(pixels)).astype(np.float64)
    tint = _fit(lab)
    mean = _middle(tint).mean(axis=(0, 1))
    colors, left = (_middle(_calm(ab)) for ab in (lab[..., 1:], lab[..., 1:] - tint))
    chroma = float(np.quantile(np.hypot(colors[..., 0], colors[..., 1]), SEEN))
    residual = float(np.quantile(_distance(left, mean), SEEN))
    black = _black(_middle(lab))
    hue = float(np.degrees(np.arctan2(mean[1], mean[0]))) % 360
    return Tone(_verdict(chroma, residual, black), chroma, residual, hue, black)


def _verdict(chroma: float, residual: float, black: float) -> str:
    if chroma <= FAINTEST:
        return GRAY
    if residual <= LEFT_OVER:
        return TONED
    return FADED if black > LIFTED else COLOR


def _black(lab: np.ndarray) -> float:
    """How light and red the DARKEST cells of lab [h,w,3] are, as `Tone.black` has it."""
    cells = lab.reshape(-1, 3)
    count = max(1, int(DARKEST * len(cells)))
    light, red, _ = np.median(cells[np.argsort(cells[:, 0], kind="stable")[:count]], axis=0)
    return float(light + REDDER * max(red, 0))


def _reduce(pixels: np.ndarray) -> np.ndarray:
    """The photo in at most CELLS x CELLS averages, float32 0..1.

    In two steps, because averages rounded to bytes would tint dark cells.
    """
    return _shrink(image.to_float(_shrink(pixels, FIRST)), CELLS)


def _shrink(pixels: np.ndarray, longest: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = min(1, longest / max(height, width))
    return image.resize(pixels, max(1, round(scale * height)), max(1, round(scale * width)))


def _middle(cells: np.ndarray) -> np.ndarray:
    height, width = cells.shape[:2]
    top, left = int(MARGIN * height), int(MARGIN * width)
    return image.crop(cells, top, left, height - 2 * top, width - 2 * left)


def _fit(lab: np.ndarray) -> np.ndarray:
    """The tint [h,w,2] that a toned photo would have: cubic in lightness plus quadratic in place.

    Iteratively reweighted least squares with Cauchy weights, so that what does not belong to the
    tint does not bend it.
    """
    height, width = lab.shape[:2]
    light = lab[..., 0].ravel() / 50 - 1
    y, x = (axis.ravel() / max(height, width) - 0.5 for axis in np.indices((height, width)))
    terms = (light**0, light, light**2, light**3, x, y, x * x, x * y, y * y)
    basis = np.stack(terms, axis=-1)
    observed = lab[..., 1:].reshape(-1, 2)
    # Holds the terms that a photo of few lightnesses or cells leaves open
    ridge = 1e-4 * len(basis) * np.eye(basis.shape[1])
    weight = np.ones(len(basis))
    for _ in range(ROUNDS):
        weighted = basis * weight[:, None]
        tint = basis @ np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ observed)
        away = np.hypot(*(observed - tint).T)
        usual = max(2 * float(np.median(away)), 0.6)
        weight = 1 / (1 + (away / usual) ** 2)
    return tint.reshape(height, width, 2)


def _calm(ab: np.ndarray) -> np.ndarray:
    """Cells [h,w,2] after a median, which spreads nothing as a blur would."""
    planes = np.moveaxis(ab.astype(np.float32), -1, 0)
    return np.stack([cv2.medianBlur(plane.copy(), WINDOW) for plane in planes], axis=-1)


def _distance(residual: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Length [h,w] of the residual [h,w,2], shorter along the hue of the mean tint."""
    chroma = float(np.hypot(*mean))
    a, b = mean / max(chroma, 1e-6)
    along = residual @ np.array([a, b])
    across = residual @ np.array([-b, a])
    weight = 1 - (1 - ALONG) * min(chroma / HUED, 1)
    return np.hypot(weight * along, across)
