"""Which array belongs where: the variables of a network by name, such as `encoder.stem.kernel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.weights.store import WeightsError


def flatten(tree: nnx.Module | Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every array of a network, or of its state as nested dicts, under its dotted path.

    Parameters and statistics alike; the keys of random streams are left out.
    """
    if isinstance(tree, nnx.Module):
        tree = nnx.to_pure_dict(nnx.state(tree))
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            flat[name] = value
    return flat


def within(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """The arrays of the part called `where`, by their names inside it.

    A file of a network or of its encoder alone doesn't say what others call it: for
    "segmenter.encoder.stages" its arrays may begin with that, with "encoder.stages" or with
    "stages". When none of these fits, all arrays are returned as they are.
    """
    parts = where.split(".")
    for first in range(len(parts)):
        prefix = ".".join(parts[first:]) + "."
        inside = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        if inside:
            return inside
    return dict(arrays)


def fill(net: nnx.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives each variable of `net` the array of its name, in the variable's own type.

    Raises WeightsError, which lists them all, when names are missing or left over or when shapes
    differ; `net` is then unchanged.
    """
    state = nnx.state(net)
    fitted = fit(flatten(net), arrays, type(net).__name__)
    for path, variable in nnx.to_flat_state(state):
        name = ".".join(map(str, path))
        if name in fitted:
            variable.set_value(fitted[name])
    nnx.update(net, state)


def fit(own: Mapping[str, Any], arrays: Mapping[str, Any], network: str) -> dict[str, jax.Array]:
    """The array of each name that a network has for its `own`, in their types.

    Raises WeightsError, as `fill` does, which calls it `network`.
    """
    problems = [f"missing: {name}" for name in own if name not in arrays]
    problems += [f"not in the network: {name}" for name in arrays if name not in own]
    problems += [
        f"{name} is {tuple(arrays[name].shape)}, the network wants {tuple(value.shape)}"
        for name, value in own.items()
        if name in arrays and arrays[name].shape != value.shape
    ]
    if problems:
        raise WeightsError(
            f"the weights do not fit this {network} ({len(problems)} differences; "
            "was it built with other depth, width or options?):\n  " + "\n  ".join(problems[:20])
        )
    return {name: jnp.asarray(arrays[name], one.dtype) for name, one in own.items()}
