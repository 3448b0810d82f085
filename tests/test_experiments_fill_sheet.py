"""Sheets of fillings show the exam's crops and what users would get, in the columns asked for."""

import pathlib

import numpy as np
import pytest

from experiments import fill_sheet, sheet
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import filling
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import detect, holes, stage
from tests import toy, untrained

SIZE = 64


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return untrained.save(folder / "net.safetensors", untrained.filler(levels=3))


class Known(filling.Exam):
    """Crops with one square hole each, whose sides are `sides`."""

    sides = ()

    def examples(self):
        for side in self.sides:
            mask = np.zeros((32, 32, 1), np.uint8)
            mask[:side, :side] = 1
            yield f"{side}", {"mask": mask}


def known(*sides):
    exam = Known(photos=Samples("val"), count=len(sides))
    exam.sides = sides
    return exam


def test_the_sheet_shows_the_exam_as_users_would_get_it(
    weights, tmp_path, tmp_path_factory, capsys
):
    out = tmp_path / "new" / "sheet.png"
    words = [f"--weights={weights}", f"--weights=again={weights}", f"--out={out}"]
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        fill_sheet.main([*words, "--rows=2", "--count=3", f"--size={SIZE}", "--seed=1"])
        network = stage.load(weights)
        exam = filling.Exam(photos=Samples("all"), count=3, size=SIZE, seed=1)
        crops = fill_sheet.thickest(exam, 2)
        rows = []
        for _, _, example in crops:
            photo, mask = example["photo"], example["mask"][..., 0]
            plain = filling.candidate("biharmonic").fill(photo, mask)
            made = filling.candidate("network", network, "net").fill(photo, mask)
            red = detect.overlay(photo, mask)
            cells = (red, plain, made, made, example["target"])
            rows.append([cell.repeat(2, axis=0).repeat(2, axis=1) for cell in cells])
    labels = ["damaged", "biharmonic", "net", "again", "truth"]
    wanted = sheet.lay_out([dict(zip(labels, row, strict=True)) for row in rows], labels, 2 * SIZE)
    np.testing.assert_array_equal(files.read(out).pixels, wanted)
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"row {number}: {name}, a hole {thickness} pixels thick"
        for number, (thickness, name, _) in enumerate(crops, 1)
    ]


def test_the_thickest_holes_come_first_and_of_equals_the_earlier():
    found = fill_sheet.thickest(known(4, 9, 0, 9, 16, 30), 3)
    assert [name for _, name, _ in found] == ["16", "9", "9"]  # of 30 there is more than photo
    assert [thickness for thickness, _, _ in found] == [
        holes.thickest(example["mask"][..., 0]) for _, _, example in found
    ]
    with pytest.raises(ValueError, match="4 of the 6 crops have holes .* too few for 5 rows"):
        fill_sheet.thickest(known(4, 9, 0, 9, 16, 30), 5)


@pytest.mark.parametrize(("side", "zoom"), [(16, 2), (128, 2), (136, 1)])
def test_small_crops_are_shown_twice_as_large(side, zoom):
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    mask = np.zeros((side, side, 1), np.uint8)
    mask[3:6, 3:6] = 1
    black = filling.Method("black", lambda photo, mask: np.zeros_like(photo))
    row = fill_sheet.cells({"photo": photo, "mask": mask, "target": photo}, [black])
    assert [*row] == ["damaged", "black", "truth"]
    assert {cell.shape for cell in row.values()} == {(zoom * side, zoom * side, 3)}
    for top in range(zoom):
        np.testing.assert_array_equal(row["truth"][top::zoom, top::zoom], photo)
    changed = (row["damaged"] != row["truth"]).any(axis=-1)
    assert np.array_equal(changed, mask[..., 0].repeat(zoom, 0).repeat(zoom, 1) > 0)


def test_weights_are_called_by_their_path_or_by_a_label():
    found = fill_sheet.named(["runs/inpaint-lite/", "a/best.safetensors", "inpaint", "a=b=c/d"])
    assert found == {
        "inpaint-lite": pathlib.Path("runs/inpaint-lite"),
        "best": pathlib.Path("a/best.safetensors"),
        "inpaint": pathlib.Path("inpaint"),
        "a=b": pathlib.Path("c/d"),
    }
    for words in (["x/best", "y/best"], ["one", "truth=two"], ["biharmonic"]):
        with pytest.raises(ValueError, match="2 columns are called .*--weights=LABEL=PATH"):
            fill_sheet.named(words)


WRONG = {
    "--photos=no/folder": (1, "no/folder"),
    "--textures=no/folder": (1, "textures: no/folder is not a folder"),
    "--weights=nowhere": (1, "nowhere: there is no such weights file"),
    "--weights=net.safetensors": (1, "2 columns are called 'net'"),
    "--weights=segment-lite": (1, "these weights find defects"),
    "--size=60": (1, "size 60: net takes multiples of 8 pixels"),
    "--size=2000": (2, "give 16 to 1024"),
    "--rows=0": (2, "--rows=0: give 1 or more"),
    "--count=5": (2, "--count=5: fewer than the 6 rows"),
    "--seed=-1": (2, "--seed=-1: give 0 or more"),
    "--out=sheet.gif": (2, "name it .jpg or .png"),
}


@pytest.mark.parametrize("flag", WRONG)
def test_what_is_wrong_is_told_in_a_line(flag, weights, capsys, monkeypatch):
    monkeypatch.chdir(weights.parent)
    status, told = WRONG[flag]
    with pytest.raises(SystemExit) as end:
        fill_sheet.main([f"--weights={weights}", "--size=64", "--out=sheet.png", flag])
    if status == 2:  # argparse writes by itself
        assert end.value.code == 2 and told in capsys.readouterr().err
    else:
        assert told in end.value.code  # which Python writes, and exits with 1
    assert not (weights.parent / "sheet.png").exists()


def test_a_place_that_cannot_be_written_is_told(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(fill_sheet, "thickest", lambda exam, rows: [(1, "a.png", {})])
    monkeypatch.setattr(fill_sheet, "cells", lambda *_: {"truth": np.zeros((8, 8, 3), np.uint8)})
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="fill_sheet: .*file"):
        fill_sheet.main([f"--weights={weights}", f"--out={tmp_path / 'file' / 'sheet.png'}"])
