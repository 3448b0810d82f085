"""EfficientNet-Lite0: its scales, its parts, its errors. Exactness is held by test_golden."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import efficientnet
from oldphoto_jax.weights import names
from tests import toy
from tests.nets import drawn


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def abstract(**options):
    """The network's shapes alone, which cost nothing."""
    return nnx.eval_shape(lambda: efficientnet.EfficientNetLite(rngs=nnx.Rngs(0), **options))


def count(net):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net, nnx.Param)))


def test_parameters_are_as_many_as_published():
    assert count(abstract(classes=1000)) == 4_652_008


@pytest.mark.parametrize(
    ("stages", "channels"),
    [(3, (16, 24, 40)), (4, (16, 24, 40, 80)), (6, (16, 24, 40, 112, 192))],
)
def test_taps_halve_the_photo_as_often_as_there_are_channels(stages, channels):
    net = abstract(stages=stages)
    assert net.channels == channels
    photo = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    taps = nnx.eval_shape(lambda net, photo: net.features(photo), net, photo)
    sides = [(2, 64 >> i, 96 >> i, c) for i, c in enumerate(channels, 1)]
    assert [tap.shape for tap in taps] == sides


def test_what_is_early_ends_at_a_quarter_of_the_sides():
    net = abstract(stages=6)
    early = [name for name in names.flatten(net) if name.startswith("early.")]
    assert {name.split(".")[0] for name in names.flatten(net)} == {"early", "late"}
    assert len(early) == 45 and count(net.early) < 0.01 * count(net)
    assert net.early.stages[-1][-1].project.kernel.shape[-1] == net.channels[1]


def test_every_parameter_of_a_block_learns():
    block = drawn(lambda: efficientnet.InvertedResidual(3, 3, 6, 3, 1, rngs=nnx.Rngs(0)))
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    gradients = nnx.jit(nnx.grad(lambda block, x: jnp.mean(block(x) ** 2)))(block, x)
    for path, leaf in nnx.to_flat_state(gradients):
        assert jnp.any(leaf[...] != 0), path


@pytest.mark.parametrize(("c", "stride", "shortcut"), [(3, 1, True), (3, 2, False), (4, 1, False)])
def test_a_shortcut_needs_equal_shapes(c, stride, shortcut):
    block = drawn(lambda: efficientnet.InvertedResidual(3, c, 2, 3, stride, rngs=nnx.Rngs(0)))
    block.project_norm.scale[...] = jnp.zeros(c)  # nothing but the shortcut is left
    block.eval()
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
    y = nnx.jit(lambda block: block(x))(block)
    np.testing.assert_array_equal(y, x if shortcut else 0)


def test_bfloat16_weights_compute_in_bfloat16():
    block = drawn(lambda: efficientnet.InvertedResidual(3, 3, 6, 3, 1, rngs=nnx.Rngs(0)))
    block.eval()
    run = nnx.jit(lambda block, x: block(x))
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    exact = run(block, x)
    params = nnx.state(block, nnx.Param)
    nnx.update(block, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params))
    rounded = run(block, x.astype(jnp.bfloat16))
    assert (exact.dtype, rounded.dtype) == (jnp.float32, jnp.bfloat16)
    largest = float(jnp.abs(exact).max())
    np.testing.assert_allclose(np.float32(rounded), exact, atol=0.03 * largest)


def test_a_photo_is_taken_in_the_type_of_the_weights():
    net = abstract(stages=3)
    half = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), nnx.state(net, nnx.Param)
    )
    nnx.update(net, half)
    photo = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    taps = nnx.eval_shape(lambda net, photo: net.features(photo), net, photo)
    assert {tap.dtype for tap in taps} == {jnp.dtype(jnp.bfloat16)}


def test_logits_are_float32():
    head = nnx.eval_shape(lambda: efficientnet.Head(4, 5, rngs=nnx.Rngs(0)))
    half = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.bfloat16), nnx.state(head))
    nnx.update(head, half)
    features = jax.ShapeDtypeStruct((2, 1, 3, 4), jnp.bfloat16)
    logits = nnx.eval_shape(lambda head, x: head(x), head, features)
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)


def test_normalize_maps_black_and_white_to_the_ends():
    photo = np.float32([[[0, 0.5, 1]]])
    np.testing.assert_array_equal(efficientnet.normalize(photo), [[[-1, 0, 1]]])


def test_wrong_options_and_shapes_are_named():
    net = abstract(stages=3)
    for stages in (2, 8):
        with pytest.raises(ValueError, match=f"stages is {stages}; the encoder has 3 to 7"):
            efficientnet.EfficientNetLite(stages=stages, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="a classifier needs all 7 stages, not 6"):
        efficientnet.EfficientNetLite(stages=6, classes=10, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="no classes; call features"):
        net(jnp.zeros((1, 32, 32, 3)))
    for shape in ((1, 32, 33, 3), (1, 48, 32, 3), (32, 32, 3)):
        with pytest.raises(ValueError, match="multiples of 32: pad the photo"):
            net.features(jnp.zeros(shape))
