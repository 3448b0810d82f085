"""Sources put together: one after the other by their shares, or beside each other by name."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.data.source import Photos


class Mixed:
    """Several sources as one, in which each has its share of the photos.

    The small ones are repeated until the shares hold, so that one epoch shows every photo of
    every source at least once. Without `weights` all photos count the same.
    """

    def __init__(self, sources: Sequence[Photos], weights: Sequence[float] | None = None):
        self.sources = tuple(sources)
        sizes = [len(source) for source in self.sources]
        weights = sizes if weights is None else list(weights)
        if not sizes or min(sizes) == 0 or len(weights) != len(sizes) or min(weights) <= 0:
            raise ValueError(
                f"{len(sizes)} sources of {sizes} photos with the weights {weights}: give at least "
                "one source, photos in each, and a positive weight for each"
            )
        unit = max(size / weight for size, weight in zip(sizes, weights, strict=True))
        # The tolerance keeps 3 * (2 / 3) from being rounded up to 3.
        shares = [math.ceil(unit * weight - 1e-9) for weight in weights]
        self._ends = np.cumsum(shares).tolist()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"photo {index}: the indices are 0 to {len(self) - 1}")
        which = bisect.bisect_right(self._ends, index)
        start = self._ends[which - 1] if which else 0
        source = self.sources[which]
        return source[(index - start) % len(source)]

    def __repr__(self) -> str:
        return f"Mixed({list(self.sources)!r}, {len(self)} photos an epoch)"


class Joined:
    """Records that hold a photo of each of several sources, under the sources' names.

    The first, called `photo`, gives the records their number, their names and whatever else it has;
    each of the others lends one of its photos, all of them as often as each other in the long run,
    and the same ones to the same index. What a photo is put beside changes from record to record,
    not from epoch to epoch. Raises ValueError unless the first is called photo.
    """

    def __init__(self, sources: Mapping[str, Photos]):
        if next(iter(sources), "") != "photo" or len(sources) < 2:
            raise ValueError(
                f"sources called {', '.join(sources) or 'nothing'}: the first of two or more must "
                "be called photo"
            )
        if empty := [name for name, source in sources.items() if not len(source)]:
            raise ValueError(f"the source {empty[0]!r} holds no photos")
        self.sources = dict(sources)

    def __len__(self) -> int:
        return len(self.sources["photo"])

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        record = dict(self.sources["photo"][index])
        for number, (name, source) in enumerate(self.sources.items()):
            if name != "photo":
                chosen = np.random.default_rng((number, index)).integers(len(source))
                record[name] = source[int(chosen)]["photo"]
        return record

    def __repr__(self) -> str:
        return f"Joined({self.sources!r})"
