"""Streams: measurements that add up.

A stream holds sums, so the stream of a whole data set is the sum of the streams of its batches,
in any order and from any number of machines. Metrics run on the host, in NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from oldphoto_jax.photo.types import Array


@dataclasses.dataclass
class Stream:
    """Base of all streams: a dataclass whose fields are arrays, int64 or float64, that add up.

    Nothing else may be a field; a threshold belongs to the class method that makes the stream.
    `type(stream)(**stream.arrays())` is the same stream again.
    """

    def __post_init__(self) -> None:
        for name, value in self.arrays().items():
            kind = np.asarray(value).dtype.kind
            if kind not in "iuf":
                raise TypeError(f"{type(self).__name__}.{name} must hold numbers, got {value!r}")
            setattr(self, name, np.asarray(value, np.float64 if kind == "f" else np.int64))

    def arrays(self) -> dict[str, np.ndarray]:
        """The sums by name: add those of several machines field by field."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __add__(self, other: Self) -> Self:
        if type(self) is not type(other):
            raise TypeError(f"{type(self).__name__} and {type(other).__name__} do not add up")
        theirs = other.arrays()
        return type(self)(**{name: mine + theirs[name] for name, mine in self.arrays().items()})

    def compute(self) -> Any:
        """The measure: a float or a dict of floats, NaN where nothing was there to measure."""
        raise NotImplementedError


@dataclasses.dataclass
class Mean(Stream):
    """The mean over examples. NaN of none; a NaN or infinite example shows in the mean."""

    total: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, values: Array | Sequence[float]) -> Mean:
        """The stream of one number for every example, [N]."""
        values = np.asarray(values, np.float64)
        if values.ndim != 1:
            raise ValueError(f"Mean.of takes one number an example, [N], got {values.shape}")
        return cls(values.sum(), np.asarray(len(values)))

    def compute(self) -> float:
        """The mean."""
        return ratio(self.total, self.count)


def ratio(part: np.ndarray | float, whole: np.ndarray | float) -> float:
    """part / whole, and NaN where the whole is zero: there was nothing to measure."""
    return float(part) / float(whole) if whole else float("nan")
