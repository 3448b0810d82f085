"""The U-Net for laptops: every pixel counts, the encoder can stand still, wrong sizes are told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.models import lite_unet
from tests import scene, toy
from tests.nets import drawn

NARROW = (8, 8, 8, 8)


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(autouse=True, scope="module")
def shallow():
    with pytest.MonkeyPatch.context() as patch:
        scene.shallow(patch)
        yield


@pytest.fixture(scope="module")
def net():
    return drawn(lambda: lite_unet.LiteUNet(widths=NARROW, rngs=nnx.Rngs(0)))


@nnx.jit
def logits(net, x):
    return net(x)


@pytest.fixture(scope="module")
def x():
    return jax.random.uniform(jax.random.key(0), (2, 64, 96, 3), minval=-1)


def test_depth_and_space_undo_each_other_and_keep_neighbours_together():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    deep = lite_unet.to_depth(x)
    assert deep.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(deep[1, 1, 2].reshape(2, 2, 3), x[1, 2:4, 4:6])
    np.testing.assert_array_equal(lite_unet.to_space(deep), x)


def test_a_logit_for_every_pixel(net, x):
    y = logits(net, x)
    assert y.shape == (2, 64, 96, 1) and y.dtype == jnp.float32
    assert np.isfinite(y).all()


def test_neighbours_in_a_block_of_two_get_answers_of_their_own(net, x):
    y = np.asarray(logits(net, x))[..., 0]
    blocks = y.reshape(2, 32, 2, 48, 2)
    assert (np.ptp(blocks, axis=(2, 4)) > 0).mean() > 0.9


def test_a_single_pixel_is_seen_at_full_resolution(net, x):
    evaluated = nnx.clone(net)
    evaluated.eval()
    changed = x.at[0, 33, 47].add(0.5)
    moved = np.abs(np.asarray(logits(evaluated, changed) - logits(evaluated, x)))[..., 0]
    assert moved[0, 33, 47] > 0 and moved[1].max() == 0  # the other photo does not notice


def test_pixels_reach_the_decoder_past_the_encoder(net, x):
    """With the encoder cut off, moving a pixel within its block of two is still seen."""
    alone = nnx.clone(net)
    alone.eval()
    for conv in (alone.center, *(level.skip for level in alone.levels)):
        conv.kernel[...] = jnp.zeros_like(conv.kernel[...])
    one, other = x.at[0, 32, 46].set(1.0), x.at[0, 33, 47].set(1.0)
    assert np.abs(logits(alone, one) - logits(alone, other)).max() > 0
    alone.fine.kernel[...] = jnp.zeros_like(alone.fine.kernel[...])
    np.testing.assert_array_equal(logits(alone, one), logits(alone, other))


def test_the_encoder_can_stand_still(net, x):
    """As `freeze_norm_in="encoder"` has it: its statistics stay, those of the decoder move."""
    half = nnx.clone(net)
    half.train()
    norm.freeze(half, "encoder")
    before = nnx.to_pure_dict(nnx.state(half, nnx.BatchStat))
    logits(half, x)
    after = nnx.to_pure_dict(nnx.state(half, nnx.BatchStat))
    same = jax.tree.map(np.array_equal, before, after)
    assert all(jax.tree.leaves(same["encoder"]))
    assert not any(jax.tree.leaves(same["levels"])) and not any(jax.tree.leaves(same["fine_norm"]))


@pytest.mark.parametrize("shape", [(1, 48, 64, 3), (1, 64, 80, 3), (64, 64, 3)])
def test_sides_that_do_not_fit_are_told(net, shape):
    with pytest.raises(ValueError, match="multiples of 32: pad the photo"):
        nnx.eval_shape(logits, net, jax.ShapeDtypeStruct(shape, jnp.float32))


@pytest.mark.parametrize("widths", [(8, 8, 8), (8, 8, 8, 0)])
def test_widths_that_no_decoder_has_are_told(widths):
    with pytest.raises(ValueError, match="1/16, 1/8, 1/4 and 1/2"):
        lite_unet.LiteUNet(widths=widths, rngs=nnx.Rngs(0))


def test_a_decoder_may_end_at_a_quarter_of_the_sides(x):
    """All that lies above is left out, and the mask beside the photo reaches all that is left."""
    quarter = drawn(
        lambda: lite_unet.LiteUNet(
            c_out=5, c_more=1, widths=NARROW[:3], out_stride=4, rngs=nnx.Rngs(0)
        )
    )
    assert len(quarter.levels) == len(quarter.more) == 3 and quarter.fine is None
    both = jnp.concatenate([x, jnp.zeros((2, 64, 96, 1))], -1)
    y = logits(quarter, both)
    assert y.shape == (2, 16, 24, 5) and y.dtype == jnp.float32 and np.isfinite(y).all()
    quarter.eval()
    marked = both.at[0, 32:36, 48:52, 3].set(1.0)
    moved = np.abs(np.asarray(logits(quarter, marked) - logits(quarter, both))).max(-1)
    assert moved[0, 8, 12] > 0 and moved[1].max() == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (dict(out_stride=2, widths=NARROW), r"out_stride is 2; choose one of \[1, 4\]"),
        (dict(out_stride=4, widths=NARROW), "give one for each of 1/16, 1/8 and 1/4"),
    ],
)
def test_decoders_that_do_not_end_so_are_told(options, told):
    with pytest.raises(ValueError, match=told):
        lite_unet.LiteUNet(**options, rngs=nnx.Rngs(0))


def test_it_computes_in_the_type_of_its_kernels(net, x):
    """With kernels in bfloat16 no convolution is made in float32; the logits come as float32."""
    graph, state = nnx.split(nnx.clone(net))
    low = jax.tree.map(
        lambda a: a.astype(jnp.bfloat16) if jnp.issubdtype(a.dtype, jnp.floating) else a, state
    )
    text = str(jax.make_jaxpr(lambda s, x: nnx.merge(graph, s)(x))(low, x))
    made = [line for line in text.splitlines() if "conv_general_dilated[" in line]
    assert made and all(":bf16[" in line for line in made)
    assert jax.eval_shape(lambda s, x: nnx.merge(graph, s)(x), low, x).dtype == jnp.float32
