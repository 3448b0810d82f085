import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import program

RNG = np.random.default_rng(0)
TILE = 1024
LINE = [*range(64, 2049, 64)]  # buckets change after these lengths and at no other


def place(height, width, tile=TILE, multiple=32):
    return program.bucket(height, width, tile=tile, multiple=multiple)


@pytest.mark.parametrize(("multiple", "most"), [(1, 37), (16, 37), (32, 37), (256, 18)])
def test_all_sizes_make_few_buckets(multiple, most):
    ends = [length + more for length in LINE for more in (0, 1)]
    found = {place(*sides, multiple=multiple) for sides in itertools.product(ends, ends)} - {None}
    assert len(found) == most
    assert all(side % multiple == 0 for shape in found for side in shape)
    assert all(math.prod(shape) <= program.LARGEST * TILE * TILE for shape in found)


def test_every_photo_fits_its_bucket_and_larger_ones_get_no_smaller():
    for height, width in RNG.integers(1, 1500, (500, 2)).tolist():
        area = math.prod(place(height, width) or [math.inf])
        for sides in ((height + 1, width), (height, width + 1), (2 * height, width)):
            assert math.prod(place(*sides) or [math.inf]) >= area
        if shape := place(height, width):
            assert shape[0] >= height and shape[1] >= width
            assert place(width, height) == shape[::-1]
        else:
            assert 4 * height * width > TILE * TILE or max(height, width) > TILE


def test_what_is_too_large_or_too_long_goes_tile_by_tile():
    assert place(1, 1) == (128, 128) and place(128, 129) == (128, 192)
    assert place(1152, 1152) == (1152, 1152) and place(1153, 1153) is None
    assert place(1, 2000) is None and place(3000, 5) is None and place(1, 10**9) is None
    assert place(100, 100, tile=64) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_mirrored_photos_that_know_whether_they_are_gray(channels):
    pixels = RNG.integers(0, 65536, (30, 41, channels), np.uint16)
    made = program.frame(pixels, (64, 96))
    assert np.array_equal(made["photo"], image.pad_to(files.rgb(pixels), 64, 96))
    assert made["photo"].dtype == np.float32 and made["gray"] == (channels == 1)
    assert program.frame(np.repeat(pixels[..., :1], 3, axis=-1), (64, 96))["gray"]


def test_shrinking_averages_and_ignores_what_was_padded():
    made = program.shrinking((100, 130), (64, 83), (128, 192), (64, 96))
    assert made["rows"].shape == (64, 128) and made["columns"].shape == (96, 192)
    for name, own in (("rows", 100), ("columns", 130)):
        np.testing.assert_allclose(made[name].sum(axis=1), 1, atol=1e-5)
        assert not made[name][:, own:].any()


def double(weights, batch):
    return {"twice": weights["by"] * batch["photo"], "sum": batch["photo"].sum(axis=(1, 2, 3))}


def frames(count):
    return [{"photo": np.full((4, 4, 3), n, np.float32)} for n in range(count)]


def made(devices, wanted=("twice", "sum"), recipe=(double,)):
    compiled = []
    weights = {"by": jnp.float32(2)}
    return program.Program(recipe, weights, wanted, jax.devices()[:devices], compiled), compiled


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("number", [1, 3, 4, 6])
def test_each_frame_gets_its_own_answer_whatever_the_number(devices, number):
    go, compiled = made(devices)
    answers = go(frames(number), 1)
    for n, answer in enumerate(answers):
        assert (answer["twice"] == 2 * n).all() and answer["sum"] == 48 * n
    assert len(answers) == number and set(answers[0]) == {"twice", "sum"}
    assert compiled == [(-(-number // devices) * devices, 4, 4, 3)]


def test_missing_frames_are_filled_up_so_that_no_program_is_made_for_them():
    go, compiled = made(2)
    for number in (5, 1, 3, 5):
        assert len(go(frames(number), 5)) == number
    assert compiled == [(6, 4, 4, 3)]


def test_probabilities_come_back_as_they_are_stored():
    def find(weights, batch):
        return {"probability": batch["photo"][..., :1] / 65535}

    go, _ = made(1, ("probability",), (find,))
    [answer] = go([{"photo": RNG.integers(0, 65536, (256, 256, 3)).astype(np.float32)}], 1)
    assert answer["probability"].dtype == np.uint16
    steps = np.arange(65536, dtype=np.float32).reshape(1, 256, 256, 1)
    [answer] = go([{"photo": np.repeat(steps[0], 3, axis=-1)}], 1)
    assert np.array_equal(answer["probability"], steps[0])
