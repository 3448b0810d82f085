"""Weights at rest: named arrays and a few words about them, in one safetensors file.

Never a pickle: reading such a file can't run anything. Needs neither JAX nor Flax.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping

import ml_dtypes  # noqa: F401  (teaches NumPy the name bfloat16, which safetensors looks up)
import numpy as np
import safetensors
import safetensors.numpy


class WeightsError(ValueError):
    """A weights file is missing, broken, or doesn't fit the network."""


def save(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes the arrays and the metadata; at every moment the file is the old or the new one.

    The same arrays and metadata, in whatever order, give the same bytes.
    """
    path = pathlib.Path(path)
    # safetensors copies memory as it lies, so each array must lie in row-major order
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header, numbers = _parted(safetensors.numpy.save(arrays, dict(metadata)))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(header)
            file.write(numbers)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a file.

    Raises WeightsError when it's missing, truncated, or not a safetensors file.
    """
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return arrays, file.metadata() or {}


def check(path: str | os.PathLike) -> None:
    """Raises WeightsError where `load` would, and reads no array."""
    with _opened(path):
        pass


def checksum(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(_existing(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and numbers: the same whoever wrote the file, and how."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(f"{name} {array.dtype} {array.shape}\n".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _parted(data: bytes) -> tuple[bytes, memoryview]:
    """The header of a safetensors file with its metadata sorted, and its numbers.

    The library itself writes metadata in an order that changes from process to process.
    """
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    metadata = head.pop("__metadata__", {})
    head = {"__metadata__": dict(sorted(metadata.items())), **head}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text, memoryview(data)[8 + length :]


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[safetensors.safe_open]:
    path = _existing(path)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            yield file
    except safetensors.SafetensorError as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}); fetch or write it again"
        ) from error


def _existing(path: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
