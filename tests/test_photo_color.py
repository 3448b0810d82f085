import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import color

THERE_AND_BACK = {
    "ycbcr": (color.rgb_to_ycbcr, color.ycbcr_to_rgb),
    "lab": (color.rgb_to_lab, color.lab_to_rgb),
}
CORNERS = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), axis=-1).reshape(2, 4, 3).astype(np.float32)


@pytest.fixture
def photo():
    return np.random.default_rng(1).uniform(size=(2, 5, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("there, back", THERE_AND_BACK.values(), ids=THERE_AND_BACK)
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_there_and_back_is_the_identity(there, back, array, photo):
    for image in (array(photo), array(CORNERS)):
        again = back(there(image))
        assert type(again) is type(image) and again.dtype == np.float32
        np.testing.assert_allclose(again, image, atol=2e-5)


@pytest.mark.parametrize("there, back", THERE_AND_BACK.values(), ids=THERE_AND_BACK)
def test_all_bytes_survive(there, back):
    levels = np.arange(256, dtype=np.float32) / 255
    photo = np.stack([levels, levels[::-1], np.roll(levels, 77)], axis=-1)[None]
    np.testing.assert_array_equal(np.rint(255 * back(there(photo))), np.rint(255 * photo))


def test_numpy_and_jit_agree(photo):
    for function in (color.rgb_to_gray, *THERE_AND_BACK["ycbcr"], *THERE_AND_BACK["lab"]):
        np.testing.assert_allclose(jax.jit(function)(photo), function(photo), atol=1e-4)


def test_gray_has_no_colour():
    gray = np.linspace(0, 1, 9, dtype=np.float32).reshape(1, 9, 1)
    photo = color.gray_to_rgb(gray)
    assert photo.shape == (1, 9, 3)
    np.testing.assert_allclose(color.rgb_to_gray(photo), gray, atol=1e-6)
    np.testing.assert_allclose(color.rgb_to_ycbcr(photo)[..., 1:], 0.5, atol=1e-6)
    np.testing.assert_allclose(color.rgb_to_lab(photo)[..., 1:], 0, atol=0.02)


def test_known_colours():
    white, red = np.float32([[[1, 1, 1]]]), np.float32([[[1, 0, 0]]])
    np.testing.assert_allclose(color.rgb_to_lab(white), [[[100, 0, 0]]], atol=0.02)
    np.testing.assert_allclose(color.rgb_to_lab(red), [[[53.24, 80.09, 67.20]]], atol=0.02)
    np.testing.assert_allclose(color.rgb_to_ycbcr(red), [[[0.299, 0.331264, 1]]], atol=1e-5)


@pytest.mark.parametrize("there, back", THERE_AND_BACK.values(), ids=THERE_AND_BACK)
@pytest.mark.parametrize("level", [-0.2, 0.0, 0.0031308, 0.04045, 0.5, 1.0, 1.2])
def test_slopes_are_finite_everywhere(there, back, level):
    photo = jnp.full((1, 1, 3), level)
    for function, x in ((there, photo), (back, there(photo)), (back, jnp.zeros((1, 1, 3)))):
        slope = jax.grad(lambda x, function=function: function(x).sum())(x)
        assert jnp.isfinite(slope).all() and jnp.abs(slope).max() > 0


def test_float64_stays_and_half_precision_grows(photo):
    assert color.rgb_to_lab(photo.astype(np.float64)).dtype == np.float64
    assert color.rgb_to_lab(photo.astype(np.float16)).dtype == np.float32
    assert color.rgb_to_ycbcr(jnp.asarray(photo, jnp.bfloat16)).dtype == jnp.float32


def test_bytes_and_wrong_channels_are_refused(photo):
    with pytest.raises(TypeError, match="uint8.*to_float"):
        color.rgb_to_lab(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"three channels.*\(2, 5, 7, 1\)"):
        color.rgb_to_ycbcr(photo[..., :1])
    with pytest.raises(ValueError, match=r"gray_to_rgb.*\(2, 5, 7, 3\)"):
        color.gray_to_rgb(photo)


@pytest.fixture(scope="module")
def wild():
    """Luma of any kind with chroma far beyond what sRGB has."""
    rng = np.random.default_rng(3)
    luma = np.concatenate([rng.random((40, 50, 1)), np.tile([[[0.0]], [[1.0]]], (20, 50, 1))])
    return np.concatenate([luma, rng.normal(0.5, 0.5, (80, 50, 2))], -1).astype(np.float32)


def test_what_fits_the_gamut_keeps_luma_and_hue_and_leaves_no_channel_out(wild):
    fitted = color.fit_gamut(wild)
    photo = color.ycbcr_to_rgb(fitted)
    assert photo.min() > -1e-6 and photo.max() < 1 + 1e-6
    np.testing.assert_array_equal(fitted[..., 0], wild[..., 0])
    np.testing.assert_allclose(color.rgb_to_gray(photo)[..., 0], wild[..., 0], atol=1e-6)
    before, after = wild[..., 1:] - 0.5, fitted[..., 1:] - 0.5
    across = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
    np.testing.assert_allclose(across, 0, atol=1e-6)  # the same direction, and not the opposite
    assert ((before * after).sum(-1) >= 0).all()
    lengths = [np.hypot(*np.moveaxis(chroma, -1, 0)) for chroma in (after, before)]
    assert (lengths[0] <= lengths[1] + 1e-6).all()
    np.testing.assert_allclose(jax.jit(color.fit_gamut)(wild), fitted, atol=1e-5)


def test_colours_that_fit_already_stay_and_black_and_white_have_none(photo, wild):
    inside = color.rgb_to_ycbcr(photo)
    np.testing.assert_allclose(color.fit_gamut(inside), inside, atol=1e-5)
    np.testing.assert_allclose(color.fit_gamut(wild)[40:, :, 1:], 0.5, atol=1e-6)


def test_a_luma_that_no_photo_has_is_cut():
    fitted = color.fit_gamut(np.float32([[[-0.5, 0.9, 0.2]], [[1.5, 0.9, 0.2]]]))
    np.testing.assert_allclose(fitted, [[[0, 0.5, 0.5]], [[1, 0.5, 0.5]]], atol=1e-6)


# --- a colour of known luma, a and b ---


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_luma_with_a_and_b_gives_back_the_colour_that_has_them(array):
    photo = np.random.default_rng(5).random((40, 50, 3)).astype(np.float32)
    ycbcr, ab = color.rgb_to_ycbcr(photo), color.rgb_to_lab(photo)[..., 1:]
    again = color.luma_ab_to_ycbcr(array(ycbcr[..., :1]), array(ab))
    assert type(again) is type(array(photo)) and again.dtype == np.float32
    np.testing.assert_array_equal(again[..., 0], ycbcr[..., 0])
    np.testing.assert_allclose(again, ycbcr, atol=1e-4)


def test_what_a_person_wants_at_some_luma_comes_out_as_wanted_where_srgb_has_it():
    """Any a and b at any luma: off by nothing, unless the gamut takes its part."""
    luma, a, b = np.meshgrid(np.linspace(0, 1, 9), [-40, 0, 25, 60], [-60, 0, 40], indexing="ij")
    luma, ab = np.float32(luma[..., None]), np.float32(np.stack([a, b], -1))
    ycbcr = color.luma_ab_to_ycbcr(luma, ab)
    fitted = color.fit_gamut(ycbcr)
    np.testing.assert_allclose(fitted[..., :1], luma, atol=1e-6)
    own = np.abs(fitted - ycbcr).max(-1) < 1e-6
    assert 0.2 < own.mean() < 0.6
    found = color.rgb_to_lab(color.ycbcr_to_rgb(fitted))[..., 1:]
    np.testing.assert_allclose(found[own], ab[own], atol=0.05)
    length = np.linalg.norm(found, axis=-1) - np.linalg.norm(ab, axis=-1)
    assert (length < 3).all()  # hue bends a little on the way to gray, which is in another plane


def test_the_slope_by_a_and_b_is_that_of_the_colour_found():
    luma, ab = jnp.full((1, 1), 0.5), jnp.array([[20.0, 30.0]])

    @jax.jit
    @jax.value_and_grad
    def both(ab):
        return color.luma_ab_to_ycbcr(luma, ab)[0, 1]

    (_, slope), step = both(ab), 0.5
    for i, way in enumerate(np.float32([[[step, 0]], [[0, step]]])):
        steep = (both(ab + way)[0] - both(ab - way)[0]) / (2 * step)
        assert slope[0, i] == pytest.approx(float(steep), abs=2e-5)
    assert np.isfinite(both(0 * ab)[1]).all()


def test_luma_of_other_places_than_a_and_b_is_refused():
    for luma, ab in (((2, 3, 1), (2, 4, 2)), ((2, 3, 3), (2, 3, 2)), ((2, 3, 1), (2, 3, 3))):
        with pytest.raises(ValueError, match="luma_ab_to_ycbcr wants luma"):
            color.luma_ab_to_ycbcr(np.zeros(luma, np.float32), np.zeros(ab, np.float32))
