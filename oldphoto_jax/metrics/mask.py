"""How well defects are found: measures of pooled pixels, and streams over a data set.

Truth is `mask` [N,H,W,1], exactly 0 or 1 (1 = damaged); `prediction` [N,H,W,1] is a probability.
A pixel is marked where the prediction is at least the threshold. A measure that has nothing to
measure (no defect in the data, say) is NaN, never an error. On the host, in NumPy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from oldphoto_jax.metrics import ranking, truth
from oldphoto_jax.metrics.stream import Stream, ratio
from oldphoto_jax.metrics.width import near, width_bins
from oldphoto_jax.photo.types import Array, Mask

LEVELS = 65536  # of the 16-bit scores that `Ranking` counts


def iou(mask: Mask, prediction: Mask, threshold: float = 0.5) -> float:
    """Pooled intersection over union; NaN if nothing is damaged and nothing marked."""
    return Overlap.of(mask, prediction, threshold).compute()["iou"]


def dice(mask: Mask, prediction: Mask, threshold: float = 0.5) -> float:
    """Pooled Dice coefficient, which is F1; NaN if nothing is damaged and nothing marked."""
    return Overlap.of(mask, prediction, threshold).compute()["dice"]


def precision(mask: Mask, prediction: Mask, threshold: float = 0.5) -> float:
    """Share of marked pixels that are damaged; NaN if nothing is marked."""
    return Overlap.of(mask, prediction, threshold).compute()["precision"]


def recall(mask: Mask, prediction: Mask, threshold: float = 0.5) -> float:
    """Share of damaged pixels that are marked; NaN if nothing is damaged."""
    return Overlap.of(mask, prediction, threshold).compute()["recall"]


def bins(edges: Sequence[float]) -> list[str]:
    """Names of the bins between rising edges, from 0 up and without end."""
    steps = ("0", *map(str, edges))
    return [*(f"{low}-{high}" for low, high in zip(steps, edges, strict=False)), f"{steps[-1]}+"]


@dataclasses.dataclass
class Ranking(Stream):
    """Threshold-free measures of any number of pixels, from a histogram of 16-bit scores.

    Equal to `ranking.roc_auc` and `.average_precision` of the scores rounded to k / 65535.
    """

    damaged: np.ndarray
    clean: np.ndarray

    @classmethod
    def of(cls, mask: Mask, prediction: Mask) -> Ranking:
        """The stream of one batch. Raises for predictions outside 0..1."""
        mask, prediction = truth.checked(mask, prediction)
        if not 0 <= prediction.min() <= prediction.max() <= 1:
            raise ValueError(
                f"predictions span {prediction.min()}..{prediction.max()}, probabilities lie in "
                "0..1: apply the sigmoid first"
            )
        level = np.rint(prediction.astype(np.float64) * (LEVELS - 1)).astype(np.int64)
        damaged = np.bincount(level[mask], minlength=LEVELS)
        return cls(damaged, np.bincount(level[~mask], minlength=LEVELS))

    def compute(self) -> dict[str, float]:
        """roc_auc, average_precision, and the best F1 with the threshold that gives it."""
        true = np.cumsum(self.damaged[::-1])[::-1]
        marked = true + np.cumsum(self.clean[::-1])[::-1]
        f1 = 2 * true / np.maximum(marked + true[0], 1)
        best = int(f1.argmax())
        return {
            "roc_auc": ranking.area(self.damaged, self.clean),
            "average_precision": ranking.average(self.damaged, self.clean),
            "best_f1": float(f1[best]) if true[0] else float("nan"),
            # Half a level lower, so that the unrounded scores of that level are in.
            "best_threshold": max(best - 0.5, 0) / (LEVELS - 1) if true[0] else float("nan"),
        }


@dataclasses.dataclass
class Overlap(Stream):
    """Pooled IoU, Dice, precision and recall, and the mean of the photos' own IoU."""

    hits: np.ndarray
    marked: np.ndarray
    damaged: np.ndarray
    photo_iou: np.ndarray
    photos: np.ndarray

    @classmethod
    def of(cls, mask: Mask, prediction: Mask, threshold: float = 0.5) -> Overlap:
        """The stream of one batch."""
        mask, prediction = truth.checked(mask, prediction)
        marked = prediction >= threshold
        both = np.count_nonzero(mask & marked, axis=(1, 2, 3))
        either = np.count_nonzero(mask | marked, axis=(1, 2, 3))
        photo_iou = ((both + 1e-15) / (either + 1e-15)).sum()  # 1 for a clean photo left alone
        return cls(
            hits=both.sum(),
            marked=np.asarray(marked.sum()),
            damaged=mask.sum(),
            photo_iou=photo_iou,
            photos=np.asarray(len(mask)),
        )

    def compute(self) -> dict[str, float]:
        """iou, dice, precision, recall: pooled; mean_iou: over photos."""
        return {
            "iou": ratio(self.hits, self.marked + self.damaged - self.hits),
            "dice": ratio(2 * self.hits, self.marked + self.damaged),
            "precision": ratio(self.hits, self.marked),
            "recall": ratio(self.hits, self.damaged),
            "mean_iou": ratio(self.photo_iou, self.photos),
        }


