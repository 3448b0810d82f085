"""Dust and scratches on film by its infra-red channel, without a network.

The dyes of colour film let infra-red light through; dust, scratches and mould do not, so they stand
dark in a channel that shows next to nothing else (US patent 5,266,805). What is left of the picture
in it comes of dyes that are not quite clear and of the lamp's falloff: a smooth surface and a share
of the logarithm of red explain both. Silver, in black-and-white film, stops infra-red as dust does:
there the channel shows the whole picture, which is refused.
"""

from __future__ import annotations

import numpy as np

from oldphoto_jax.photo import image, samples

LONGEST = 512  # pixels of the reduced picture that the surface is fitted to
ROUNDS = 6  # of the robust fit; more change nothing visible
FAINTEST = 0.1  # share of the light that dust takes at least: half of it makes a probability of 1/2
NOISE = 4.0  # robust deviations of what the fit leaves over that are no dust
MOST = 0.25  # share of a channel that may be dust; more of it is a picture
GRAIN = 0.12  # deviation, in logarithms, above which a channel shows more than grain
DARK = 1e-3  # of full scale: where nothing is told apart
PICTURE = (
    "the infra-red channel shows a picture ({}), as that of black-and-white film or of a print "
    "does, or it is none; restore without it"
)


def probability(infrared: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """How surely each pixel of a scan is dust: [H,W] uint16, 65535 is certain.

    `infrared` is [H,W] and `pixels` [H,W,1|3], both uint8 or uint16. From 1/2 on a pixel lost more
    light than the grain and the leftovers of the picture account for. Beside the result a band of
    rows is held. Raises ValueError for sizes that differ and for a channel in which most of a
    picture is seen, as of black-and-white film, and TypeError for other types.
    """
    if infrared.shape != pixels.shape[:2]:
        raise ValueError(
            f"the infra-red channel is {infrared.shape}, the pixels {pixels.shape[:2]}; they "
            "must have the same size"
        )
    height, width = infrared.shape
    scale = min(1.0, LONGEST / max(height, width))
    small = tuple(max(1, round(scale * side)) for side in (height, width))
    seen = [_log(image.resize(x, *small))[..., 0] for x in (infrared[..., None], pixels[..., :1])]
    weights, spread = _fit(*seen)
    if spread > GRAIN:
        raise ValueError(PICTURE.format(f"it varies by {spread:.0%} where nothing should show"))
    least = max(-np.log1p(-FAINTEST), NOISE * spread)
    result = np.empty((height, width), np.uint16)
    dust = 0
    for rows in samples.bands(height, width):
        lost = _surface(rows, height, width, _log(pixels[rows, :, 0]), weights)
        lost -= _log(infrared[rows])
        certain = np.clip(lost / (2 * least), 0, 1)
        dust += int(np.count_nonzero(certain >= 0.5))
        result[rows] = np.rint(65535 * certain)
    if dust > MOST * result.size:
        raise ValueError(PICTURE.format(f"{dust / result.size:.0%} of it would be dust"))
    return result


def levelled(probability: np.ndarray, level: float) -> np.ndarray:
    """A map [H,W] uint16 whose certainty of 1/2 stands at `level`, above 0 and below 1, instead.

    Certainty and its opposite stay where they are, so that a threshold of `level` marks what one of
    1/2 would have marked.
    """
    level = min(max(level, 1e-3), 1 - 1e-3)
    steps = np.arange(65536) / 65535
    moved = 65535 * np.interp(steps, [0, 0.5, 1], [0, level, 1])
    first = np.ceil(65535 * level)  # of the numbers that reach it
    table = np.where(steps >= 0.5, np.maximum(np.rint(moved), first), np.floor(moved))
    return np.minimum(table, 65535).astype(np.uint16)[probability]


def _log(array: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(image.to_float(array), DARK))


def _terms(y: np.ndarray, x: np.ndarray, red: np.ndarray) -> tuple[np.ndarray, ...]:
    """What explains infra-red light at places y, x in -1..1: falloff, and the dyes' share."""
    return (
        np.ones_like(red),
        y + 0 * red,
        x + 0 * red,
        y * y + 0 * red,
        x * x + 0 * red,
        y * x,
        red,
    )


def _places(rows: np.ndarray, count: int) -> np.ndarray:
    return ((2 * rows + 1) / count - 1).astype(np.float32)


def _surface(
    rows: slice, height: int, width: int, red: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    y = _places(np.arange(rows.start, rows.stop), height)[:, None]
    x = _places(np.arange(width), width)[None]
    total = np.zeros_like(red)
    for weight, term in zip(weights.astype(np.float32), _terms(y, x, red), strict=True):
        total += weight * term
    return total


def _fit(light: np.ndarray, red: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of `_terms` for light and red [h,w], and the robust deviation of what is left.

    Iteratively reweighted least squares with Cauchy weights: dust does not bend the surface.
    """
    height, width = light.shape
    y = _places(np.arange(height), height)[:, None]
    x = _places(np.arange(width), width)[None]
    basis = np.stack(_terms(y, x, red), axis=-1).reshape(light.size, -1).astype(np.float64)
    observed = light.reshape(-1).astype(np.float64)
    ridge = 1e-6 * len(basis) * np.eye(basis.shape[1])  # a photo of one tone leaves terms open
    weight = np.ones(len(basis))
    for _ in range(ROUNDS):
        weighted = basis * weight[:, None]
        found = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ observed)
        left = observed - basis @ found
        usual = max(2 * float(np.median(np.abs(left))), 1e-3)
        weight = 1 / (1 + (left / usual) ** 2)
    return found, 1.4826 * float(np.median(np.abs(left)))
