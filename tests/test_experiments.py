"""The experiments run, small; their figures stand in their docstrings."""

import argparse

import jax

from experiments import convolution_speed, norm_memory, speed
from oldphoto_jax.data import sources


def test_in_place_norm_hands_less_to_the_backward_pass():
    options = argparse.Namespace(layers=3, channels=8, side=16, batch=2)
    handed = {
        kind: norm_memory.megabytes(kind, "float32", options)[1] for kind in ("batch", "inplace")
    }
    assert handed["inplace"] < 0.6 * handed["batch"]


def test_the_pipeline_is_timed_without_a_network():
    assert speed.pipeline(sources.open_photos("samples"), "", batches=1) > 0


def test_gradients_of_convolutions_are_timed():
    for convolution in (jax.lax.conv_general_dilated, convolution_speed.convolve):
        assert convolution_speed.milliseconds(convolution, 1, 8, 2, 3) > 0
