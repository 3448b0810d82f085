"""What tests of several tasks are shown, and the network that looks at it, made fast."""

import functools

import numpy as np

from oldphoto_jax.models import vgg


def record():
    """A vivid picture as a source gives it."""
    y, x = np.mgrid[0:120, 0:150]
    photo = np.stack([40 + x, 30 + 2 * (y % 90), 128 + 60 * np.sin(x / 5.0)], axis=2)
    return {"photo": photo.clip(0, 255).astype(np.uint8), "name": "scene"}


def narrow(monkeypatch, module):
    """Gives the module a VGG of two channels instead of sixty-four."""
    monkeypatch.setattr(module.vgg, "VGG", functools.partial(vgg.VGG, width=2))
