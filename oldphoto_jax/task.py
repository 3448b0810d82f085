"""THE CONTRACT: a task answers five questions, and one loop asks them.

Which networks play (`networks`)? On what (`example`)? Wanting what (`losses`)?
Doing what (`predict`)? How well (`metrics`)?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from oldphoto_jax.photo.types import Array, Batch

if TYPE_CHECKING:
    from flax import nnx

Networks = Mapping[str, "nnx.Module"]
Terms = dict[str, Array]
Loss = Callable[[Networks, Batch], Terms]


class Task:
    """What is learned. Subclasses are dataclasses: their fields are the task's configuration."""

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """Every network of the task by name; one that no loss names stays frozen."""
        raise NotImplementedError

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One training example (no batch axis) made from one record of a source.

        `record` holds `photo` [H,W,3] uint8 and `name`. The same record and generator state
        must give the same example: training resumes bit for bit because of this.
        """
        raise NotImplementedError

    def losses(self) -> dict[str, Loss]:
        """The loss of each player: (networks, batch) -> named scalar terms, summed by the step."""
        raise NotImplementedError

    def predict(self, nets: Networks, batch: Batch) -> Batch:
        """Only what the task changes, `{"mask": ...}` or `{"photo": ...}`."""
        raise NotImplementedError

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """How well: per name an array [N] (averaged over examples) or a stream.

        A stream has `a + b` and `compute()`; see `metrics.stream`. Runs on the host, in NumPy.
        """
        raise NotImplementedError
