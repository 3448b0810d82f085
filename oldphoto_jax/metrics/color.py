"""How colourful a photo is and how right its colours are, one number a photo.

On the host, in NumPy float64; photos are sRGB [N,H,W,3] in 0..1, results are [N]. Two forms of
colourfulness are in use under one name and differ by up to a third; report which one it is.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_jax.photo.color import rgb_to_gray, rgb_to_lab, rgb_to_ycbcr
from oldphoto_jax.photo.types import Gray, Photo

FARTHEST = 150  # of `ab_auc`, in Lab units
SMOOTH = 0.02  # of `blotch`: luma that spreads less over a window counts as smooth
WINDOWS_A_SIDE = 16
SKIN = ((77, 127), (133, 173))  # Cb and Cr of skin, in bytes with gray at 128: Chai and Ngan
PALE = 2.0  # of `hue`; chroma in Lab units below which a colour has none


def cf_hs2003(photo: Photo) -> np.ndarray:
    """Colourfulness, 0 for gray, above 80 for vivid.

    Hasler and Suesstrunk, 2003, https://doi.org/10.1117/12.477378.
    """
    return _colourfulness(*_opponents(photo))


def cf_ddcolor(photo: Photo) -> np.ndarray:
    """The same of the opponent colours' absolute values, as DDColor's published code has it.

    Kang et al., 2023, https://arxiv.org/abs/2212.11613.
    """
    return _colourfulness(*map(np.abs, _opponents(photo)))


def delta_cf_hs2003(photo: Photo, target: Photo) -> np.ndarray:
    """How far the colourfulness `cf_hs2003` of a photo is from its target's, either way.

    Its mean over photos is no less, and mostly much more, than the difference of the two means
    over photos, which lets too much and too little make up for each other: say which one it is.
    """
    return np.abs(np.subtract(*map(cf_hs2003, _pair(photo, target))))


def delta_cf_ddcolor(photo: Photo, target: Photo) -> np.ndarray:
    """The same with `cf_ddcolor`."""
    return np.abs(np.subtract(*map(cf_ddcolor, _pair(photo, target))))


def ab_error(photo: Photo, target: Photo, where: np.ndarray | None = None) -> np.ndarray:
    """Mean distance in the a,b plane of CIE Lab: how wrong the colours are, lightness aside.

    Over the pixels `where` [N,H,W], if given, else all; NaN where there is none. Zhang et al.,
    2016, https://arxiv.org/abs/1603.08511, build their accuracy on it.
    """
    distance = _ab_distance(photo, target)
    return distance.mean(axis=(1, 2)) if where is None else _means(distance[..., None], where)[:, 0]


def ab_auc(photo: Photo, target: Photo) -> np.ndarray:
    """How many pixels have nearly the right colour, over all notions of nearly: 0..1, 1 is best.

    The share of pixels whose `ab_error` is at most t, averaged (trapezoids) over t = 0, 1, ... 150.
    Gray photos already reach about 0.9. The "raw accuracy" of Zhang et al., 2016,
    https://arxiv.org/abs/1603.08511; not the one that counts rare colours more.
    """
    # Whole pixels up to t are those whose error, rounded up, is at most t
    error = np.ceil(_ab_distance(photo, target)).astype(np.int64)
    bins = np.minimum(error.reshape(len(error), -1), FARTHEST + 1)
    counts = np.stack([np.bincount(one, minlength=FARTHEST + 2) for one in bins])
    shares = counts.cumsum(axis=1)[:, : FARTHEST + 1] / bins.shape[1]
    return np.trapezoid(shares, axis=1) / FARTHEST


def blotch(photo: Photo, guide: Gray | None = None) -> np.ndarray:
    """Blotches: how much colour varies where the photo is smooth, in Lab units; NaN if nowhere.

    A window is a square of 1/16 of the shorter side (2 pixels at least), at every place where it
    fits; it is smooth where the standard deviation of its luma is below 0.02. The result is the
    mean over smooth windows of sqrt(var a + var b) within the window. Real photos are not 0: their
    colours change without their luma at times, and have noise. Compare with the target's figure at
    the same size. `guide` [N,H,W,1] is the luma to go by, the photo's own if there is none: with
    the same guide two photos are measured at the same places.
    """
    _check(photo)
    photo = np.asarray(photo, np.float64)
    guide = rgb_to_gray(photo) if guide is None else np.asarray(guide, np.float64)
    if guide.shape != (*photo.shape[:3], 1):
        raise ValueError(f"photos of {photo.shape} need a guide [N,H,W,1], got {guide.shape}")
    return np.array([_blotch(*each) for each in zip(rgb_to_lab(photo), guide, strict=True)])


def skin(photo: Photo) -> np.ndarray:
    """Where a photo in true colours has the colours of skin, of most complexions: [N,H,W] bool.

    A box in the plane of Cb and Cr, taken as full range. Wood, sand and brick lie in it, too: look
    for skin where faces are. Skin in shadow, nearly black, falls out. Chai and Ngan, 1999, https://doi.org/10.1109/76.767122.
    """
    _check(photo)
    chroma = 255 * rgb_to_ycbcr(np.asarray(photo, np.float64))[..., 1:] + 0.5
    low, high = np.transpose(SKIN)
    return ((chroma >= low) & (chroma <= high)).all(axis=-1)


def hue(photo: Photo, where: np.ndarray) -> np.ndarray:
    """The angle, -180 to 180 degrees, of the mean of a and b over the pixels `where` [N,H,W]: [N].

    The red of sRGB is at 40, its yellow at 103, green at 136, blue at -54. NaN where no pixel is
    asked for, and where that mean lies within PALE of gray, which has no hue.
    """
    _, a, b = _lab(photo, where)
    return np.where(np.hypot(a, b) < PALE, np.nan, np.degrees(np.arctan2(b, a)))


def typology_angle(photo: Photo, where: np.ndarray) -> np.ndarray:
    """How light the skin is that the pixels `where` [N,H,W] show, in degrees: [N], or NaN for none.

    The individual typology angle, arctan((L - 50) / b) of their mean L and b: above 55 is very
    light skin, below -30 dark; in a photo the light counts as well. Chardon et al., 1991,
    https://doi.org/10.1111/j.1467-2494.1991.tb00561.x.
    """
    lightness, _, b = _lab(photo, where)
    return np.degrees(np.arctan2(lightness - 50, b))


def _lab(photo: Photo, where: np.ndarray) -> np.ndarray:
    """Mean L, a and b over the pixels `where` [N,H,W], [3,N]."""
    _check(photo)
    return _means(rgb_to_lab(np.asarray(photo, np.float64)), where).T


def _means(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Of values [N,H,W,C] over the pixels `where` [N,H,W]; [N,C], NaN where there are none."""
    if where.shape != values.shape[:3]:
        raise ValueError(f"photos of {values.shape[:3]} need places [N,H,W], got {where.shape}")
    blank = np.full(values.shape[-1], np.nan)
    return np.stack(
        [
            each[there].mean(axis=0) if there.any() else blank
            for each, there in zip(values, where, strict=True)
        ]
    )


