"""Where one thing of a photo ends and the next begins: its regions, by its own edges.

What belongs to a scene ends at such an edge or goes on behind it; damage crosses it.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.noise import field

COARSE = 4  # regions are found on a photo this much smaller, and fitted to its edges after
LEAST, MOST = 0.02, 0.45  # of the photo: a smaller region is no mass, a larger one a new photo
# How much more than elsewhere the photo changes along most of an outline: from here on it is surely
# a thing's, below the second it surely is not.
SUPPORTED, UNSUPPORTED = 1.2, 0.7


def behind(alpha: np.ndarray, photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts what alpha [H,W] draws behind one or two things of the photo, mostly."""
    for _ in range(int(rng.choice([0, 1, 2], p=[0.2, 0.5, 0.3]))):
        alpha = alpha * (1 - region(photo, rng))
    return alpha


def region(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A region of the photo by its own edges, [H,W] in 0..1; a soft cloud if it has none."""
    size = [max(side // COARSE, 8) for side in photo.shape[1::-1]]
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    small = np.clip(255 * small + 0.5, 0, 255).astype(np.uint8)
    edges = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    best, most = None, UNSUPPORTED
    for _ in range(7):
        x, y = (int(rng.integers(side)) for side in size)
        find = (_like, _shed, _level)[rng.integers(3)]
        found = find(small, (x, y), rng).astype(np.uint8)
        found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
        rim = cv2.morphologyEx(found, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        support = np.quantile(edges[rim], 0.35) / (edges.mean() + 1) if rim.any() else 0.0
        if LEAST < found.mean() < MOST and support > most:
            best, most = found, support
        if most > SUPPORTED:
            break
    if best is not None:
        return _fit(best.astype(np.float32), photo, rng)
    cloud = field(photo.shape[:2], rng, 0.5 * min(photo.shape[:2]))
    return np.clip(cloud - np.float32(rng.uniform(0, 0.6)), 0, 1)


def _like(small: np.ndarray, seed: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """What hangs together with the seed and is of its colour, [h,w] bool."""
    lab = cv2.medianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), 3)
    goal = rng.uniform(0.05, 0.3)
    best = np.zeros(small.shape[:2], bool)
    low, high = 1, 90
    while high - low > 3:  # the widest tolerance whose region is not larger than its goal
        tolerance = (low + high) // 2
        mask = np.zeros((small.shape[0] + 2, small.shape[1] + 2), np.uint8)
        flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        cv2.floodFill(lab, mask, seed, 0, (tolerance,) * 3, (tolerance,) * 3, flags)
        inside = mask[1:-1, 1:-1] > 0
        if inside.mean() > goal:
            high = tolerance
        else:
            best, low = inside, tolerance
    return best


def _shed(small: np.ndarray, seed: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The basin of the seed and those of its tone that touch it, by watershed, [h,w] bool."""
    height, width = small.shape[:2]
    count = int(rng.integers(8, 40))
    markers = np.zeros((height, width), np.int32)
    markers[rng.integers(height, size=count), rng.integers(width, size=count)] = np.arange(
        2, count + 2
    )
    markers[seed[1], seed[0]] = 1
    basins = np.maximum(cv2.watershed(small, markers), 0).ravel()
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel().astype(np.float32)
    sizes = np.maximum(np.bincount(basins, minlength=count + 2), 1)
    means = np.bincount(basins, luma, count + 2) / sizes
    alike = np.abs(means - means[1]) < rng.uniform(5, 25)
    alike[0] = False  # the lines between basins; closing takes in those that lie inside
    chosen = alike[basins].reshape(height, width).astype(np.uint8)
    return _around(cv2.morphologyEx(chosen, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), seed)


def _level(small: np.ndarray, seed: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The largest dark or the largest light thing, [h,w] bool."""
    luma = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (0, 0), rng.uniform(0.6, 2))
    level = np.quantile(luma, rng.uniform(0.1, 0.45))
    if rng.random() < 0.5:
        luma, level = 255 - luma, 255 - np.quantile(luma, rng.uniform(0.55, 0.9))
    return _around((luma <= level).astype(np.uint8), seed)


def _around(chosen: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """The connected piece of `chosen` at the seed, or else the largest one, [h,w] bool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(chosen, connectivity=4)
    if count < 2:
        return np.zeros(chosen.shape, bool)
    label = labels[seed[1], seed[0]] or 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return labels == label


def _fit(found: np.ndarray, photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brings a coarse region [h,w] to the photo's size and edges, by a guided filter.

    He et al., 2013 (https://doi.org/10.1109/TPAMI.2012.213).
    """
    shape = photo.shape[:2]
    rough = cv2.resize(found, shape[::-1], interpolation=cv2.INTER_LINEAR)
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    window = (2 * int(rng.integers(3, 9)) + 1,) * 2
    mean, goal = cv2.blur(luma, window), cv2.blur(rough, window)
    variance = cv2.blur(luma * luma, window) - mean * mean
    slope = (cv2.blur(luma * rough, window) - mean * goal) / (variance + np.float32(2e-4))
    base = goal - slope * mean
    alpha = cv2.blur(slope, window) * luma + cv2.blur(base, window)
    steep = np.float32(rng.uniform(1.5, 4))
    return np.clip((alpha - np.float32(0.5)) * steep + np.float32(0.5), 0, 1)
