"""THE CONTRACT of blueprints: what a network is built from, kept apart from how it is trained.

Each network that a configuration chooses has one beside the model, called Blueprint, or by the
network's name where a module has two. Its fields are those of the network alone. What goes in and
out (channels, and what they mean) is known by the predictor that asks the network, and is told to
`build`.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.photo.types import Features, Photo


@dataclasses.dataclass(kw_only=True)
class Blueprint:
    """A network before it is built.

    Plain and mutable, and with real types for annotations, so that flags reach its fields:
    --config.task.network.width=32.
    """

    def build(self, *, c_out: int, silent: bool = False, rngs: nnx.Rngs) -> nnx.Module:
        """The network, which gives `c_out` channels for every pixel.

        With `silent` the last layer is zeros: the first answer is 0 all over. Raises ValueError for
        settings that no network has.
        """
        raise NotImplementedError

    def normalize(self, photo: Photo) -> Features:
        """A photo [N,H,W,3] in 0..1 as the network's encoder learned to see photos.

        As it is, where none did: such a network sees what its predictor chooses.
        """
        return jnp.asarray(photo)

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        raise NotImplementedError


def silence(kernel: nnx.Param) -> None:
    """Makes a kernel zeros."""
    kernel[...] = jnp.zeros_like(kernel[...])
