"""Colours to choose among: shares and means undo each other, gray is gray, cold means decided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import palette

SIDE = 9


def test_lines_stand_symmetrically_around_gray_and_closest_there():
    lines = palette.axis(SIDE)
    assert lines[0] == 0 and lines[SIDE // 2] == 0.5 and lines[-1] == pytest.approx(1)
    np.testing.assert_allclose(lines + lines[::-1], 1)
    width = np.diff(lines)
    assert (np.diff(width[: SIDE // 2]) < 0).all() and width.min() > 0


def test_the_mean_of_the_shares_is_the_colour_itself():
    chroma = np.random.default_rng(0).uniform(0, 1, (2, 5, 7, 2)).astype(np.float32)
    shares = jax.jit(palette.shares, static_argnums=1)(chroma, SIDE)
    assert shares.shape == (2, 5, 7, SIDE * SIDE) and shares.dtype == jnp.float32
    assert shares.min() >= 0 and ((shares > 0).sum(-1) <= 4).all()
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
    logits = jnp.log(jnp.maximum(shares, 1e-30))
    np.testing.assert_allclose(palette.mean(logits), chroma, atol=1e-5)


def test_a_colour_of_the_grid_is_one_cell_and_what_leaves_the_plane_is_cut():
    lines = palette.axis(SIDE).astype(np.float32)
    shares = palette.shares(np.array([[lines[2], lines[7]], [-0.3, 1.2]], np.float32), SIDE)
    grid = np.asarray(shares).reshape(2, SIDE, SIDE)
    assert grid[0, 2, 7] == pytest.approx(1, abs=1e-5)  # Cb goes down the grid, Cr across
    assert grid[1, 0, -1] == pytest.approx(1, abs=1e-5)
    ends = np.asarray(palette.shares(jnp.array([[0, 1]], jnp.bfloat16), SIDE))
    assert ends.dtype == np.float32 and ends.reshape(SIDE, SIDE)[0, -1] == pytest.approx(1)


def test_whoever_knows_nothing_says_gray():
    np.testing.assert_allclose(palette.mean(jnp.zeros((1, 3, 3, SIDE**2))), 0.5, atol=1e-6)


def test_the_colder_the_closer_to_the_likeliest():
    shares = np.full(SIDE**2, 0.3 / (SIDE**2 - 1))
    shares[SIDE * 2 + 6] = 0.7
    lines = palette.axis(SIDE)
    likeliest = np.array([lines[2], lines[6]])
    far = [
        np.linalg.norm(palette.mean(jnp.log(shares), t) - likeliest) for t in (1.0, 0.6, 0.3, 0.1)
    ]
    assert far == sorted(far, reverse=True) and far[-1] < 1e-5
    np.testing.assert_allclose(
        palette.mean(jnp.log(shares), 1.0), 0.5 + 0.7 * (likeliest - 0.5), atol=2e-3
    )


def test_gradients_are_finite():
    chroma = jnp.full((1, 2, 2, 2), 0.5)

    def cost(logits):
        return -(palette.shares(chroma, SIDE) * jax.nn.log_softmax(logits)).sum() + (
            palette.mean(logits, 0.4).sum()
        )

    slope = jax.grad(cost)(jnp.zeros((1, 2, 2, SIDE**2)))
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_the_coldest_mean_of_large_logits_is_finite_and_so_is_its_slope():
    logits = jnp.linspace(-1e4, 1e4, SIDE**2)

    def total(logits):
        return jax.jit(palette.mean, static_argnums=1)(logits, palette.COLDEST).sum()

    value, slope = jax.value_and_grad(total)(logits)
    assert value == pytest.approx(2, abs=1e-6) and np.isfinite(slope).all()


@pytest.mark.parametrize("side", [1, 2, 8, -3])
def test_grids_without_a_middle_are_refused(side):
    with pytest.raises(ValueError, match="give an odd number, 3 at least"):
        palette.axis(side)


def test_other_answers_and_temperatures_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 1, 1, 10\): the last axis must hold side \* side"):
        palette.mean(jnp.zeros((1, 1, 1, 10)))
    for temperature in (0, -1, 1e-38, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="give a number of 0.001 or more"):
            palette.mean(jnp.zeros((1, 1, 1, 9)), temperature)
