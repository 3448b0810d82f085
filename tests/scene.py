"""What tests of several tasks are shown, and the networks that look at it, made fast."""

import functools

import numpy as np

from oldphoto_jax.models import efficientnet, resnet, vgg

# EfficientNet-Lite0 with a quarter of its channels; of its sixteen blocks each stage keeps the
# first, and one stage another, which has no stride.
FEW = tuple(
    (2 if stage == 1 else 1, c // 4, *form)
    for stage, (_, c, *form) in enumerate(efficientnet.STAGES)
)


def record():
    """A vivid picture as a source gives it."""
    y, x = np.mgrid[0:120, 0:150]
    photo = np.stack([40 + x, 30 + 2 * (y % 90), 128 + 60 * np.sin(x / 5.0)], axis=2)
    return {"photo": photo.clip(0, 255).astype(np.uint8), "name": "scene"}


def narrow(monkeypatch, module):
    """Gives the module a VGG of two channels instead of sixty-four."""
    monkeypatch.setattr(module.vgg, "VGG", functools.partial(vgg.VGG, width=2))


def shallow(monkeypatch):
    """Gives encoders half as many blocks, of which programs compile in half the time."""
    monkeypatch.setattr(efficientnet, "STAGES", FEW)
    monkeypatch.setitem(resnet.DEPTHS, 18, (1, 2, 1, 1))
