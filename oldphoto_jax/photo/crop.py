"""A piece of a photo to train on."""

import numpy as np

from oldphoto_jax.photo import image

ENLARGE = (0.7, 2.0)  # scans are larger and softer than photos of the web
NEAR = 0.7  # share of the crops of a damaged photo that show some of its damage
NATIVE = (0.7, 1.4)  # how far away a scan is looked at: pixels of it in one of the crop's
FARTHEST = 4.0
AWAY = 0.5  # share of crops that are taken from further away than NATIVE
KEPT = 0.3  # share of a pixel that must be damaged in a smaller picture; thin lines stay whole


def crop(
    photo: np.ndarray, size: int, enlarge: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A random square of photo [H,W,3], enlarged at random, mirrored at random: [size,size,3].

    `enlarge` is the range of factors; scans are larger and softer than photos of the web. Where a
    factor below 1 asks for more than the photo holds, it goes on as its mirror images: so faces and
    trees are seen as small as in the photo of a school or of a town.
    """
    low, high = np.log(enlarge)
    side = max(round(size / np.exp(rng.uniform(low, high))), 16)
    rows, columns = (max(side - length, 0) for length in photo.shape[:2])
    if side > size and (rows or columns):
        above, before = rng.integers(rows + 1), rng.integers(columns + 1)
        around = ((above, rows - above), (before, columns - before), (0, 0))
        photo = np.pad(photo, around, mode="symmetric")
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


def paired(
    photo: np.ndarray, mask: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random square of photo [H,W,3] and the same of its mask [H,W,1], 0 or 1.

    Returns photo [size,size,3], of the photo's type, and mask [size,size,1] float32, 0 or 1. Scans
    are larger than photos of the web: a square is as sharp as the scan or, as often, shrunk, as
    broad defects are looked for. Most squares of a damaged photo show some of the damage. Both are
    mirrored together at random.
    """
    short = min(photo.shape[:2])
    near, far = np.log(NATIVE)
    farthest = np.log(np.clip(short / size, NATIVE[1], FARTHEST))
    away = rng.random() < AWAY and farthest > far
    scale = np.exp(rng.uniform(far, farthest) if away else rng.uniform(near, far))
    side = int(np.clip(round(size * scale), min(16, short), short))
    top, left = _place(mask, side, rng)
    piece = image.resize(image.crop(photo, top, left, side, side), size, size)
    share = image.crop(mask, top, left, side, side).astype(np.float32)
    share = image.resize(share, size, size, growing="bilinear")
    marked = np.float32(share >= (KEPT if side > size else 0.5))
    both = np.concatenate([piece.astype(np.float32), marked], axis=-1)
    both = _mirrored(both, rng)
    return both[..., :3].astype(photo.dtype), both[..., 3:]


def _place(mask: np.ndarray, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where a square begins that lies anywhere or, more often, over a damaged pixel."""
    room = np.array(mask.shape[:2]) - side
    rows = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(rows) or rng.random() >= NEAR:
        begin = rng.integers(room + 1)
        return int(begin[0]), int(begin[1])
    row = int(rng.choice(rows))  # by rows, lest one large blot hide all that is small
    column = int(rng.choice(np.flatnonzero(mask[row, :, 0])))
    begin = np.clip(np.array([row, column]) - rng.integers(side, size=2), 0, room)
    return int(begin[0]), int(begin[1])


def _mirrored(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    return np.ascontiguousarray(piece)
