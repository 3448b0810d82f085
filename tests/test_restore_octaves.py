import numpy as np
import pytest

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import octaves

RNG = np.random.default_rng(0)


def enlarged(small, height, width):
    result = np.full((height, width), 7, small.dtype)
    for band, rows in octaves.double(small, height, width):
        result[band] = rows
    return result


@pytest.mark.parametrize("shape", [(600, 40, 3), (513, 31, 1), (1, 5, 3), (255, 1, 1), (257, 2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_half_the_size_is_the_mean_of_four_pixels(shape, dtype, monkeypatch):
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    small = octaves.halve(pixels)
    assert small.dtype == dtype and small.shape == (-(-shape[0] // 2), -(-shape[1] // 2), shape[2])
    even = pixels[: shape[0] // 2 * 2, : shape[1] // 2 * 2].astype(np.float64)
    height, width = even.shape[0] // 2, even.shape[1] // 2
    if shape[1] % 2 == 0 and height:
        means = even.reshape(height, 2, width, 2, -1).mean((1, 3))
        assert np.abs(small[:height] - means).max() <= 0.5
    monkeypatch.setattr(scratch, "SMALL", 1)
    assert np.array_equal(octaves.halve(pixels), small)


@pytest.mark.parametrize(("height", "width"), [(600, 40), (513, 31), (2, 2), (1, 1), (257, 3)])
def test_bands_leave_no_trace_when_enlarging(height, width, monkeypatch):
    small = RNG.integers(0, 65535, (-(-height // 2), -(-width // 2)), np.uint16)
    whole = enlarged(small, height, width)
    monkeypatch.setattr(octaves, "EVEN", 2)
    assert np.array_equal(enlarged(small, height, width), whole)
    double = image.resize(small[..., None], 2 * len(small), 2 * small.shape[1], "bilinear")
    assert np.abs(whole - double[:height, :width, 0].astype(np.int64)).max() <= 1


def test_there_and_back_is_the_identity_where_nothing_changes():
    flat = np.full((300, 70, 1), 999, np.uint16)
    assert (enlarged(octaves.halve(flat)[..., 0], 300, 70) == 999).all()
