"""Finding defects as a task: which networks there are, what their photos must be like."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax import task as contract
from oldphoto_jax.tasks.segment import Segment

LITE = Segment(network="lite", widths=(8, 8, 8, 8), size=64)


@pytest.mark.parametrize(
    ("task", "multiple"),
    [
        (Segment(), 16),
        (Segment(stem_kernel=7, stem_stride=2, pool=True), 64),
        (LITE, 32),
    ],
)
def test_sides_are_multiples_of_what_the_network_takes(task, multiple):
    assert task.multiple == multiple
    net = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0))["segmenter"])
    photo = jax.ShapeDtypeStruct((1, multiple, 2 * multiple, 3), np.float32)
    batch = {"photo": photo}
    found = nnx.eval_shape(lambda net, batch: task.predict({"segmenter": net}, batch), net, batch)
    assert found["mask"].shape == (1, multiple, 2 * multiple, 1)


def test_an_unknown_network_is_told():
    with pytest.raises(ValueError, match="network 'heavy' is unknown; choose 'albunet' or 'lite'"):
        Segment(network="heavy").networks(nnx.Rngs(0))


def test_the_lite_network_is_shown_photos_as_its_encoder_knows_them():
    """The network gets -1..1 for black and white, whoever calls the task."""
    seen = {}

    def spy(x):
        seen.update(low=float(x.min()), high=float(x.max()))
        return x[..., :1]

    photo = np.zeros((1, 32, 32, 3), np.float32)
    photo[0, 0] = 1
    LITE.predict({"segmenter": spy}, {"photo": photo})
    assert (seen["low"], seen["high"]) == (-1.0, 1.0)


def test_a_validation_without_defects_leaves_the_threshold():
    task = dataclasses.replace(LITE, threshold=0.4)
    assert task.informed({"ranking/best_threshold": float("nan")}).threshold == 0.4
    assert task.informed({"ranking/best_threshold": 0.25}).threshold == 0.25


def test_undamaged_photos_of_the_validation_set_both_thresholds():
    figures = {"ranking/best_threshold": 0.5, "threshold_for_clean/0.003": 0.3}
    informed = LITE.informed(figures | {"threshold_for_clean/0.0005": 0.7})
    assert (informed.threshold, informed.careful) == (0.3, 0.7)
    assert LITE.informed(figures | {"threshold_for_clean/0.0005": 0.1}).careful == 0.3


def test_settings_survive_a_weights_file():
    task = dataclasses.replace(LITE, threshold=0.4)
    assert contract.from_json(contract.to_json(task)) == task
