"""Faces of noise: honest examples, who wants what, what the figures tell."""

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.tasks.sagan import Sagan
from tests import scene

TASK = Sagan(size=16, noise=5, width=2, critic_width=2, attention=(2,))


def example(seed):
    return TASK.example(scene.record(), np.random.default_rng(seed))


def test_an_example_is_a_face_and_noise_from_the_seed_alone():
    first, again, other = example(3), example(3), example(4)
    assert first.keys() == {"photo", "noise"}
    for name, array in first.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, again[name])
        assert np.abs(array - other[name]).max() > 0
    assert first["photo"].shape == (16, 16, 3) and first["noise"].shape == (5,)
    assert 0 <= first["photo"].min() < first["photo"].max() <= 1
    noise = Sagan(size=8, noise=100_000).example(scene.record(), np.random.default_rng(0))["noise"]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


def test_each_player_wants_the_opposite_of_the_same_faces():
    nets = {"generator": lambda noise: noise[:, :1], "critic": lambda face: 4 * face}
    batch = {"noise": np.float32([[0.5, 9], [-0.5, 9]]), "photo": np.float32([[0.55], [1.0]])}
    # made faces score 2 and -2, true ones 0.4 and 4
    (fool,), (judge,) = (list(loss(nets, batch).values()) for loss in TASK.losses().values())
    assert float(fool) == pytest.approx(0)
    assert float(judge) == pytest.approx(0.6 / 2 + 3 / 2)
    made = TASK.predictor()(nets, batch)["photo"]
    np.testing.assert_allclose(made, [[0.75], [0.25]])
    assert TASK.losses().keys() == TASK.players().keys() == {"generator", "critic"}


def test_figures_tell_light_and_variety_of_faces():
    rng = np.random.default_rng(0)
    true = rng.random((40, 16, 16, 3), np.float32)
    batch = {"photo": true}

    def figures(photo):
        return TASK.metrics(batch, {"photo": photo})["thumbnails"].compute()

    same, dark, one = figures(true), figures(true / 2), figures(true[:1].repeat(40, 0))
    assert same["distance"] == pytest.approx(0, abs=1e-6)
    assert same["variance"] == pytest.approx(same["true variance"])
    assert dark["distance"] > 192 * 0.2**2  # a mean of 0.25 and not of 0.5, in every pixel
    assert one["variance"] == pytest.approx(0, abs=1e-6) and one["distance"] > 0
    halves = (true[:9], true[9:])
    parts = [TASK.metrics({"photo": x}, {"photo": x / 2})["thumbnails"] for x in halves]
    assert (parts[0] + parts[1]).compute() == pytest.approx(dark)


@pytest.mark.parametrize("size", [0, 4, 48, 63])
def test_faces_grow_by_doubling(size):
    with pytest.raises(ValueError, match=f"size is {size}, but faces grow by doubling"):
        Sagan(size=size).networks(nnx.Rngs(0))
