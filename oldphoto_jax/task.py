"""THE CONTRACT: a task answers five questions, and one loop asks them.

Which networks play (`networks`)? On what (`example`)? Wanting what (`losses`)?
Doing what (`predictor`)? How well (`metrics`)?
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors.predictor import Networks, Predictor

if TYPE_CHECKING:
    import jax
    from flax import nnx

Terms: TypeAlias = dict[str, "jax.Array"]
Loss = Callable[[Networks, Batch], Terms]
NOTHING: Mapping[str, float] = types.MappingProxyType({})
MEASURED = "measured/"  # before the names of what `measure` gives, beside what is predicted


class Task:
    """What is learned. Subclasses are dataclasses: their fields are the task's configuration."""

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """Every network of the task by name, those of its predictor first; one that no loss names
        stays frozen.
        """
        raise NotImplementedError

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One training example (no batch axis) made from one record of a source.

        `record` holds `photo` [H,W,3] uint8 and `name`. The same record and generator state
        must give the same example: training resumes bit for bit because of this.
        """
        raise NotImplementedError

    def ready(self) -> None:
        """Raises ValueError where this machine lacks what `example` reads besides the record.

        Such as a folder of textures; a run asks before it begins.
        """

    def published(self) -> dict[str, str]:
        """What frozen networks are useless without: network or part -> as in `Config.weights`.

        The configuration's own `weights` go before it.
        """
        return {}

    def losses(self) -> dict[str, Loss]:
        """The loss of each player: (networks, batch) -> named scalar terms, summed by the step."""
        raise NotImplementedError

    def players(self) -> dict[str, tuple[str, ...]]:
        """The networks that each player moves: the one of its name, unless a task says otherwise.

        A network that no player moves is frozen, whoever asks it.
        """
        return {name: (name,) for name in self.losses()}

    def predictor(self, figures: Mapping[str, float] = NOTHING) -> Predictor:
        """What is trained, without how: what validation asks, and what weights files hold.

        `figures`, the computed metrics of the weights that are being written, may teach it a
        number, such as a threshold; without them it has those of the task.
        """
        raise NotImplementedError

    def measure(self, nets: Networks, batch: Batch, prediction: Batch) -> Batch:
        """What networks say of a prediction, for `metrics` alone; runs on the device.

        Such as the features of a frozen network in which pictures are compared.
        """
        return {}

    def pictures(self, batch: Batch, prediction: Batch) -> dict[str, np.ndarray]:
        """What a picture sheet shows of each example, from left to right: [N,H,W,1|3] in 0..1.

        The photo, then each predicted picture beside its truth; other arrays are left out.
        """
        columns = {"photo": batch["photo"]}
        for key, value in prediction.items():
            truth = batch["target"] if key == "photo" and "target" in batch else batch.get(key)
            picture = np.ndim(value) == 4 and np.shape(value)[-1] in (1, 3)
            if not picture or key.startswith(MEASURED):
                continue
            columns |= {f"true {key}": truth} if truth is not None else {}
            columns[f"predicted {key}"] = value
        return {name: np.asarray(column) for name, column in columns.items()}

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """How well: per name an array [N] (averaged over examples) or a stream.

        `prediction` also holds what `measure` gave, as MEASURED and its name.
        A stream has `a + b` and `compute()`; see `metrics.stream`. Runs on the host, in NumPy.
        """
        raise NotImplementedError
