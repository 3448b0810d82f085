"""A small ICC profile for inks, by the colours of solid inks on paper."""

import itertools
import struct

import numpy as np

from oldphoto_jax.photo import icc

SOLIDS = {  # L, a and b by cyan, magenta and yellow, about as ISO 12647-2 has them
    (0, 0, 0): (92, 0, 4),
    (1, 0, 0): (55, -37, -50),
    (0, 1, 0): (48, 74, -3),
    (0, 0, 1): (89, -5, 93),
    (0, 1, 1): (47, 68, 48),
    (1, 0, 1): (50, -65, 27),
    (1, 1, 0): (24, 17, -46),
}


def profile(black):
    """For a press whose four inks together have a lightness of `black`."""
    grid = []
    for *inks, key in itertools.product((0, 1), repeat=4):
        alone = black if key and any(inks) else black + 4
        light, a, b = (alone, 0, 0) if key else SOLIDS.get(tuple(inks), (black + 4, 0, 0))
        grid += [min(255, round(light * 255 / 92)), a + 128, b + 128]
    ramp, matrix = bytes(range(256)), [65536 * n for n in np.eye(3, dtype=int).ravel()]
    table = struct.pack(">4sI4B9i", b"mft1", 0, 4, 3, 2, 0, *matrix)
    rows = {b"A2B0": table + 4 * ramp + bytes(grid) + 3 * ramp, b"wtpt": icc._xyz(icc.WHITE)}
    made = bytearray(icc.pack(b"CMYK", rows))
    made[8:12], made[12:16], made[20:24] = b"\2\x10\0\0", b"prtr", b"Lab "
    return bytes(made)
