"""What looks like damage and is not: things of the scene and of the print, by name.

Each is kind(photo, rng) -> photo, [H,W,3] float32 in 0..1. They are drawn before the photo ages,
so that they share the blur and the grain of the scene, and no mask ever marks them.
"""

import numpy as np

from oldphoto_jax.damage.borders import border, corners, film, lid, mount
from oldphoto_jax.damage.bristles import grass, strands, whiskers
from oldphoto_jax.damage.fittings import (
    chandelier,
    eyes,
    highlights,
    lamps,
    rope,
    wheel,
    window,
    wires,
)
from oldphoto_jax.damage.greenery import bark, blossoms, branches, crown, leaves, shadow
from oldphoto_jax.damage.masses import fur, mass, piece
from oldphoto_jax.damage.ornaments import beads, brocade, buttons, glints
from oldphoto_jax.damage.patterns import dots, fence, lace, page, rigging, stripes, tiles
from oldphoto_jax.damage.prints import halftone, moire, paper
from oldphoto_jax.damage.writing import caption, handwriting, stamp, text

# In the order in which they go on: what is in the scene, what its print does to all of it, what is
# written on the print, what lies around it.
LOOKALIKES = {
    "mass": mass,
    "fur": fur,
    "piece": piece,
    "crown": crown,
    "branches": branches,
    "leaves": leaves,
    "blossoms": blossoms,
    "bark": bark,
    "grass": grass,
    "strands": strands,
    "whiskers": whiskers,
    "stripes": stripes,
    "brocade": brocade,
    "dots": dots,
    "lace": lace,
    "buttons": buttons,
    "beads": beads,
    "glints": glints,
    "eyes": eyes,
    "tiles": tiles,
    "window": window,
    "fence": fence,
    "wheel": wheel,
    "chandelier": chandelier,
    "rope": rope,
    "wires": wires,
    "rigging": rigging,
    "shadow": shadow,
    "highlights": highlights,
    "lamps": lamps,
    "page": page,
    "halftone": halftone,
    "moire": moire,
    "paper": paper,
    "text": text,
    "handwriting": handwriting,
    "stamp": stamp,
    "caption": caption,
    "mount": mount,
    "border": border,
    "corners": corners,
    "film": film,
    "lid": lid,
}

LOOKALIKE_WEIGHTS = dict.fromkeys(LOOKALIKES, 1.0) | {
    "mass": 4.0,
    "fur": 2.0,
    "piece": 0.8,
    "crown": 2.0,
    "branches": 2.0,
    "shadow": 2.0,
    "bark": 0.5,
    "handwriting": 2.0,
    "text": 1.5,
    "caption": 1.5,
    "border": 2.0,
    "mount": 1.5,
    "lid": 1.5,
    "beads": 1.5,
    "dots": 1.5,
    "wires": 1.5,
    "rigging": 1.5,
    "strands": 1.5,
    "moire": 0.5,
}
"""How often each is drawn, relative to the others: most what finders have taken for damage."""


def among(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The scene with one to three kinds of look-alikes, laid in the order of their table."""
    shares = np.array([LOOKALIKE_WEIGHTS[name] for name in LOOKALIKES])
    count = int(rng.integers(1, 4))
    few = rng.choice(len(shares), count, replace=False, p=shares / shares.sum())
    names = list(LOOKALIKES)
    for place in np.sort(few):
        scene = LOOKALIKES[names[place]](scene, rng)
    return scene
