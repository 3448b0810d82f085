"""Networks for tests, built without compiling their random initializers one by one."""

import numpy as np
from flax import nnx

from oldphoto_jax.weights import names


def drawn(build, seed=0):
    """The network that `build()` makes, its kernels drawn by NumPy (He), the rest as in a start."""
    net = nnx.eval_shape(build)
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, leaf in names.flatten(net).items():
        kind = name.rpartition(".")[2]
        if kind == "kernel":
            spread = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            arrays[name] = spread * rng.normal(size=leaf.shape)
        else:
            arrays[name] = np.full(leaf.shape, float(kind in ("scale", "var")))
    names.fill(net, arrays)
    return net
