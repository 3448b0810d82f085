"""How light the numbers of a photo are, where that is not as sRGB has it; and there and back.

Networks, thumbnails and the judgement of tone take numbers as sRGB. A photo whose file says that
they are linear, or of a curve far from that of sRGB, is therefore seen by them as it is meant to
look, with 16 bits; what becomes of it goes back to the curve of the file, and what has not changed
to the very numbers that were there. The file says it by PNG's cICP, by an ICC profile, or by PNG's
gAMA, the first of them that is there (PNG, third edition, 4.3). Primaries are not looked at: of a
photo in a wide space networks see colours that are too pale.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import struct
from collections.abc import Callable

import numpy as np

from oldphoto_jax.photo import content, icc, image, scratch
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.types import Rows

NOTICED = 2.3  # units of lightness (Mahy et al., 1994), by which a curve is far from sRGB's
VIEW = np.dtype(np.uint16)
LEVELS = 1 << 16
STEEPEST = 5.0  # exponents beyond say nothing that makes sense
SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # as cHRM has it
HDR_WHITE = 203.0  # candelas per square metre of diffuse white (ITU-R BT.2408)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """What the codes of a photo look like, and back.

    seen    [1|3,L] uint16: the code in sRGB of 16 bits of each of the photo's L codes, by channel
    codes   [1|3,65536]: the photo's code that comes nearest to each in sRGB
    """

    seen: np.ndarray
    codes: np.ndarray

    def view(self, pixels: np.ndarray, folder: str | os.PathLike | None = None) -> np.ndarray:
        """Pixels [H,W,1|3] as they are meant to look, uint16; large ones in scratch space."""
        result = scratch.empty(pixels.shape, VIEW, folder)
        for band in scratch.bands(pixels, result):
            result[band] = _look_up(self.seen, pixels[band])
        return result


class Returned:
    """Rows [H,W,C] of a view, made the photo's own codes again when they are asked for.

    Where they are those of `view` [H,W,C], the codes are those of `pixels`, which it was made of.
    """

    ndim = 3

    def __init__(
        self,
        codes: np.ndarray,
        rows: Rows,
        view: np.ndarray | None = None,
        pixels: np.ndarray | None = None,
    ):
        self.codes, self.rows, self.view, self.pixels = codes, rows, view, pixels
        self.shape, self.dtype = rows.shape, codes.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The rows of a slice without step, [n,W,C]."""
        looks = self.rows[rows]
        found = _look_up(self.codes, looks)
        if self.view is None or self.pixels is None:
            return found
        result = np.where(looks == self.view[rows], self.pixels[rows], found)
        scratch.release(self.view)
        return result


def curve_of(photo: PhotoFile[Rows]) -> Curve | None:
    """The curve of a photo, or None where its numbers are sRGB's, as far as anybody notices."""
    profile = content.fitting(photo.icc, photo.pixels)
    return _curve(profile, photo.encoding, np.dtype(photo.pixels.dtype.type))


def view(photo: PhotoFile[np.ndarray], folder: str | os.PathLike | None = None) -> np.ndarray:
    """The pixels of a photo as they are meant to look: those of the file, or uint16 of a view.

    A view of a large photo lies in scratch space in `folder`.
    """
    curve = curve_of(photo)
    return photo.pixels if curve is None else curve.view(photo.pixels, folder)


def shown(photo: PhotoFile[np.ndarray], seen: np.ndarray) -> PhotoFile[np.ndarray]:
    """The photo with its `view` as its pixels, to be looked at."""
    if seen is photo.pixels:
        return photo
    return dataclasses.replace(photo, pixels=seen, alpha=None, icc=None, encoding=())


def returned(
    photo: PhotoFile[np.ndarray], seen: np.ndarray, rows: Rows
) -> tuple[PhotoFile[np.ndarray], Rows]:
    """What became of a photo's `view`, as the photo is written: the photo itself, and its rows.

    A gray profile cannot describe rows in colour, and whoever writes them leaves it out: they
    become sRGB at the photo's depth, and no chunk that it overruled is to say anything else.
    """
    if rows is seen:
        return photo, photo.pixels
    curve = curve_of(photo)
    colored = rows.shape[-1] != photo.pixels.shape[-1]
    if colored and photo.icc and b"cICP" not in dict(photo.encoding):
        bare = dataclasses.replace(photo, encoding=())
        return bare, rows if curve is None else Returned(_srgb(photo.pixels.dtype), rows)
    if curve is None:
        return photo, rows
    if colored:
        return photo, Returned(curve.codes, rows)
    return photo, Returned(curve.codes, rows, seen, photo.pixels)


