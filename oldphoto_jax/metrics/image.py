"""How close photos are to their targets, one number a photo. On the host, in NumPy float64.

Photos and targets are [N,H,W,C] of the same shape; `data_range` is the distance between black
and white, 1.0 for floats and 255 for bytes. Results are [N].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.metrics import structural_similarity

from oldphoto_jax.photo.types import Photo

# The two forms in use: scikit-image's default, and that of Wang et al., 2004,
# https://doi.org/10.1109/TIP.2003.819861 (11 x 11 Gaussian).
WINDOWS: dict[str, dict[str, Any]] = {
    "uniform": {"win_size": 7},
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def mse(photo: Photo, target: Photo) -> np.ndarray:
    """Mean squared error."""
    photo, target = _pair(photo, target)
    return np.square(photo - target).mean(axis=(1, 2, 3))


def mae(photo: Photo, target: Photo) -> np.ndarray:
    """Mean absolute error."""
    photo, target = _pair(photo, target)
    return np.abs(photo - target).mean(axis=(1, 2, 3))


def psnr(photo: Photo, target: Photo, data_range: float = 1.0) -> np.ndarray:
    """Peak signal-to-noise ratio in dB; infinite for equal photos."""
    error = mse(photo, target)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / error)


def ssim(
    photo: Photo, target: Photo, data_range: float = 1.0, window: str = "uniform"
) -> np.ndarray:
    """Structural similarity, mean over channels and over pixels whose window lies in the photo.

    `window` is "uniform" (7 x 7, sample covariance) or "gaussian" (sigma 1.5, 11 x 11). The two
    give different numbers: name the one you report. Raises for photos smaller than the window.
    """
    return np.array([score for score, _ in _ssim(photo, target, data_range, window)])


def ssim_map(
    photo: Photo, target: Photo, data_range: float = 1.0, window: str = "uniform"
) -> np.ndarray:
    """Structural similarity at every pixel and channel, [N,H,W,C]; the border is mirrored."""
    return np.array([similarity for _, similarity in _ssim(photo, target, data_range, window)])


def _ssim(
    photo: Photo, target: Photo, data_range: float, window: str
) -> list[tuple[float, np.ndarray]]:
    if window not in WINDOWS:
        raise ValueError(f"window={window!r}: choose one of {', '.join(WINDOWS)}")
    return [
        structural_similarity(
            one, other, data_range=data_range, channel_axis=-1, full=True, **WINDOWS[window]
        )
        for one, other in zip(*_pair(photo, target), strict=True)
    ]


def _pair(photo: Photo, target: Photo) -> tuple[np.ndarray, np.ndarray]:
    if photo.shape != target.shape or len(photo.shape) != 4:
        raise ValueError(
            f"photo and target must be equal [N,H,W,C], got {photo.shape}, {target.shape}"
        )
    return np.asarray(photo, np.float64), np.asarray(target, np.float64)
