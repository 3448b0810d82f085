"""Stages without networks, and photos that show what becomes of every tone."""

import types

import numpy as np

from oldphoto_jax.data.sources import Samples
from oldphoto_jax.photo import color, image

LUMA = np.float64([color.RED, color.GREEN, color.BLUE])


class Ready:
    """Has no programs to make."""

    def ready(self, *shapes, **more):
        pass


class Rise(Ready):
    """What is brighter than its left neighbour is damaged; keeps what it was shown."""

    checksum = "rise"
    predictor = types.SimpleNamespace(multiple=16, threshold=0.25, careful=0.9, max_size=5)

    def __init__(self):
        self.photos = []
        self.compiled = []

    def __call__(self, photo):
        assert photo.dtype == np.float32 and photo.shape[-1] == 3
        assert not any(side % self.predictor.multiple for side in photo.shape[1:3])
        self.photos.append(photo)
        left = np.pad(photo, ((0, 0), (0, 0), (1, 0), (0, 0)), mode="edge")[:, :, :-1]
        return {"mask": np.clip(photo - left, 0, 1)[..., :1]}


class Bright(Rise):
    """What is bright is damaged."""

    checksum = "bright"

    def __call__(self, photo):
        return {"mask": photo[..., :1]}


class Tint(Ready):
    """Colours by the place; keeps what it was shown."""

    predictor = types.SimpleNamespace(multiple=32, gain=1.0, hints=False, palette=None)
    checksum = "tint"

    def __init__(self):
        self.seen = []
        self.compiled = []

    def __call__(self, photo):
        self.seen.append(photo)
        self.compiled = [*dict.fromkeys(p.shape for p in self.seen)]
        height, width = photo.shape[1:3]
        ycbcr = np.full(photo.shape, 0.5, np.float32)
        ycbcr[..., 1] = np.linspace(0.35, 0.65, width)
        ycbcr[..., 2] = np.linspace(0.7, 0.4, height)[:, None]
        return {"photo": color.ycbcr_to_rgb(ycbcr)}


def ramp(dtype, height=40, width=90):
    """All lightnesses, black and white among them, [H,W,1]."""
    row = np.linspace(0, np.iinfo(dtype).max, width)
    return np.rint(np.broadcast_to(row[:, None], (height, width, 1))).astype(dtype)


def sepia(dtype, **size):
    """The same in sepia, [H,W,3]."""
    gray = image.to_float(ramp(dtype, **size))
    warm = gray + np.float32([0.1, 0.02, -0.1]) * gray * (1 - gray)
    return (image.to_uint8 if dtype == np.uint8 else image.to_uint16)(warm)


def colourful():
    """Part of a photo in colour, [90,120,3]."""
    return Samples("val")[0]["photo"][:90, 60:180]


def luma_of(pixels):
    """[H,W] of pixels [H,W,1|3], in their own numbers."""
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels.astype(np.float64) @ LUMA
