"""Laws of the mask metrics; the pooled values are golden numbers (test_golden)."""

import functools
import math
import operator

import cv2
import numpy as np
import pytest

from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.metrics import ranking
from oldphoto_jax.metrics.width import near, width_bins

STREAMS = [
    metrics.Ranking,
    metrics.Overlap,
    metrics.BoundaryF1,
    metrics.RecallByWidth,
    metrics.MarkedArea,
]
EDGES = metrics.RecallByWidth.EDGES


@pytest.fixture(scope="module")
def batch():
    """Truth with one clean photo, and a prediction that is better than chance and has ties."""
    rng = np.random.default_rng(6)
    truth = (rng.uniform(size=(5, 24, 20, 1)) < 0.2).astype(np.float32)
    truth[2] = 0
    noise = rng.uniform(size=truth.shape)
    return truth, np.round(0.6 * noise + 0.4 * truth, 2).astype(np.float32)


def flat(measures):
    return measures if isinstance(measures, dict) else {"value": measures}


@pytest.mark.parametrize("stream", STREAMS)
def test_the_sum_of_parts_is_the_whole(stream, batch):
    truth, prediction = batch
    parts = [stream.of(truth[i : i + 1], prediction[i : i + 1]) for i in range(5)]
    whole, added = stream.of(truth, prediction), functools.reduce(operator.add, parts)
    for name, array in whole.arrays().items():
        assert array.dtype in (np.int64, np.float64)
        np.testing.assert_allclose(added.arrays()[name], array, rtol=1e-12)
    assert flat(added.compute()) == pytest.approx(flat(whole.compute()), nan_ok=True)
    again = stream(**whole.arrays())
    assert flat(again.compute()) == pytest.approx(flat(whole.compute()), nan_ok=True)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_perfect_prediction(stream, batch):
    truth, _ = batch
    for name, value in flat(stream.of(truth, truth).compute()).items():
        assert type(value) is float
        if stream is metrics.MarkedArea:
            assert value == 0
        elif name == "best_threshold":
            assert 0 < value <= 1
        else:
            assert value == 1 or math.isnan(value), name


@pytest.mark.parametrize("stream", STREAMS)
def test_no_defects_or_nothing_else_never_crashes(stream, batch):
    _, prediction = batch
    for truth in (np.zeros_like(prediction), np.ones_like(prediction)):
        for marks in (prediction, 0 * prediction, 0 * prediction + 1):
            measures = flat(stream.of(truth, marks).compute())
            assert all(math.isnan(value) or 0 <= value <= 1 for value in measures.values())


def test_undefined_is_nan(batch):
    _, prediction = batch
    clean, empty = np.zeros_like(prediction), np.zeros_like(prediction)
    assert all(map(math.isnan, metrics.Ranking.of(clean, prediction).compute().values()))
    overlap = metrics.Overlap.of(clean, empty).compute()
    assert overlap.pop("mean_iou") == 1  # clean photos left alone
    assert all(map(math.isnan, overlap.values()))
    assert math.isnan(metrics.MarkedArea.of(clean + 1, prediction).compute())
    assert all(map(math.isnan, metrics.RecallByWidth.of(clean, prediction).compute().values()))
    boundary = metrics.BoundaryF1.of(clean, prediction).compute()
    assert boundary["f1"] == 0 and boundary["precision"] == 0 and math.isnan(boundary["recall"])
    assert math.isnan(metrics.BoundaryF1.of(clean, empty).compute()["f1"])


def test_ranking_depends_on_order_alone(batch):
    truth, prediction = batch
    for bend in (np.sqrt, np.exp, lambda x: 3 * x - 7):
        bent = bend(prediction.astype(np.float64))
        for measure in (ranking.roc_auc, ranking.average_precision):
            assert measure(truth, bent) == pytest.approx(measure(truth, prediction), rel=1e-12)
    turned = ranking.roc_auc(truth, -prediction)
    assert turned == pytest.approx(1 - ranking.roc_auc(truth, prediction))


def test_known_rankings():
    label, score = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    assert ranking.roc_auc(label, score) == 0.75
    assert ranking.average_precision(label, score) == pytest.approx(5 / 6)
    assert ranking.roc_auc(label, [0.5] * 4) == 0.5
    assert ranking.average_precision(label, [0.5] * 4) == 0.5
    assert ranking.roc_auc([0, 1], [0, 1]) == 1 and ranking.roc_auc([0, 1], [1, 0]) == 0


