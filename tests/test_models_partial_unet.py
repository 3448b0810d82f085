"""The partial-convolution U-Net: blind to holes, with masks beside every feature map.

And the networks that it compares with, of plain and of gated convolutions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.models.partial_unet import PartialUNet
from oldphoto_jax.weights import names
from tests import toy
from tests.nets import drawn

LEVELS, SIZE = 3, 16


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def build(levels=LEVELS, **options):
    return PartialUNet(levels, **{"width": 4, "rngs": nnx.Rngs(0)} | options)


FORMS = {
    "ratio": {},
    "sum": {"form": "sum"},
    "outside": {"border": "outside"},
    "two sources": {"c_in": (3, 4)},
    "plain": {"convolution": "plain"},
    "gated": {"convolution": "gated"},
    "two gated": {"convolution": "gated", "c_in": (3, 4)},
}
BLIND = ["ratio", "sum", "outside", "plain", "gated"]


@pytest.fixture(scope="module")
def originals():
    return {
        name: drawn(lambda options=options: build(**options)) for name, options in FORMS.items()
    }


@pytest.fixture
def nets(originals):
    """One network of every form, in training mode; each test has its own copies."""
    return {name: nnx.clone(net) for name, net in originals.items()}


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (2, SIZE, SIZE, 3))


@pytest.fixture(scope="module")
def mask():
    """Half of the pixels, and a block that two levels can't see across."""
    bad = jax.random.bernoulli(jax.random.key(1), 0.5, (2, SIZE, SIZE, 1)).astype(jnp.float32)
    return bad.at[:, 1:14, 2:15].set(1)


@nnx.jit
def answer(net, x, *masks):
    return net(x, *masks)


@nnx.jit
def gradient(net, x, mask):
    return nnx.grad(lambda net: jnp.mean(net(x, mask)[0] ** 2))(net)


@pytest.mark.parametrize("levels", [2, 5, 7, 8])
@pytest.mark.parametrize("options", [{}, FORMS["plain"], FORMS["two gated"], {"c_out": 1}])
def test_every_depth_answers_at_full_resolution(levels, options):
    net = nnx.eval_shape(lambda: build(levels, **options))
    assert net.stride == 2**levels
    c_in = options.get("c_in", 3)
    sources = c_in if isinstance(c_in, tuple) else (c_in,)
    photo = jax.ShapeDtypeStruct((1, net.stride, 2 * net.stride, sum(sources)), jnp.float32)
    hole = jax.ShapeDtypeStruct((*photo.shape[:3], 1), jnp.float32)
    y, left = nnx.eval_shape(lambda net, x, m: net(x, *[m] * len(sources)), net, photo, hole)
    assert y.shape == (*photo.shape[:3], options.get("c_out", 3)) and y.dtype == jnp.float32
    assert left.shape == hole.shape


def test_channels_kernels_and_norms_are_the_paper_s():
    net = nnx.eval_shape(lambda: build(8, width=64))
    kernels = [stage.conv.conv.kernel.shape for stage in net.encoder]
    assert [shape[0] for shape in kernels] == [7, 5, 5, 3, 3, 3, 3, 3]
    assert [shape[-1] for shape in kernels] == [64, 128, 256, 512, 512, 512, 512, 512]
    kernels = [stage.conv.conv.kernel.shape for stage in net.decoder]
    assert [shape[-1] for shape in kernels] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [shape[-2] for shape in kernels] == [1024, 1024, 1024, 1024, 768, 384, 192, 67]
    stages = [*net.encoder, *net.decoder]
    assert [i for i, stage in enumerate(stages) if stage.norm is None] == [0, 15]
    assert [i for i, stage in enumerate(stages) if stage.conv.bias is not None] == [15]
    with_bias = nnx.eval_shape(lambda: build(8, stem_bias=True))
    assert with_bias.encoder[0].conv.bias is not None and with_bias.encoder[1].conv.bias is None


def test_gates_double_the_channels_and_the_input_carries_the_masks():
    plain, gated = (
        nnx.eval_shape(lambda kind=kind: build(4, c_in=(3, 4), convolution=kind))
        for kind in ("plain", "gated")
    )
    stages = [[*net.encoder, *net.decoder] for net in (plain, gated)]
    for i, (ours, theirs) in enumerate(zip(*reversed(stages), strict=True)):
        *window, c_in, c_out = theirs.conv.conv.kernel.shape
        masks = 2 if i in (0, 7) else 0  # the last stage sees the input again
        assert ours.conv.conv.kernel.shape == (*window, c_in + masks, 2 * c_out)
        assert ours.conv.conv.bias.shape == (2 * c_out,)
        assert (ours.norm is None) == (theirs.norm is None)
        assert ours.norm is None or ours.norm.scale.shape == theirs.norm.scale.shape


def test_unknown_convolutions_are_refused():
    with pytest.raises(ValueError, match=r"'dilated' is unknown.*'partial', 'plain', 'gated'"):
        nnx.eval_shape(lambda: build(convolution="dilated"))


@pytest.mark.parametrize("shape", [(1, 20, 16, 3), (1, 16, 15, 3), (16, 16, 3)])
def test_sides_that_do_not_fit_are_refused_with_the_mend(nets, shape):
    with pytest.raises(ValueError, match="multiples of 8: pad the photo"):
        nets["ratio"](jnp.zeros(shape))


def test_one_level_is_no_unet():
    with pytest.raises(ValueError, match="levels is 1"):
        build(1)


