"""What the exams of all tasks share: the questions, and how results are written down.

An exam is photographs that a seeded generator damages, so that the truth is known.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

import oldphoto_jax
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.photo.crop import ENLARGE, crop

Record = Mapping[str, Any]
Example = dict[str, np.ndarray]


class Photos(Protocol):
    """A source of records, as in `data.sources`."""

    def __len__(self) -> int:
        """The number of photos."""

    def __getitem__(self, index: int) -> Record:
        """`photo` uint8 [H,W,3] and `name`."""


class Method(Protocol):
    """Whoever sits an exam."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def multiple(self) -> int:
        """Photo sides must be multiples of it."""


@dataclasses.dataclass(kw_only=True)
class Crops:
    """Crops of `size` pixels a side, `count` of them (default: one of each photo).

    `photos` is a source of records as in `data.sources`. Raises ValueError for an empty exam.
    """

    photos: Photos
    textures: str | os.PathLike | None = None
    count: int | None = None
    size: int = 384
    seed: int = 0

    def __post_init__(self) -> None:
        self.count = self.total
        if self.count < 1 or self.size < 1:
            raise ValueError(f"an exam of {self.count} crops of {self.size} pixels is no exam")

    @property
    def total(self) -> int:
        """How many crops there are."""
        return len(self.photos) if self.count is None else self.count

    def check(self, methods: Sequence[Method]) -> None:
        """Raises ValueError for a crop that one of the networks cannot take."""
        for method in methods:
            if self.size % method.multiple:
                raise ValueError(
                    f"size {self.size}: {method.name} takes multiples of {method.multiple} pixels"
                )

    def damage(self, **options: Any) -> Damage:
        """The recipe with these options, and the exam's textures."""
        return Damage(textures=os.fspath(self.textures or ""), **options)

    def draw(
        self, example: Callable[[np.ndarray, np.random.Generator], Example]
    ) -> Iterator[tuple[str, Example]]:
        """The name of every photo and what `example` makes of a crop [size,size,3] of it."""
        for index in range(self.total):
            record = self.photos[index % len(self.photos)]
            rng = np.random.default_rng((self.seed, index))
            yield record["name"], example(crop(record["photo"], self.size, ENLARGE, rng), rng)

    def questions(self, task: str, digest: str) -> str:
        """The first half of a protocol: which crops; `digest` is that of the examples."""
        return (
            f"oldphoto_jax {oldphoto_jax.__version__} {task}: {self.count} crops of {self.size} "
            f"px from {len(self.photos)} photos, seed {self.seed}, sha256 of names and pixels "
            f"{digest}"
        )


def plain(value: float) -> float | None:
    """A figure as JSON holds it, rounded to what a table can bear; None for NaN and infinity."""
    return round(float(value), 6) if math.isfinite(value) else None


def cell(value: float | None, digits: int = 4) -> str:
    """A figure in a table; blank for None."""
    return "" if value is None else f"{value:.{digits}f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them the head, as a Markdown table with even columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"| {line} |" for line in lines)
