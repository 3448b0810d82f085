"""Networks with spectral normalization for tests, built like those of `tests.nets`."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers.spectral import Spectral
from tests import nets


def drawn(build, seed=0):
    """The network that `build()` makes; its singular vectors start as they would, u at random."""
    net, rng = nets.drawn(build, seed), np.random.default_rng(seed)
    for _, module in nnx.iter_modules(net):
        if isinstance(module, Spectral):
            kernel = np.moveaxis(np.asarray(module.kernel[...]), module.output_axis, -1)
            u = unit(rng.normal(size=module.u.shape))
            module.u[...], module.v[...] = u, unit(kernel.reshape(-1, len(u)) @ u)
    return net


def halved(net):
    """Its weights in bfloat16, as training in that precision makes them."""
    return jax.tree.map(
        lambda array: jnp.asarray(np.asarray(array).astype(jnp.bfloat16)),
        nnx.state(net, nnx.Param),
    )


def unit(vector):
    """The vector at length 1, float32."""
    return np.float32(vector / np.linalg.norm(vector))
