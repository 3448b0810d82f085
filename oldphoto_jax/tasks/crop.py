"""A piece of a photo to train on."""

import numpy as np

from oldphoto_jax.photo import image


def crop(
    photo: np.ndarray, size: int, enlarge: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A random square of photo [H,W,3], enlarged at random, mirrored at random: [size,size,3].

    `enlarge` is the range of factors; scans are larger and softer than photos of the web.
    """
    low, high = np.log(enlarge)
    side = max(round(size / np.exp(rng.uniform(low, high))), 16)
    return _mirrored(image.resize(image.random_crop(photo, side, rng), size, size), rng)


def view(
    photo: np.ndarray, size: int, share: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A random square that shows most of photo [H,W,3], mirrored at random: [size,size,3].

    Its side is a share of the photo's short side, drawn from that range: what a thing is, and so
    its colour, is seen from far away only.
    """
    side = max(round(min(photo.shape[:2]) * rng.uniform(*share)), 16)
    return _mirrored(image.resize(image.random_crop(photo, side, rng), size, size), rng)


def _mirrored(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    return np.ascontiguousarray(piece)
