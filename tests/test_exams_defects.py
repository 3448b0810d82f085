import dataclasses
import json
import types

import cv2
import numpy as np
import pytest

from oldphoto_jax.damage import sprites
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.recipe import EVERYTHING, Damage
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import defects
from oldphoto_jax.restore import detect, stage
from oldphoto_jax.tasks.segment import Segment
from tests import untrained
from tests.stages import Ready


@pytest.fixture(scope="module")
def exam():
    return defects.Exam(photos=Samples("val"), count=3, size=96, seed=1)


@pytest.fixture(scope="module")
def truths(exam):
    return {example["photo"].tobytes(): example["mask"] for _, example in exam.examples(False)}


def oracle(truths):
    """Knows the truth, and marks nothing on photos that it has not seen damaged."""
    nothing = np.zeros((96, 96, 1), np.float32)
    return defects.Method("oracle", lambda p: truths.get(p.tobytes(), nothing)[..., 0], 0.5)


BLIND = defects.Method("blind", lambda photo: np.zeros(photo.shape[:2], np.float32), 0.5)
EAGER = defects.Method("eager", lambda photo: np.ones(photo.shape[:2], np.float32), 0.5)


def test_damaged_photos_are_damaged_and_clean_ones_are_not(exam):
    assert all(example["mask"].any() for _, example in exam.examples(False))
    assert not any(example["mask"].any() for _, example in exam.examples(True))
    names = [name for name, _ in exam.examples(False)]
    assert len(names) == 3 and names[0] == names[2]  # two photos, three crops


def test_questions_are_those_of_training_and_tell_what_damage_hides(exam):
    _, asked = next(exam.examples(False))
    task = Segment(size=96, damage=Damage(clean=0.0, **EVERYTHING))
    known = task.example(exam.photos[0], np.random.default_rng((exam.seed, 0)))
    for name in ("photo", "mask"):
        np.testing.assert_array_equal(asked[name], known[name])
    change = np.abs(asked["photo"] - asked["target"]).max(axis=-1, keepdims=True)
    assert change[asked["mask"] > 0].mean() > 0.05 > change[asked["mask"] == 0].max()


def test_figures_know_right_from_wrong(exam, truths):
    right, blind, eager = defects.evaluate(exam, [oracle(truths), BLIND, EAGER])["figures"]
    for name in ("average_precision", "roc_auc", "iou", "mean_iou", "dice", "f1_2px"):
        assert right[name] == 1
    share = np.mean([mask.mean() for mask in truths.values()])
    assert blind["roc_auc"] == eager["roc_auc"] == 0.5
    assert blind["iou"] == 0 and blind["average_precision"] == pytest.approx(share, rel=1e-4)
    assert eager["iou"] == pytest.approx(share, rel=1e-4)
    assert (right["clean_marked"], blind["clean_marked"], eager["clean_marked"]) == (0, 0, 1)
    recalls = [figures for name, figures in eager.items() if name.startswith("recall ")]
    assert set(recalls) <= {1.0, None} and 1.0 in recalls


def test_the_same_exam_gives_the_same_result_and_another_seed_another(exam):
    results = [
        defects.evaluate(dataclasses.replace(exam, seed=seed), [defects.METHODS["tophat"]])
        for seed in (1, 1, 2)
    ]
    assert results[0] == results[1]
    assert results[0]["figures"] != results[2]["figures"]
    assert results[0]["protocol"] != results[2]["protocol"]


def test_who_else_sits_the_exam_changes_nothing(exam):
    alone = defects.evaluate(exam, [EAGER])
    together = defects.evaluate(exam, [BLIND, EAGER])
    assert together["figures"][1] == alone["figures"][0]
    assert together["protocol"] == alone["protocol"]


class Rising(Ready):
    """A stage without a network: what is brighter than its left neighbour is damaged."""

    predictor = types.SimpleNamespace(multiple=16, threshold=0.4)
    checksum = "abc"

    def __call__(self, photo):
        rise = np.diff(photo, axis=2, prepend=photo[:, :, :1])
        return {"mask": np.clip(rise, 0, 1)[..., :1]}


def test_networks_are_methods(exam, monkeypatch):
    plain, tta = defects.network("n", Rising()), defects.network("n", Rising(), tta=True)
    figures = defects.evaluate(exam, [plain, tta])["figures"]
    assert [f["method"] for f in figures] == ["n", "n (tta)"]
    assert {f["weights"] for f in figures} == {"abc"} and {f["threshold"] for f in figures} == {0.4}
    assert figures[0]["average_precision"] != figures[1]["average_precision"]
    monkeypatch.setattr(detect, "NEAR", 48 * 48)  # crops are large then, and seen as ever
    assert defects.evaluate(exam, [plain])["figures"] == figures[:1]
    with pytest.raises(ValueError, match="n takes multiples of 16"):
        defects.evaluate(dataclasses.replace(exam, size=100), [plain])


