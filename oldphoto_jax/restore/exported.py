"""Programs that rest between runs: functions as `jax.export` writes them, in the user's cache.

Where one is kept, a second start neither builds networks nor traces them. It lies under the hash of
all that it depends on: the weights that it was made for, this package's code, the versions of JAX,
the device, and the shapes that go in. Another version of any of these makes another program, so a
kept one is never older than what reads it. XLA keeps what it has compiled beside them, see
`stage.prepare`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import shutil
import sys
import uuid
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import export

import oldphoto_jax
from oldphoto_jax.weights import cache

LIMIT = 64 << 20  # bytes of all programs together; one has some hundred kilobytes
MARK = b"oldphoto_jax program\n"  # then the SHA-256 of the rest
ROOMS = ("layers", "models", "photo", "predictors", "restore")  # what a program's code is of
ENDING = ".program"


def folder() -> pathlib.Path:
    """Where programs are kept."""
    return cache.folder("programs")


def obtain(function: Callable[..., Any], identity: str, *arguments: Any) -> jax.stages.Wrapped:
    """`function` of arrays like these arguments, jitted; traced only where no run has kept it.

    `identity` says what else it depends on, such as the checksum of weights. Files that are
    damaged are made again. Where the cache cannot be written stderr is told, and nothing is kept.
    """
    shapes = jax.tree.map(lambda one: jax.ShapeDtypeStruct(np.shape(one), one.dtype), arguments)
    names = str(jax.tree.map(lambda one: (one.shape, str(one.dtype)), shapes))
    path = _place(identity) / f"{_hash(names)}{ENDING}"
    content = _read(path)
    if content is None:
        made = export.export(jax.jit(function))(*shapes)
        _keep(path, bytes(made.serialize()))
    else:
        made = export.deserialize(bytearray(content))
    return jax.jit(made.call)


def knows(identity: str) -> bool:
    """Whether some program of this identity is kept."""
    return any(_place(identity).glob(f"*{ENDING}"))


def clear() -> int:
    """Takes away all programs, and what XLA keeps beside them; returns how many bytes that was."""
    homes = [folder(), cache.folder("compiled")]
    size = sum(path.stat().st_size for home in homes for path in home.rglob("*") if path.is_file())
    for home in homes:
        if home.exists():
            shutil.rmtree(home)
    return size


def _place(identity: str) -> pathlib.Path:
    return folder() / _hash(json.dumps([identity, _surroundings()]))


@functools.cache
def _surroundings() -> list[str]:
    """What every program depends on: this package's code, JAX, and the device."""
    root, code = pathlib.Path(oldphoto_jax.__file__).parent, hashlib.sha256()
    for path in (path for room in ROOMS for path in sorted((root / room).glob("*.py"))):
        code.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    devices = jax.local_devices()
    settings = (jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision)
    return [
        *(oldphoto_jax.__version__, code.hexdigest(), jax.__version__, jax.lib.__version__),
        *(devices[0].platform, devices[0].device_kind, str(settings)),
    ]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(path: pathlib.Path) -> bytes | None:
    """What is kept at a path; None where nothing whole is."""
    try:
        content = path.read_bytes()
        os.utime(path)  # those that were used last are kept longest
    except OSError:
        return None
    start = len(MARK) + hashlib.sha256().digest_size
    program = content[start:]
    whole = content[:start] == MARK + hashlib.sha256(program).digest()
    return program if whole else None


def _keep(path: pathlib.Path, program: bytes) -> None:
    """Keeps a program, all of it or none, and no more of them than LIMIT."""
    part = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(MARK + hashlib.sha256(program).digest() + program)
        part.replace(path)
        _make_room(path)
    except OSError as error:
        print(cache.unwritable(path, error, len(program)), file=sys.stderr)
        with contextlib.suppress(OSError):
            part.unlink()


def _make_room(newest: pathlib.Path) -> None:
    """Takes away the programs that were used longest ago, down to LIMIT bytes."""
    kept = [(path.stat(), path) for path in folder().rglob("*") if path.is_file()]
    size = sum(stat.st_size for stat, _ in kept)
    for stat, path in sorted(kept, key=lambda one: one[0].st_mtime):
        if size <= LIMIT:
            return
        if path != newest:
            path.unlink(missing_ok=True)
            size -= stat.st_size
