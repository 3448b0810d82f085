"""Genuine damage: every mask is sound and listed, and the exam counts what it should."""

import csv
import hashlib
import json

import cv2
import numpy as np
import pytest

from experiments import genuine_exam as exam
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import stage
from tests import untrained
from tests.stages import Ready

SIZE = 48


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A list of two gray photos with a white square; what is left of it is don't care."""
    rows = []
    for name, split in (("a", "judge"), ("b", "tune")):
        photo = np.full((SIZE, SIZE, 3), 90 if name == "a" else 110, np.uint8)
        photo[20:28, 20:28] = 255
        mask = np.zeros((SIZE, SIZE, 1), np.uint8)
        mask[20:28, 20:28], mask[:, :16] = exam.DAMAGED, exam.DONT_CARE
        (tmp_path / "photos").mkdir(exist_ok=True)
        files.write_png(tmp_path / "photos" / f"{name}.png", photo)
        files.write_png(tmp_path / f"{name}.png", mask)
        sums = {
            "sha256": hashlib.sha256((tmp_path / "photos" / f"{name}.png").read_bytes()),
            "pixels_sha256": hashlib.sha256(photo),
        }
        origin = {"source": "an archive", "path": f"box/{name}", "processing": "none"}
        row = {"name": name, "split": split, "file": f"{name}.png"} | origin
        rows.append(row | {column: one.hexdigest() for column, one in sums.items()})
    with open(tmp_path / "split.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(exam, "MASKS", tmp_path)
    return tmp_path / "photos"


def test_every_mask_is_listed_and_has_three_levels():
    rows = {row["name"]: row for row in exam.listed()}
    masks = {path.stem: path for path in exam.MASKS.glob("*.png")}
    assert masks.keys() == rows.keys()
    for name, path in masks.items():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        levels = np.unique(mask)
        assert set(levels) <= {exam.WHOLE, exam.DONT_CARE, exam.DAMAGED}
        assert {exam.WHOLE, exam.DAMAGED} <= set(levels), f"{name} marks nothing, or all"
        assert mask.shape == (int(rows[name]["height"]), int(rows[name]["width"]))
        assert (mask == exam.DAMAGED).mean() == pytest.approx(
            float(rows[name]["damaged"]), abs=1e-4
        )
    assert sum(path.stat().st_size for path in masks.values()) < 500_000


def test_the_halves_are_equal_and_share_no_photo():
    judge, tune = (exam.listed(split) for split in exam.SPLITS)
    assert len(judge) == len(tune) >= 12
    for column in ("sha256", "pixels_sha256"):
        assert not {row[column] for row in judge} & {row[column] for row in tune}
        assert all(len(row[column]) == 64 for row in judge + tune)


def test_what_is_dont_care_counts_nothing():
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 128, 255], np.uint8), (SIZE, SIZE), p=[0.7, 0.2, 0.1])
    found = rng.integers(0, 65536, (SIZE, SIZE)).astype(np.uint16)
    other = np.where(mask == exam.DONT_CARE, 65535 - found, found)
    told, again = (exam.figures(exam.measure(mask, one, 0.5)) for one in (found, other))
    np.testing.assert_equal(told, again)
    counted = mask != exam.DONT_CARE
    marked = (found >= 32768) & counted
    assert told["recall"] == pytest.approx(marked[mask == exam.DAMAGED].mean())
    assert told["precision"] == pytest.approx((mask[marked] == exam.DAMAGED).mean())


def test_a_perfect_map_has_full_marks():
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[10:20, 10:20], mask[30:, 30:] = exam.DAMAGED, exam.DONT_CARE
    found = np.where(mask > 0, 65535, 0).astype(np.uint16)
    told = exam.figures(exam.measure(mask, found, 0.5))
    for name in ("AP", "ROC-AUC", "IoU", "recall", "precision", "F1 2 px", "best F1"):
        assert told[name] == 1, name


def test_another_photo_is_told_but_the_same_pixels_will_do(made):
    (row,) = exam.listed("judge")
    photo, mask = exam.pair(row, made)
    assert photo.shape == (SIZE, SIZE, 3) and mask[24, 24] == exam.DAMAGED
    cv2.imwrite(str(made / "a.png"), photo[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert np.array_equal(exam.pair(row, made)[0], photo)
    files.write_png(made / "a.png", 255 - photo)
    with pytest.raises(ValueError, match="not the photo that was marked.*an archive, box/a"):
        exam.pair(row, made)
    (made / "a.png").unlink()
    with pytest.raises(ValueError, match="no such photo.*an archive, box/a"):
        exam.pair(row, made)


def test_a_mask_of_other_levels_is_told(made):
    (row,) = exam.listed("judge")
    files.write_png(exam.MASKS / "a.png", np.full((SIZE, SIZE, 1), 7, np.uint8))
    with pytest.raises(ValueError, match=r"a\.png: a mask is"):
        exam.pair(row, made)


class Bright(Ready, stage.Stage):
    """Calls all that is brighter than the gray a defect."""

    def __init__(self):
        self.predictor = untrained.finder(threshold=0.9)

    def __call__(self, photo, **_):
        return {"mask": photo.max(-1, keepdims=True).astype(np.float32)}


def test_the_command_prints_each_photo_and_all(made, monkeypatch, capsys):
    monkeypatch.setattr(stage, "load", lambda path, kind: Bright())
    exam.main([f"--photos={made}", "--method=tophat", "--weights=bright", "--split=all"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("photo") for line in lines] == ["a", "b", None] * 2
    assert [line["method"] for line in lines] == ["bright"] * 3 + ["tophat"] * 3
    network, tophat = lines[2], lines[-1]
    assert network["photos"] == tophat["photos"] == 2 and network["threshold"] == 0.9
    assert {network["pooled"]["AP"], network["mean"]["IoU"]} == {1}
    each = [line["recall"] for line in lines[3:5]]
    assert tophat["mean"]["recall"] == pytest.approx(np.mean(each), abs=1e-3)


def test_a_photo_that_is_not_there_ends_the_command(made):
    (made / "a.png").unlink()
    with pytest.raises(SystemExit, match="genuine_exam: .*no such photo"):
        exam.main([f"--photos={made}", "--method=tophat"])
