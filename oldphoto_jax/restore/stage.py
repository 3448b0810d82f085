"""A trained predictor, ready to be asked: its networks at rest and one compiled function."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import jax
import numpy as np
from flax import nnx

from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors import metadata as kept
from oldphoto_jax.predictors.predictor import Networks, Predictor
from oldphoto_jax.weights import cache, catalogue, names, store

Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=Predictor, covariant=True)


class Stage(Generic[Kind]):
    """Asks a predictor for a batch of photos, with networks that no longer learn.

    `compiled` lists the photo shapes that a program was made for; `checksum` names the weights.
    """

    def __init__(self, predictor: Kind, nets: Networks, checksum: str = ""):
        self.predictor, self.checksum = predictor, checksum
        self.compiled: list[tuple[int, ...]] = []
        for net in nets.values():
            net.eval()
        graph, self.params = nnx.split(dict(nets))

        @jax.jit
        def forward(params: Any, batch: Batch) -> Batch:
            self.compiled.append(batch["photo"].shape)  # runs while JAX traces: once per program
            return self.predict(params, batch)

        self._graph, self._forward = graph, forward

    def predict(self, params: Any, batch: Batch) -> Batch:
        """The predictor with networks of these params: a pure function, not yet compiled."""
        nets = nnx.merge(self._graph, params)
        return self.predictor(nets, batch)

    def __call__(self, photo: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
        """What is made of photo [N,H,W,3] (0..1), its sides multiples of the predictor's.

        `more` is what else the predictor wants to see, such as mask [N,H,W,1] with 1 where damaged.
        """
        answer = self._forward(self.params, {"photo": photo, **more})
        return {name: np.asarray(array) for name, array in answer.items()}


@overload
def load(path: str | os.PathLike | None = None, default: str = "") -> Stage[Any]: ...
@overload
def load(
    path: str | os.PathLike | None = None, default: str = "", *, kind: type[Kind]
) -> Stage[Kind]: ...
@overload
def load(path: str | os.PathLike | None, default: str, kind: type[Kind]) -> Stage[Kind]: ...
def load(
    path: str | os.PathLike | None = None,
    default: str = "",
    kind: type[Predictor] = Predictor,
) -> Stage[Any]:
    """The stage kept in a weights file or in the work folder of a training run.

    Without a path, the weights called `default` that come with the package. Raises WeightsError
    when there are none, or when the file doesn't say what it is for, or not of this `kind`.
    """
    file = catalogue.packaged(default) if path is None else find(path)
    arrays, metadata = store.load(file)
    predictor = kept.read(metadata)
    if predictor is None:
        raise store.WeightsError(
            f"{file}: holds arrays but no predictor; use a file that oldphoto_jax's training wrote"
        )
    if not isinstance(predictor, kind):
        raise store.WeightsError(
            f"{file}: these weights {predictor.does}, but it takes some that {kind.does}; "
            "name others by --weights"
        )
    nets = nnx.eval_shape(lambda: predictor.networks(nnx.Rngs(0)))  # drawing weights takes seconds
    for name, net in nets.items():
        try:
            names.fill(net, names.within(arrays, name))
        except store.WeightsError as error:
            raise store.WeightsError(f"{file}, {name}: {error}") from error
    return Stage(predictor, nets, store.checksum(file))


def find(path: str | os.PathLike) -> pathlib.Path:
    """The weights file at this path: the file itself, or the best (else last) of a work folder.

    Where there is neither, `path` may be the name of weights that come with the package.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        packaged = [file.stem for file in catalogue.all_packaged()]
        if str(path) in packaged:
            return catalogue.packaged(str(path))
        raise store.WeightsError(
            f"{path}: there is no such weights file or work folder, and the package has none of "
            f"this name (it has: {', '.join(packaged) or 'none'})"
        )
    for name in ("best", "last"):
        if (file := path / "weights" / f"{name}.safetensors").is_file():
            return file
    raise store.WeightsError(
        f"{path}: has neither weights/best.safetensors nor weights/last.safetensors; "
        "is it the --workdir of a training run that has saved weights yet?"
    )


def within_memory(
    function: Callable[[int, int], Result],
    tile: int,
    overlap: int,
    multiple: int,
    what: str = "tile",
) -> Result:
    """`function(tile, overlap)`; when the device runs out of memory, again with half the tile.

    Says so on stderr, calling it `what`. Raises MemoryError when even the smallest doesn't fit.
    """
    while True:
        try:
            return function(tile, overlap)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
        if tile <= multiple:
            raise MemoryError(f"the device has no memory for a {what} of {tile} pixels")
        smaller = max(tile // 2 // multiple, 1) * multiple
        print(f"out of device memory: {what} {tile} becomes {smaller}", file=sys.stderr)
        tile, overlap = smaller, min(overlap, smaller // multiple // 2 * multiple)


def use(device: str) -> None:
    """Computes on "cpu", "gpu" or "tpu" alone from here on; "auto" leaves the choice to JAX.

    To be called before anything is computed. Raises ValueError where there is no such device.
    """
    if device == "auto":
        return
    jax.config.update("jax_platforms", device)
    try:
        jax.devices()
    except RuntimeError as error:
        raise ValueError(
            f"device {device}: JAX finds none ({error}); install the extra for it "
            "(oldphoto-jax[cuda] or [tpu]), or choose cpu"
        ) from error


def photos_at_once() -> int:
    """How many photos a program should take at once: more than one pays on accelerators only."""
    devices = jax.local_devices()
    return len(devices) * (1 if devices[0].platform == "cpu" else 8)


def cache_folder() -> pathlib.Path:
    """Where compiled programs are kept between runs: in the user's cache folder."""
    return cache.folder("compiled")


def keep_compiled() -> None:
    """Lets JAX keep every compiled program in `cache_folder`, so a second run compiles none."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
