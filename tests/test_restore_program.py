import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import flow, program

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_know_whether_they_are_gray_and_how_deep(channels):
    pixels = RNG.integers(0, 65536, (30, 41, channels), np.uint16)
    made = program.frame(pixels)
    assert np.array_equal(made["photo"], files.rgb(pixels)) and made["full"] == 65535
    assert made["photo"].dtype == np.float32 and made["gray"] == (channels == 1)
    assert program.frame(np.repeat(pixels[..., :1], 3, axis=-1))["gray"]
    assert program.frame(pixels.astype(np.uint8))["full"] == 255


class Double(flow.Step):
    """Twice the photo, by its weights, and its sum."""

    role = "double"
    stage = types.SimpleNamespace(params={"by": jnp.float32(2)})

    def traced(self, weights, batch):
        photo = batch["photo"]
        return {"twice": weights["double"]["by"] * photo, "sum": photo.sum(axis=(1, 2, 3))}


class Find(flow.Step):
    """A probability that is the photo's red."""

    def traced(self, weights, batch):
        return {"probability": batch["photo"][..., :1] / 65535}


def frames(count):
    return [{"photo": np.full((4, 4, 3), n, np.float32)} for n in range(count)]


def made(devices, wanted=("twice", "sum"), step=Double):
    compiled = []
    return program.Program((step(),), wanted, jax.devices()[:devices], compiled), compiled


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
    go, _ = made(1, ("probability",), Find)
    [answer] = go([{"photo": RNG.integers(0, 65536, (256, 256, 3)).astype(np.float32)}], 1)
    assert answer["probability"].dtype == np.uint16
    steps = np.arange(65536, dtype=np.float32).reshape(1, 256, 256, 1)
    [answer] = go([{"photo": np.repeat(steps[0], 3, axis=-1)}], 1)
    assert np.array_equal(answer["probability"], steps[0])
