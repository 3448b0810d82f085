"""How well defects are found on photos with true masks: whole, as their owners get them.

Nothing is drawn here. A network looks at a photo as `oldphoto detect` does, tile by tile and from
further away too; figures are told of all photos together and of each.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import oldphoto_jax
from oldphoto_jax.exams import defects, tophat
from oldphoto_jax.exams.defects import TOLERANCE
from oldphoto_jax.exams.exam import Record, cell, markdown, plain
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.metrics.stream import ratio
from oldphoto_jax.metrics.width import near, width_bins
from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import detect, flow, steps, tiles
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.stage import Stage

ROWS = 1024  # that are measured at a time, for memory's sake
AROUND = metrics.RecallByWidth.EDGES[-1]  # rows above and below them that widths depend on
COLUMNS = {name: key for name, key in defects.COLUMNS.items() if name not in ("clean", "threshold")}
COLUMNS |= {name: name for name in ("recall", "precision", "marked", "damaged", "threshold")}
RECALLS = {
    f"{width} px": f"recall {width} px" for width in metrics.bins(metrics.RecallByWidth.EDGES)
}


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to find defects: photo [H,W,3] uint8 -> [H,W] uint16, 65535 is certain.

    A pixel counts as a defect from `threshold`, in 0..1, on.
    """

    name: str
    find: Callable[[np.ndarray], np.ndarray]
    threshold: float
    weights: str = ""  # their checksum


def network(name: str, stage: Stage, tta: bool = False) -> Method:
    """A trained network as a method."""
    find = steps.Find(Detector(stage=stage, tta=tta))

    def answer(pixels: np.ndarray) -> np.ndarray:
        probability: np.ndarray = flow.run((find,), {"pixels": pixels})["probability"]
        return probability

    name = f"{name} (tta)" if tta else name
    return Method(name, answer, stage.predictor.threshold, stage.checksum)


def _tophat(pixels: np.ndarray) -> np.ndarray:
    """What `tophat` says of a photo, tile by tile."""

    def ask(tile: np.ndarray) -> np.ndarray:
        return np.stack([tophat.tophat(image.to_float(one)) for one in tile])[..., None]

    score = np.empty(pixels.shape[:2], np.uint16)
    for top, rows in tiles.rows(ask, pixels, tile=detect.TILE, overlap=4 * tophat.WINDOW):
        score[top : top + len(rows)] = image.to_uint16(rows[..., 0])
    return score


METHODS = {"tophat": Method("tophat", _tophat, tophat.THRESHOLD)}


def evaluate(pairs: Iterable[Record], methods: Sequence[Method]) -> dict[str, Any]:
    """`protocol`, and `figures`: one dict for each method in order, with its `photos` one by one.

    `pairs` are records with `photo` [H,W,3] uint8 and `mask` [H,W,1], 0 or 1, looked at once.
    Everything is plain JSON; what could not be measured is None. Raises ValueError without any.
    """
    digest, count = hashlib.sha256(), 0
    sums: list[_Measured | None] = [None] * len(methods)
    photos: list[list[dict[str, Any]]] = [[] for _ in methods]
    for record in pairs:
        photo, mask = record["photo"], record["mask"][..., 0] > 0
        digest.update(record["name"].encode("utf-8", "surrogateescape"))
        for pixels in (photo, mask):
            digest.update(np.ascontiguousarray(pixels))
        count += 1
        for number, method in enumerate(methods):
            one = _measure(mask, method.find(photo), detect.step(method.threshold))
            facts = {"name": record["name"], "size": list(mask.shape)}
            photos[number].append(facts | one.figures())
            before = sums[number]
            sums[number] = one if before is None else before + one
    if not count:
        raise ValueError("no photo has a mask that can be used, so there is nothing to measure")
    figures = [
        {"method": method.name, "threshold": method.threshold, "weights": method.weights}
        | pooled.figures()
        | {"photos": each}
        for method, pooled, each in zip(methods, sums, photos, strict=True)
        if pooled is not None
    ]
    return {"protocol": _protocol(count, digest.hexdigest()[:16]), "figures": figures}


