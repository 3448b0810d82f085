"""Finding defects as a task: which networks there are, what their photos must be like."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.photo import crop
from oldphoto_jax.tasks.segment import Segment

LITE = Segment(network=lite_unet.Blueprint(widths=(8, 8, 8, 8)), size=64)
STOCK = Segment(network=unet.Blueprint(stem_kernel=7, stem_stride=2, pool="max2"))


@pytest.mark.parametrize(
    ("task", "multiple"),
    [
        (Segment(), 16),
        (STOCK, 64),
        (LITE, 32),
    ],
)
def test_sides_are_multiples_of_what_the_network_takes(task, multiple):
    predictor = task.predictor()
    assert predictor.multiple == multiple
    net = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0))["segmenter"])
    photo = jax.ShapeDtypeStruct((1, multiple, 2 * multiple, 3), np.float32)
    batch = {"photo": photo}
    found = nnx.eval_shape(lambda net, batch: predictor({"segmenter": net}, batch), net, batch)
    assert found["mask"].shape == (1, multiple, 2 * multiple, 1)


def test_the_lite_network_is_shown_photos_as_its_encoder_knows_them():
    """The network gets -1..1 for black and white, whoever asks."""
    seen = {}

    def spy(x):
        seen.update(low=float(x.min()), high=float(x.max()))
        return x[..., :1]

    photo = np.zeros((1, 32, 32, 3), np.float32)
    photo[0, 0] = 1
    LITE.predictor()({"segmenter": spy}, {"photo": photo})
    assert (seen["low"], seen["high"]) == (-1.0, 1.0)


def test_a_validation_without_defects_leaves_the_threshold():
    task = dataclasses.replace(LITE, threshold=0.4)
    assert task.predictor({"ranking/best_threshold": float("nan")}).threshold == 0.4
    assert task.predictor({"ranking/best_threshold": 0.25}).threshold == 0.25


def test_undamaged_photos_of_the_validation_set_both_thresholds():
    figures = {"ranking/best_threshold": 0.5, "threshold_for_clean/0.003": 0.3}
    told = LITE.predictor(figures | {"threshold_for_clean/0.0005": 0.7})
    assert (told.threshold, told.careful) == (0.3, 0.7)
    assert LITE.predictor(figures | {"threshold_for_clean/0.0005": 0.1}).careful == 0.3


def marked_by_white(size=(90, 120)):
    """A photo, black but white where it is damaged: a blot, and a line one pixel thin."""
    mask = np.zeros((*size, 1), np.uint8)
    mask[50:70, 80:100] = mask[:, 7] = 1
    return mask * np.uint8([255, 255, 255]), mask


@pytest.mark.parametrize("size", [16, 32])
def test_the_true_mask_goes_where_its_photo_goes(size):
    """Native or shrunk, mirrored or not: where the photo is white it is damaged."""
    photo, mask = marked_by_white()
    shares = []
    for seed in range(60):
        piece, marked = crop.paired(photo, mask, size, np.random.default_rng(seed))
        assert piece.shape == (size, size, 3) and piece.dtype == np.uint8
        assert marked.shape == (size, size, 1) and set(np.unique(marked)) <= {0, 1}
        light = piece[..., :1] / 255
        assert not (light[marked > 0] < 0.29).any() and not (light[marked == 0] > 0.8).any()
        shares.append(marked.mean())
    assert np.mean(np.array(shares) > 0) > crop.NEAR  # damage is looked for
    assert len(set(shares)) > 12 and min(shares) == 0  # at many places, and elsewhere


def test_thin_lines_survive_shrinking_to_a_third():
    photo, mask = marked_by_white((96, 96))
    rng = np.random.default_rng(0)
    pieces = [crop.paired(photo, mask, 32, rng) for _ in range(60)]
    far = [marked for piece, marked in pieces if marked[:, :, 0].all(axis=0).sum() == 1]
    assert len(far) > 5


def test_a_photo_with_a_true_mask_is_shown_in_other_prints_and_not_damaged_more():
    photo, mask = marked_by_white()
    record = {"photo": np.uint8(photo // 2 + 60), "mask": mask, "name": "x"}
    contrasts, grounds = [], set()
    for seed in range(40):
        example = LITE.example(record, np.random.default_rng(seed))
        forms = {key: (value.shape, value.dtype) for key, value in example.items()}
        assert forms == {"photo": ((64, 64, 3), np.float32), "mask": ((64, 64, 1), np.float32)}
        damaged = example["mask"][..., 0] > 0
        assert example["photo"].min() >= 0 and example["photo"].max() <= 1
        ground = np.median(example["photo"][~damaged])
        grounds.add(round(float(ground), 3))
        if damaged.any():
            contrasts.append(np.median(example["photo"][damaged]) - ground)
    contrasts = np.array(contrasts)
    assert (np.abs(contrasts) > 0.15).all()  # the mask is where the damage is
    assert 0.25 < (contrasts < 0).mean() < 0.75 and len(grounds) > 20
