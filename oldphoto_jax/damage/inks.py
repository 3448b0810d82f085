"""The colours that damage shows: bare paper, soot, stains, what lies behind a print."""

import dataclasses

import numpy as np

from oldphoto_jax.damage.noise import fibres, field


@dataclasses.dataclass(frozen=True)
class Inks:
    """What damage shows on one photo: colours [3] of bare paper, soot, stains and what lies behind.

    `lid` is the lid of the scanner, flat and neutral; `surface` [H,W] is the fibre and mottle of
    the paper, about unit variance.
    """

    paper: np.ndarray
    soot: np.ndarray
    stain: np.ndarray
    behind: np.ndarray
    lid: np.ndarray
    surface: np.ndarray


def choose_lid(rng: np.random.Generator) -> np.ndarray:
    """The colour [3] of a scanner's lid, or of what lay on it: white, black or gray, hardly tinted.

    A white one and a black one are equally likely.
    """
    levels = {"white": rng.uniform(0.9, 1), "black": rng.uniform(0, 0.1), "gray": rng.uniform(0, 1)}
    level = levels[rng.choice(np.array(list(levels)), p=[0.38, 0.38, 0.24])]
    return np.clip(level * rng.uniform(0.97, 1.03, 3), 0, 1).astype(np.float32)


def choose_inks(
    photo: np.ndarray, rng: np.random.Generator, lid: np.ndarray, tinted: bool = True
) -> Inks:
    """Inks that suit the photo [H,W,3]: paper near its own highlights, all gray on a gray scan.

    `lid` is what `choose_lid` chose. Unless `tinted` all others are gray, too.
    """
    few = photo[::8, ::8].reshape(-1, 3)
    order = np.argsort(few.sum(axis=1))
    light = few[order[-max(len(few) // 20, 1) :]].mean(axis=0)
    # Paper is pale whatever the brightest thing in the scene is: its tint stays within 0.8 to 1.
    tint = np.clip(light / max(float(light.max()), 0.05), 0.8, 1)
    paper = rng.uniform(0.82, 1.0) * (tint + rng.random() * (1 - tint))
    paper = paper * [1, rng.uniform(0.96, 1), rng.uniform(0.86, 1)]
    soot = rng.uniform(0.0, 0.22) * rng.uniform([0.9, 0.8, 0.7], [1.1, 1.0, 1.0])
    warm = rng.uniform(0, 1)  # from gray-brown to rust
    stain = rng.uniform(0.3, 0.8) * np.array([1, 0.92 - 0.2 * warm, 0.78 - 0.4 * warm])
    behind = rng.uniform(0, 0.15) if rng.random() < 0.6 else rng.uniform(0.85, 1)
    inks = [paper, soot, stain, np.full(3, behind) * rng.uniform(0.9, 1.05, 3)]
    toneless = np.ptp(few, axis=1).max() < 0.02
    if not tinted or (toneless and rng.random() < 0.75):
        inks = [np.full(3, ink.mean()) for ink in inks]
    inks = [np.clip(ink, 0, 1).astype(np.float32) for ink in inks]
    shape = photo.shape[:2]
    surface = fibres(shape, rng) + field(shape, rng, 10)
    named = dict(zip(("paper", "soot", "stain", "behind"), inks, strict=True))
    return Inks(**named, lid=lid, surface=surface)
