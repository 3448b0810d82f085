"""A trained predictor, ready to be asked: weights at rest, and programs of the shapes it meets."""

from __future__ import annotations

import functools
import importlib
import json
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any, ClassVar, Generic, TypeVar, overload

import jax
import numpy as np
from flax import nnx, traverse_util

from oldphoto_jax import described
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors import metadata as kept
from oldphoto_jax.predictors.predictor import Networks, Predictor
from oldphoto_jax.restore import exported
from oldphoto_jax.weights import cache, catalogue, names, store

# Functions are traced in the order in which they were asked for, so that XLA, which needs no
# Python, compiles the first while the next are traced.
TRACER = futures.ThreadPoolExecutor(1, "tracer")
COMPILERS = futures.ThreadPoolExecutor(3, "compilers")  # one for each network of the chain

Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=Predictor, covariant=True)


class Stage(Generic[Kind]):
    """Asks a predictor for a batch of photos, with networks that no longer learn.

    `params` are the weights by their names, such as `segmenter.encoder.stem.kernel`; networks are
    built when a function is traced. `compiled` lists the photo shapes that it has programs for;
    `checksum` names the weights. With `keeps` programs rest in the user's cache between runs.
    """

    keeps: ClassVar[bool] = False

    def __init__(
        self, predictor: Kind, weights: Networks | Mapping[str, np.ndarray], checksum: str = ""
    ):
        self.predictor, self.checksum = predictor, checksum
        self.compiled: list[tuple[int, ...]] = []
        arrays: dict[str, Any] = {}
        for name, one in weights.items():
            arrays |= names.flatten(one, name) if isinstance(one, nnx.Module) else {name: one}
        # What a file holds in 16 bits the networks compute with in 32: widened here once, not at
        # every call.
        self.params = jax.device_put({name: _wide(one) for name, one in arrays.items()})
        self._programs: dict[Any, futures.Future[Callable[[Any, Batch], Batch]]] = {}
        self._asked = threading.Lock()

    @functools.cached_property
    def _bare(self) -> Networks:
        """The networks without their weights; drawing some would take seconds."""
        nets = nnx.eval_shape(lambda: dict(self.predictor.networks(nnx.Rngs(0))))
        for net in nets.values():
            net.eval()
        return nets

    def check(self) -> None:
        """Raises WeightsError unless the weights are those of the predictor's networks."""
        jax.eval_shape(self._networks, self.params)

    def _networks(self, params: Mapping[str, Any]) -> dict[str, nnx.Module]:
        nets: dict[str, nnx.Module] = {}
        for name, net in self._bare.items():
            graph, state = nnx.split(net)
            try:
                own = names.fit(names.flatten(net), names.within(params, name), type(net).__name__)
            except store.WeightsError as error:
                raise store.WeightsError(f"{name}: {error}") from error
            nnx.replace_by_pure_dict(state, traverse_util.unflatten_dict(own, sep="."))
            nets[name] = nnx.merge(graph, state)
        return nets

    def predict(self, params: Mapping[str, Any], batch: Batch) -> Batch:
        """The predictor with networks of these params: a pure function, not yet compiled."""
        return self.predictor(self._networks(params), batch)

    def __call__(self, photo: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
        """What is made of photo [N,H,W,3] (0..1), its sides multiples of the predictor's.

        `more` is what else the predictor wants to see, such as mask [N,H,W,1] with 1 where damaged.
        """
        batch: Batch = {"photo": photo, **more}
        answer = self._program(batch).result()(self.params, batch)
        return {name: np.asarray(array) for name, array in answer.items()}

    def ready(self, photo: tuple[int, ...], **more: tuple[int, ...]) -> None:
        """Begins to make the program for arrays of these shapes, float32, which will be wanted."""
        shapes = {"photo": photo, **more}
        self._program({name: np.empty(shape, np.float32) for name, shape in shapes.items()})

    def _program(self, batch: Batch) -> futures.Future[Callable[[Any, Batch], Batch]]:
        """The compiled function of such batches; it is made in a thread where there is none yet."""
        key = tuple((name, one.shape, one.dtype) for name, one in batch.items())
        with self._asked:
            if key not in self._programs:
                lowered = TRACER.submit(self._lower, batch)
                self._programs[key] = COMPILERS.submit(lambda: lowered.result().compile())
                self.compiled.append(batch["photo"].shape)
            return self._programs[key]

    def _lower(self, batch: Batch) -> jax.stages.Lowered:
        shapes = jax.tree.map(lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype), batch)
        if self.keeps and self.checksum:
            function = exported.obtain(self.predict, self.identity, self.params, shapes)
        else:
            function = jax.jit(self.predict)
        return function.lower(self.params, shapes)

    @property
    def identity(self) -> str:
        """What its programs depend on, beside the shapes that go in."""
        return json.dumps([self.checksum, described.describe(self.predictor)], sort_keys=True)


def _wide(array: Any) -> Any:
    """The array as float32 where it is of a smaller floating type."""
    small = jax.numpy.issubdtype(array.dtype, jax.numpy.floating) and array.dtype.itemsize < 4
    return array.astype(np.float32) if small else array


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
    stage: Stage[Any] = Stage(predictor, arrays, store.checksum(file))
    if not (stage.keeps and exported.knows(stage.identity)):  # else an earlier run has checked them
        try:
            stage.check()
        except store.WeightsError as error:
            raise store.WeightsError(f"{file}, {error}") from error
    return stage


def find(path: str | os.PathLike) -> pathlib.Path:
    """The weights file at this path: the file itself, or the best (else last) of a work folder.

    Where there is neither, `path` may be the name of weights that come with the package, or of
    published ones in the catalogue, which are fetched the first time.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        packaged = [file.stem for file in catalogue.all_packaged()]
        if str(path) in packaged:
            return catalogue.packaged(str(path))
        if catalogue.row(str(path)):
            return catalogue.usable(str(path))
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


def prepare() -> None:
    """Keeps programs between runs, so that a second one neither traces nor compiles any.

    Those of stages as `exported` has them, and in `cache_folder` what JAX has compiled.
    """
    Stage.keeps = True
    # JAX wants it before it calls a program that was exported; it takes a while to import.
    TRACER.submit(importlib.import_module, "scipy.linalg.cython_blas")
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