def _blotch(lab: np.ndarray, guide: np.ndarray) -> float:
    size = max(round(min(guide.shape[:2]) / WINDOWS_A_SIDE), 2)
    smooth = _variance(guide, size)[..., 0] < SMOOTH**2
    spread = np.sqrt(_variance(lab[..., 1:], size).sum(axis=-1))
    return float(spread[smooth].mean()) if smooth.any() else float("nan")


def _variance(image: np.ndarray, size: int) -> np.ndarray:
    """The variance within every window of [H,W,C] that fits, [H-size+1,W-size+1,C]."""

    def mean(values: np.ndarray) -> np.ndarray:
        rows, columns = values.shape[:2]
        boxes = cv2.boxFilter(values, cv2.CV_64F, (size, size), anchor=(0, 0))
        return boxes.reshape(values.shape)[: rows - size + 1, : columns - size + 1]

    image = image - image.mean(axis=(0, 1))  # squares of large numbers would lose digits
    return np.maximum(mean(np.square(image)) - np.square(mean(image)), 0)


def _ab_distance(photo: Photo, target: Photo) -> np.ndarray:
    """[N,H,W]"""
    photo, target = (rgb_to_lab(each)[..., 1:] for each in _pair(photo, target))
    return np.hypot(*np.moveaxis(photo - target, -1, 0))


def _opponents(photo: Photo) -> tuple[np.ndarray, np.ndarray]:
    """Red against green and yellow against blue, on 0..255."""
    _check(photo)
    red, green, blue = np.moveaxis(255 * np.asarray(photo, np.float64), -1, 0)
    return red - green, (red + green) / 2 - blue


def _colourfulness(red_green: np.ndarray, yellow_blue: np.ndarray) -> np.ndarray:
    pixels = (1, 2)
    spread = np.hypot(red_green.std(axis=pixels), yellow_blue.std(axis=pixels))
    mean = np.hypot(red_green.mean(axis=pixels), yellow_blue.mean(axis=pixels))
    return spread + 0.3 * mean


def _pair(photo: Photo, target: Photo) -> tuple[np.ndarray, np.ndarray]:
    _check(photo)
    if photo.shape != target.shape:
        raise ValueError(f"the photo is {photo.shape} but its target is {target.shape}")
    return np.asarray(photo, np.float64), np.asarray(target, np.float64)


def _check(photo: Photo) -> None:
    if len(photo.shape) != 4 or photo.shape[-1] != 3:
        raise ValueError(f"measures of colour take photos [N,H,W,3], got {photo.shape}")
    if np.asarray(photo).dtype.kind in "biu":
        raise ValueError(f"they take floats in 0..1, got {photo.dtype}: use image.to_float first")
