"""Laws of the measures of colour; colourfulness alone is in test_metrics_image."""

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.metrics import color
from oldphoto_jax.photo.color import lab_to_rgb, rgb_to_gray, rgb_to_lab, ycbcr_to_rgb

PAIRS = (color.delta_cf_hs2003, color.delta_cf_ddcolor, color.ab_error, color.ab_auc)


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(5).uniform(size=(3, 32, 40, 3))


def colored(a, b, light=60.0):
    """Photos [N,H,W,3] of these a and b [N,H,W]."""
    return lab_to_rgb(np.stack([np.full_like(a, light), a, b], axis=-1))


def painted(cb, cr, luma=0.5):
    """A photo [1,H,W,3] of these Cb and Cr [H,W], whose luma is exactly the same everywhere."""
    return ycbcr_to_rgb(np.stack([np.full_like(cb, luma), cb, cr], axis=-1))[None]


def test_equal_photos_are_right(photos):
    for measure in (color.delta_cf_hs2003, color.delta_cf_ddcolor, color.ab_error):
        np.testing.assert_array_equal(measure(photos, photos), [0, 0, 0])
    np.testing.assert_array_equal(color.ab_auc(photos, photos), [1, 1, 1])


def test_each_photo_is_measured_alone_and_jax_arrays_are_welcome(photos):
    target = np.float32(photos[::-1])
    for measure in PAIRS:
        together = measure(photos, target)
        assert together.shape == (3,) and together.dtype == np.float64
        np.testing.assert_array_equal(together[:1], measure(photos[:1], target[:1]))
        np.testing.assert_array_equal(together, measure(photos, jnp.asarray(target)))
        np.testing.assert_allclose(together, measure(target, photos))
    assert color.blotch(0.5 + photos / 100)[1] == color.blotch(0.5 + photos[1:2] / 100)[0]


def test_ab_error_is_a_distance_of_the_plane():
    a = np.zeros((2, 8, 8))
    wrong = colored(a + 3, a + 4)
    np.testing.assert_allclose(color.ab_error(wrong, colored(a, a)), 5, atol=1e-3)
    lighter = color.ab_error(wrong, colored(a, a, light=45.0))
    np.testing.assert_allclose(lighter, 5, atol=1e-3)


def test_ab_auc_is_the_area_under_the_shares():
    a = np.zeros((1, 8, 8))
    a[:, :4] = 29.5  # half of the pixels come in between 29 and 30
    area = color.ab_auc(colored(a, 0 * a), colored(0 * a, 0 * a))
    shares = np.where(np.arange(151) >= 30, 1, 0.5)
    assert area[0] == pytest.approx(np.trapezoid(shares) / 150, abs=1e-12)


def test_ab_auc_of_an_error_beyond_all_thresholds():
    blue, yellow = (np.broadcast_to(np.float64(c), (1, 4, 4, 3)) for c in ((0, 0, 1), (1, 1, 0)))
    assert color.ab_error(blue, yellow)[0] > 150
    assert color.ab_auc(blue, yellow)[0] == 0


def test_delta_cf_goes_with_saturation_either_way(photos):
    gray = rgb_to_gray(photos).repeat(3, axis=-1)
    half = (photos + gray) / 2
    for delta, measure in (
        (color.delta_cf_hs2003, color.cf_hs2003),
        (color.delta_cf_ddcolor, color.cf_ddcolor),
    ):
        np.testing.assert_allclose(delta(gray, photos), measure(photos), rtol=1e-9)
        np.testing.assert_allclose(delta(half, photos), measure(photos) / 2, rtol=1e-9)
    one, two = (delta(half, photos) for delta in (color.delta_cf_hs2003, color.delta_cf_ddcolor))
    assert (np.abs(one - two) > 1).all()  # the two are not one measure


def test_even_color_has_no_blotches_and_blotches_count_by_their_strength():
    rows, columns = np.indices((64, 96))
    waves = np.sin(2 * np.pi * rows / 8) * np.sin(2 * np.pi * columns / 8)
    even = color.blotch(painted(0.45 + 0 * waves, 0.55 + 0 * waves))
    np.testing.assert_allclose(even, 0, atol=1e-4)
    weak, strong = (color.blotch(painted(0.45 + k * waves, 0.55 - k * waves)) for k in (0.01, 0.02))
    assert strong[0] / weak[0] == pytest.approx(2, rel=0.02) and weak[0] > 1


def test_blotches_are_what_a_plain_loop_over_windows_says():
    rng = np.random.default_rng(8)
    photo = 0.5 + 0.1 * rng.uniform(size=(1, 48, 56, 3))
    photo[:, 20:, 20:] *= 1.5 + rng.uniform(size=(1, 28, 36, 1)) / 5
    guide, lab = rgb_to_gray(photo)[0, ..., 0], rgb_to_lab(photo)[0]
    found = []
    for top in range(48 - 3 + 1):
        for left in range(56 - 3 + 1):
            window = slice(top, top + 3), slice(left, left + 3)
            if guide[window].std() < color.SMOOTH:
                found.append(np.sqrt(lab[window][..., 1:].var(axis=(0, 1)).sum()))
    assert 100 < len(found) < 46 * 54 - 100
    assert color.blotch(photo)[0] == pytest.approx(np.mean(found), rel=1e-9)


