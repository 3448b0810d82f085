"""The words for arrays that the whole house shares.

Every array is laid out [N, H, W, C]; a single photo drops N. Both NumPy arrays (data, files)
and JAX arrays (networks) carry these names; Features and Logits are JAX's alone.

    Photo     [.., H, W, 3]  sRGB, 0..1; gray photos repeat their one channel three times
    Gray      [.., H, W, 1]  sRGB-encoded luma, 0..1
    Mask      [.., H, W, 1]  1 where the photo is damaged, 0 where it is good
    Features  [.., H, W, C]  anything inside a network
    Logits    [.., H, W, K]  before the sigmoid or softmax

A batch is a dict of such arrays: `photo` as it was found, `mask` of its defects, `target` as it
ought to be. Papers that mark good pixels with 1 are turned around where their code enters ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, Union

import numpy as np

if TYPE_CHECKING:
    import jax

Array: TypeAlias = Union[np.ndarray, "jax.Array"]
AnyArray = TypeVar("AnyArray", np.ndarray, "jax.Array", Array)  # the same kind in and out
Photo: TypeAlias = Array
Gray: TypeAlias = Array
Mask: TypeAlias = Array
Features: TypeAlias = Union["jax.Array"]  # a name of a type, where a string would be none
Logits: TypeAlias = Union["jax.Array"]
Batch: TypeAlias = dict[str, Array]


class Rows(Protocol):
    """Pixels [H,W,C] that are made while they are written, so that a large scan never lies whole.

    Whoever writes them asks for `rows[a:b]`, an array [b - a,W,C] of `dtype`, band after band from
    the top: each row once. Any array is such a thing too.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """[H,W,C]."""

    @property
    def dtype(self) -> np.dtype:
        """Of the arrays that slices give."""

    @property
    def ndim(self) -> int:
        """Three."""

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Some of the rows, from top to bottom."""
