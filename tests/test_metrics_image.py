"""Laws of the picture metrics; their values are golden numbers (test_golden)."""

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.metrics import color, image


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(5).uniform(size=(3, 16, 14, 3)).astype(np.float32)


def test_equal_photos_are_perfect(photos):
    np.testing.assert_array_equal(image.mse(photos, photos), [0, 0, 0])
    np.testing.assert_array_equal(image.mae(photos, photos), [0, 0, 0])
    np.testing.assert_array_equal(image.psnr(photos, photos), [np.inf] * 3)
    for window in image.WINDOWS:
        np.testing.assert_allclose(image.ssim(photos, photos, window=window), 1)


def test_each_photo_is_measured_alone(photos):
    target = photos[::-1].copy()
    for measure in (image.mse, image.mae, image.psnr, image.ssim):
        together = measure(photos, target)
        assert together.shape == (3,) and together.dtype == np.float64
        assert together[0] == measure(photos[:1], target[:1])[0]
    for measure in (color.cf_hs2003, color.cf_ddcolor):
        assert measure(photos)[1] == measure(photos[1:2])[0]


def test_a_known_error():
    black, gray = np.zeros((1, 8, 8, 1)), np.full((1, 8, 8, 1), 0.1)
    assert image.mse(gray, black)[0] == pytest.approx(0.01)
    assert image.mae(gray, black)[0] == pytest.approx(0.1)
    assert image.psnr(gray, black)[0] == pytest.approx(20)


def test_scale_goes_with_the_data_range(photos):
    noisy = np.clip(photos + 0.1, 0, 1)
    for measure in (image.psnr, image.ssim, image.ssim_map):
        bytes_like = measure(255 * noisy, 255 * photos, 255)
        np.testing.assert_allclose(measure(noisy, photos), bytes_like, rtol=1e-4)


def test_jax_arrays_are_welcome(photos):
    measured = image.psnr(jnp.asarray(photos), jnp.asarray(photos[::-1]))
    np.testing.assert_array_equal(measured, image.psnr(photos, photos[::-1]))
    assert image.ssim_map(photos, photos).shape == photos.shape


def test_gray_has_no_colour_and_more_saturation_has_more(photos):
    gray = photos[..., :1].repeat(3, axis=-1)
    for measure in (color.cf_hs2003, color.cf_ddcolor):
        np.testing.assert_allclose(measure(gray), 0, atol=1e-6)
        half = (photos + gray) / 2
        np.testing.assert_allclose(measure(half), measure(photos) / 2, rtol=1e-4)


def test_the_two_colourfulness_forms_differ_where_signs_mix():
    halves = np.zeros((1, 4, 4, 3))
    halves[:, :2, :, 0], halves[:, 2:, :, 1] = 1, 1  # red above green
    assert color.cf_hs2003(halves)[0] == pytest.approx(255 + 0.3 * 127.5)
    assert color.cf_ddcolor(halves)[0] == pytest.approx(0.3 * np.hypot(255, 127.5))


def test_bad_input_is_refused(photos):
    with pytest.raises(ValueError, match=r"equal \[N,H,W,C\].*\(3, 16, 14, 1\)"):
        image.mse(photos, photos[..., :1])
    with pytest.raises(ValueError, match="box.*uniform, gaussian"):
        image.ssim(photos, photos, window="box")
    with pytest.raises(ValueError, match="win_size"):
        image.ssim(photos[:, :5], photos[:, :5])
    with pytest.raises(ValueError, match=r"\[N,H,W,3\], got \(3, 16, 14\)"):
        color.cf_hs2003(photos[..., 0])
