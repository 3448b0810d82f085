"""THE CONTRACT: a task answers five questions, and one loop asks them.

Which networks play (`networks`)? On what (`example`)? Wanting what (`losses`)?
Doing what (`predict`)? How well (`metrics`)?
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from oldphoto_jax.photo.types import Batch

if TYPE_CHECKING:
    import jax
    from flax import nnx

Networks: TypeAlias = Mapping[str, Any]  # modules, called as the task that made them knows
Terms: TypeAlias = dict[str, "jax.Array"]
Loss = Callable[[Networks, Batch], Terms]
MEASURED = "measured/"  # before the names of what `measure` gives, beside what is predicted


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

    def ready(self) -> None:
        """Raises ValueError where this machine lacks what `example` reads besides the record.

        Such as a folder of textures; a run asks before it begins.
        """

    def losses(self) -> dict[str, Loss]:
        """The loss of each player: (networks, batch) -> named scalar terms, summed by the step."""
        raise NotImplementedError

    def players(self) -> dict[str, tuple[str, ...]]:
        """The networks that each player moves: the one of its name, unless a task says otherwise.

        A network that no player moves is frozen, whoever asks it.
        """
        return {name: (name,) for name in self.losses()}

    def predict(self, nets: Networks, batch: Batch) -> Batch:
        """Only what the task changes, `{"mask": ...}` or `{"photo": ...}`; or any other arrays."""
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

    def restorers(self) -> set[str] | None:
        """The networks that `predict` asks, if not all: only they go into weights files."""
        return None

    def informed(self, figures: Mapping[str, float]) -> Task:
        """The task as it goes out with trained weights: it may take on what validation taught.

        `figures` are the computed metrics of the weights that are being written.
        """
        return self


def describe(thing: Any) -> Any:
    """Dataclasses, dicts and sequences as plain JSON values; a dataclass keeps its class name.

    Raises TypeError for anything that a text file could not bring back.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        kind = type(thing)
        fields = {f.name: describe(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    raise TypeError(f"{thing!r} of type {type(thing).__name__} can't be written into a config file")


def restore(description: Any) -> Any:
    """What `describe` described; sequences come back as tuples.

    Only dataclasses inside this package are built, so that a weights file from elsewhere runs
    no code of its own. Raises ValueError for any other class.
    """
    if isinstance(description, list):
        return tuple(restore(value) for value in description)
    if not isinstance(description, dict):
        return description
    fields = {key: restore(value) for key, value in description.items() if key != "class"}
    if "class" not in description:
        return fields
    module, _, name = description["class"].partition(":")
    if not module.startswith("oldphoto_jax."):
        raise ValueError(
            f"the description names the class {description['class']!r}, which is not part of "
            "oldphoto_jax; build it in Python and pass the object instead of a file"
        )
    try:
        kind = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        kind = None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"{description['class']!r} is no dataclass of this oldphoto_jax version")
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := fields.keys() - known:
        raise ValueError(
            f"{description['class']!r} has no field {sorted(unknown)}; "
            "the file was written by another version of oldphoto_jax"
        )
    return kind(**fields)


def to_json(task: Task) -> str:
    """The task's configuration as text, for the metadata of a weights file."""
    return json.dumps(describe(task), sort_keys=True)


def from_json(text: str) -> Task:
    """The task that `to_json` wrote."""
    task = restore(json.loads(text))
    if not isinstance(task, Task):
        raise ValueError(f"the text describes a {type(task).__name__}, not a task")
    return task
