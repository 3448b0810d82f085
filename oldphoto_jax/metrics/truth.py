"""What a true mask and a prediction must be for a measure to make sense."""

from __future__ import annotations

import numpy as np

from oldphoto_jax.photo.types import Mask


def checked(mask: Mask, prediction: Mask) -> tuple[np.ndarray, np.ndarray]:
    """The truth as bool and the prediction, both [N,H,W,1]. Raises ValueError for others."""
    mask, prediction = np.asarray(mask), np.asarray(prediction)
    if mask.shape != prediction.shape or mask.ndim != 4 or mask.shape[-1] != 1:
        raise ValueError(
            f"mask and prediction must be equal [N,H,W,1], got {mask.shape}, {prediction.shape}"
        )
    if not mask.size:
        raise ValueError(f"the batch is empty: {mask.shape}")
    return binary(mask), finite(prediction)


def binary(mask: np.ndarray) -> np.ndarray:
    """The truth, 0 or 1, as bool. Raises ValueError for other values."""
    if not ((mask == 0) | (mask == 1)).all():
        wrong = np.count_nonzero((mask != 0) & (mask != 1))
        raise ValueError(
            f"{wrong} of {mask.size} values of the true mask are neither 0 nor 1; threshold it"
        )
    return mask.astype(bool)


def finite(prediction: np.ndarray) -> np.ndarray:
    """The prediction in float32 or finer. Raises ValueError for NaN and infinity."""
    # Not float64: a float32 score of 0.7 must reach the threshold 0.7.
    prediction = prediction.astype(np.result_type(prediction.dtype, np.float32))
    if not np.isfinite(prediction).all():
        wrong = np.count_nonzero(~np.isfinite(prediction))
        raise ValueError(f"{wrong} of {prediction.size} predictions are NaN or infinite")
    return prediction
