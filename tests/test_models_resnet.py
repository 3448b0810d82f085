"""Residual networks: shapes, variants, precision. Exactness is held by test_golden."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import blocks, norm
from oldphoto_jax.models import resnet
from tests import toy
from tests.nets import drawn


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def count(net):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net, nnx.Param)))


def abstract(*args, **options):
    """The network's shapes alone, which cost nothing."""
    return nnx.eval_shape(lambda: resnet.ResNet(*args, rngs=nnx.Rngs(0), **options))


@pytest.mark.parametrize(
    ("options", "million"),
    [
        ({"depth": 18}, 11.689512),
        ({"depth": 34}, 21.797672),
        ({"depth": 50}, 25.557032),
        ({"depth": 50, "variant": "keras"}, 25.583592),
    ],
)
def test_parameters_are_as_many_as_published(options, million):
    assert count(abstract(classes=1000, **options)) == round(million * 1e6)


def test_width_multiplies_every_channel():
    assert abstract(18, width=16).channels == (16, 16, 32, 64, 128)
    assert abstract(50, width=16).channels == (16, 64, 128, 256, 512)
    quarter, half = (count(abstract(18, width=width)) for width in (16, 32))
    assert 3.9 < half / quarter < 4  # nearly all parameters have two channel counts


def sides_and_channels(net, height, width):
    """Of every tap, without computing any."""
    photo = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    taps = nnx.eval_shape(lambda net, photo: net.features(photo), net, photo)
    return [tap.shape[1:] for tap in taps]


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("kind", ["batch", "inplace"])
def test_taps_halve_the_photo_four_times_after_the_stem(depth, kind):
    net = abstract(depth, width=8, norm=kind)
    c = net.channels
    assert sides_and_channels(net, 64, 96) == [
        (32, 48, c[0]),
        (16, 24, c[1]),
        (8, 12, c[2]),
        (4, 6, c[3]),
        (2, 3, c[4]),
    ]


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ({"stem_kernel": 3, "stem_stride": 1, "pool": None}, [32, 32, 16, 8, 4]),
        ({"pool": None}, [16, 16, 8, 4, 2]),
        ({"pool": "max2"}, [16, 8, 4, 2, 1]),
        ({"pool": "max3"}, [16, 8, 4, 2, 1]),
    ],
)
def test_stem_and_pool_decide_the_resolution(options, sides):
    assert [tap[0] for tap in sides_and_channels(abstract(18, **options), 32, 32)] == sides


def test_the_variants_stride_on_different_convolutions():
    def strides(variant):
        block = abstract(50, variant=variant).stages[1][0]
        return block.conv1.strides, block.conv2.strides

    assert (strides("torch"), strides("keras")) == ((1, 2), (2, 1))


@pytest.mark.parametrize("kind", ["batch", "inplace"])
def test_every_parameter_of_a_bottleneck_learns(kind):
    def build():
        conv = functools.partial(blocks.conv, bias=False, rngs=nnx.Rngs(0))
        normalize = functools.partial(norm.normalize, kind)
        return resnet.Bottleneck(4, 4, 2, conv=conv, normalize=normalize, stride_first=False)

    block = drawn(build)
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
    gradients = nnx.jit(nnx.grad(lambda block, x: jnp.mean(block(x) ** 2)))(block, x)
    for path, leaf in nnx.to_flat_state(gradients):
        assert jnp.any(leaf[...] != 0), path


def test_bfloat16_weights_compute_in_bfloat16_and_answer_in_float32():
    @nnx.jit
    def answer(net, x):
        return net(x), net.features(x)[-1]

    net = drawn(lambda: resnet.ResNet(18, width=8, classes=5, rngs=nnx.Rngs(0)))
    x = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    net.eval()
    exact, _ = answer(net, x)
    nnx.update(net, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(net, nnx.Param)))
    logits, last = answer(net, x)
    assert (logits.dtype, last.dtype) == (jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(logits, exact, atol=0.03 * float(jnp.abs(exact).max()))


def test_normalize_gives_imagenet_zero_mean():
    gray = np.broadcast_to(np.float32(resnet.MEAN), (2, 2, 3))
    np.testing.assert_allclose(resnet.normalize(gray), 0, atol=1e-6)
    red = np.float32([[[1, 0, 0]]])
    want = [-103.939, -116.779, 255 - 123.68]
    np.testing.assert_allclose(resnet.normalize(red, "keras")[0, 0], want, rtol=1e-6)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="ResNet-20"):
        resnet.ResNet(20, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="'max4'"):
        resnet.ResNet(18, pool="max4", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="'caffe'"):
        resnet.ResNet(18, variant="caffe", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="no classes"):
        abstract(18)(jnp.zeros((1, 32, 32, 3)))
