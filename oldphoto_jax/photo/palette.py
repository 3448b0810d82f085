"""THE CONTRACT of palettes, colours to choose among, and one of two: a grid over Cb and Cr.

A network that names one colour names the mean of all that a thing might have, which is dull. One
that says how likely each of many colours is can be asked for more than the mean (Zhang et al.,
2016, https://arxiv.org/abs/1603.08511). Their own palette is `ab_bins.AbBins`. All methods work
under `jax.jit`, with temperatures that are static.
"""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo.types import Array, Logits

COLDEST = 1e-3  # temperature; float32 cannot bear much less


def check(temperature: float) -> None:
    """Raises ValueError for a temperature that `Palette.decode` cannot take."""
    if not COLDEST <= temperature < math.inf:
        raise ValueError(
            f"temperature {temperature}: give a number of {COLDEST} or more; 1 is the plain mean"
        )


@dataclasses.dataclass(kw_only=True)
class Palette:
    """K colours of a plane: the way there, colours to shares, and the way back.

    Plain and mutable, and with real types for annotations, so that flags reach its fields:
    --config.task.palette.side=25. Settings that no palette has raise ValueError as soon as its
    `centres` are wanted.
    """

    plane: ClassVar[str]  # of its colours, one of `planes.PLANES`
    blur: ClassVar[float]  # of `smoothed`, in the units of the plane

    @property
    def centres(self) -> np.ndarray:
        """The K colours, [K,2] float32, in the units of the plane."""
        raise NotImplementedError

    def __len__(self) -> int:
        """K, how many colours there are."""
        return len(self.centres)

    def encode(self, colour: Array) -> jax.Array:
        """Colours [..,2] as shares of the palette's colours near them: [..,K], float32, sum 1."""
        raise NotImplementedError

    def decode(self, logits: Logits, temperature: float = 1.0) -> jax.Array:
        """The mean colour [..,2] of logits [..,K], float32.

        Below a temperature of 1 the likelier colours count for more than they are likely, so that
        it moves from their mean (1) to the likeliest alone (0): the "annealed mean" of Zhang et al.
        Raises ValueError for a temperature below COLDEST and for logits of another palette.
        """
        odds = self._odds(logits, temperature)
        centres = jnp.asarray(self.centres)
        return jnp.matmul(odds, centres, precision=jax.lax.Precision.HIGHEST)

    def mode(self, logits: Logits) -> jax.Array:
        """The likeliest colour [..,2] of logits [..,K], float32."""
        self._check(logits)
        return jnp.asarray(self.centres)[jnp.argmax(logits, axis=-1)]

    def nearest(self, colour: Array) -> jax.Array:
        """The number of the colour closest to each of [..,2], int32 [..]."""
        apart = jnp.float32(colour)[..., None, :] - self.centres
        return jnp.argmin((apart**2).sum(-1), axis=-1)

    def smoothed(self, prior: np.ndarray) -> np.ndarray:
        """Shares [K] that sum to 1, of which each was spread over the colours around its own.

        By a Gaussian of `blur`: what was never seen may still be about.
        """
        apart = self.centres[:, None] - self.centres.astype(np.float64)
        spread = np.exp(-(apart**2).sum(-1) / (2 * self.blur**2))
        return (spread / spread.sum(0)) @ (prior / prior.sum())

    def _odds(self, logits: Logits, temperature: float) -> jax.Array:
        """How likely each colour is at a temperature, [..,K]."""
        check(temperature)
        self._check(logits)
        return jax.nn.softmax(jnp.float32(logits) / temperature, axis=-1)

    def _check(self, logits: Logits) -> None:
        if logits.shape[-1:] != (len(self),):
            raise ValueError(
                f"logits are {logits.shape}, but the palette has {len(self)} colours: "
                "the last axis must hold one for each"
            )


@dataclasses.dataclass(kw_only=True)
class Grid(Palette):
    """side x side colours over the plane of Cb and Cr, fine near gray, coarse far away.

    Cells that grow with their distance to gray, as the colours of photos get rarer, keep skin and
    wood apart from gray at no more cells than squares of equal size would need. Cb goes down the
    grid, Cr across: number side * row + column.
    """

    plane: ClassVar[str] = "cbcr"
    blur: ClassVar[float] = 0.02

    side: int = 19  # an odd number, so that gray is a colour of the grid
    bend: float = 2.6  # the grid is cosh(bend), 6.8, times as coarse at the rim as at gray

    @property
    def lines(self) -> np.ndarray:
        """Where the grid's lines stand, [side] from 0 to 1 with gray in the middle, on both axes.

        Raises ValueError unless `side` is odd and 3 at least, and `bend` positive.
        """
        if self.side < 3 or self.side % 2 == 0:
            raise ValueError(
                f"a palette of {self.side} colours a side: give an odd number, 3 at least"
            )
        if not 0 < self.bend < math.inf:
            raise ValueError(f"a palette's bend of {self.bend}: give a number above 0")
        steps = np.linspace(-1, 1, self.side)
        return 0.5 + 0.5 * np.sinh(self.bend * steps) / np.sinh(self.bend)

    @property
    def centres(self) -> np.ndarray:
        """Cb and Cr in 0..1 of every crossing, [side * side, 2]."""
        blue, red = np.meshgrid(self.lines, self.lines, indexing="ij")
        return np.stack([blue.ravel(), red.ravel()], axis=-1).astype(np.float32)

    def encode(self, colour: Array) -> jax.Array:
        """Chroma [..,2] in 0..1 as shares of the four colours around it, [..,side * side].

        The mean of the colours so weighted is the chroma itself; `decode` gives it back from their
        logarithms. What leaves 0..1 is cut to it.
        """
        lines = jnp.asarray(self.lines, jnp.float32)
        blue, red = (_between(jnp.float32(colour[..., i]), lines) for i in (0, 1))
        both = blue[..., :, None] * red[..., None, :]
        return both.reshape(*colour.shape[:-1], self.side * self.side)

    def decode(self, logits: Logits, temperature: float = 1.0) -> jax.Array:
        """As every palette's; each axis by itself, which is less work."""
        odds = self._odds(logits, temperature)
        odds = odds.reshape(*logits.shape[:-1], self.side, self.side)
        lines = jnp.asarray(self.lines, jnp.float32)
        # Sums written out, as accelerators multiply small matrices in reduced precision
        blue, red = ((odds.sum(axis=other) * lines).sum(axis=-1) for other in (-1, -2))
        return jnp.stack([blue, red], axis=-1)


def _between(x: jax.Array, lines: jax.Array) -> jax.Array:
    """Shares [..,side] of the two lines around x [..], by nearness."""
    x = jnp.clip(x, 0, 1)[..., None]
    width = jnp.diff(lines)
    rise = jnp.clip((x - lines[:-1]) / width, 0, 1)  # 0 before each gap, 1 after it
    ones, zeros = jnp.ones_like(x), jnp.zeros_like(x)
    return jnp.concatenate([ones, rise], -1) - jnp.concatenate([rise, zeros], -1)
