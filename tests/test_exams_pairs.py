"""Photos with true masks, whole: figures that know right from wrong, of all and of each."""

import json

import numpy as np
import pytest

from oldphoto_jax import cli
from oldphoto_jax.exams import pairs
from oldphoto_jax.exams.pairs import Method
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import detect, stage
from tests.stages import Ready

RNG = np.random.default_rng(0)


def pair(name, height, width, damaged=True):
    """A dark photo that is white where it is damaged: in a line and a blot."""
    mask = np.zeros((height, width), np.uint8)
    if damaged:
        mask[:, 7:9] = mask[20:40, 20:40] = 1
    photo = np.uint8(mask[..., None].repeat(3, -1) * 200 + 20)
    return {"name": name, "photo": photo, "mask": mask[..., None]}


PAIRS = [pair("a", 60, 50), pair("b", 45, 70), pair("clean", 30, 30, damaged=False)]
PERFECT = Method("perfect", lambda photo: np.where(photo[..., 0] > 99, 65535, 0).astype("u2"), 0.5)
BLIND = Method("blind", lambda photo: np.zeros(photo.shape[:2], np.uint16), 0.5)
NOISE = Method(
    "noise",
    lambda photo: np.random.default_rng(1).integers(0, 65536, photo.shape[:2]).astype("u2"),
    0.5,
)


def test_figures_know_right_from_wrong():
    right, blind = pairs.evaluate(PAIRS, [PERFECT, BLIND])["figures"]
    for name in ("average_precision", "roc_auc", "iou", "mean_iou", "dice", "f1_2px", "recall"):
        assert right[name] == 1
    assert right["precision"] == 1 and right["marked"] == right["damaged"] > 0
    assert right["recall 2-4 px"] == right["recall 16-32 px"] == 1
    assert blind["recall"] == blind["iou"] == blind["marked"] == blind["recall 2-4 px"] == 0
    assert blind["average_precision"] == pytest.approx(blind["damaged"], abs=1e-6)
    assert blind["mean_iou"] == pytest.approx(1 / 3, abs=1e-6)  # the photo without damage
    assert [one["name"] for one in blind["photos"]] == ["a", "b", "clean"]
    assert [one["average_precision"] is None for one in right["photos"]] == [False, False, True]


def test_photos_are_measured_some_rows_at_a_time_and_nothing_changes(monkeypatch):
    truth = RNG.random((90, 40)) < 0.3
    truth[30:70, 5:35] = True
    found = NOISE.find(np.zeros((90, 40, 3), np.uint8))
    args = truth[None, ..., None], image.to_float(found)[None, ..., None]
    expected = {
        "ranking": metrics.Ranking.of(*args),
        "overlap": metrics.Overlap.of(*args, 0.5),
        "near": metrics.BoundaryF1.of(*args, 0.5, 2),
        "width": metrics.RecallByWidth.of(*args, 0.5),
    }
    for rows, around in ((1024, 128), (11, 45)):
        monkeypatch.setattr(pairs, "ROWS", rows)
        monkeypatch.setattr(pairs, "AROUND", around)
        streams = pairs._measure(truth, found, detect.step(0.5))
        for name, stream in expected.items():
            assert getattr(streams, name).compute() == pytest.approx(stream.compute(), nan_ok=True)


def test_the_protocol_depends_on_photos_masks_and_names():
    other = [PAIRS[0] | {"mask": 1 - PAIRS[0]["mask"]}, *PAIRS[1:]]
    renamed = [PAIRS[0] | {"name": "z"}, *PAIRS[1:]]
    told = {
        pairs.evaluate(one, [BLIND])["protocol"]
        for one in (PAIRS, iter(PAIRS), other, renamed, PAIRS[:2])
    }
    assert len(told) == 4 and sum("3 whole photos with true masks" in one for one in told) == 3
    with pytest.raises(ValueError, match="no photo has a mask that can be used"):
        pairs.evaluate([], [BLIND])


class Light(Ready):
    """A stage without a network: what is light is damaged."""

    predictor = DefectPredictor()
    checksum = "abc"

    def __call__(self, photo):
        return {"mask": np.asarray(photo)[..., :1]}


@pytest.fixture
def album(tmp_path):
    for one in PAIRS:
        files.write_png(tmp_path / "album" / f"{one['name']}.png", one["photo"])
        files.write_png(tmp_path / "album" / f"{one['name']}_mask.png", one["mask"] * np.uint8(255))
    return tmp_path / "album"


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    (tmp_path / "album").mkdir()
    monkeypatch.setattr(stage, "load", lambda path, default, kind: Light())
    monkeypatch.setattr(stage, "prepare", lambda: None)


def test_the_command_asks_every_method_of_whole_photos(album, tmp_path, capsys):
    file = tmp_path / "figures.json"
    options = ["--weights", "mine", "--method", "tophat", "--json", str(file)]
    assert cli.main(["evaluate", "segment", "--pairs", str(album), *options]) == 0
    result = json.loads(file.read_text("utf-8"))
    light, tophat = result["figures"]
    assert (light["method"], light["weights"], tophat["method"]) == ("mine", "abc", "tophat")
    assert light["average_precision"] == light["iou"] == 1
    assert tophat["recall 2-4 px"] > 0.9 and tophat["iou"] < 1
    shown = capsys.readouterr().out
    assert result["protocol"] in shown and "| mine " in shown
    apart = tmp_path / "apart"
    apart.mkdir()
    for path in album.glob("*_mask.png"):
        path.rename(apart / path.name)
    assert cli.main(["evaluate", "segment", "--pairs", f"{album}@{apart}", *options]) == 0
    assert json.loads(file.read_text("utf-8")) == result


@pytest.mark.parametrize("option", [["--obvious"], ["--only", "tear"], ["--count", "3"]])
def test_what_is_drawn_has_no_place_among_pairs(album, option, capsys):
    assert cli.main(["evaluate", "segment", "--pairs", str(album), *option]) == 2
    assert f"leave out {option[0]}" in capsys.readouterr().err
