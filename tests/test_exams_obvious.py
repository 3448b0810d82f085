import json

import numpy as np
import pytest

from oldphoto_jax import cli
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import obvious
from oldphoto_jax.exams.defects import Method
from oldphoto_jax.photo import image

ONLY = ("line", "tape", "specks")
BLIND = Method("blind", lambda photo: np.zeros(photo.shape[:2], np.float32), 0.5)
EAGER = Method("eager", lambda photo: np.ones(photo.shape[:2], np.float32), 0.5)


@pytest.fixture(scope="module")
def exam():
    return obvious.Exam(photos=Samples("val"), count=3, size=128, seed=1, only=ONLY)


@pytest.fixture(scope="module")
def result(exam):
    """Those who know the truth, or the dark half of it, beside two who do not look."""
    damaged = {}
    for _, pair in exam.pairs():
        for side in obvious.SIDES:
            painted = getattr(pair, side)
            damaged[image.to_float(painted.photo).tobytes()] = side, painted

    def oracle(sides, rim):
        def score(photo):
            side, painted = damaged.get(photo.tobytes(), ("", None))
            marked = np.zeros(photo.shape[:2], bool)
            if side in sides:
                marked = painted.mask | painted.rim if rim else painted.mask
            return marked.astype(np.float32)

        return Method(f"knows {sides}", score, 0.5)

    methods = [oracle(obvious.SIDES, False), oracle(obvious.SIDES, True), oracle(["dark"], False)]
    return obvious.evaluate(exam, [*methods, BLIND, EAGER])


def test_right_is_told_from_wrong_and_rims_count_nothing(result):
    right, rims, _, blind, eager = result["figures"]
    assert right["kinds"] == rims["kinds"] and set(right["kinds"]) == {"all", "mean", *ONLY}
    for row in right["kinds"].values():
        assert all(set(row[side].values()) == {1} for side in ("dark", "light", "both"))
    assert (right["clean_marked"], eager["clean_marked"]) == (0, 1)
    blind, eager = (figures["kinds"]["all"]["both"] for figures in (blind, eager))
    assert (blind["recall"], blind["iou"], eager["recall"]) == (0, 0, 1)
    assert 0 < blind["average_precision"] == eager["average_precision"] < 0.3


def test_polarities_are_told_apart_and_alike_in_number(result):
    dark = result["figures"][2]
    for row in dark["kinds"].values():
        assert row["dark"]["recall"] == 1 and row["light"]["recall"] == 0
        assert 0.2 < row["both"]["recall"] < 0.8
    assert [row["crops"] for row in dark["kinds"].values()] == [3, 3, 1, 1, 1]


def test_recall_is_told_by_width_opacity_and_change(result):
    recall = result["figures"][2]["recall"]
    assert {"0-2 px", "4-8 px", "128+ px", "opacity 0.8-0.85", "by 0.5+"} <= set(recall)
    for name in ("0-2 px", "2-4 px", "by 0-0.04", "64-128 px"):  # never drawn
        assert set(recall[name].values()) == {None}
    assert recall["4-8 px"]["dark"] == 1 and recall["4-8 px"]["light"] == 0
    opacities = [row["dark"] for name, row in recall.items() if name.startswith("opacity")]
    assert set(opacities) <= {1, None} and 1 in opacities


def test_results_are_json_and_tables_show_every_kind(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    text = obvious.table(result)
    assert text.endswith(result["protocol"]) and text.count("\n| specks ") == 5
    assert "blind, at 0.5; clean 0.0000" in text and "| 4-8 px " in text
    for part in ("3 crops of 128 px from 2 photos, seed 1", "3 crops could be asked", "line, "):
        assert part in result["protocol"]


def test_the_same_exam_gives_the_same_result(exam, result):
    again = obvious.evaluate(exam, [EAGER])
    assert again["protocol"] == result["protocol"] and again["figures"] == result["figures"][4:]


def test_few_crops_are_spread_over_the_photos():
    six = Samples("all")
    exam = obvious.Exam(photos=six, count=2, size=96, only=("line",))
    assert [name for name, _ in exam.pairs()] == [six[0]["name"], six[3]["name"]]


def test_kinds_and_photos_that_there_are_not(tmp_path):
    with pytest.raises(ValueError, match="called film; there are line, .* film-damage-real"):
        obvious.Exam(photos=Samples("val"), only=("film",), textures=tmp_path)
    black = [{"photo": np.zeros((64, 64, 3), np.uint8), "name": "night"}]
    with pytest.raises(ValueError, match="nothing obvious could be drawn on 1 crops"):
        obvious.evaluate(obvious.Exam(photos=black, size=64, only=("line",)), [EAGER])


def test_the_command(tmp_path, capsys):
    file = tmp_path / "figures.json"
    command = ["evaluate", "segment", "--obvious", "--method", "tophat", "--only", "line"]
    assert cli.main([*command, "--count", "1", "--size", "96", "--json", str(file)]) == 0
    told = json.loads(file.read_text("utf-8"))
    assert told["protocol"] in capsys.readouterr().out
    assert list(told["figures"][0]["kinds"]) == ["all", "mean", "line"]
    assert cli.main(["evaluate", "segment", "--obvious", "--unseen"]) == 2
    assert "no training draws any kind" in capsys.readouterr().err