def test_blotches_are_sought_only_where_luma_is_smooth():
    rng = np.random.default_rng(6)
    photo = painted(*np.full((2, 48, 48), 0.5))
    rough = photo.copy()
    rough[:, :, 24:] += rng.uniform(-0.3, 0.3, (1, 48, 24, 1))
    stained = rough.copy()
    stained[:, :, 28:, 0] += 0.1  # in the rough part alone
    guide = rgb_to_gray(rough)
    np.testing.assert_allclose(color.blotch(stained, guide), color.blotch(rough, guide), atol=1e-6)
    assert color.blotch(rough, guide)[0] < 1e-3
    assert color.blotch(stained, rgb_to_gray(photo))[0] > 0.1  # a guide says where to look
    assert np.isnan(color.blotch(rng.uniform(size=(1, 48, 48, 3)))).all()


def test_skin_of_all_complexions_is_told_from_sky_leaves_and_gray():
    tones = [(241, 194, 167), (224, 172, 105), (198, 134, 66), (141, 85, 36), (92, 56, 42)]
    others = [(128, 128, 128), (90, 140, 220), (60, 140, 50), (200, 30, 30), (250, 240, 90)]
    photo = np.array([tones, others], np.float64)[None] / 255
    np.testing.assert_array_equal(color.skin(photo), [[[True] * 5, [False] * 5]])


def test_hue_is_that_of_the_mean_of_the_places_asked_for():
    b, a = np.mgrid[-1:1:8j, -1:1:8j]
    photo = np.concatenate(
        [colored(30 + a[None], 30 + b[None]), colored(0 * a[None], -20 + a[None])]
    )
    where = np.ones((2, 8, 8), bool)
    np.testing.assert_allclose(color.hue(photo, where), [45, -90], atol=0.1)
    photo[0, :4] = rgb_gray = 0.5  # counts only where it is asked for
    where[0, :4] = False
    found = color.hue(photo, where)
    assert found[0] == pytest.approx(np.degrees(np.arctan2(30 + b[4:].mean(), 30)), abs=0.1)
    nothing = color.hue(photo, np.zeros_like(where))
    gray = color.hue(np.full_like(photo, rgb_gray), where)
    assert np.isnan(nothing).all() and np.isnan(gray).all()


def test_bad_input_is_refused(photos):
    with pytest.raises(ValueError, match=r"need places \[N,H,W\], got \(3, 32\)"):
        color.hue(photos, np.ones((3, 32), bool))
    for measure in PAIRS:
        with pytest.raises(ValueError, match=r"\(3, 32, 40, 3\).*\(2, 32, 40, 3\)"):
            measure(photos, photos[:2])
        with pytest.raises(ValueError, match=r"\[N,H,W,3\], got \(32, 40, 3\)"):
            measure(photos[0], photos[0])
    with pytest.raises(ValueError, match="floats in 0..1, got uint8"):
        color.cf_hs2003(np.uint8(255 * photos))
    with pytest.raises(ValueError, match=r"guide \[N,H,W,1\], got \(3, 32, 40, 3\)"):
        color.blotch(photos, photos)
    with pytest.raises(ValueError, match=r"\[N,H,W,3\], got \(3, 32, 40, 2\)"):
        color.blotch(photos[..., :2])


def test_typology_angle_tells_light_skin_from_dark():
    """Lab (70, 10, 20) has atan(20 / 20), (40, 10, 20) atan(-10 / 20)."""
    lab = np.array([[[[70.0, 10, 20], [0, 0, 0]]], [[[40.0, 10, 20], [0, 0, 0]]]])
    photo = lab_to_rgb(lab)
    where = np.array([[[True, False]], [[True, False]]])
    np.testing.assert_allclose(color.typology_angle(photo, where), [45, -26.565], atol=0.05)
    assert np.isnan(color.typology_angle(photo, np.zeros_like(where))).all()


def test_errors_may_be_asked_of_some_pixels():
    rng = np.random.default_rng(0)
    photo, target = rng.random((2, 3, 8, 9, 3))
    where = np.zeros((3, 8, 9), bool)
    where[0], where[1, :, :4] = True, True
    whole = color.ab_error(photo, target)
    found = color.ab_error(photo, target, where)
    left = color.ab_error(photo[1:2, :, :4], target[1:2, :, :4])
    np.testing.assert_allclose(found, [whole[0], *left, np.nan])
    with pytest.raises(ValueError, match="places"):
        color.ab_error(photo, target, where[:, 1:])