def gamma_profile(photo: PhotoFile[Rows]) -> bytes | None:
    """A profile that says what PNG's gAMA says, for formats without it; None where that is sRGB.

    Also where a profile is there already, or chunks that say more than such a profile can.
    """
    chunks = dict(photo.encoding)
    known = (
        set(chunks) == {b"gAMA"} or set(chunks) == {b"gAMA", b"cHRM"} and chunks[b"cHRM"] == SRGB
    )
    if photo.icc or not known or curve_of(photo) is None:
        return None
    exponent = 100000 / int.from_bytes(chunks[b"gAMA"], "big")
    space = content.PROFILES[photo.pixels.shape[-1]]
    return icc.make(f"Gamma {exponent:.4g}", space, icc.power(exponent))


@functools.lru_cache(16)
def _curve(
    profile: bytes | None, chunks: tuple[tuple[bytes, bytes], ...], dtype: np.dtype
) -> Curve | None:
    levels = int(np.iinfo(dtype).max) + 1
    light = _light(profile, dict(chunks), levels)
    codes = np.linspace(0, 1, levels)
    if light is None or (np.diff(light) < -1e-3).any() or (light[:, -1] - light[:, 0] < 0.1).any():
        return None
    if np.abs(_lightness(light) - _lightness(_from_srgb(codes))).mean(axis=1).max() <= NOTICED:
        return None
    seen = np.rint((LEVELS - 1) * _to_srgb(np.maximum.accumulate(light, axis=1))).astype(VIEW)
    return Curve(seen, np.stack([_inverse(row, dtype) for row in seen]))


def _light(profile: bytes | None, chunks: dict[bytes, bytes], levels: int) -> np.ndarray | None:
    """Light of each code, [1|3,L] in 0..1, by what comes first; None where nothing is said."""
    codes = np.linspace(0, 1, levels)
    cicp = chunks.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[1] in TRANSFERS:
        full = codes if cicp[3] else np.clip((255 * codes - 16) / 219, 0, 1)
        return np.clip(TRANSFERS[cicp[1]](full), 0, 1)[None]
    if profile:
        try:
            return icc.light(profile, levels)
        except ValueError:
            return None
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") / 100000
    if b"sRGB" in chunks or not 1 / STEEPEST <= gamma <= STEEPEST:
        return None
    return (codes ** (1 / gamma))[None]


def _inverse(seen: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The code that looks most like each of the LEVELS; of several the first, of black the last."""
    looks, first, count = np.unique(seen, return_index=True, return_counts=True)
    first[0] += count[0] - 1
    found = np.interp(np.arange(LEVELS), looks.astype(float), first.astype(float))
    return np.rint(found).astype(dtype)


@functools.cache
def _srgb(dtype: np.dtype) -> np.ndarray:
    """The codes of sRGB at this depth, as `Curve.codes`."""
    codes = np.arange(LEVELS, dtype=VIEW)
    return (codes if dtype == VIEW else image.to_uint8(image.to_float(codes)))[None]


def _look_up(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    if len(table) == 1:
        return table[0][codes]
    return np.stack([row[codes[..., n]] for n, row in enumerate(table)], axis=-1)


def _power(exponent: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda codes: codes**exponent


def _from_srgb(codes: np.ndarray) -> np.ndarray:
    return np.where(codes > 0.04045, ((codes + 0.055) / 1.055) ** 2.4, codes / 12.92)


def _to_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


def _lightness(light: np.ndarray) -> np.ndarray:
    return np.where(light > 0.008856, 116 * np.cbrt(light) - 16, 903.3 * light)


def _from_pq(codes: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084; diffuse white is 1."""
    root = codes ** (32 / 2523)
    bright = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10000 / HDR_WHITE * bright ** (8192 / 1305)


def _from_hlg(codes: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100's hybrid log-gamma on a screen of 1000 cd/m2; diffuse white is 1."""
    high = (np.exp((codes - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(codes > 0.5, high, codes**2 / 3)
    return 1000 / HDR_WHITE * scene**1.2


# By ITU-T H.273's numbers; those of video (1, 6, 14, 15) viewers of photos show as sRGB
TRANSFERS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys((1, 6, 13, 14, 15), _from_srgb),
    4: _power(2.2),
    5: _power(2.8),
    8: _power(1.0),
    16: _from_pq,
    17: _power(2.6),
    18: _from_hlg,
}