def table(result: Mapping[str, Any]) -> str:
    """The result as text for people: Markdown tables, the second of recall, and the protocol."""
    texts = []
    for head, columns in (("method", COLUMNS), ("recall", RECALLS)):
        rows = [[head, *columns]]
        for figures in result["figures"]:
            cells = (cell(figures[key]) for key in columns.values())
            rows.append([figures["method"], *cells])
        texts.append(markdown(rows))
    return "\n\n".join([*texts, result["protocol"]])


def _protocol(count: int, digest: str) -> str:
    return (
        f"oldphoto_jax {oldphoto_jax.__version__} segment: {count} whole photos with true masks, "
        f"sha256 of names, pixels and masks {digest}; AP and ROC-AUC over all pixels, scores in 16 "
        f"bits; IoU, Dice, F1 ({TOLERANCE} px tolerance), recall, also by defect width, precision "
        "and marked, the share of all pixels, pooled at each method's own threshold; damaged: the "
        "share of pixels that are, in truth"
    )


@dataclasses.dataclass(frozen=True)
class _Measured:
    """Streams of some rows, of a photo, or of all photos."""

    ranking: metrics.Ranking
    overlap: metrics.Overlap
    near: metrics.BoundaryF1
    width: metrics.RecallByWidth

    def __add__(self, other: _Measured) -> _Measured:
        names = (field.name for field in dataclasses.fields(self))
        return _Measured(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def figures(self) -> dict[str, float | None]:
        """All measures under names of their own, rounded to what a table can bear."""
        overlap, pixels = self.overlap, (self.ranking.damaged + self.ranking.clean).sum()
        figures = {
            **self.ranking.compute(),
            **overlap.compute(),
            f"f1_{TOLERANCE}px": self.near.compute()["f1"],
            **{f"recall {w} px": value for w, value in self.width.compute().items()},
            "marked": ratio(overlap.marked, pixels),
            "damaged": ratio(overlap.damaged, pixels),
        }
        return {name: plain(value) for name, value in figures.items()}


def _measure(mask: np.ndarray, score: np.ndarray, step: int) -> _Measured:
    """One photo: mask [H,W] bool, score [H,W] uint16, a defect from `step` on."""
    bands = []
    for band in scratch.bands(score, rows=ROWS):
        around = slice(max(band.start - AROUND, 0), band.stop + AROUND)
        inside = slice(band.start - around.start, band.stop - around.start)
        bands.append(_band(mask[around], score[around], step, inside))
    whole = functools.reduce(operator.add, bands)
    overlap = whole.overlap
    either = overlap.marked + overlap.damaged - overlap.hits
    own = (overlap.hits + 1e-15) / (either + 1e-15)  # 1 for a good photo left alone
    overlap = dataclasses.replace(overlap, photo_iou=own, photos=np.asarray(1))
    return dataclasses.replace(whole, overlap=overlap)


def _band(mask: np.ndarray, score: np.ndarray, step: int, inside: slice) -> _Measured:
    """The rows `inside`; what lies around them is looked at, and not counted."""
    marked = score >= step
    close = marked & near(mask, TOLERANCE), mask & near(marked, TOLERANCE)
    width = width_bins(mask, metrics.RecallByWidth.EDGES)
    close_marked, close_mask, width, marked, mask, score = (
        array[inside] for array in (*close, width, marked, mask, score)
    )
    both, bins = mask & marked, len(metrics.RecallByWidth.EDGES) + 1
    none = np.asarray(0)
    hits, near_marked, near_mask, all_marked, damaged = (
        np.asarray(np.count_nonzero(where))
        for where in (both, close_marked, close_mask, marked, mask)
    )
    return _Measured(
        metrics.Ranking(
            np.bincount(score[mask], minlength=metrics.LEVELS),
            np.bincount(score[~mask], minlength=metrics.LEVELS),
        ),
        metrics.Overlap(hits, all_marked, damaged, none, none),
        metrics.BoundaryF1(near_marked, all_marked, near_mask, damaged),
        metrics.RecallByWidth(
            np.bincount(width[both], minlength=bins), np.bincount(width[mask], minlength=bins)
        ),
    )
