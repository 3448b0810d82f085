"""Colours to choose among: shares and means undo each other, gray is gray, cold means decided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import palette, planes, prior
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid

SIDE = 9
GRID, BINS = Grid(side=SIDE), AbBins()
GRAY = {"cbcr": 0.5, "ab": 0.0}
BOTH = pytest.mark.parametrize("colours", [GRID, BINS], ids=["grid", "bins"])


def near_gray(colours, shape=(2, 5, 7)):
    """Colours that photos have, up to a quarter of the way to the farthest."""
    reach = planes.PLANES[colours.plane] / 4
    drawn = np.random.default_rng(0).uniform(-reach, reach, (*shape, 2))
    return np.float32(GRAY[colours.plane] + drawn)


def test_lines_stand_symmetrically_around_gray_and_closest_there():
    lines = GRID.lines
    assert lines[0] == 0 and lines[SIDE // 2] == 0.5 and lines[-1] == pytest.approx(1)
    np.testing.assert_allclose(lines + lines[::-1], 1)
    width = np.diff(lines)
    assert (np.diff(width[: SIDE // 2]) < 0).all() and width.min() > 0
    np.testing.assert_allclose(np.diff(Grid(side=SIDE, bend=1e-3).lines), 1 / (SIDE - 1), rtol=1e-4)


def test_the_bins_are_squares_in_order_with_gray_among_them():
    for bins, count in ((BINS, 313), (AbBins(whole=True), 529)):
        rows = bins.centres.tolist()
        assert len(bins) == count and rows == sorted(rows) and [0, 0] in rows
        assert {x % 10 for row in rows for x in row} == {0}
    assert {*map(tuple, BINS.centres)} < {*map(tuple, AbBins(whole=True).centres)}


@BOTH
def test_the_mean_of_the_shares_is_the_colour_itself(colours):
    chroma = near_gray(colours)
    shares = jax.jit(colours.encode)(chroma)
    assert shares.shape == (2, 5, 7, len(colours)) and shares.dtype == jnp.float32
    assert shares.min() >= 0 and ((shares > 0).sum(-1) <= 5).all()
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
    logits = jnp.log(jnp.maximum(shares, 1e-30))
    off = np.abs(colours.decode(logits) - chroma)
    # Exactly in a grid; in the bins the Gaussian over five of them is off by a part of a step
    assert off.max() < 1e-5 if colours is GRID else (off.max() < 3 and off.mean() < 1)
    with pytest.raises(ValueError, match=f"the palette has {len(colours)} colours"):
        colours.decode(logits[..., 1:])
    with pytest.raises(ValueError, match=f"the palette has {len(colours)} colours"):
        colours.mode(logits[..., 1:])


@BOTH
def test_a_colour_of_the_palette_is_chosen_by_its_number(colours):
    place = [0, 40, len(colours) - 1]
    own = colours.centres[place]
    shares = np.asarray(colours.encode(own))
    np.testing.assert_array_equal(shares.argmax(-1), place)
    np.testing.assert_array_equal(colours.nearest(own), place)
    assert (shares.max(-1) > (0.999 if colours is GRID else 0.6)).all()
    np.testing.assert_array_equal(colours.mode(jnp.log(shares + 1e-9)), own)
    once = 50 * jax.nn.one_hot(jnp.array(place), len(colours))
    np.testing.assert_allclose(colours.decode(once), own, atol=1e-4)
    single = AbBins(neighbours=1).encode(BINS.centres[place])
    np.testing.assert_array_equal(single, jax.nn.one_hot(jnp.array(place), len(BINS)))


def test_what_leaves_the_plane_is_cut_and_half_precision_widened():
    lines = GRID.lines.astype(np.float32)
    shares = GRID.encode(np.array([[lines[2], lines[7]], [-0.3, 1.2]], np.float32))
    grid = np.asarray(shares).reshape(2, SIDE, SIDE)
    assert grid[0, 2, 7] == pytest.approx(1, abs=1e-5)  # Cb goes down the grid, Cr across
    assert grid[1, 0, -1] == pytest.approx(1, abs=1e-5)
    ends = np.asarray(GRID.encode(jnp.array([[0, 1]], jnp.bfloat16)))
    assert ends.dtype == np.float32 and ends.reshape(SIDE, SIDE)[0, -1] == pytest.approx(1)
    far = np.asarray(BINS.encode(jnp.array([[-1000.0, 1000.0]], jnp.bfloat16)))
    assert far.dtype == np.float32 and far.sum() == pytest.approx(1)


def test_whoever_knows_nothing_says_gray():
    np.testing.assert_allclose(GRID.decode(jnp.zeros((1, 3, 3, len(GRID)))), 0.5, atol=1e-6)
    whole = AbBins(whole=True)
    np.testing.assert_allclose(whole.decode(jnp.zeros((1, 3, 3, 529))), 0, atol=1e-4)


@BOTH
def test_the_colder_the_closer_to_the_likeliest(colours):
    shares = np.full(len(colours), 0.3 / (len(colours) - 1))
    shares[SIDE * 2 + 6] = 0.7
    likeliest = colours.centres[SIDE * 2 + 6]
    far = [
        np.linalg.norm(colours.decode(jnp.log(shares), t) - likeliest) for t in (1.0, 0.6, 0.3, 0.1)
    ]
    assert far == sorted(far, reverse=True) and far[-1] < 1e-4
    rest = colours.centres.mean(0)
    np.testing.assert_allclose(
        colours.decode(jnp.log(shares)), rest + 0.7 * (likeliest - rest), rtol=1e-2, atol=2e-3
    )


@BOTH
def test_gradients_are_finite(colours):
    chroma = jnp.full((1, 2, 2, 2), GRAY[colours.plane])

    def cost(logits):
        return -(colours.encode(chroma) * jax.nn.log_softmax(logits)).sum() + (
            colours.decode(logits, 0.4).sum()
        )

    slope = jax.grad(cost)(jnp.zeros((1, 2, 2, len(colours))))
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_the_coldest_mean_of_large_logits_is_finite_and_so_is_its_slope():
    logits = jnp.linspace(-1e4, 1e4, len(GRID))

    def total(logits):
        return jax.jit(GRID.decode, static_argnums=1)(logits, palette.COLDEST).sum()

    value, slope = jax.value_and_grad(total)(logits)
    assert value == pytest.approx(2, abs=1e-6) and np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        *((Grid(side=side), "give an odd number, 3 at least") for side in (1, 2, 8, -3)),
        (Grid(bend=0.0), "bend of 0.0: give a number above 0"),
        (AbBins(neighbours=0), "0 neighbours: give 1 to 313"),
        (AbBins(neighbours=530, whole=True), "530 neighbours: give 1 to 529"),
        (AbBins(sigma=0.0), "sigma of 0.0"),
    ],
)
def test_palettes_that_there_are_not_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        len(wrong)


def test_other_temperatures_are_refused_and_the_contract_answers_nothing():
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"temperature {temperature}"):
            GRID.decode(jnp.zeros((1, 1, 1, len(GRID))), temperature)
    bare = palette.Palette()
    for ask in (lambda: len(bare), lambda: bare.encode(np.zeros((1, 2)))):
        with pytest.raises(NotImplementedError):
            ask()


# --- how common the colours are ---


@BOTH
def test_smoothing_keeps_the_sum_and_spreads_to_neighbours(colours):
    seen = np.zeros(len(colours))
    seen[40] = 3.0
    smooth = colours.smoothed(seen)
    assert smooth.sum() == pytest.approx(1) and smooth.argmax() == 40
    apart = np.linalg.norm(colours.centres - colours.centres[40], axis=-1)
    order = np.argsort(apart)
    assert (np.diff(smooth[order]) < 1e-12).all() and smooth[order[1]] > 0


@BOTH
def test_a_prior_comes_back_from_its_file_and_fits_no_other_palette(colours, tmp_path):
    shares = np.random.default_rng(1).exponential(size=len(colours))
    prior.write(tmp_path / "p.csv", colours, shares)
    again = prior.read(tmp_path / "p.csv", colours)
    np.testing.assert_allclose(again, shares / shares.sum(), rtol=1e-5)
    with pytest.raises(ValueError, match="a prior of this palette has"):
        prior.read(tmp_path / "p.csv", GRID if colours is BINS else BINS)
    if colours is GRID:
        with pytest.raises(ValueError, match="of the table's colours; it is of another one"):
            prior.read(tmp_path / "p.csv", Grid(side=SIDE + 2))


def test_what_is_no_table_of_a_prior_is_told_with_its_name(tmp_path):
    for text, words in (
        ("", "columns"),
        ("a,b,share\n1,2\n", "three numbers"),
        ("a,b,share\nx,0,1", "three numbers"),
    ):
        (tmp_path / "p.csv").write_text(text, "utf-8")
        with pytest.raises(ValueError, match=f"p.csv: .*{words}"):
            prior.read(tmp_path / "p.csv", BINS)


def test_the_packaged_prior_has_gray_most_of_all_and_serves_the_whole_grid_too():
    shares = prior.read(prior.PACKAGED, BINS)
    assert shares.sum() == pytest.approx(1) and (BINS.centres[shares.argmax()] == 0).all()
    whole = AbBins(whole=True)
    wide = prior.read(prior.PACKAGED, whole)
    known = np.asarray(whole.nearest(BINS.centres))
    np.testing.assert_allclose(wide[known], shares, rtol=1e-6)
    assert wide.sum() == pytest.approx(1)
