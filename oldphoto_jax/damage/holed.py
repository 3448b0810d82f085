"""A photo with holes to fill: damage where masks are wider than it, and holes of free form."""

import cv2
import numpy as np

from oldphoto_jax.damage.blend import thicker
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.damage.strokes import Holes

GROW = 2  # masks are up to so many pixels wider than the damage, as users' masks are


def holed(
    photo: np.ndarray, damage: Damage, holes: Holes, grow: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """What `damage` makes of photo [H,W,3], with a mask [H,W,1] of all that is to be filled.

    To the damage come up to `grow` pixels around it and what `holes` draws, `free` [H,W,1], unless
    holes got too thick by them. All are float32; photo and target are 0..1.
    """
    aged = damage(photo, rng)
    mask, most = aged["mask"][..., 0] > 0, max(damage.max_size, holes.max_size)
    grown = _grown(mask, int(rng.integers(grow + 1)))
    free = holes(mask.shape, rng)
    for more in (grown, free):
        if not thicker(mask | more, most):
            mask = mask | more
    masks = {"mask": mask, "free": free}
    return aged | {name: one[..., None].astype(np.float32) for name, one in masks.items()}


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
