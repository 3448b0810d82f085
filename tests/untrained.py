"""Networks that have learned nothing, made fast: tests of restoring need no skill."""

import math

import numpy as np
from flax import nnx

from oldphoto_jax import task as contract
from oldphoto_jax.weights import names, store


def networks(task):
    """The task's networks with random weights that let signals through, and lively statistics."""
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    rng = np.random.default_rng(0)

    def draw(name, shape):
        if len(shape) > 1:  # a kernel; He et al., 2015
            return rng.normal(0, math.sqrt(2 / math.prod(shape[:-1])), shape)
        positive = name.endswith(("scale", "var"))
        return rng.uniform(0.5, 1.5, shape) if positive else rng.normal(0, 0.1, shape)

    for net in nets.values():
        flat = names.flatten(net)
        names.fill(net, {name: draw(name, array.shape) for name, array in flat.items()})
    return nets


def save(path, task, metadata=None):
    """Writes a weights file as training does; returns its path."""
    arrays = {}
    for name, net in networks(task).items():
        arrays |= names.flatten(net, name)
    store.save(path, arrays, {"task": contract.to_json(task)} if metadata is None else metadata)
    return path
