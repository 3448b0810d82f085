import numpy as np
import pytest

from oldphoto_jax.exams.tophat import THRESHOLD, tophat


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_photo_has_no_defects(value):
    assert tophat(np.full((40, 60, 3), value, np.float32)).max() < 1e-5


def test_thin_bright_and_dark_lines_stand_out():
    photo = np.full((64, 80, 3), 0.5, np.float32)
    photo[:, 20:22] += 0.4
    photo[30:33, 40:] -= 0.4
    damaged = (photo != 0.5).any(axis=-1)
    score = tophat(photo)
    assert score[damaged].min() > THRESHOLD > score[~damaged].max()


def test_what_is_thicker_than_the_largest_disc_is_picture():
    photo = np.zeros((120, 120, 3), np.float32)
    photo[:, 60:] = 1
    assert tophat(photo).max() < THRESHOLD


def test_scores_are_probability_like_and_know_no_direction():
    photo = np.random.default_rng(0).random((50, 70, 3), np.float32)
    score = tophat(photo)
    assert score.dtype == np.float32 and score.shape == (50, 70)
    assert 0 <= score.min() <= score.max() <= 1
    np.testing.assert_allclose(tophat(photo[:, ::-1])[:, ::-1], score, atol=1e-5)
    np.testing.assert_allclose(tophat(1 - photo), score, atol=1e-4)  # white becomes black