def test_results_are_json_and_tables_show_every_method(exam):
    result = defects.evaluate(exam, [BLIND, EAGER])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = defects.table(result).splitlines()
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[5].startswith("| recall ") and "| darker | lighter | by 0-0.04 " in lines[5]
    for rows in (lines[2:4], lines[7:9]):
        assert [line.split("|")[1].strip() for line in rows] == ["blind", "eager"]
    assert lines[-1] == result["protocol"]
    for part in ("3 crops of 96 px", "2 photos", "seed 1", "oldphoto_jax "):
        assert part in result["protocol"]


@pytest.fixture
def drawn(monkeypatch):
    """The kinds that were drawn since the test began, in order."""
    calls = []

    def watch(name, draw):
        def watched(*args):
            calls.append(name)
            return draw(*args)

        return watched

    for name, kind in KINDS.items():
        watched = dataclasses.replace(kind, draw=watch(name, kind.draw))
        monkeypatch.setitem(KINDS, name, watched)
    draw = sprites.Textures.draw
    monkeypatch.setattr(
        sprites.Textures, "draw", lambda self, kind, *rest: watch(kind, draw)(self, kind, *rest)
    )
    return calls


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Two families: film with hair and blobs, and cracks."""
    root = tmp_path_factory.mktemp("textures")
    for name in ("film/hair", "film/blob", "cracks"):
        (root / name).mkdir(parents=True)
        line = cv2.line(np.zeros((60, 200), np.uint8), (5, 10), (190, 50), 255, 2)
        cv2.imwrite(str(root / name / "a.png"), line)
    return root


def test_an_exam_of_some_kinds_draws_no_other(exam, textures, drawn):
    asked = dataclasses.replace(exam, count=12, only=("tear", "film"), textures=textures)
    masks = [example["mask"] for _, example in asked.examples(False)]
    assert set(drawn) == {"tear", "film/hair", "film/blob"} and np.mean(masks) > 0
    drawn.clear()
    list(dataclasses.replace(exam, count=12).examples(False))
    assert len(set(drawn)) > 5  # the watch sees every kind
    drawn.clear()
    assert not any(example["mask"].any() for _, example in asked.examples(True))
    assert not drawn


def test_the_protocol_names_the_kinds_and_clean_crops_are_asked_as_ever(exam):
    every, tears = (
        defects.evaluate(dataclasses.replace(exam, only=only), [EAGER]) for only in ((), ("tear",))
    )
    assert "; only damage of the kinds tear; " in tears["protocol"]
    assert "only damage" not in every["protocol"]
    assert tears["figures"][0]["clean_marked"] == every["figures"][0]["clean_marked"] == 1
    assert tears["figures"][0]["iou"] != every["figures"][0]["iou"]


def test_unseen_is_what_the_weights_were_trained_without(tmp_path, exam, drawn):
    held = ("tear", "crack")
    file = tmp_path / "held.safetensors"
    untrained.save(file, untrained.finder(unseen=held))
    kinds = defects.unseen("held", stage.load(file))
    assert kinds == held
    list(dataclasses.replace(exam, count=12, only=kinds).examples(False))
    assert set(drawn) == set(held)
    seen = types.SimpleNamespace(predictor=untrained.finder())
    with pytest.raises(ValueError, match="all: no kind of damage was kept .* name kinds by --only"):
        defects.unseen("all", seen)


def test_kinds_that_a_recipe_did_not_name_are_unseen_too():
    damage = Damage(only=("tear", "crack", "film"), exclude=("crack", "paper"))
    kinds = Segment(damage=damage).predictor().unseen
    assert kinds[:2] == ("crack", "paper") and len(set(kinds)) == len(kinds)
    assert set(kinds) == KINDS.keys() - {"tear"} | {"paper"}


def test_families_of_textures_need_their_folder(exam, textures):
    with pytest.raises(ValueError, match="called film; .* give their folder by --textures"):
        dataclasses.replace(exam, only=("tear", "film"))
    other = dataclasses.replace(exam, only=("flim",), textures=textures)
    with pytest.raises(ValueError, match="no kind 'flim'; there are blot, .*film/hair"):
        defects.evaluate(other, [BLIND])


def test_an_exam_without_photos_is_refused():
    with pytest.raises(ValueError, match="0 crops"):
        defects.Exam(photos=Samples("val"), count=0)
