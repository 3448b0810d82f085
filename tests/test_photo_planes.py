"""Planes of colours: beside luma they are the photo again, and zero is gray."""

import numpy as np
import pytest

from oldphoto_jax.photo import color, planes


@pytest.mark.parametrize("plane", planes.PLANES)
def test_colours_beside_luma_are_the_photo_again(plane):
    photo = np.random.default_rng(0).random((2, 5, 7, 3)).astype(np.float32)
    colours = planes.colours(photo, plane)
    again = color.ycbcr_to_rgb(planes.beside(color.rgb_to_gray(photo), colours, plane))
    np.testing.assert_allclose(again, photo, atol=2e-4)
    gray = planes.named(np.zeros((1, 1, 2), np.float32), plane)
    np.testing.assert_allclose(planes.colours(np.full((1, 1, 3), 0.5), plane), gray, atol=0.01)
    far = planes.named(np.float32([[[-99.0, 99.0]]]), plane) - gray
    np.testing.assert_allclose(far, [[[-planes.PLANES[plane], planes.PLANES[plane]]]])


def test_other_planes_are_refused():
    for ask in (
        lambda: planes.colours(np.zeros((1, 1, 3)), "uv"),
        lambda: planes.beside(np.zeros((1, 1, 1)), np.zeros((1, 1, 2)), "uv"),
        lambda: planes.named(np.zeros((1, 1, 2)), "uv"),
    ):
        with pytest.raises(
            ValueError, match=r"plane 'uv' is unknown; choose one of \['cbcr', 'ab'"
        ):
            ask()
