"""THE CONTRACT of predictors: what is kept of a training, and all that restoring asks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from oldphoto_jax import described
from oldphoto_jax.photo.types import Batch

if TYPE_CHECKING:
    from flax import nnx

KEY = "predictor"  # in the metadata of weights files
Networks: TypeAlias = Mapping[str, Any]  # modules, called as the predictor that made them knows


@dataclasses.dataclass(kw_only=True)
class Predictor:
    """Blueprints, and the few numbers learned beside the weights: a pure function of networks.

    Subclasses are dataclasses whose fields a text can hold (`described`): a weights file says by
    them what its arrays are for. Training, validation and restoring all call the same predictor.
    """

    does: ClassVar[str] = "predict"  # as in "these weights find defects"

    def metadata(self) -> dict[str, str]:
        """The predictor as text, for a weights file; `metadata.read` reads it."""
        return {KEY: json.dumps(described.describe(self), sort_keys=True)}

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The networks that are asked, by the names that arrays in weights files begin with.

        Raises ValueError for settings that no network has.
        """
        raise NotImplementedError

    @property
    def multiple(self) -> int:
        """Sides of photos are multiples of this."""
        raise NotImplementedError

    def __call__(self, nets: Networks, batch: Batch) -> Batch:
        """Only what it makes: `{"mask": ...}`, `{"photo": ...}`, or any other arrays. Pure."""
        raise NotImplementedError
