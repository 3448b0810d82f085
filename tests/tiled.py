"""A function over all tiles of a photo, as one array."""

import numpy as np

from oldphoto_jax.restore import tiles


def run(function, photo, **options):
    """What `tiles.rows` gives, [H,W,D]."""
    return np.concatenate([rows for _, rows in tiles.rows(function, photo, **options)])
