"""A flow compiled as one function: equal photos go through it together, spread over all devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.restore import flow as flows
from oldphoto_jax.restore import traced


def frame(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """A photo's part of a batch: pixels [H,W,1|3] of a file."""
    return {
        "photo": files.rgb(pixels),
        "gray": np.asarray(image.is_gray(pixels)),
        "full": np.asarray(np.iinfo(pixels.dtype).max, np.float32),
    }


class Program:
    """Runs a flow on batches; `wanted` names what of the last batch is handed back.

    `compiled` gets the shape of the photos of every batch that a program was made for.
    """

    def __init__(
        self,
        flow: flows.Flow,
        wanted: Sequence[str],
        devices: Sequence[jax.Device],
        compiled: list[tuple[int, ...]],
    ):
        mesh = jax.make_mesh(
            (len(devices),), ("photos",), axis_types=(AxisType.Auto,), devices=devices
        )
        self._devices = len(devices)
        self._sharding = NamedSharding(mesh, PartitionSpec("photos"))
        self._weights = jax.device_put(flows.weights(flow), NamedSharding(mesh, PartitionSpec()))
        function = flows.pure(flow)

        @jax.jit
        def go(weights: flows.Weights, batch: Batch) -> Batch:
            compiled.append(batch["photo"].shape)  # runs while JAX traces: once per program
            result = function(weights, batch)
            if "probability" in wanted:
                steps = jnp.round(result["probability"] * traced.FULL_SCALE)
                result = result | {"probability": steps.astype(jnp.uint16)}
            return {name: result[name] for name in wanted}

        self._go: Callable = go

    def __call__(self, frames: Sequence[Mapping[str, np.ndarray]], count: int) -> list[dict]:
        """What is wanted of each frame, as NumPy arrays.

        They are computed as a batch of `count`, and more where the devices want equal shares:
        frames that are missing are filled up, since another number would be another program.
        Raises JAX's RESOURCE_EXHAUSTED error when the devices have too little memory.
        """
        count = -(-max(count, len(frames)) // self._devices) * self._devices
        whole = [*frames, *[frames[-1]] * (count - len(frames))]
        batch = {name: np.stack([one[name] for one in whole]) for name in frames[0]}
        answer = jax.device_get(self._go(self._weights, jax.device_put(batch, self._sharding)))
        return [_one(answer, n) for n in range(len(frames))]


def _one(answer: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {name: array[number] for name, array in answer.items()}
