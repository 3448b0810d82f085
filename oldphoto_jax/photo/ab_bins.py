"""Colours to choose among in the plane of a and b: squares of ten units, as published.

Zhang et al., 2016 (https://arxiv.org/abs/1603.08511) choose among the 313 that sRGB can show,
Zhang et al., 2017 (https://arxiv.org/abs/1705.02999) among a whole grid of 23 x 23.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo.palette import Palette
from oldphoto_jax.photo.types import Array

STEP, FARTHEST = 10, 110  # of a and b
# The 313 in the published order: for each a the b of the first and the last, in between all.
IN_GAMUT = {
    **{-90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100)},
    **{-40: (-40, 100), -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100)},
    **{10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90), 50: (-100, 80)},
    **{60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0)},
}
WHOLE = dict.fromkeys(range(-FARTHEST, FARTHEST + 1, STEP), (-FARTHEST, FARTHEST))


@dataclasses.dataclass(kw_only=True)
class AbBins(Palette):
    """313 colours of a and b, or with `whole` all 529 from -110 to 110; a first, then b.

    A colour's shares fall off with its distance as a Gaussian of `sigma` does, over its nearest
    `neighbours` alone: the paper has 5 of them, its code 10, and 1 makes a single choice. Other
    than in a `Grid`, the mean of the shares is only nearly the colour itself.
    """

    plane: ClassVar[str] = "ab"
    blur: ClassVar[float] = 5.0

    whole: bool = False  # with the squares that sRGB cannot show
    neighbours: int = 5
    sigma: float = 5.0  # units of a and b

    @property
    def centres(self) -> np.ndarray:
        """a and b of every square's middle, [313,2] or [529,2].

        Raises ValueError for a `sigma` or for `neighbours` that there are not.
        """
        rows = WHOLE if self.whole else IN_GAMUT
        centres = [(a, b) for a, (low, high) in rows.items() for b in range(low, high + 1, STEP)]
        if not 1 <= self.neighbours <= len(centres):
            raise ValueError(
                f"a palette with {self.neighbours} neighbours: give 1 to {len(centres)}"
            )
        if not self.sigma > 0:
            raise ValueError(f"a palette with a sigma of {self.sigma}: give a number above 0")
        return np.array(centres, np.float32)

    def encode(self, colour: Array) -> jax.Array:
        """a and b [..,2] as shares of the nearest colours, [..,K]; those beyond the rim as well."""
        apart = jnp.float32(colour)[..., None, :] - self.centres
        far = (apart**2).sum(-1)
        near, which = jax.lax.top_k(-far, self.neighbours)
        # The nearest counts 1 before they are made to sum to 1, however far outside a colour lies
        shares = jax.nn.softmax(near / (2 * self.sigma**2), axis=-1)
        return jnp.put_along_axis(jnp.zeros_like(far), which, shares, axis=-1, inplace=False)
