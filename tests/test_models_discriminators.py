"""Critics: sizes, options, what training changes in them; their numbers are golden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers.instance import instance_norm
from oldphoto_jax.losses.feature import feature_matching
from oldphoto_jax.models import discriminators
from oldphoto_jax.models.discriminators import (
    AttentionDiscriminator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
)
from oldphoto_jax.train import state
from oldphoto_jax.weights import names
from tests import critics, toy


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def photo(*shape, seed=0):
    return np.float32(np.random.default_rng(seed).uniform(size=shape))


def attentive(**options):
    options = {"width": 4, "levels": 3, "attention": (2, 3)} | options
    return critics.drawn(lambda: AttentionDiscriminator(rngs=nnx.Rngs(0), **options))


def multiscale(**options):
    return critics.drawn(lambda: MultiscaleDiscriminator(width=2, rngs=nnx.Rngs(0), **options))


def shapes(net, *shape, method="__call__"):
    """What the critic makes of photos of that shape, without computing it."""
    graph, arrays = nnx.split(net)
    found = jax.eval_shape(
        lambda arrays, x: getattr(nnx.merge(graph, arrays), method)(x),
        arrays,
        jax.ShapeDtypeStruct(shape, jnp.float32),
    )
    return jax.tree.map(lambda leaf: leaf.shape, found)


def default(build):
    return nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0)))


@pytest.mark.parametrize(
    ("levels", "size", "scores"), [(4, 64, 1), (4, 128, 5), (3, 48, 3), (3, 32, 1), (1, 8, 1)]
)
def test_attentive_scores_windows_of_four_by_four_places(levels, size, scores):
    net = default(
        lambda rngs: AttentionDiscriminator(levels=levels, attention=(levels,), rngs=rngs)
    )
    assert shapes(net, 2, size, size + 2**levels, 3) == (2, scores, scores + 1, 1)


def test_attentive_names_the_least_size():
    with pytest.raises(ValueError, match="3 levels needs photos of 32x32 pixels.*not 31x40"):
        attentive()(photo(1, 31, 40, 3))


def test_attentive_refuses_levels_that_it_lacks():
    with pytest.raises(ValueError, match="attention after level 4: this critic has levels 1 to 3"):
        AttentionDiscriminator(levels=3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="0 levels"):
        AttentionDiscriminator(levels=0, attention=(), rngs=nnx.Rngs(0))


def test_attentive_looks_around_after_the_levels_named():
    net = default(AttentionDiscriminator)
    flat = {name: leaf.shape for name, leaf in names.flatten(net).items()}
    assert flat["attentions.0.value.kernel"] == (1, 1, 256, 256)
    assert flat["attentions.1.value.kernel"] == (1, 1, 512, 512)
    assert not [name for name in flat if name.startswith("attentions.2")]
    assert (
        len(default(lambda rngs: AttentionDiscriminator(attention=(), rngs=rngs)).attentions) == 0
    )


def test_every_convolution_of_the_attentive_but_the_last_is_normalized():
    flat = names.flatten(attentive())
    assert {name for name in flat if name.endswith(".u")} == {f"convs.{i}.u" for i in range(3)}
    assert flat["score.kernel"].shape == (4, 4, 16, 1)


def test_attention_is_told_its_chunk():
    x = photo(1, 32, 32, 3)
    found = []
    for chunk in (None, 5):
        net = attentive(attention_chunk=chunk)
        net.eval()
        found.append(str(jax.make_jaxpr(lambda x, net=net: net(x))(x)).count("scan["))
    assert found == [0, 2]


def test_a_move_of_training_teaches_kernels_and_takes_power_steps():
    net = attentive(levels=2, attention=(2,))
    part = state.Part(*state.sleep(net))
    x = photo(2, 16, 16, 3)

    @jax.jit
    def move(params):
        def loss(params):
            woken = part.wake(params, train=True, frozen="")
            return jnp.sum(woken(x) ** 2), state.others(woken)

        return jax.grad(loss, has_aux=True)(params)

    slopes, rest = move(part.params)
    assert set(names.flatten(rest)) == {f"convs.{i}.{name}" for i in (0, 1) for name in "uv"}
    old = names.flatten(part.rest)
    for i in (0, 1):
        assert not np.allclose(rest["convs"][i]["u"], old[f"convs.{i}.u"], atol=1e-4)
    # gamma is still 0: nothing beyond it is taught yet
    for name, slope in names.flatten(slopes).items():
        beyond = name.startswith("attentions") and not name.endswith("gamma")
        assert np.any(np.asarray(slope)) != beyond, name


def test_scores_are_float32_whatever_the_kernels_are():
    for net in (attentive(), multiscale(scales=1, spectral=True).critics[0]):
        nnx.update(net, critics.halved(net))
        graph, arrays = nnx.split(net)
        *maps, scores = jax.eval_shape(
            lambda arrays, x, graph=graph: nnx.merge(graph, arrays).taps(x),
            arrays,
            jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32),
        )
        assert scores.dtype == jnp.float32
        assert {leaf.dtype for leaf in maps} == {jnp.dtype("bfloat16")}


def test_patches_have_the_weights_of_pix2pixhd():
    net = default(PatchDiscriminator)
    assert sum(leaf.size for leaf in names.flatten(net).values()) == 2_764_737
    assert [conv.kernel.shape[-1] for conv in net.convs] == [64, 128, 256, 512, 1]
    deeper = default(lambda rngs: PatchDiscriminator(width=48, layers=5, rngs=rngs))
    assert [conv.kernel.shape[-1] for conv in deeper.convs] == [48, 96, 192, 384, 512, 512, 1]


def test_patches_of_any_size_are_scored_but_a_single_pixel():
    net = default(lambda rngs: PatchDiscriminator(width=2, rngs=rngs))
    for height, width in ((2, 2), (3, 17), (70, 70)):
        n, h, w, c = shapes(net, 1, height, width, 3)
        assert (n, c) == (1, 1) and h >= height / 8 and w >= width / 8
    with pytest.raises(ValueError, match="one place has no variance"):
        shapes(net, 1, 1, 1, 3)


def test_every_scale_gives_its_maps_and_last_its_score():
    net = default(lambda rngs: MultiscaleDiscriminator(width=2, rngs=rngs))
    large, small = shapes(net, 1, 32, 32, 3, method="taps")
    assert [shape[-1] for shape in large] == [2, 4, 8, 16, 1]
    assert (large[0][1], small[0][1]) == (17, 9)
    assert shapes(net, 1, 32, 32, 3) == [large[-1], small[-1]]


def test_scales_share_no_weights_and_differ_only_in_what_they_see():
    net = multiscale()
    x = photo(1, 16, 12, 3)
    half = np.asarray(discriminators._halve(x))
    assert half.shape == (1, 8, 6, 3)
    scores, alone = nnx.jit(lambda net, x, half: (net(x), net.critics[1](half)))(net, x, half)
    np.testing.assert_allclose(scores[1], alone, rtol=1e-5, atol=1e-6)
    kernels = [critic.convs[0].kernel[...] for critic in net.critics]
    assert not np.allclose(*kernels)


def test_halving_keeps_a_flat_photo_flat():
    half = discriminators._halve(np.full((1, 5, 4, 2), 0.5, np.float32))
    assert half.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(half, 0.5, rtol=1e-6)


def test_only_layers_between_first_and_last_are_normalized():
    net = multiscale(scales=1)
    x = photo(2, 16, 16, 3)
    first, *middle, _, scores = nnx.jit(lambda net, x: net.critics[0].taps(x))(net, x)
    for maps in middle:
        before = np.where(maps < 0, maps / 0.2, maps)
        np.testing.assert_allclose(before, instance_norm(before), atol=1e-2)
    before = np.where(first < 0, first / 0.2, first)
    assert np.abs(before.mean((1, 2))).max() > 0.01


def test_feature_matching_takes_the_maps():
    net = multiscale()
    real, fake = photo(1, 16, 16, 3), photo(1, 16, 16, 3, seed=1)
    same, other = nnx.jit(
        lambda net, a, b: (
            feature_matching(net.taps(a), net.taps(a)),
            feature_matching(net.taps(b), net.taps(a)),
        )
    )(net, real, fake)
    assert same == 0 and other > 0


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (MultiscaleDiscriminator, {"scales": 0}, "0 scales"),
        (PatchDiscriminator, {"layers": 0}, "0 layers"),
    ],
)
def test_refuses_to_be_nothing(net, options, message):
    with pytest.raises(ValueError, match=message):
        net(rngs=nnx.Rngs(0), **options)
