"""The exam of the obvious: damage at which a child would point, kind by kind, dark and light.

The other exam is drawn by what training draws, and shares its blind spots. This one is drawn by
`oldphoto_jax.obvious`, which no training imports: opaque, thick, and of clear contrast with what it
hides.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import operator
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.exams.defects import Method
from oldphoto_jax.exams.exam import Crops, cell, markdown, plain
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.metrics.stream import Stream
from oldphoto_jax.obvious import film, kinds, paint, questions
from oldphoto_jax.photo import color, image

SIDES = ("dark", "light")
BOTH = "both"
POOLED = {"dark": ("dark",), "light": ("light",), BOTH: SIDES}
PARTS = ("width", "change")
HASHED = ("photo", "mask", "rim")
OPACITIES = ("0.8-0.85", "0.85-0.9", "0.9-0.95", "0.95-1")
COLUMNS = {"AP": "average_precision", "recall": "recall", "IoU": "iou"}


@dataclasses.dataclass(kw_only=True)
class Exam(Crops):
    """Crops with one kind of obvious damage each, once darker and once lighter than the photo.

    Photos are spread over the source. `only` are the kinds to draw; all if empty. Raises
    ValueError for a kind that there is not; "film" needs a folder of textures.
    """

    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kinds = dict(kinds.KINDS)
        masks = film.masks(os.fspath(self.textures)) if self.textures is not None else ()
        if masks:
            self.kinds["film"] = functools.partial(film.draw, masks)
        if unknown := [name for name in self.only if name not in self.kinds]:
            raise ValueError(
                f"no obvious damage is called {', '.join(unknown)}; there are "
                f"{', '.join(self.kinds)}, and film if --textures holds {film.FAMILY}"
            )
        self.kinds = {k: draw for k, draw in self.kinds.items() if not self.only or k in self.only}

    def pairs(self) -> Iterator[tuple[str, questions.Pair]]:
        """Name and question of every crop, but for those on which nothing obvious can be drawn."""
        photos = len(self.photos)
        for index in range(self.total):
            place = index * photos // self.total if self.total < photos else index % photos
            record = self.photos[place]
            pair = questions.pair(record, self.kinds, self.size, self.seed, index)
            if pair is not None:
                yield record["name"], pair

    def protocol(self, asked: int, digest: str) -> str:
        """All that the figures depend on; `asked` crops were, and have that digest."""
        opaque = "-".join(map(str, paint.OPACITY))
        return (
            f"{self.questions('segment, the obvious', digest)}; {asked} crops could be asked, each "
            f"whole, with dark and with light damage of one kind ({', '.join(self.kinds)}); "
            f"opacity {opaque}, {paint.THINNEST} px to {paint.THICKEST:g} of the side thick, "
            f"every piece {paint.CONTRAST} off in luma from what it hides; soft rims, thin tips "
            "and what differs too little to be seen count as neither; AP over all other pixels, "
            "scores in 16 bits; recall and IoU pooled at each method's own threshold; mean: of all "
            "kinds; clean: share of pixels marked on the whole crops"
        )


def evaluate(exam: Exam, methods: Sequence[Method]) -> dict[str, Any]:
    """`protocol`, and `figures`: for each method in order its `kinds` and `recall` of parts.

    Both hold figures of "dark", "light" and "both". Everything is plain JSON; what could not be
    measured is None. Raises ValueError for a crop that a network cannot take, and where no
    damage could be drawn on any photo.
    """
    exam.check(methods)
    digest, asked = hashlib.sha256(), 0
    streams: list[dict[tuple[str, ...], Stream]] = [{} for _ in methods]
    for name, pair in exam.pairs():
        asked += 1
        _digest(digest, name, pair)
        for method, sums in zip(methods, streams, strict=True):
            for key, one in _measure(method, pair):
                sums[key] = sums[key] + one if key in sums else one
    if not asked:
        raise ValueError(f"nothing obvious could be drawn on {exam.count} crops; give more photos")
    return {
        "protocol": exam.protocol(asked, digest.hexdigest()[:16]),
        "figures": [
            {"method": method.name, "threshold": method.threshold, "weights": method.weights}
            | _computed(sums)
            for method, sums in zip(methods, streams, strict=True)
        ],
    }


def table(result: Mapping[str, Any]) -> str:
    """The result as text for people: two Markdown tables a method, and the protocol beneath."""
    texts = []
    for figures in result["figures"]:
        clean = cell(figures["clean_marked"])
        texts.append(f"{figures['method']}, at {figures['threshold']:.4g}; clean {clean}")
        sides = POOLED
        head = ["kind", *(f"{name} {side}" for name in COLUMNS for side in sides), "crops"]
        rows = [
            [kind, *(cell(row[s][key]) for key in COLUMNS.values() for s in sides)]
            + [str(row["crops"])]
            for kind, row in figures["kinds"].items()
        ]
        texts.append(markdown([head, *rows]))
        rows = [
            [name, *(cell(row[side]) for side in sides)]
            for name, row in figures["recall"].items()
            if row[BOTH] is not None
        ]
        texts.append(markdown([["recall", *sides], *rows]))
    return "\n\n".join([*texts, result["protocol"]])


def _digest(digest: hashlib._Hash, name: str, pair: questions.Pair) -> None:
    digest.update(f"{name} {pair.kind}".encode())
    damaged = (getattr(getattr(pair, side), key) for side in SIDES for key in HASHED)
    for pixels in (pair.target, *damaged):
        digest.update(pixels.tobytes())


def _measure(method: Method, pair: questions.Pair) -> Iterator[tuple[tuple[str, ...], Stream]]:
    """Streams of one question under (what, side, kind or part)."""
    whole = image.to_float(pair.target)
    nothing = np.zeros((1, *whole.shape[:2], 1), bool)
    score = method.score(whole)[None, ..., None]
    yield ("clean",), metrics.MarkedArea.of(nothing, score, method.threshold)
    for side in SIDES:
        painted = getattr(pair, side)
        photo, mask = image.to_float(painted.photo), painted.mask[None, ..., None]
        score = method.score(photo)[None, ..., None]
        counts = ~painted.rim
        known = painted.mask[counts][None, :, None, None], score[0][counts][None, :, None]
        overlap = metrics.Overlap.of(*known, method.threshold)
        yield ("ranking", side, pair.kind), metrics.Ranking.of(*known)
        yield ("overlap", side, pair.kind), overlap
        step = min(int((painted.opacity - 0.8) / 0.05), len(OPACITIES) - 1)
        yield ("opacity", side, OPACITIES[step]), overlap
        yield ("width", side), metrics.RecallByWidth.of(mask, score, method.threshold)
        change = (color.rgb_to_gray(photo) - color.rgb_to_gray(whole))[None]
        yield ("change", side), metrics.RecallByChange.of(mask, score, change, method.threshold)


def _computed(sums: Mapping[tuple[str, ...], Stream]) -> dict[str, Any]:
    """All figures of one method, rounded to what a table can bear."""
    drawn = list(dict.fromkeys(key[2] for key in sums if key[0] == "overlap"))
    rows = {kind: _row(sums, (kind,)) for kind in drawn}
    mean = {
        side: {
            key: plain(np.mean([row[side][key] for row in rows.values()]))
            for key in COLUMNS.values()
        }
        for side in POOLED
    }
    every = _row(sums, drawn)
    return {
        "clean_marked": plain(sums["clean",].compute()),
        "kinds": {"all": every, "mean": mean | {"crops": every["crops"]}} | rows,
        "recall": _recalls(sums),
    }


def _row(sums: Mapping[tuple[str, ...], Stream], kinds: Collection[str]) -> dict[str, Any]:
    """Figures of some kinds, pooled."""
    row = {}
    for name, sides in POOLED.items():
        parts = {
            what: _total(sums[what, side, kind] for side in sides for kind in kinds)
            for what in ("ranking", "overlap")
        }
        computed = parts["ranking"].compute() | parts["overlap"].compute()
        row[name] = {key: plain(computed[key]) for key in COLUMNS.values()}
    asked = (sums["overlap", "dark", kind].arrays() for kind in kinds)
    return row | {"crops": sum(int(arrays["photos"]) for arrays in asked)}


def _recalls(sums: Mapping[tuple[str, ...], Stream]) -> dict[str, dict[str, float | None]]:
    """Recall by width, opacity and change of luma."""
    recalls: dict[str, dict[str, float | None]] = {}
    for name, sides in POOLED.items():
        width, change = (_total(sums[what, s] for s in sides).compute() for what in PARTS)
        column = {f"{key} px": value for key, value in width.items()}
        for step in OPACITIES:
            parts = [sums[key] for s in sides if (key := ("opacity", s, step)) in sums]
            recall = _total(parts).compute()["recall"] if parts else math.nan
            column[f"opacity {step}"] = recall
        column |= {key: value for key, value in change.items() if key.startswith("by ")}
        for part, value in column.items():
            recalls.setdefault(part, {})[name] = plain(value)
    return recalls


def _total(streams: Iterable[Stream]) -> Stream:
    return functools.reduce(operator.add, streams)