@dataclasses.dataclass
class BoundaryF1(Stream):
    """F1 that forgives a few pixels' distance, for thin defects whose outline is a matter of taste.

    Precision is the share of marked pixels near a damaged one, recall the share of damaged pixels
    near a marked one; near is a Euclidean distance of at most the tolerance. Pooled.
    """

    marked_hits: np.ndarray
    marked: np.ndarray
    damaged_hits: np.ndarray
    damaged: np.ndarray

    @classmethod
    def of(
        cls, mask: Mask, prediction: Mask, threshold: float = 0.5, tolerance: int = 2
    ) -> BoundaryF1:
        """The stream of one batch; the tolerance is in pixels."""
        mask, prediction = truth.checked(mask, prediction)
        marked = prediction >= threshold
        marked_hits = marked & _each(near, mask, tolerance)
        damaged_hits = mask & _each(near, marked, tolerance)
        return cls(marked_hits.sum(), np.asarray(marked.sum()), damaged_hits.sum(), mask.sum())

    def compute(self) -> dict[str, float]:
        """precision, recall, f1; f1 is NaN only if nothing is damaged and nothing marked."""
        share, found = ratio(self.marked_hits, self.marked), ratio(self.damaged_hits, self.damaged)
        if self.marked and self.damaged:
            f1 = ratio(2 * share * found, share + found) if share + found else 0.0
        else:
            f1 = 0.0 if self.marked or self.damaged else float("nan")
        return {"precision": share, "recall": found, "f1": f1}


@dataclasses.dataclass
class RecallByWidth(Stream):
    """Recall of damaged pixels by the width of the defect they belong to, in pixels.

    A pixel's width is the diameter of the largest disc that covers it and lies in the defect.
    """

    EDGES: ClassVar[tuple[int, ...]] = (2, 4, 8, 16, 32, 64, 128)

    found: np.ndarray
    damaged: np.ndarray

    @classmethod
    def of(cls, mask: Mask, prediction: Mask, threshold: float = 0.5) -> RecallByWidth:
        """The stream of one batch."""
        mask, prediction = truth.checked(mask, prediction)
        count = len(cls.EDGES) + 1
        width = _each(width_bins, mask, cls.EDGES)
        found = np.bincount(width[mask & (prediction >= threshold)], minlength=count)
        return cls(found, np.bincount(width[mask], minlength=count))

    def compute(self) -> dict[str, float]:
        """Recall by width "0-2", "2-4", ... "128+" (lower edge included); NaN for absent widths."""
        counts = zip(bins(self.EDGES), self.found, self.damaged, strict=True)
        return {name: ratio(found, damaged) for name, found, damaged in counts}