def test_ranking_stream_equals_the_exact_functions_on_16_bit_scores(batch):
    truth, prediction = batch
    fine = np.clip(prediction + np.random.default_rng(7).normal(0, 1e-3, prediction.shape), 0, 1)
    rounded = np.rint(fine * 65535) / 65535
    measures = metrics.Ranking.of(truth, fine).compute()
    for name in ("roc_auc", "average_precision"):
        exact = getattr(ranking, name)
        assert measures[name] == pytest.approx(exact(truth, rounded), rel=1e-12)
        assert measures[name] == pytest.approx(exact(truth, fine), abs=1e-3)


def test_the_best_threshold_is_the_best(batch):
    truth, prediction = batch
    measures = metrics.Ranking.of(truth, prediction).compute()
    reached = metrics.dice(truth, prediction, measures["best_threshold"])
    assert reached == pytest.approx(measures["best_f1"])
    for threshold in np.unique(prediction):
        assert metrics.dice(truth, prediction, threshold) <= measures["best_f1"] + 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_reaches_its_own_threshold(dtype):
    truth = np.ones((1, 1, 9, 1))
    for tenth in range(1, 10):
        assert metrics.recall(truth, np.full(truth.shape, tenth / 10, dtype), tenth / 10) == 1


def test_mean_iou_is_over_photos_and_iou_is_pooled():
    truth, prediction = np.zeros((2, 1, 12, 1)), np.zeros((2, 1, 12, 1))
    truth[0, 0, :10], prediction[0, 0, :10] = 1, 1
    truth[1, 0, 0], prediction[1, 0, 1] = 1, 1
    measures = metrics.Overlap.of(truth, prediction).compute()
    assert measures["mean_iou"] == pytest.approx(0.5)
    assert measures["iou"] == pytest.approx(10 / 12)
    assert measures["iou"] == metrics.iou(truth, prediction)
    assert measures["dice"] == pytest.approx(2 * (10 / 12) / (1 + 10 / 12))


def line(at, width=1, size=40):
    """A batch of one photo with a horizontal line."""
    photo = np.zeros((1, size, size, 1), np.float32)
    photo[:, at : at + width] = 1
    return photo


@pytest.mark.parametrize("shift, f1", [(0, 1), (1, 1), (2, 1), (3, 0), (9, 0)])
def test_boundary_f1_forgives_two_pixels(shift, f1):
    measures = metrics.BoundaryF1.of(line(20), line(20 + shift)).compute()
    assert measures == {"precision": f1, "recall": f1, "f1": f1}


def test_boundary_tolerance_is_a_disc():
    dot, corner = np.zeros((2, 1, 9, 9, 1))
    dot[0, 4, 4], corner[0, 6, 6] = 1, 1  # 2.83 pixels away
    assert metrics.BoundaryF1.of(dot, corner, tolerance=2).compute()["f1"] == 0
    assert metrics.BoundaryF1.of(dot, corner, tolerance=3).compute()["f1"] == 1
    half = metrics.BoundaryF1.of(line(20), line(20) + line(30)).compute()
    assert (half["precision"], half["recall"]) == (0.5, 1)


@pytest.mark.parametrize("radius", [1, 2, 5, 11, 12, 15])
@pytest.mark.parametrize("touching", [True, False])
def test_near_equals_the_definition(radius, touching):
    marked = np.random.default_rng(radius).uniform(size=(30, 26)) < 0.004
    marked[9, 20] = True
    rows, columns = np.nonzero(marked)
    y, x = np.mgrid[:30, :26]
    squares = ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=-1)
    expected = squares <= radius**2 if touching else squares < radius**2
    np.testing.assert_array_equal(near(marked, radius, touching), expected)
    assert not near(np.zeros((4, 4), bool), radius, touching).any()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33])
def test_straight_lines_fall_into_their_width(width):
    expected = sum(width >= edge for edge in EDGES)
    for top in (20, 80 - width):  # in the middle and along the border
        across = line(top, width, 80)[0, ..., 0]
        for bins in (width_bins(across, EDGES), width_bins(across.T, EDGES).T):
            assert (bins[top : top + width, 20:60] == expected).all()  # away from both ends
            assert not bins[across == 0].any()


