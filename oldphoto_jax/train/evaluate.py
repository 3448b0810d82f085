"""How well a task does on a whole split, folded over batches, devices and processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.task import Task


@dataclasses.dataclass
class _Mean:
    """Examples' values, summed and counted."""

    total: np.ndarray
    count: np.ndarray

    def __add__(self, other: _Mean) -> _Mean:
        return _Mean(self.total + other.total, self.count + other.count)

    def compute(self) -> float:
        return float(self.total / self.count) if self.count else float("nan")


def evaluate(
    task: Task, predict: Callable[[Batch], Batch], batches: Iterable[Mapping[str, Array]]
) -> tuple[dict[str, float], tuple[Batch, Batch] | None]:
    """Figures over all examples, and this process's first batch with its prediction.

    `batches` hold this process's share; where `weight` is 0 an example only fills the batch
    and counts nowhere. `predict` takes and returns such local batches.
    """
    streams: dict[str, Any] = {}
    first = None
    for batch in batches:
        real = np.asarray(batch["weight"]) > 0
        asked: Batch = {key: value for key, value in batch.items() if key != "weight"}
        answer = predict(asked)
        # A share without any photo is measured too: all processes must know the same streams.
        kept = real if real.any() else slice(None)
        measured: list[Batch] = [
            {key: np.asarray(value)[kept] for key, value in part.items()}
            for part in (asked, answer)
        ]
        truth, prediction = measured
        if first is None and real.any():
            first = (truth, prediction)
        for name, value in task.metrics(truth, prediction).items():
            stream = _stream(value) if real.any() else _emptied(_stream(value))
            streams[name] = streams[name] + stream if name in streams else stream
    return _computed({name: _everywhere(stream) for name, stream in streams.items()}), first


def figure_names(task: Task, predict: Callable[[Batch], Batch], record: Mapping) -> set[str]:
    """The names of the figures that `evaluate` gives, found without predicting anything."""
    example = task.example(record, np.random.default_rng(0))
    batch: Batch = {key: np.asarray(value)[None] for key, value in example.items()}
    shapes = jax.eval_shape(predict, batch)
    blank: Batch = {key: np.zeros(shape.shape, shape.dtype) for key, shape in shapes.items()}
    streams = {name: _stream(value) for name, value in task.metrics(batch, blank).items()}
    return set(_computed(streams))


def _stream(value: Any) -> Any:
    if hasattr(value, "compute"):
        return value
    values = np.asarray(value, np.float64).reshape(-1)
    return _Mean(values.sum(), np.asarray(values.size, np.float64))


def _emptied(stream: Any) -> Any:
    """The stream of no examples."""
    zeros = {f.name: np.zeros_like(getattr(stream, f.name)) for f in dataclasses.fields(stream)}
    return dataclasses.replace(stream, **zeros)


def _everywhere(stream: Any) -> Any:
    """The stream over all processes: every field is a sum, so fields add up."""
    if jax.process_count() == 1:
        return stream
    sums = {}
    for field in dataclasses.fields(stream):
        value = np.asarray(getattr(stream, field.name))
        # JAX would round 64-bit counts to 32; their bytes travel unharmed.
        raw = np.frombuffer(value.tobytes(), np.uint8)
        gathered = np.asarray(multihost_utils.process_allgather(raw, tiled=False))
        parts = [np.frombuffer(row.tobytes(), value.dtype).reshape(value.shape) for row in gathered]
        sums[field.name] = np.sum(parts, axis=0)
    return dataclasses.replace(stream, **sums)


def _computed(streams: dict[str, Any]) -> dict[str, float]:
    """Plain numbers; a stream that computes several gives NAME/PART."""
    figures: dict[str, float] = {}
    for name, stream in streams.items():
        value = stream.compute()
        if isinstance(value, dict):
            figures |= {f"{name}/{part}": float(number) for part, number in value.items()}
        else:
            figures[name] = float(value)
    return figures
