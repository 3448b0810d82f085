"""How a defect's shape becomes a visible change, and which pixels then count as defective.

Layer addition, lighten-only and screen blending with random opacity and feathering follow
Wan et al., 2020 (https://arxiv.org/abs/2004.09484); the mask law is ours.
"""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from oldphoto_jax.damage.inks import Inks
from oldphoto_jax.damage.noise import field

VISIBLE = 0.04
"""A pixel outside the mask differs from the undamaged photo by at most this (0..1, any channel)."""

EVIDENT = 0.09
"""A spot is a defect only if a twelfth of it changes the photo by this much; more on grain."""

MODES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "over": lambda photo, ink: ink,
    "add": lambda photo, ink: np.minimum(photo + 0.7 * ink, 1),
    "screen": lambda photo, ink: 1 - (1 - photo) * (1 - ink),
    "lighten": np.maximum,
    "darken": np.minimum,
    "multiply": lambda photo, ink: photo * ink,
}
Modes = tuple[tuple[str, ...], tuple[float, ...]]  # names in MODES, and how common each is
LIGHT_MODES = (("over", "screen", "add", "lighten"), (0.5, 0.2, 0.15, 0.15))
PLAIN_MODES = (("over",), (1.0,))
DARK_MODES = (("over", "multiply", "darken"), (0.55, 0.3, 0.15))


@dataclasses.dataclass(frozen=True)
class Look:
    """How a kind of defect usually appears.

    light: share that is lighter than the print; stain: share in the stain colour instead of
    paper or soot; plain: share in any gray at all; opacity: range of the faint ones; opaque: share
    that hides what it covers; texture: how rough its surface is; rim: broken-off print, what lies
    behind shows, with a rim of torn paper; lid: the same, and it is the lid of a scanner.
    """

    light: float = 0.6
    stain: float = 0.05
    plain: float = 0.0
    opacity: tuple[float, float] = (0.4, 1.0)
    opaque: float = 0.5
    texture: float = 0.05
    rim: bool = False
    lid: bool = False


LOOKS = {
    "paper": Look(light=0.96, stain=0.03, opacity=(0.6, 1.0), texture=0.06),
    "scratch": Look(light=0.75, opacity=(0.3, 1.0)),
    "crack": Look(light=0.5, opacity=(0.4, 1.0)),
    "dust": Look(light=0.65, opacity=(0.45, 1.0)),
    "dirt": Look(light=0.25, stain=0.15, opacity=(0.45, 1.0), texture=0.08),
    "stain": Look(light=0.12, stain=0.8, opacity=(0.3, 0.95), texture=0.04),
    "grease": Look(light=0.5, stain=0.3, opacity=(0.12, 0.5), opaque=0.0, texture=0.02),
    "flat": Look(light=0.5, stain=0.1, plain=0.4, opacity=(0.45, 0.9), opaque=0.7, texture=0.03),
    "missing": Look(light=0.7, opacity=(0.95, 1.0), texture=0.04, rim=True),
    "lid": Look(opacity=(0.95, 1.0), texture=0.02, rim=True, lid=True),
}


def roughness(photo: np.ndarray) -> np.ndarray:
    """How busy the photo is around each pixel: standard deviation of luma in 9x9, [H,W]."""
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    mean = cv2.blur(luma, (9, 9))
    return np.sqrt(np.maximum(cv2.blur(luma * luma, (9, 9)) - mean * mean, 0))