@dataclasses.dataclass
class RecallByChange(Stream):
    """Recall of damaged pixels by what the damage did to their luma: darker or lighter, how far."""

    EDGES: ClassVar[tuple[float, ...]] = (0.04, 0.1, 0.25, 0.5)

    found: np.ndarray  # darker, lighter, as before; by EDGES
    damaged: np.ndarray

    @classmethod
    def of(
        cls, mask: Mask, prediction: Mask, change: Array, threshold: float = 0.5
    ) -> RecallByChange:
        """The stream of one batch; `change` [N,H,W,1] is luma of photo less that of target."""
        mask, prediction = truth.checked(mask, prediction)
        change = np.asarray(change)
        if change.shape != mask.shape:
            raise ValueError(f"change must be {mask.shape} as the mask is, got {change.shape}")
        steps = len(cls.EDGES) + 1
        side = np.where(change < 0, 0, np.where(change > 0, 1, 2))
        place = side * steps + np.digitize(np.abs(change), cls.EDGES)
        found, damaged = (
            np.bincount(place[where], minlength=3 * steps).reshape(3, steps)
            for where in (mask & (prediction >= threshold), mask)
        )
        return cls(found, damaged)

    def compute(self) -> dict[str, float]:
        """Recall of what is "darker", "lighter", and changed "by 0-0.04", ... "by 0.5+"."""
        changes = [f"by {change}" for change in bins(self.EDGES)]
        sides = zip(("darker", "lighter"), self.found, self.damaged, strict=False)
        steps = zip(changes, self.found.T, self.damaged.T, strict=True)
        counts = (*sides, *steps)
        return {name: ratio(found.sum(), damaged.sum()) for name, found, damaged in counts}


@dataclasses.dataclass
class MarkedArea(Stream):
    """Share of pixels marked on photos without any defect; NaN if every photo has one."""

    marked: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, mask: Mask, prediction: Mask, threshold: float = 0.5) -> MarkedArea:
        """The stream of one batch; damaged photos in it count nothing."""
        mask, prediction = truth.checked(mask, prediction)
        clean = prediction[~mask.any(axis=(1, 2, 3))]
        return cls(np.asarray(np.count_nonzero(clean >= threshold)), np.asarray(clean.size))

    def compute(self) -> float:
        """The share, 0..1."""
        return ratio(self.marked, self.pixels)


@dataclasses.dataclass
class CleanScores(Stream):
    """How high photos without any defect score: which threshold leaves them alone."""

    SHARES: ClassVar[tuple[float, ...]] = (0.003, 0.0005)

    clean: np.ndarray

    @classmethod
    def of(cls, mask: Mask, prediction: Mask) -> CleanScores:
        """The stream of one batch; damaged photos in it count nothing."""
        mask, prediction = truth.checked(mask, prediction)
        scores = np.float64(prediction[~mask.any(axis=(1, 2, 3))])
        level = np.ceil(np.clip(scores, 0, 1) * (LEVELS - 1)).astype(np.int64)
        return cls(np.bincount(level.ravel(), minlength=LEVELS))

    def compute(self) -> dict[str, float]:
        """The lowest threshold at which a share of SHARES of their pixels is marked at most.

        By the share, "0.003" say; 1 where only certainty does, NaN without such photos.
        """
        total = self.clean.sum()
        marked = np.cumsum(self.clean[::-1])[::-1]  # at a threshold just above the level before
        lowest = {share: int(np.searchsorted(-marked, -share * total)) for share in self.SHARES}
        return {
            str(share): min(level / (LEVELS - 1), 1.0) if total else float("nan")
            for share, level in lowest.items()
        }


def _each(function: Callable[..., np.ndarray], batch: np.ndarray, *arguments: Any) -> np.ndarray:
    """What the function makes of every [H,W] of a batch [N,H,W,1]."""
    return np.stack([function(one, *arguments) for one in batch[..., 0]])[..., None]
