"""The zoo: weights that come with the package, or with packages that can be installed."""

from __future__ import annotations

import pathlib

import numpy as np

from oldphoto_jax.weights import lpips_jax, store
from oldphoto_jax.weights.store import WeightsError

FILES = pathlib.Path(__file__).parent / "files"
# Published networks in installed packages: name -> its arrays by our names
INSTALLED = {
    "lpips-jax:vgg16": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg"))),
    "lpips-jax:vgg16-relu2_2": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg")), 2),
    "lpips-jax:vgg16-pool3": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg")), 3),
}


def packaged(name: str) -> pathlib.Path:
    """The file of the weights called `name`; raises WeightsError when the package lacks them."""
    path = FILES / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FILES.glob("*.safetensors"))) or "none"
        verb = name.partition("-")[0]
        raise WeightsError(
            f"no weights {name!r} come with this package (it has: {known}). Train some, e.g. "
            f"`python -m oldphoto_jax.main --config=configs/{verb}.py --workdir=runs/{verb}`, "
            f"and name that work folder: --weights runs/{verb}"
        )
    return path


def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of one of INSTALLED or of a safetensors file.

    Raises WeightsError when there is no such file, or says which extra to install.
    """
    if name in INSTALLED:
        return INSTALLED[name]()
    try:
        return store.load(name)[0]
    except WeightsError as error:
        raise WeightsError(
            f"{error}. The configuration's own text says where its weights come from "
            f"(a file, or one of {', '.join(INSTALLED)})"
        ) from error


def all_packaged() -> list[pathlib.Path]:
    """Every weights file that comes with the package, by name."""
    return sorted(FILES.glob("*.safetensors"))
