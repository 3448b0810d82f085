"""The zoo: weights that come with the package."""

from __future__ import annotations

import pathlib

from oldphoto_jax.weights.store import WeightsError

FILES = pathlib.Path(__file__).parent / "files"


def packaged(name: str) -> pathlib.Path:
    """The file of the weights called `name`; raises WeightsError when the package lacks them."""
    path = FILES / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FILES.glob("*.safetensors"))) or "none"
        raise WeightsError(
            f"no weights {name!r} come with this package (it has: {known}). Train some, e.g. "
            "`python -m oldphoto_jax.main --config=configs/segment.py --workdir=runs/segment`, "
            "and name that work folder: --weights runs/segment"
        )
    return path


def all_packaged() -> list[pathlib.Path]:
    """Every weights file that comes with the package, by name."""
    return sorted(FILES.glob("*.safetensors"))
