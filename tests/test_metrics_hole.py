import numpy as np
import pytest

from oldphoto_jax.metrics import image
from oldphoto_jax.metrics.hole import HolePsnr, HoleSsim

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def batch():
    """Two photos with a thin line, a square and a disc, and what is wrong with them."""
    mask = np.zeros((2, 64, 72, 1), np.float32)
    mask[0, 5, 3:60] = mask[0, 20:30, 40:50] = 1
    y, x = np.mgrid[:64, :72]
    mask[1, (y - 32) ** 2 + (x - 30) ** 2 < 20**2] = 1
    target = RNG.random((2, 64, 72, 3))
    return mask, np.clip(target + RNG.normal(0, 0.1, target.shape) * mask, 0, 1), target


def test_error_of_a_known_size_gives_the_psnr_of_the_book(batch):
    mask, _, target = batch
    figures = HolePsnr.of(mask, target + 0.1 * mask, target).compute()
    assert figures["psnr"] == pytest.approx(20)
    empty = {name for name, value in figures.items() if np.isnan(value)}
    assert empty == {"psnr 2-4", "psnr 16-32"}
    assert all(value == pytest.approx(20) for value in figures.values() if not np.isnan(value))


def test_each_hole_is_counted_in_the_bin_of_its_own_width(batch):
    mask, photo, target = batch
    pixels = HolePsnr.of(mask, photo, target).pixels
    line, corners, square, disc = 57, 4, 96, mask[1].sum()  # only smaller discs fit the corners
    assert pixels.tolist() == [line, 0, corners, square, 0, disc]


@pytest.mark.parametrize("kind", ["psnr", "ssim"])
def test_bins_pool_to_the_whole_and_batches_add_up(batch, kind):
    mask, photo, target = batch

    def stream(part):
        if kind == "psnr":
            return HolePsnr.of(mask[part], photo[part], target[part])
        return HoleSsim.of(mask[part], image.ssim_map(photo[part], target[part]))

    both, parts = stream(slice(0, 2)), stream(slice(0, 1)) + stream(slice(1, 2))
    np.testing.assert_equal(both.pixels, parts.pixels)
    np.testing.assert_allclose(both.total, parts.total)
    figures = both.compute()
    values = np.array([figures[f"{kind} {width}"] for width in both.widths()])
    means = 10 ** (-values / 10) if kind == "psnr" else values
    there = both.pixels > 0
    mean = np.average(means[there], weights=both.pixels[there])
    assert both.measure(mean) == pytest.approx(figures[kind])


def test_what_lies_outside_holes_changes_nothing(batch):
    mask, photo, target = batch
    other = np.where(mask > 0, photo, RNG.random(photo.shape))
    np.testing.assert_equal(
        HolePsnr.of(mask, other, target).arrays(), HolePsnr.of(mask, photo, target).arrays()
    )


def test_known_bins_save_the_search_and_change_nothing(batch):
    mask, photo, target = batch
    known = HolePsnr.bins(mask)
    assert known.shape == mask.shape[:3] and not known[mask[..., 0] == 0].any()
    with_bins = HolePsnr.of(mask, photo, target, known)
    np.testing.assert_equal(with_bins.arrays(), HolePsnr.of(mask, photo, target).arrays())


def test_perfect_filling_is_infinite_and_no_hole_is_nan(batch):
    mask, _, target = batch
    assert HolePsnr.of(mask, target, target).compute()["psnr"] == np.inf
    similar = HoleSsim.of(mask, image.ssim_map(target, target)).compute()
    assert similar["ssim"] == pytest.approx(1)
    nothing = HolePsnr.of(np.zeros_like(mask), target, target).compute()
    assert np.isnan(list(nothing.values())).all() and len(nothing) == 7


def test_wrong_shapes_are_told(batch):
    mask, photo, target = batch
    with pytest.raises(ValueError, match=r"mask \[N,H,W,1\]"):
        HolePsnr.of(mask[..., 0], photo, target)
    with pytest.raises(ValueError, match=r"mask \[N,H,W,1\]"):
        HoleSsim.of(mask[:1], image.ssim_map(photo, target))
