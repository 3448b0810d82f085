"""Photos turned upright by EXIF's number, with all that lies beside their pixels made to fit."""

from __future__ import annotations

import dataclasses

import numpy as np

from oldphoto_jax.photo import content, exif, xmp_packet, xmp_regions
from oldphoto_jax.photo.codecs import photoshop
from oldphoto_jax.photo.content import PhotoFile

# By EXIF's number: (swap rows and columns, then flip rows, flip columns)
TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def sides(stored: content.Stored) -> tuple[int, int]:
    """Height and width, upright."""
    swap = TURNS.get(stored.orientation, TURNS[1])[0]
    return (stored.width, stored.height) if swap else (stored.height, stored.width)


def turned(photo: PhotoFile[np.ndarray], orientation: int) -> PhotoFile[np.ndarray]:
    """Turns what is stored; a number that EXIF does not know means as it is, as in viewers."""
    turn = TURNS.get(orientation, TURNS[1])
    swap, turns = turn[0], turn != TURNS[1]

    def told(packet: bytes | None) -> bytes | None:
        packet = packet and xmp_packet.upright(packet, turns, swap)
        return xmp_regions.turned(packet, turn) if packet and turns else packet

    return dataclasses.replace(
        photo,
        pixels=_turn(photo.pixels, *turn),
        alpha=None if photo.alpha is None else _turn(photo.alpha, *turn),
        extra=None if photo.extra is None else _turn(photo.extra, *turn),
        exif=photo.exif and exif.upright(photo.exif, swap),
        xmp=told(photo.xmp),
        extended_xmp=told(photo.extended_xmp),
        resources=photoshop.without_places(photo.resources) if turns else photo.resources,
        resolution=photo.resolution[::-1] if photo.resolution and swap else photo.resolution,
    )


def _turn(array: np.ndarray, swap: bool, rows: bool, columns: bool) -> np.ndarray:
    array = np.swapaxes(array, 0, 1) if swap else array
    array = array[::-1] if rows else array
    array = array[:, ::-1] if columns else array
    return np.ascontiguousarray(array)
