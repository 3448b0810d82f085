"""Every structured kind of damage: its shape, its usual look, how common it is.

To add a kind, write kind(shape, rng, max_size) -> alpha [H,W] and give it a line here.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from oldphoto_jax.damage import breaks, broad, lines, specks, sprites, stains

Draw = Callable[[tuple[int, int], np.random.Generator, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind: `draw` gives its alpha, `look` an entry of blend.LOOKS, `weight` how common it is.

    `relief` bends light around it; a share `ridge` shows in this alone. `broad` kinds are large
    and plain: `recipe.Damage.obvious` draws from them.
    """

    draw: Draw
    look: str
    weight: float
    relief: bool = False
    ridge: float = 0.0
    broad: bool = False


KINDS = {
    "scratch": Kind(lines.scratch, "scratch", 10),
    "bundle": Kind(lines.bundle, "scratch", 5),
    "film_lines": Kind(lines.film_lines, "scratch", 3),
    "gouge": Kind(lines.gouge, "paper", 7, relief=True),
    "scuff": Kind(lines.scuff, "scratch", 4),
    "hair": Kind(lines.hair, "dust", 5),
    "lint": Kind(lines.lint, "dust", 5),
    "dust": Kind(specks.dust, "dust", 10),
    "flecks": Kind(specks.flecks, "crack", 6),
    "pinholes": Kind(specks.pinholes, "crack", 3),
    "spots": Kind(specks.spots, "dirt", 5),
    "smut": Kind(specks.smut, "dirt", 3),
    "water_stain": Kind(stains.water_stain, "stain", 3),
    "foxing": Kind(stains.foxing, "stain", 3),
    "blot": Kind(stains.blot, "stain", 3),
    "fingerprint": Kind(stains.fingerprint, "grease", 1.5),
    "tape": Kind(stains.tape, "stain", 1.5),
    "crease": Kind(breaks.crease, "paper", 10, relief=True, ridge=0.25),
    "folds": Kind(breaks.folds, "paper", 6, relief=True, ridge=0.2),
    "crack": Kind(breaks.crack, "crack", 5),
    "craquelure": Kind(breaks.craquelure, "crack", 3),
    "tear": Kind(breaks.tear, "paper", 4, relief=True),
    "worn_edge": Kind(breaks.worn_edge, "missing", 4),
    "corner": Kind(breaks.corner, "missing", 3),
    "flakes": Kind(breaks.flakes, "paper", 5),
    "peel": Kind(breaks.peel, "paper", 4),
    "cut": Kind(broad.cut, "flat", 8, broad=True),
    "blots": Kind(broad.blots, "flat", 7, broad=True),
    "sprinkles": Kind(broad.sprinkles, "flat", 4, broad=True),
    "strip": Kind(stains.tape, "flat", 2, broad=True),
    "lost_corner": Kind(broad.lost_corner, "lid", 5, broad=True),
    "lost_rim": Kind(broad.lost_rim, "lid", 4, broad=True),
    "lost_piece": Kind(broad.lost_piece, "lid", 3, broad=True),
}


def unseen(only: tuple[str, ...], exclude: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds and families of textures that a recipe of damage never draws.

    What it excludes and, where it draws some kinds `only`, the rest of KINDS.
    """
    drawn = (*only, *exclude)
    return (*exclude, *(kind for kind in KINDS if only and not sprites.within(kind, drawn)))
