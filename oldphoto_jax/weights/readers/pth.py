"""PyTorch's files without PyTorch: reads the tensors and lets nothing else happen.

A .pth file is a pickle, and a pickle is a program. This reader admits what a state dict needs
(ordered dicts, tensors, their storages). What a training script has saved beside it, such as its
options or numbers of NumPy, becomes `unpickler.Opaque`; Python's own means are refused.
"""

from __future__ import annotations

import collections
import functools
import io
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import IO, Any

import ml_dtypes
import numpy as np

from oldphoto_jax.weights import store
from oldphoto_jax.weights.readers import members, unpickler
from oldphoto_jax.weights.store import WeightsError

ENDINGS = (".pth", ".pt")
NESTED = ("state_dict", "model_state", "model")  # where training scripts put the state dict
MAGIC = 0x1950A86A20F9469CFC6C  # first number of the format before PyTorch 1.6
TYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
BROKEN = (*unpickler.BROKEN, zipfile.BadZipFile, zlib.error)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The state dict in a .pth, .pt or .safetensors file, as NumPy arrays by PyTorch's keys.

    Takes both of PyTorch's formats, also the only such file in a zip such as a Python wheel, but
    no deeper one. Finds a state dict under "state_dict", "model_state" or "model", and drops the
    "module." that DataParallel puts before every key. Raises WeightsError for a missing, broken or
    suspicious file, such as one that unpacks to far more than weights could.
    """
    path = pathlib.Path(path)
    if path.suffix == ".safetensors":
        return store.load(path)[0]
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with open(path, "rb") as file:
            inner, size = members.unwrapped(file, ENDINGS)
            return _state_dict(_content(inner, size), size)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except BROKEN as error:
        raise WeightsError(f"{path}: not a whole PyTorch weights file ({error})") from error


def _content(file: IO[bytes], size: int) -> Any:
    """What was saved, in either format; `size` bytes hold it."""
    if not zipfile.is_zipfile(file):
        return _read_old(file)
    with zipfile.ZipFile(file) as archive:
        members.check(archive.infolist(), size)
        return _read_zip(archive)


def _read_zip(archive: zipfile.ZipFile) -> Any:
    """The format since PyTorch 1.6: a zip of one pickle and one file for each storage."""
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if not pickles:
        raise WeightsError("a zip without data.pkl and without a .pth or .pt file: not PyTorch's")
    (pickled,) = pickles
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist():
        _check_little(archive.read(f"{folder}byteorder") == b"little")

    @functools.cache
    def storage(dtype: np.dtype, key: str, count: int) -> np.ndarray:
        return np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count)

    return _load(io.BytesIO(archive.read(pickled)), storage)


def _read_old(file: IO[bytes]) -> Any:
    """The format before PyTorch 1.6: five pickles in a row, then the storages."""
    limit = file.seek(0, io.SEEK_END)
    storages: dict[str, np.ndarray] = {}
    file.seek(0)

    def storage(dtype: np.dtype, key: str, count: int) -> np.ndarray:
        if not 0 <= count * dtype.itemsize <= limit:
            raise WeightsError(f"a storage of {count} numbers in a file of {limit} bytes")
        return storages.setdefault(key, np.zeros(count, dtype))

    if _load(file, storage) != MAGIC:
        raise WeightsError("neither of PyTorch's formats")
    _load(file, storage)  # protocol version
    _check_little(_load(file, storage)["little_endian"])
    content = _load(file, storage)
    for key in _load(file, storage):
        array = storages[key]
        content_size = np.frombuffer(file.read(8), "<i8", 1).item()
        if content_size != array.size:
            raise WeightsError(f"storage {key} has {content_size} numbers, not {array.size}")
        array[:] = np.frombuffer(file.read(array.nbytes), array.dtype, array.size)
    return content


def _load(file: IO[bytes], storage: Callable[[np.dtype, str, int], np.ndarray]) -> Any:
    """The next pickle, in which tensors are parts of what `storage` gives."""

    def outside(pid: Any) -> np.ndarray | unpickler.Opaque:
        """The storage behind ("storage", type, key, device, count, ...)."""
        kind, type_name, key, _, count, *view = pid
        if kind != "storage" or any(view):
            raise WeightsError(f"refused: an object of kind {kind!r} with view {view}")
        if type_name not in TYPES:
            return unpickler.Opaque()
        return storage(np.dtype(TYPES[type_name]), key, count)

    return unpickler.Unpickler(file, NAMES, outside, lenient=True).load()


def _tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, *_: Any) -> np.ndarray:
    """The part of a storage that is a tensor; a file can't make it look beyond its storage."""
    if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
        raise WeightsError(f"a tensor of shape {shape} and strides {strides} from {offset}")
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= storage.size:
        raise WeightsError(f"a tensor that reaches number {last} of {storage.size}")
    size = storage.itemsize
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [step * size for step in strides], writeable=False
    )


def _parameter(tensor: Any, *_: Any) -> Any:
    """A tensor that learns, which is saved as such where a module keeps it outside its state."""
    return tensor


NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): name for name in TYPES},
}


def _state_dict(content: Any, size: int) -> dict[str, np.ndarray]:
    """The dict of tensors in what a training script saved in so many bytes."""
    for _ in NESTED:
        if isinstance(content, Mapping):
            inner = [content[key] for key in NESTED if isinstance(content.get(key), Mapping)]
            content = inner[0] if inner else content
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"holds a {type(content).__name__}, not a state dict")
    if others := [str(k) for k, v in content.items() if not isinstance(v, np.ndarray)]:
        raise WeightsError(f"no state dict: these entries are not tensors: {others[:10]}")
    members.check_size(sum(array.nbytes for array in content.values()), size)
    return {key.removeprefix("module."): array for key, array in content.items()}


def _check_little(little: bool) -> None:
    if not little:
        raise WeightsError("written on a big-endian machine; convert it there")
