"""How well scores rank damaged pixels above clean ones: exact, and without a threshold.

A measure that has nothing to measure (no defect in the data, say) is NaN, never an error. On the
host, in NumPy.
"""

from __future__ import annotations

import numpy as np

from oldphoto_jax.metrics import truth
from oldphoto_jax.metrics.stream import ratio
from oldphoto_jax.photo.types import Array


def roc_auc(label: Array, score: Array) -> float:
    """Chance that a damaged pixel scores above a clean one, ties one half. NaN if either is absent.

    Label (0 or 1) and score have any equal shape; all their pixels are pooled.
    """
    return area(*_count(label, score))


def average_precision(label: Array, score: Array) -> float:
    """Precision averaged over the steps of recall, pixels of equal score taken in together.

    Label and score as in `roc_auc`. NaN if no pixel is damaged.
    """
    return average(*_count(label, score))


def area(damaged: np.ndarray, clean: np.ndarray) -> float:
    """`roc_auc` by the counts of damaged and clean pixels of each score, lowest score first."""
    below = np.cumsum(clean) - clean / 2
    return ratio((damaged * below).sum(), float(damaged.sum()) * float(clean.sum()))


def average(damaged: np.ndarray, clean: np.ndarray) -> float:
    """`average_precision` by the same counts."""
    true = np.cumsum(damaged[::-1])
    marked = true + np.cumsum(clean[::-1])
    return ratio((damaged[::-1] * true / np.maximum(marked, 1)).sum(), damaged.sum())


def _count(label: Array, score: Array) -> tuple[np.ndarray, np.ndarray]:
    """How many damaged and how many clean pixels hold each score, lowest score first."""
    label, score = np.asarray(label), np.asarray(score)
    if label.shape != score.shape:
        raise ValueError(f"labels are {label.shape} but scores are {score.shape}")
    values, place = np.unique(truth.finite(score), return_inverse=True)
    damaged = np.bincount(place.ravel()[truth.binary(label).ravel()], minlength=len(values))
    return damaged, np.bincount(place.ravel(), minlength=len(values)) - damaged
