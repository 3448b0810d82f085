"""Zhang et al.'s colouring networks: sizes, hints, two heads; their numbers are golden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful
from oldphoto_jax.photo import color
from oldphoto_jax.weights import names

ECCV16 = colorful.ECCV16Blueprint(widths=(2, 3, 4, 5, 6, 7, 8, 9))
SIGGRAPH17 = colorful.SIGGRAPH17Blueprint(
    widths=(2, 3, 4, 5, 6, 7, 8, 9, 10, 11), classes=12, mask_cent=0.5
)


def bare(network):
    """Without its numbers."""
    c_out = 11 if network is ECCV16 else 2
    net = nnx.eval_shape(lambda: network.build(c_out=c_out, rngs=nnx.Rngs(0)))
    net.eval()
    return net


def lightness(*shape):
    return np.float32(np.random.default_rng(0).uniform(0, 100, shape))


def shapes(net, ask, *inputs):
    """Those of what is asked of a network, without computing it."""
    graph, state = nnx.split(net)
    found = jax.eval_shape(lambda state, *x: ask(nnx.merge(graph, state), *x), state, *inputs)
    return [one.shape for one in jax.tree.leaves(found)]


def test_classes_are_told_at_a_quarter_of_the_sides():
    x = lightness(2, 16, 24, 1)
    found = shapes(bare(ECCV16), lambda net, x: (net(x), net.ab(x)), x)
    assert found == [(2, 4, 6, 11), (2, 16, 24, 2)]
    found = shapes(bare(SIGGRAPH17), lambda net, x: net(x), x)
    assert found == [(2, 16, 24, 2), (2, 4, 6, 12)]


def test_a_class_that_is_certain_gives_its_colour():
    net = bare(ECCV16)
    centres = np.random.default_rng(1).normal(0, 50, (11, 2))
    net.centres.set_value(jnp.float32(centres))
    certain = 99.0 * np.eye(11, dtype=np.float32)
    np.testing.assert_allclose(net.mean(certain), centres, rtol=1e-5)


def test_hints_stand_beside_lightness_and_none_are_zeros(monkeypatch):
    class SeenError(Exception):
        """Carries what the first block was to see."""

    def see(self, x):
        raise SeenError(x)

    monkeypatch.setattr(colorful.Block, "__call__", see)
    net, x = bare(SIGGRAPH17), lightness(1, 8, 16, 1)
    net.out.kernel.set_value(jnp.zeros(net.out.kernel.shape))  # whose type counts

    def seen(*hints):
        with pytest.raises(SeenError) as caught:
            net.trunk(x, *hints)
        return np.asarray(caught.value.args[0])

    hints, hinted = np.full((1, 8, 16, 2), (55, -11), np.float32), np.ones_like(x)
    np.testing.assert_allclose(seen(hints, hinted)[0, 0, 0, 1:], [0.5, -0.1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(seen()[..., :1], (x - 50) / 100, rtol=1e-6)
    np.testing.assert_array_equal(seen(), seen(0 * hints, 0 * hinted))
    with pytest.raises(ValueError, match="give both or none"):
        net(x, hints)


def test_every_layer_of_the_tail_is_computed_once():
    net = bare(SIGGRAPH17)
    graph, state = nnx.split(net)
    x = lightness(1, 8, 8, 1)
    program = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, x)
    kernels = [name for name in names.flatten(net) if name.endswith(".kernel")]
    assert str(program).count("conv_general_dilated[") == len(kernels)


@pytest.mark.parametrize("network", [ECCV16, SIGGRAPH17])
def test_what_it_cannot_take_is_refused(network):
    net = bare(network)
    assert network.multiple == 8
    for shape in ((1, 16, 12, 1), (1, 16, 16, 3), (16, 16, 1)):
        with pytest.raises(ValueError, match=r"L is \(.*multiples of 8"):
            net(lightness(*shape))
    if network is SIGGRAPH17:
        with pytest.raises(ValueError, match="c_out is 3"):
            network.build(c_out=3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"widths are \(2, 3\): give"):
        type(network)(widths=(2, 3)).build(rngs=nnx.Rngs(0))


def test_a_silent_one_has_no_preference(monkeypatch):
    silenced = []
    monkeypatch.setattr(colorful.blueprint, "silence", lambda one: silenced.append(one.shape[-1]))
    for network in (ECCV16, SIGGRAPH17):
        nnx.eval_shape(lambda network=network: network.build(silent=True, rngs=nnx.Rngs(0)))
    assert silenced == [313, 12, 2]  # the classes of either, then a and b


def test_it_sees_lightness():
    photo = np.random.default_rng(0).random((1, 2, 3, 3), np.float32)
    seen = jax.jit(ECCV16.normalize)(photo)
    np.testing.assert_allclose(seen, color.rgb_to_lab(photo)[..., :1], atol=1e-3)
