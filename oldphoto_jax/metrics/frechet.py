"""The Fréchet distance: how far the features of two sets of photos lie apart.

Call it FID only where the features are those of FID's own Inception network, photos resized as its
code does. Below about 2048 photos a side it comes out too large, the more so the fewer there are,
and is no match for figures of other counts: report the count with it.
Heusel et al., 2017, https://arxiv.org/abs/1706.08500.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from oldphoto_jax.metrics.stream import Stream
from oldphoto_jax.photo.types import Array


@dataclasses.dataclass
class Gaussian(Stream):
    """Mean and covariance of features, as sums: the features themselves need not be kept.

    Sums lose digits where the mean is far above the spread: at 1000 times still 9 are left.
    """

    total: np.ndarray  # [D]
    products: np.ndarray  # [D,D], the sum of outer products
    count: np.ndarray

    @classmethod
    def of(cls, features: Array) -> Gaussian:
        """The stream of features [M,D], one row an example. Raises ValueError for NaN."""
        features = _features(features)
        return cls(features.sum(axis=0), features.T @ features, np.asarray(len(features)))

    def mean(self) -> np.ndarray:
        """[D]"""
        return self.total / max(int(self.count), 1)

    def covariance(self) -> np.ndarray:
        """[D,D], divided by count - 1. Raises ValueError for fewer than two examples."""
        count = _enough(int(self.count))
        return (self.products - np.outer(self.total, self.mean())) / (count - 1)

    def compute(self) -> dict[str, float]:
        """How many examples there were, and the sum of the features' variances."""
        few = self.count < 2
        variance = float("nan") if few else float(np.trace(self.covariance()))
        return {"count": float(self.count), "variance": variance}


@dataclasses.dataclass
class Between(Stream):
    """The Fréchet distance of two sets of features, such as those of photos made and of true ones.

    As sums, which are those of `Gaussian`.
    """

    total: np.ndarray  # [D]
    products: np.ndarray  # [D,D]
    count: np.ndarray
    true_total: np.ndarray
    true_products: np.ndarray
    true_count: np.ndarray

    @classmethod
    def of(cls, features: Array, truth: Array) -> Between:
        """The stream of features [M,D] and of true ones. Raises ValueError for NaN."""
        both = (Gaussian.of(features), Gaussian.of(truth))
        return cls(*(array for one in both for array in one.arrays().values()))

    def compute(self) -> dict[str, float]:
        """The squared distance, and of each set the sum of the variances; NaN of one example.

        A generator that makes the same photo again and again has less variance than the truth.
        """
        one = Gaussian(self.total, self.products, self.count)
        true = Gaussian(self.true_total, self.true_products, self.true_count)
        few = min(one.count, true.count) < 2
        return {
            "distance": float("nan") if few else distance(one, true),
            "variance": one.compute()["variance"],
            "true variance": true.compute()["variance"],
        }


def distance(one: Array | Gaussian, other: Array | Gaussian) -> float:
    """The squared distance of the Gaussians of two sets of features [M,D], or of two streams.

    |mean - mean|^2 + trace(C + C' - 2 (C C')^1/2), in float64; M may differ and may be below D.
    Raises ValueError where D differs, for fewer than two examples and for NaN.
    Dowson and Landau, 1982, https://doi.org/10.1016/0047-259X(82)90077-X.
    """
    (mean, spread), (mean2, spread2) = _moments(one), _moments(other)
    if mean.shape != mean2.shape:
        raise ValueError(f"the features have {len(mean)} and {len(mean2)} channels: take one net")
    apart = np.square(mean - mean2).sum()
    squared = apart + np.trace(spread) + np.trace(spread2) - 2 * trace_sqrt(spread, spread2)
    return float(max(squared, 0))  # rounding may leave less than nothing of equal sets


def trace_sqrt(covariance: np.ndarray, other: np.ndarray) -> float:
    """The trace of (C C')^1/2 of two covariances [D,D], singular ones too.

    It is the sum of the singular values of C^1/2 C'^1/2, which needs no root of a product that is
    not symmetric.
    """
    product = _root(covariance) @ _root(other)
    return float(np.linalg.svd(product, compute_uv=False).sum())


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    # The root would make 1e-8 out of an eigenvalue of 1e-16 that ought to be 0
    noise = max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
    return (vectors * np.sqrt(np.where(values > noise, values, 0))) @ vectors.T


def _moments(features: Array | Gaussian) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(features, Gaussian):
        return features.mean(), features.covariance()
    features = _features(features)
    count, mean = _enough(len(features)), features.mean(axis=0)
    centred = features - mean
    return mean, centred.T @ centred / (count - 1)


def _features(features: Array) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or not features.shape[-1]:
        raise ValueError(f"features must be [M,D], one row an example, got {features.shape}")
    if not np.isfinite(features).all():
        rows = int((~np.isfinite(features).all(axis=1)).sum())
        raise ValueError(f"{rows} of {len(features)} examples have NaN or infinite features")
    return features


def _enough(count: int) -> int:
    if count < 2:
        raise ValueError(f"{count} example(s) have no covariance: give two or more, rather 2048")
    return count