@pytest.mark.parametrize("form", BLIND)
def test_what_lies_under_the_mask_changes_nothing(nets, form, x, mask):
    junk = jnp.where(mask > 0, 1e4 * x[::-1], x)
    for one, other in zip(answer(nets[form], x, mask), answer(nets[form], junk, mask), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_no_mask_is_a_photo_without_holes(nets, form, x):
    net = nets[form]
    net.eval()
    count = len(net.sources)
    photo = jnp.concatenate([x, x, x], -1)[..., : sum(net.sources)]
    zeros = [jnp.zeros((2, SIZE, SIZE, 1))] * count
    want, left = answer(net, photo, *zeros)
    assert not left.any()
    for masks in (), (None,) * count:
        y, left = answer(net, photo, *masks)
        np.testing.assert_allclose(y, want, atol=1e-4 * float(jnp.abs(want).max()))
        assert not left.any()


def test_plain_convolutions_see_zeros_and_no_mask(nets, x, mask):
    net, partial = nets["plain"], nets["outside"]
    net.eval()
    names.fill(partial, names.flatten(net))
    partial.eval()
    y, left = answer(net, x, mask)
    assert not left.any()
    np.testing.assert_array_equal(y, answer(net, x * (1 - mask))[0])
    assert not np.allclose(answer(partial, x, mask)[0], y, atol=1e-2)
    whole = answer(net, x)[0]
    np.testing.assert_allclose(answer(partial, x)[0], whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("form", ["gated", "two gated"])
def test_gates_know_a_hole_from_black(nets, form, x, mask):
    """The same zeros, once as a hole and once as a photo's own; of every source for itself."""
    net = nets[form]
    net.eval()
    count = len(net.sources)
    photo = jnp.concatenate([x, x, x], -1)[..., : sum(net.sources)] * (1 - mask)
    black = answer(net, photo)[0]
    for i in range(count):
        y, left = answer(net, photo, *[mask if i == j else None for j in range(count)])
        assert not left.any() and not np.allclose(y, black, atol=1e-2)
    inside, _ = net.features(photo, *[mask] * count)[0]
    np.testing.assert_array_equal(inside, jnp.concatenate([photo, *[mask] * count], -1))


def test_features_are_normed_and_gates_are_not(nets, x, mask):
    net = nets["gated"]
    net.eval()
    stage = net.encoder[1]
    stage.norm.scale[...] = 0 * stage.norm.scale[...]
    stage.norm.bias[...] = 2 + stage.norm.bias[...]
    (x, _), (y, _) = net.features(x, mask)[1:3]
    np.testing.assert_allclose(y, 2 * stage.conv.halves(x)[1], atol=1e-6)
    assert float(y.std()) > 0.01


def test_the_hole_that_is_left_is_what_nothing_good_could_reach(nets, x):
    """Where the mask of the answer is 1 the answer is 0; one good pixel is seen from afar."""
    net = nets["ratio"]
    y, left = answer(net, x, jnp.ones((2, SIZE, SIZE, 1)))
    assert left.all() and not y.any()
    corner = jnp.ones((2, SIZE, SIZE, 1)).at[1, 0, 0].set(0)
    y, left = answer(net, x, corner)
    assert left[0].all() and not y[0].any() and not left[1].any() and y[1].any()


@pytest.mark.parametrize("form", BLIND)
def test_a_photo_without_a_good_pixel_has_a_finite_answer_and_gradient(nets, form, x):
    mask = jnp.ones((2, SIZE, SIZE, 1))
    assert jnp.isfinite(answer(nets[form], x, mask)[0]).all()
    for leaf in jax.tree.leaves(gradient(nets[form], x, mask)):
        assert jnp.isfinite(leaf).all()


@pytest.mark.parametrize("form", ["ratio", "sum", "gated"])
def test_every_parameter_learns_and_only_the_encoder_s_statistics_stand_still(nets, form, x, mask):
    net = nets[form]
    for path, leaf in nnx.to_flat_state(gradient(net, x, mask)):
        assert jnp.isfinite(leaf[...]).all() and jnp.any(leaf[...] != 0), path
    before = jax.tree.map(jnp.copy, nnx.state(net, nnx.BatchStat))
    norm.freeze(net, "encoder")
    answer(net, x, mask)
    for (path, old), (_, new) in zip(
        nnx.to_flat_state(before), nnx.to_flat_state(nnx.state(net, nnx.BatchStat)), strict=True
    ):
        assert jnp.array_equal(old[...], new[...]) == (path[0] == "encoder"), path


def test_evaluation_is_deterministic_and_photos_do_not_mix(nets, x, mask):
    net = nets["ratio"]
    net.eval()
    both, _ = answer(net, x, mask)
    np.testing.assert_array_equal(both, answer(net, x, mask)[0])
    other, _ = answer(net, x.at[1].set(0.0), mask.at[1].set(0.0))
    np.testing.assert_allclose(other[0], both[0], atol=1e-5)


def test_low_precision_gives_float32_near_the_exact_answer(nets, x, mask):
    net = nets["ratio"]
    exact, left = answer(net, x, mask)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(net, nnx.Param))
    nnx.update(net, low)
    y, same = answer(net, x, mask)
    assert y.dtype == jnp.float32 and not jnp.array_equal(y, exact)
    np.testing.assert_array_equal(same, left)
    assert float(jnp.abs(y - exact).mean()) < 0.05 * float(jnp.abs(exact).mean())
