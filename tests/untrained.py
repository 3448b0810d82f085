"""Networks that have learned nothing, made fast: tests of restoring need no skill."""

import math

import numpy as np
from flax import nnx

from oldphoto_jax.models import partial_unet, unet
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.weights import names, store


def finder(**more):
    """A narrow one, that finds defects."""
    return DefectPredictor(network=unet.Blueprint(width=4), **more)


def filler(levels=2, **more):
    """A narrow one, that fills holes."""
    return FillingPredictor(network=partial_unet.Blueprint(levels=levels, width=4), **more)


def painter(**more):
    """A narrow one, that colours photos."""
    network = unet.imagenet(depth=18, stages=3, width=4, decoder_width=4)
    return ColorPredictor(network=network, **more)


def networks(whose):
    """The networks of a predictor or a task, with random weights that let signals through.

    Their statistics are lively, too.
    """
    nets = nnx.eval_shape(lambda: whose.networks(nnx.Rngs(0)))
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


def save(path, predictor, metadata=None):
    """Writes a weights file as training does; returns its path."""
    arrays = {}
    for name, net in networks(predictor).items():
        arrays |= names.flatten(net, name)
    store.save(path, arrays, predictor.metadata() if metadata is None else metadata)
    return path