def lay(
    photo: np.ndarray,
    alpha: np.ndarray,
    look: Look,
    inks: Inks,
    busy: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Lays one defect of shape alpha [H,W] on photo [H,W,3]; `busy` is `roughness(photo)`.

    Returns the new photo and the defect's mask [H,W] bool. Outside the mask nothing changes by
    more than VISIBLE; parts nobody could see are taken back and not in the mask.
    """
    opaque = rng.random() < look.opaque
    if opaque:
        alpha = np.minimum(2 * alpha, 1)
    if rng.random() < 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.5, 1.6))
    rim = _rim(alpha, rng) if look.rim and rng.random() < 0.65 else None
    if look.rim and rim is None:
        rim = alpha
    look = dataclasses.replace(
        look,
        texture=look.texture * (rng.uniform(0, 0.6) if opaque else 1),
        opacity=(max(0.85, look.opacity[0]), 1.0) if opaque else look.opacity,
    )
    # Most defects touch few pixels: from here on only those, as flat lists [N] and [N,3].
    place = np.flatnonzero((alpha if rim is None else rim) > 0.015)
    before, amount = photo.reshape(-1, 3)[place], alpha.take(place)
    after = before
    if rim is not None:
        after = _mix(before, inks.paper + _surface(look, inks, place, rng), rim.take(place))
        behind = (inks.lid * _shadow(alpha, place, rng)) if look.lid else inks.behind
        after = _mix(after, behind + _surface(look, inks, place, rng), amount)
    elif len(place):
        ink, modes = _ink(before, amount, look, inks, rng)
        mode = MODES[modes[0][np.searchsorted(np.cumsum(modes[1]), rng.random())]]
        goal = mode(before, np.clip(ink + _surface(look, inks, place, rng), 0, 1))
        after = _mix(before, goal, amount * np.float32(rng.uniform(*look.opacity)))
    after = np.clip(after, 0, 1)
    red, green, blue = np.abs(after - before).T
    change = np.maximum(np.maximum(red, green), blue)
    mask = _seen(change, alpha, busy.take(place), place)
    keep = mask.take(place) | (change <= VISIBLE)
    result = photo.copy()
    result.reshape(-1, 3)[place[keep]] = after[keep]
    return result, mask


def ridge(
    photo: np.ndarray, alpha: np.ndarray, busy: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A fold that lost no emulsion: along alpha [H,W] one flank is lit, the other in shade.

    Returns the new photo [H,W,3] and the mask [H,W] bool of what can be seen of it, as `lay` does.
    """
    line = cv2.GaussianBlur(alpha, (0, 0), 1.2)  # the fold, and not every chip on it
    bend = shade(line, rng, (1.0, 2.5), (0.08, 0.35))
    place = np.flatnonzero(np.abs(bend) > 0.01)
    before = photo.reshape(-1, 3)[place]
    after = np.clip(before + bend.take(place)[:, None], 0, 1)
    change = np.abs(after - before).max(axis=1, initial=0)
    mask = _seen(change, np.minimum(np.abs(bend) / VISIBLE, 1), busy.take(place), place)
    keep = mask.take(place) | (change <= VISIBLE)
    result = photo.copy()
    result.reshape(-1, 3)[place[keep]] = after[keep]
    return result, mask


def hold(photo: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo, held within VISIBLE of the target wherever mask [H,W] is false."""
    place = np.flatnonzero(changed(photo, target) & ~mask)
    near, goal = photo.copy(), target.reshape(-1, 3)[place]
    flat = near.reshape(-1, 3)
    flat[place] = goal + np.clip(flat[place] - goal, -VISIBLE, VISIBLE)
    return near


def thickness(mask: np.ndarray) -> float:
    """Diameter in pixels of the largest disc inside a mask [H,W]; it may reach over the border."""
    if not mask.any():
        return 0.0
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 2.0 * float(inside.max())


def thicker(mask: np.ndarray, limit: float) -> bool:
    """Whether `thickness(mask)` exceeds `limit`, mostly answered without a distance transform."""
    # A disc of diameter D holds a square of 0.7 D: where no such square fits, no such disc does.
    square = np.ones((max(int(0.7 * limit) - 2, 1),) * 2, np.uint8)
    return bool(cv2.erode(mask.astype(np.uint8), square).any()) and thickness(mask) > limit


def shade(
    alpha: np.ndarray,
    rng: np.random.Generator,
    widths: tuple[float, float] = (1.5, 5),
    depths: tuple[float, float] = (0.02, 0.12),
) -> np.ndarray:
    """Light from the side on a bent print: bright and dark flanks along alpha [H,W].

    `widths` is the range of their softness in pixels of a side of 256, `depths` that of the
    largest change, 0..1.
    """
    wide = rng.uniform(*widths) * max(min(alpha.shape) / 256, 0.7)
    soft = cv2.GaussianBlur(alpha, (0, 0), wide)
    angle = rng.uniform(0, 2 * np.pi)
    right, down = (cv2.Sobel(soft, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    slope = cv2.addWeighted(right, np.cos(angle), down, np.sin(angle), 0)
    return slope * np.float32(rng.uniform(*depths) / max(float(np.abs(slope).max()), 1e-6))


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where any channel differs by more than VISIBLE, [H,W] bool, between two photos [H,W,3]."""
    beyond = cv2.absdiff(before, after) > VISIBLE
    return beyond[..., 0] | beyond[..., 1] | beyond[..., 2]


def _rim(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Alpha with an uneven border of torn paper around it."""
    torn = 2 * int(rng.integers(1, 5)) + 1
    wide = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (torn, torn)))
    return np.maximum(alpha, wide * np.clip(0.9 + field(alpha.shape, rng, 4), 0, 1))


def _shadow(alpha: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much light reaches the lid beside the edge of the print, [N,1]; often all of it."""
    if rng.random() < 0.5:
        return np.ones((len(place), 1), np.float32)
    size = rng.uniform(1, 6) * max(min(alpha.shape) / 256, 0.7)
    away = (rng.uniform(0, 1.5 * size, 2) * rng.choice([-1, 1], 2)).astype(np.float32)
    move = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float32)
    print_ = cv2.warpAffine(1 - alpha, move, alpha.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(print_, (0, 0), size)
    return 1 - np.float32(rng.uniform(0.2, 0.8)) * soft.take(place)[:, None]


def _ink(
    before: np.ndarray, amount: np.ndarray, look: Look, inks: Inks, rng: np.random.Generator
) -> tuple[np.ndarray, Modes]:
    """The ink and the modes it may take; a pale one on pale print mostly turns dark and back."""
    if rng.random() < look.plain:
        return np.full(3, rng.uniform(0, 1), np.float32), PLAIN_MODES
    if rng.random() < look.stain:
        return inks.stain, DARK_MODES
    light = rng.random() < look.light
    luma = float(before.mean(axis=1) @ amount) / max(float(amount.sum()), 1e-6)
    lost = abs(luma - float((inks.paper if light else inks.soot).mean())) < 0.2
    if lost and 0.05 < look.light < 0.95 and rng.random() < 0.7:
        light = not light
    return (inks.paper, LIGHT_MODES) if light else (inks.soot, DARK_MODES)


def _surface(look: Look, inks: Inks, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How the surface of the defect deviates from its ink, [N,1]."""
    return (np.float32(look.texture * rng.uniform(0.4, 1.3)) * inks.surface.take(place))[:, None]


def _mix(before: np.ndarray, goal: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return before + alpha[:, None] * (goal - before)


def _seen(change: np.ndarray, alpha: np.ndarray, busy: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Pixels changed by more than VISIBLE in spots that are evident enough; pores closed."""
    weak = np.zeros(alpha.shape, np.uint8)
    weak.reshape(-1)[place] = change > VISIBLE
    count, labels = cv2.connectedComponents(weak, connectivity=8)
    spots: np.ndarray = labels
    here = spots.take(place)
    strong = np.bincount(here[change > EVIDENT + 0.7 * busy], minlength=count)
    evident = (strong > 0.08 * np.bincount(here, minlength=count)).astype(np.uint8)
    evident[0] = 0  # the background
    seen = evident.take(spots)
    closed: np.ndarray = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return (seen | (closed & (alpha > 0.3))) > 0
