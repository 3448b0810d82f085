"""AlbuNet: resolution, padding, freezing, precision; and the up-sampling it is built on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import blocks, norm
from oldphoto_jax.models import unet
from tests import toy
from tests.nets import drawn

ARTICLE = {"stem_kernel": 3, "stem_stride": 1, "pool": None}


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def build(**options):
    return unet.AlbuNet(**{"depth": 18, "width": 8, "rngs": nnx.Rngs(0)} | options)


@pytest.fixture(scope="module")
def original():
    return drawn(lambda: build(**ARTICLE))


@pytest.fixture
def article(original):
    """The article's form in training mode; each test has its own copy."""
    return nnx.clone(original)


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (2, 32, 48, 3))


@nnx.jit
def logits(net, x):
    return net(x)


@nnx.jit
def gradient(net, x):
    return nnx.grad(lambda net: jnp.mean(net(x) ** 2))(net)


def shape_of(function, net, *shape):
    """Shapes of what the function makes of the network and a photo, without computing it."""
    photo = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.tree.map(lambda y: y.shape, nnx.eval_shape(function, net, photo))


@pytest.mark.parametrize(
    ("options", "stride"),
    [
        ({}, 64),
        (ARTICLE, 16),
        ({"pool": None}, 32),
        ({"stem_stride": 1}, 32),
        ({"deconv": True}, 64),
        (ARTICLE | {"deconv": True, "norm": "inplace"}, 16),
        ({"depth": 50, "c_out": 2, "align_corners": True}, 64),
    ],
)
def test_every_form_answers_at_full_resolution(options, stride):
    net = nnx.eval_shape(lambda: build(**options))
    assert net.stride == stride
    shape = shape_of(lambda net, x: net(x), net, 1, stride, 2 * stride, 3)
    assert shape == (1, stride, 2 * stride, options.get("c_out", 1))


@pytest.mark.parametrize(
    ("options", "stride", "answer"),
    [
        ({"out_stride": 2}, 64, (64, 96)),
        ({"out_stride": 4, "squeeze": True, "deconv": True}, 64, (32, 48)),
        ({"stages": 3}, 32, (128, 192)),
        ({"stages": 3, "out_stride": 4, "squeeze": True, "variant": "keras"}, 32, (32, 48)),
        ({"pool": None, "out_stride": 2, "depth": 50, "stages": 3}, 16, (64, 96)),
        ({"decoder_norm": True, "deconv": True, "out_stride": 2}, 64, (64, 96)),
    ],
)
def test_smooth_answers_may_be_smaller_and_encoders_shallower(options, stride, answer):
    net = nnx.eval_shape(lambda: build(**options))
    assert net.stride == stride
    assert shape_of(lambda net, x: net(x), net, 1, 128, 192, 3) == (1, *answer, 1)
    assert len(net.encoder.stages) == options.get("stages", 4)


def test_the_article_s_form_works_at_full_resolution(article):
    taps = shape_of(lambda net, x: net.encoder.features(x), article, 1, 32, 48, 3)
    assert [shape[1:3] for shape in taps] == [(32, 48), (32, 48), (16, 24), (8, 12), (4, 6)]


@pytest.mark.parametrize("shape", [(1, 40, 32, 3), (1, 32, 17, 3), (32, 32, 3)])
def test_sides_that_do_not_fit_are_refused_with_the_mend(article, shape):
    with pytest.raises(ValueError, match=r"multiples of 16: pad"):
        article(jnp.zeros(shape))


def test_moving_the_photo_by_one_stride_moves_the_answer(article):
    """Inside, far from the zeros at the border, the network is the same everywhere."""
    article.eval()
    photo = jax.random.normal(jax.random.key(1), (1, 288, 16, 3))
    here, there = logits(article, photo[:, :272]), logits(article, photo[:, 16:])
    np.testing.assert_allclose(here[:, 144:160], there[:, 128:144], atol=2e-5)


def test_evaluation_is_deterministic_and_photos_do_not_mix(article, x):
    article.eval()
    both = logits(article, x)
    np.testing.assert_array_equal(both, logits(article, x))
    swapped = logits(article, x.at[1].set(0.0))
    np.testing.assert_allclose(swapped[0], both[0], atol=1e-5)


def test_every_parameter_learns_while_frozen_statistics_stand_still(article, x):
    before = jax.tree.map(jnp.copy, nnx.state(article, nnx.BatchStat))
    norm.freeze(article, "encoder")
    for path, leaf in nnx.to_flat_state(gradient(article, x)):
        assert jnp.any(leaf[...] != 0), path
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(article, nnx.BatchStat))
    article.train()
    logits(article, x)
    for (path, old), (_, new) in zip(
        nnx.to_flat_state(before), nnx.to_flat_state(nnx.state(article, nnx.BatchStat)), strict=True
    ):
        assert not jnp.array_equal(old[...], new[...]), path


def test_bfloat16_weights_give_float32_logits(article, x):
    exact = logits(article, x)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(article, nnx.Param))
    nnx.update(article, low)
    answer = logits(article, x)
    assert answer.dtype == jnp.float32
    assert not jnp.array_equal(answer, exact)
    np.testing.assert_allclose(answer, exact, atol=0.1 * float(jnp.abs(exact).max()))


def test_a_stem_that_the_decoder_cannot_undo_is_refused():
    with pytest.raises(ValueError, match="stem_stride is 4"):
        build(stem_stride=4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"out_stride": 8}, "out_stride is 8; it must divide 4"),
        (ARTICLE | {"out_stride": 2}, "it must divide 1"),
        ({"stages": 2}, "stages is 2"),
    ],
)
def test_sizes_that_no_decoder_has_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        build(**options)


@pytest.mark.parametrize("align_corners", [False, True])
def test_doubling_keeps_a_plane_a_plane(align_corners):
    """Bilinear interpolation reproduces a linear ramp, up to the border's half pixel."""
    rows, columns = np.mgrid[0:5, 0:7].astype(np.float32)
    ramp = (2 * rows + 3 * columns + 1)[None, :, :, None]
    rows, columns = np.mgrid[0:10, 0:14]
    if align_corners:
        rows, columns = rows * 4 / 9, columns * 6 / 13
    else:
        rows, columns = np.clip((rows - 0.5) / 2, 0, 4), np.clip((columns - 0.5) / 2, 0, 6)
    doubled = blocks.double(jnp.asarray(ramp), align_corners=align_corners)
    np.testing.assert_allclose(doubled[0, :, :, 0], 2 * rows + 3 * columns + 1, rtol=1e-5)


def test_doubling_equals_jax_resize():
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))
    want = jax.image.resize(x, (2, 10, 6, 4), "linear")
    np.testing.assert_allclose(blocks.double(x), want, atol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_single_pixel_doubles_to_itself(align_corners):
    x = jnp.full((1, 1, 1, 2), 3.0)
    np.testing.assert_array_equal(
        blocks.double(x, align_corners=align_corners), jnp.full((1, 2, 2, 2), 3.0)
    )