@pytest.mark.parametrize("diameter", [7, 13, 25, 45])
def test_discs_are_as_wide_as_their_diameter(diameter):
    mask = np.zeros((60, 60), np.uint8)
    cv2.circle(mask, (30, 30), diameter // 2, 1, -1)
    bins = width_bins(mask, EDGES)[mask > 0]
    assert np.mean(bins == sum(diameter >= edge for edge in EDGES)) > 0.85


def test_a_thin_line_on_a_blot_keeps_its_width():
    mask = np.zeros((60, 90), np.uint8)
    mask[20:40, 5:25] = 1
    mask[29:32, 25:] = 1
    bins = width_bins(mask, EDGES)
    assert (bins[29:32, 32:88] == 1).all() and (bins[25:35, 10:20] == 4).all()


def test_recall_is_counted_by_width():
    truth = line(5, 1) + line(20, 3) + line(30, 6)
    found = line(20, 3) + line(30, 3)
    measures = metrics.RecallByWidth.of(truth, found).compute()
    widths = ["0-2", "2-4", "4-8", "8-16", "16-32", "32-64", "64-128", "128+"]
    assert list(measures) == widths
    assert measures["0-2"] == 0 and measures["2-4"] == 1
    assert measures["4-8"] == pytest.approx(0.5, abs=0.05)
    assert math.isnan(measures["8-16"])


@pytest.mark.parametrize(("width", "name"), [(63, "32-64"), (64, "64-128"), (128, "128+")])
def test_thick_defects_have_widths_too(width, name):
    truth = np.zeros((1, 140, 300, 1), np.uint8)
    truth[:, 5 : 5 + width] = 1
    measures = metrics.RecallByWidth.of(truth, truth).compute()
    assert [key for key, value in measures.items() if not math.isnan(value)][-1] == name


def test_recall_is_counted_by_what_the_damage_did():
    change = np.array([-0.6, -0.3, -0.02, 0, 0.04, 0.07, 0.3, 0.9]).reshape(1, 1, 8, 1)
    found = np.array([1, 0, 0, 1, 1, 1, 1, 0]).reshape(change.shape)
    measures = metrics.RecallByChange.of(np.ones_like(found), found, change).compute()
    assert metrics.bins((0.04, 0.1)) == ["0-0.04", "0.04-0.1", "0.1+"]
    third, steps = pytest.approx(1 / 3), [0.5, 1, math.nan, 0.5, 0.5]
    assert (measures.pop("darker"), measures.pop("lighter")) == (third, 0.75)
    assert list(measures) == [f"by {change}" for change in metrics.bins((0.04, 0.1, 0.25, 0.5))]
    assert list(measures.values()) == pytest.approx(steps, nan_ok=True)
    halves = [
        metrics.RecallByChange.of(
            found[..., part, :] | 1, found[..., part, :], change[..., part, :]
        )
        for part in (slice(3), slice(3, 8))
    ]
    whole = metrics.RecallByChange.of(np.ones_like(found), found, change)
    assert (halves[0] + halves[1]).compute() == pytest.approx(whole.compute(), nan_ok=True)
    with pytest.raises(ValueError, match=r"change must be \(1, 1, 8, 1\)"):
        metrics.RecallByChange.of(found, found, change[..., 0])


def test_marked_area_looks_at_clean_photos_only(batch):
    truth, prediction = batch
    measured = metrics.MarkedArea.of(truth, prediction, 0.3).compute()
    assert measured == np.mean(prediction[2] >= 0.3) > 0


def test_bad_input_is_refused(batch):
    truth, prediction = batch
    for stream in STREAMS:
        with pytest.raises(ValueError, match=r"equal \[N,H,W,1\].*\(5, 24, 20\)"):
            stream.of(truth, prediction[..., 0])
        with pytest.raises(ValueError, match="1 of 2400 predictions are NaN"):
            stream.of(
                truth, np.where(np.arange(2400).reshape(truth.shape) == 7, np.nan, prediction)
            )
        with pytest.raises(ValueError, match="neither 0 nor 1; threshold"):
            stream.of(255 * truth, prediction)
        with pytest.raises(ValueError, match="empty"):
            stream.of(truth[:0], prediction[:0])
    with pytest.raises(ValueError, match="probabilities.*sigmoid"):
        metrics.Ranking.of(truth, 9 * prediction)
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        ranking.roc_auc([0, 1, 1], [0.5, 0.1])


def test_the_threshold_that_leaves_clean_photos_alone_is_the_lowest_one():
    rng = np.random.default_rng(0)
    scores = np.float32(rng.uniform(0, 0.8, (3, 40, 50, 1)) ** 2)
    mask = np.zeros(scores.shape)
    mask[1, 3, 3] = 1  # a damaged photo counts nothing
    scores[1] = 1
    parts = [metrics.CleanScores.of(mask[i : i + 1], scores[i : i + 1]) for i in range(3)]
    found = sum(parts[1:], parts[0]).compute()
    clean = scores[[0, 2]]
    for share in metrics.CleanScores.SHARES:
        threshold = found[str(share)]
        assert np.mean(clean >= threshold) <= share
        assert np.mean(clean >= threshold - 2 / 65535) > share - 1 / clean.size
    assert np.isnan(metrics.CleanScores.of(mask[1:2], scores[1:2]).compute()["0.003"])


def test_where_all_clean_pixels_score_one_no_threshold_but_certainty_is_told():
    ones = np.ones((1, 4, 4, 1), np.float32)
    assert metrics.CleanScores.of(0 * ones, ones).compute()["0.003"] == 1.0
