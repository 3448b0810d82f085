"""Contact sheets show what `oldphoto colorize` makes, in the columns that were asked for."""

import argparse
import pathlib

import numpy as np
import pytest

from experiments import report, sheet
from oldphoto_jax.models import unet
from oldphoto_jax.photo import color, image, tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import colorize, stage
from tests import toy, untrained

NETWORK = unet.imagenet(depth=18, stages=3, width=4, decoder_width=2, out_stride=4)
CELL = 40


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def experiment(tmp_path):
    """A folder as `experiments.run` leaves it, with two variants."""
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / report.ASKED).write_text('{"variants": ["one", "two"]}')
    return folder


@pytest.fixture
def photos(tmp_path):
    """A folder of two photos in colour, wide and wider, and their pixels by name."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    pixels = {"a.png": image.resize(coarse, 60, 90), "b.png": image.resize(coarse, 50, 90)}
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, photo in pixels.items():
        assert tone.kind(photo) in tone.COLORED
        files.write_png(folder / name, photo)
    return folder, pixels


def columns(picture, labels, heights=(27, 22)):
    """The cells of a sheet by their column's label, from top to bottom."""
    lefts = [sheet.GAP + i * (CELL + sheet.GAP) for i in range(len(labels))]
    assert picture.shape[1] == lefts[-1] + CELL + sheet.GAP
    found = {}
    for label, left in zip(labels, lefts, strict=True):
        column, top = picture[:, left : left + CELL], sheet.HEAD
        assert (column[:top] < 128).any(), f"{label} is not written above"
        found[label] = []
        for height in heights:
            found[label].append(column[top : top + height])
            top += height + sheet.GAP
        assert len(picture) == top
    return found


def test_a_sheet_shows_gray_the_colours_that_users_get_and_the_truth(
    experiment, photos, tmp_path, tmp_path_factory
):
    for name in ("one", "two"):
        run = report.folder(experiment, name, 0)
        untrained.save(run / "weights" / "last.safetensors", ColorPredictor(network=NETWORK))
    folder, pixels = photos
    out = tmp_path / "new" / "sheet.png"
    words = [f"--experiment={experiment}", f"--photos={folder}", f"--cell={CELL}", "--size=64"]
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        sheet.main([*words, f"--out={out}"])
        network = stage.load(report.folder(experiment, "two", 0))
        found = columns(files.read(out).pixels, ["gray", "one", "two", "truth"])
        for row, photo in enumerate(pixels.values()):
            gray = image.to_uint8(color.rgb_to_gray(image.to_float(photo)))
            made = colorize.colorize(network, gray, 64)
            wanted = {"gray": np.repeat(gray, 3, -1), "one": made, "two": made, "truth": photo}
            for label, whole in wanted.items():
                cell = image.resize(whole, *found[label][row].shape[:2])
                np.testing.assert_array_equal(found[label][row], cell)


def test_a_tall_picture_stands_in_the_middle_of_its_column():
    tall = {"gray": np.zeros((CELL, 10, 3), np.uint8)}
    (cell,) = columns(sheet.lay_out([tall], ["gray"], CELL), ["gray"], [CELL])["gray"]
    assert (cell[:, 15:25] == 0).all() and (np.delete(cell, np.s_[15:25], 1) == sheet.PAPER).all()


def test_without_colours_there_is_no_truth_to_show(tmp_path, monkeypatch, photos):
    monkeypatch.setattr(stage, "load", lambda path, kind: None)
    monkeypatch.setattr(colorize, "colorize", lambda stage, gray, size: np.repeat(gray, 3, -1))
    folder, pixels = photos
    out = tmp_path / "sheet.png"
    words = ["--weights", "net=x", f"--photos={folder}", f"--cell={CELL}", f"--out={out}"]
    sheet.main([*words, "--no-truth", "--count=1"])
    assert columns(files.read(out).pixels, ["gray", "net"], [27]).keys() == {"gray", "net"}
    for name, photo in pixels.items():
        gray = image.to_uint8(color.rgb_to_gray(image.to_float(photo)))
        files.write_png(folder / name, np.repeat(gray, 3, -1))
    sheet.main(words)
    assert columns(files.read(out).pixels, ["gray", "net"]).keys() == {"gray", "net"}


def test_photos_are_spread_evenly_over_the_source():
    assert sheet.spread([None] * 10, 5) == [0, 2, 4, 6, 8]
    assert sheet.spread([None] * 2, None) == [0, 1] and len(sheet.spread([None] * 99, None)) == 6
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"--count={count}: .* take 1 to 2"):
            sheet.spread([None] * 2, count)


def test_labels_name_weights_once_each(experiment, tmp_path):
    def ask(*weights, experiment=None):
        return sheet.named(argparse.Namespace(weights=weights, experiment=experiment, seed=1))

    found = ask("first=a/b", experiment=experiment)
    assert found == {
        "first": pathlib.Path("a/b"),
        "one": report.folder(experiment, "one", 1),
        "two": report.folder(experiment, "two", 1),
    }
    wrong = {
        ("a/b",): "--weights a/b: give each as LABEL=FILE",
        ("x=a", "x=b"): "2 columns are called 'x'",
        ("truth=a",): "2 columns are called 'truth'",
        (): "Give --weights or --experiment",
    }
    for weights, told in wrong.items():
        with pytest.raises(ValueError, match=told):
            ask(*weights)
    with pytest.raises(ValueError, match="holds no experiment"):
        ask(experiment=tmp_path)


WRONG = {
    "--photos=no/folder": (1, "no/folder"),
    "--weights=net=nowhere": (1, "nowhere: there is no such weights file"),
    "--count=7": (1, "take 1 to 6"),
    "--out=sheet.jpg": (2, "name it .png"),
    "--size=32": (2, "give 64 to 1024"),
    "--cell=1": (2, "give 16 to 2048"),
}


@pytest.mark.parametrize("flag", WRONG)
def test_what_is_wrong_is_told_in_a_line(flag, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, told = WRONG[flag]
    with pytest.raises(SystemExit) as end:
        sheet.main(["--weights", "net=x", "--out=sheet.png", flag])
    assert end.value.code == status and told in capsys.readouterr().err
