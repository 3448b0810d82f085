import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import image

DTYPES = [np.uint8, np.uint16, np.float32, np.float64]


def draw(*shape, dtype=np.float32):
    values = np.random.default_rng(2).uniform(size=shape)
    return (
        (values * 200).astype(dtype) if np.issubdtype(dtype, np.integer) else values.astype(dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(9, 7), (4, 3), (18, 21), (4, 21), (18, 3)])
def test_resize_keeps_dtype_and_channels(dtype, channels, size):
    resized = image.resize(draw(9, 7, channels, dtype=dtype), *size)
    assert resized.shape == (*size, channels) and resized.dtype == dtype


@pytest.mark.parametrize("growing", ["cubic", "bilinear"])
def test_resize_leaves_flat_areas_and_the_range_alone(growing):
    flat = np.full((6, 5, 3), 0.3, np.float32)
    for size in ((3, 2), (11, 13), (3, 13), (6, 5)):
        np.testing.assert_allclose(image.resize(flat, *size, growing), 0.3, atol=1e-6)
    step = np.zeros((4, 8, 1), np.float32)
    step[:, 4:] = 1
    grown = image.resize(step, 16, 32, growing)
    assert grown.min() >= 0 and grown.max() <= 1


def test_shrinking_averages_areas():
    photo = draw(8, 12, 3)
    blocks = photo.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(image.resize(photo, 4, 4), blocks, atol=1e-6)


def test_resize_refuses_what_it_cannot_do():
    with pytest.raises(TypeError, match="bool"):
        image.resize(np.ones((4, 4, 1), bool), 2, 2)
    with pytest.raises(ValueError, match="up to 4 channels, got 5"):
        image.resize(draw(4, 4, 5), 2, 2)
    with pytest.raises(ValueError, match="0 x 5"):
        image.resize(draw(4, 4, 1), 0, 5)
    with pytest.raises(ValueError, match="lanczos.*cubic"):
        image.resize(draw(4, 4, 1), 8, 8, "lanczos")
    with pytest.raises(ValueError, match=r"\[H,W,C\].*\(4, 4\)"):
        image.resize(draw(4, 4), 8, 8)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 5, 4, 1), (1, 1, 3), (2, 3, 1)])
def test_padding_mirrors_and_crop_undoes_it(array, shape):
    photo = array(draw(*shape))
    rows, columns = shape[-3:-1]
    padded = image.pad_to(photo, 17, 16)
    assert type(padded) is type(photo) and padded.shape == (*shape[:-3], 17, 16, shape[-1])
    np.testing.assert_array_equal(image.crop(padded, 0, 0, rows, columns), photo)
    edges = [(0, 0)] * (len(shape) - 3) + [(0, 17 - rows), (0, 16 - columns), (0, 0)]
    np.testing.assert_array_equal(padded, np.pad(np.asarray(photo), edges, mode="reflect"))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"pad_to\(4, 9\).*5 x 6"):
        image.pad_to(draw(5, 6, 1), 4, 9)
    for window in ((0, 0, 6, 1), (-1, 0, 2, 2), (0, 5, 1, 2), (0, 0, 0, 2)):
        with pytest.raises(ValueError, match="does not fit into 5 x 6"):
            image.crop(draw(5, 6, 1), *window)


def test_random_crop_is_a_window_and_repeats_with_its_seed():
    photo = np.arange(20 * 30, dtype=np.float32).reshape(20, 30, 1)
    crops = [image.random_crop(photo, 8, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(crops[0], crops[1])
    assert crops[0][0, 0, 0] != crops[2][0, 0, 0]
    top, left = divmod(int(crops[0][0, 0, 0]), 30)
    np.testing.assert_array_equal(crops[0], photo[top : top + 8, left : left + 8])


def test_random_crop_reaches_every_corner():
    photo = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    firsts = {
        float(image.random_crop(photo, 2, np.random.default_rng(seed))[0, 0, 0])
        for seed in range(40)
    }
    assert firsts == {0, 1, 3, 4}


@pytest.mark.parametrize("shape", [(5, 9, 3), (9, 5, 1), (20, 3, 3), (8, 8, 3)])
def test_random_crop_enlarges_small_photos(shape):
    assert image.random_crop(draw(*shape), 8, np.random.default_rng(0)).shape == (8, 8, shape[-1])


@pytest.mark.parametrize("dtype, back", [(np.uint8, image.to_uint8), (np.uint16, image.to_uint16)])
def test_every_integer_survives_the_floats(dtype, back):
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 1, 1)
    floats = image.to_float(values)
    assert floats.dtype == np.float32 and floats.min() == 0 and floats.max() == 1
    np.testing.assert_array_equal(back(floats), values)
    np.testing.assert_array_equal(back(image.to_float(jnp.asarray(values))), values)


def test_floats_are_rounded_and_clipped():
    values = jnp.array([-1.0, 0.49 / 255, 0.51 / 255, 1.0, 7.0, jnp.inf])
    np.testing.assert_array_equal(image.to_uint8(values), [0, 0, 1, 255, 255, 255])
    assert image.to_uint16(np.float64([0.5])).dtype == np.uint16


def test_nan_and_wrong_dtypes_raise():
    with pytest.raises(ValueError, match="1 of 3 values are NaN"):
        image.to_uint8(np.array([0, np.nan, 1]))
    with pytest.raises(TypeError, match="to_uint8 takes floats.*int64"):
        image.to_uint8(np.array([0, 255]))
    with pytest.raises(TypeError, match="float32"):
        image.to_float(np.zeros(3, np.float32))
