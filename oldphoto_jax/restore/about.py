"""What a bug report needs to know about this installation."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import jax

from oldphoto_jax.restore import stage
from oldphoto_jax.weights import catalogue, store

PACKAGES = ("oldphoto-jax", "jax", "jaxlib", "flax", "numpy", "opencv-python-headless")


def about() -> dict[str, Any]:
    """Versions, devices, cache folder, and the checksums of the packaged weights."""
    return {
        **{name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "cache": str(stage.cache_folder()),
        "weights": {file.stem: store.checksum(file) for file in catalogue.all_packaged()},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
