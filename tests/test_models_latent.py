"""Mappings between latents: what holes do, and what is refused. Numbers are golden ones."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import latent, patch_mapping, scratch_unet
from oldphoto_jax.weights.readers import latent as reader
from oldphoto_jax.weights.store import WeightsError
from tests.golden import golden

SIDES = (8, 12)


@pytest.fixture(scope="module")
def block():
    return latent.PartialNonLocal(8, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def x():
    return jnp.float32(np.random.default_rng(0).normal(size=(1, *SIDES, 8)))


def mask(*holes):
    made = np.zeros((1, 4 * SIDES[0], 4 * SIDES[1], 1), np.float32)
    for hole in holes:
        made[hole] = 1
    return made


def test_a_place_is_undamaged_if_no_pixel_that_is_looked_at_is_damaged():
    seen = latent.undamaged(mask(np.s_[:, 8:12, 16:24]), SIDES)[0, ..., 0]
    wanted = np.ones(SIDES)
    wanted[2, 4:6] = 0
    np.testing.assert_array_equal(seen, wanted)
    assert latent.undamaged(mask(np.s_[:, 9:10, 17:18]), SIDES)[0, 2, 4, 0] == 0


def test_without_holes_the_block_changes_nothing_and_elsewhere_only_in_holes(block, x):
    np.testing.assert_array_equal(block(x, mask()), x)
    hole = mask(np.s_[:, 8:20, 8:32])
    healed, valid = block(x, hole), latent.undamaged(hole, SIDES)
    np.testing.assert_array_equal(np.where(valid, healed, 0), np.where(valid, x, 0))
    other = x + 5 * (1 - valid)  # what lies in the hole is no key for others
    np.testing.assert_allclose(
        block.found(other, valid)[0, 0, 0], block.found(x, valid)[0, 0, 0], atol=1e-5
    )


def test_a_photo_that_is_one_hole_finds_nothing_and_one_with_a_place_left_finds_that(block, x):
    nothing = block.found(x, jnp.zeros((1, *SIDES, 1)))
    np.testing.assert_allclose(
        nothing, np.broadcast_to(block.out.bias[...], nothing.shape), atol=1e-6
    )
    assert np.isfinite(block(x, np.ones((1, 32, 48, 1), np.float32))).all()
    one = jnp.zeros((1, *SIDES, 1)).at[0, 3, 5].set(1)
    found = block.found(x, one)
    np.testing.assert_allclose(found, np.broadcast_to(found[:, 3:4, 5:6], found.shape), atol=1e-5)


def test_a_mask_is_for_partial_mappings_alone():
    plain = latent.Mapping(4, (8,), 1, rngs=nnx.Rngs(0))
    z = jnp.zeros((1, *SIDES, 4))
    assert plain(z).shape == z.shape
    with pytest.raises(ValueError, match="takes a mask if it is a partial one"):
        plain(z, mask())
    with pytest.raises(ValueError, match="no mirror image of 3"):
        latent.Encoder(4, 1, rngs=nnx.Rngs(0))(jnp.zeros((1, 3, 8, 3)))


@pytest.mark.parametrize("entries", [1 << 24, 5])
def test_a_hole_becomes_the_patch_most_like_it(monkeypatch, entries):
    monkeypatch.setattr(patch_mapping, "ENTRIES", entries)
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 3)).astype(np.float32)
    x[0, :2, 2:4] = 3 * x[0, 2:, :2] + 0.01  # the same but for its length
    hole = np.zeros((1, 4, 6, 1), np.float32)
    hole[0, :2, 2:4] = 1
    hole[0, 2, 4:6] = 1  # half of a patch is no hole
    made = patch_mapping.copied(jnp.asarray(x), jnp.asarray(hole), 2)
    wanted = x.copy()
    wanted[0, :2, 2:4] = x[0, 2:, :2]
    np.testing.assert_array_equal(made, wanted)
    for none in (np.zeros_like(hole), np.ones_like(hole)):
        np.testing.assert_array_equal(patch_mapping.copied(jnp.asarray(x), none, 2), x)
    attention = nnx.eval_shape(lambda: patch_mapping.PatchAttention(3, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="no whole patches of 4"):
        attention(jnp.asarray(x), mask())


def test_a_map_is_blurred_before_every_second_place_is_left_out():
    x = np.random.default_rng(0).normal(size=(1, 6, 8, 2)).astype(np.float32)
    made = scratch_unet.blur(jnp.asarray(x))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    kernel = np.outer([1, 2, 1], [1, 2, 1])[..., None] / 16
    for down, across in ((0, 0), (1, 2), (2, 3)):
        patch = padded[0, 2 * down : 2 * down + 3, 2 * across : 2 * across + 3]
        np.testing.assert_allclose(made[0, down, across], (kernel * patch).sum((0, 1)), atol=1e-5)
    net = nnx.eval_shape(lambda: scratch_unet.ScratchUNet(4, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="must be multiples of 4"):
        net(jnp.zeros((1, 10, 12, 1)))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("bopb_detection", reader.scratch_detector),
        ("bopb_vae_a", reader.autoencoder),
        ("bopb_mapping_quality", reader.quality_mapping),
        ("bopb_mapping_scratch", reader.scratch_mapping),
        ("bopb_mapping_hr", reader.patch_mapping),
    ],
)
def test_every_published_key_is_used(name, read):
    spec = golden.load(name)[3]["params"]
    state = {key: np.broadcast_to(np.float32(0), shape) for key, shape, _ in spec}
    fixed = [key for key in state if key.endswith((".filt", ".num_batches_tracked"))]
    assert len(read(state)) == len(state) - len(fixed)
    with pytest.raises(WeightsError, match="missing"):
        read({key: value for key, value in state.items() if key != [*state][0]})
    with pytest.raises(WeightsError, match="unknown: extra"):
        read(state | {"extra": np.zeros(3)})
