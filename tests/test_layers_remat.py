"""Computing anew changes no number, and keeps less."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.speed import saved_residuals
from oldphoto_jax.models import unet
from oldphoto_jax.models.unet import AlbuNet
from oldphoto_jax.tasks.segment import Segment
from tests import scene


def test_values_gradients_and_statistics_are_the_same(monkeypatch):
    scene.shallow(monkeypatch)
    photo = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)

    def gradient(params, rest):
        def loss(params):
            network = nnx.merge(graph, params, rest, copy=True)
            network.train()
            return jnp.square(network(photo)).mean(), nnx.state(network, nnx.Not(nnx.Param))

        return jax.value_and_grad(loss, has_aux=True)(params)

    said = []
    for again in (False, True):
        network = AlbuNet(
            18,
            width=4,
            stem_stride=1,
            stem_kernel=3,
            pool=None,
            norm="inplace",
            again=again,
            rngs=nnx.Rngs(0),
        )
        graph, params, rest = nnx.split(network, nnx.Param, ...)
        said.append(jax.tree.leaves(jax.jit(gradient)(params, rest)))
    for one, other in zip(*said, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_less_is_kept(monkeypatch):
    scene.shallow(monkeypatch)
    networks = [unet.Blueprint(width=8, remat=remat) for remat in (False, True)]
    kept = [saved_residuals.kept(Segment(size=64, network=network)) for network in networks]
    assert 0 < kept[1] < 0.6 * kept[0]
