"""Large dark or light regions with an outline of their own: fur hats, coats, locks, scarves, skies.

A blot crosses the edges of things; these follow them: each region is cut out of the photo by its
own edges. Each kind(photo, rng) -> photo, [H,W,3] float32 in 0..1, is one of
`lookalikes.LOOKALIKES`.
"""

import cv2
import numpy as np

from oldphoto_jax.damage.canvas import Canvas
from oldphoto_jax.damage.noise import clouds, field, white
from oldphoto_jax.damage.scenery import cover

COARSE = 4  # regions are found on a photo this much smaller, and fitted to its edges after
LEAST, MOST = 0.02, 0.45  # of the photo: a smaller region is no mass, a larger one a new photo
SUPPORTED = 1.4  # an outline is a thing's if the photo changes this much more there than elsewhere


def mass(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One or two regions of the photo nearly black or nearly white, where they are."""
    for _ in range(1 + (rng.random() < 0.3)):
        alpha = region(photo, rng)
        if rng.random() < 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.7, 3))
        photo = cover(photo, alpha, _toned(photo, rng, rng.random() < 0.5))
    return photo


def fur(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fur hat, a beard, a lock, a shaggy coat: a region whose outline bristles with hairs."""
    alpha = region(photo, rng)
    pale = rng.random() < 0.5
    comb = rng.uniform(0, 2 * np.pi)
    alpha = _bristle(alpha, rng, comb)
    goal = _toned(photo, rng, pale) + np.float32(rng.uniform(0.01, 0.04)) * _hairs(
        alpha.shape, rng, comb
    )
    return cover(photo, alpha, goal)


def piece(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A thing from elsewhere in the photo, turned or mirrored, nearly black or nearly white."""
    shape = photo.shape[:2]
    alpha = region(photo, rng)
    scale, angle = np.exp(rng.uniform(-0.5, 0.4)), rng.normal(0, 0.4)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([rng.choice([-1, 1]), 1])
    weight = max(float(alpha.sum()), 1e-6)
    x = float((alpha.sum(axis=0) * np.arange(shape[1])).sum() / weight)
    y = float((alpha.sum(axis=1) * np.arange(shape[0])).sum() / weight)
    goal = rng.uniform(0, 1, 2) * shape[::-1]
    move = np.concatenate([turn, (goal - turn @ [x, y])[:, None]], axis=1)
    thing = cv2.merge([*cv2.split(photo), alpha])
    thing = cv2.warpAffine(thing, move, shape[::-1], flags=cv2.INTER_LINEAR)
    alpha = thing[..., 3].copy()
    if rng.random() < 0.4:
        alpha = _bristle(alpha, rng, rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 2))
    seen = thing[..., :3] + (1 - thing[..., 3:]) * photo  # what a bristle shows is near by
    return cover(photo, alpha, _toned(seen, rng, rng.random() < 0.5, detail=0.6))


def region(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A region of the photo by its own edges, [H,W] float32 in 0..1; a cloud if it has none."""
    size = [max(side // COARSE, 8) for side in photo.shape[1::-1]]
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    small = np.clip(255 * small + 0.5, 0, 255).astype(np.uint8)
    edges = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)
    best, most = None, 0.0
    for _ in range(5):
        seed = tuple(int(rng.integers(side)) for side in size)
        find = (_like, _shed, _level)[rng.integers(3)]
        found = find(small, seed, rng).astype(np.uint8)
        found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        rim = cv2.morphologyEx(found, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        support = float(edges[rim].mean()) / (float(edges.mean()) + 1) if rim.any() else 0.0
        if LEAST < found.mean() < MOST and support > most:
            best, most = found, support
        if most > SUPPORTED:
            break
    if best is not None:
        return _fit(best.astype(np.float32), photo, rng)
    cloud = clouds(photo.shape[:2], rng, 0.4 * min(photo.shape[:2]), octaves=5)
    return np.clip(4 * (cloud - np.float32(rng.uniform(0.4, 1))), 0, 1)


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


def _toned(
    photo: np.ndarray, rng: np.random.Generator, pale: bool, detail: float = 0.1
) -> np.ndarray:
    """The photo nearly black or nearly white all over; of its texture at least `detail` is kept."""
    scene = 1 - photo if pale else photo
    even = cv2.GaussianBlur(scene, (0, 0), 3)
    level, depth = rng.uniform(0, 0.12), rng.uniform(0.3 * detail, 0.35)
    detail = rng.uniform(max(depth, detail), 0.9)
    dark = cv2.addWeighted(scene, detail, even, depth - detail, level)
    light = 1 + np.float32(0.35) * field(photo.shape[:2], rng, 0.2 * min(photo.shape[:2]))
    dark *= cv2.merge([np.clip(light, 0.4, 2)] * 3)
    tint = rng.uniform(0, 1)  # from its own colour to gray
    gray = cv2.cvtColor(cv2.cvtColor(dark, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    dark = cv2.addWeighted(dark, 1 - tint, gray, tint, 0)
    return 1 - dark if pale else dark


def _bristle(alpha: np.ndarray, rng: np.random.Generator, comb: float) -> np.ndarray:
    """Adds short hairs along the outline of alpha [H,W], combed towards the angle `comb`."""
    shape = alpha.shape
    smooth = cv2.GaussianBlur(alpha, (0, 0), 2)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    y, x = np.nonzero(np.hypot(dx, dy) > 0.25)
    if len(x) == 0:
        return alpha
    count = min(max(int(len(x) * rng.uniform(0.15, 0.5)), 8), 700)
    chosen = rng.integers(len(x), size=count)
    x, y = x[chosen], y[chosen]
    lean = rng.uniform(0, 0.9)
    away = np.arctan2(
        -(1 - lean) * dy[y, x] + lean * 0.5 * np.sin(comb),
        -(1 - lean) * dx[y, x] + lean * 0.5 * np.cos(comb),
    )
    lengths = rng.uniform(0.005, 0.035) * min(shape) * rng.uniform(0.3, 1.3, count) + 2
    widths, strengths = rng.uniform(0.5, 1.4, count), rng.uniform(0.2, 0.9, count)
    canvas = Canvas(shape)
    away += rng.normal(0, 0.3, count)
    roots = np.stack([x, y], axis=1) - np.stack([np.cos(away), np.sin(away)], axis=1)
    canvas.streaks(roots, away, lengths, widths, strengths, rng.normal(0, 0.1, count))
    return np.maximum(alpha, canvas.alpha())


def _hairs(shape: tuple[int, int], rng: np.random.Generator, comb: float) -> np.ndarray:
    """Hair seen from near: noise [H,W,3] of about unit variance, drawn out along the comb."""
    long = int(rng.integers(5, 13))
    line = np.zeros((long, long), np.float32)
    middle = (long - 1) / 2
    reach = middle * np.array([np.cos(comb), np.sin(comb)])
    ends = np.round(np.stack([middle - reach, middle + reach])).astype(int).tolist()
    cv2.line(line, ends[0], ends[1], 1.0)
    hairs = cv2.filter2D(white(shape, rng), -1, line / np.float32(np.sqrt(line.sum())))
    hairs *= 1 + np.float32(0.5) * field(shape, rng, 0.08 * min(shape) + 4)
    return cv2.cvtColor(hairs, cv2.COLOR_GRAY2RGB)
