"""`oldphoto inpaint` as its users see it: folders, masks, what is told, wrong usage."""

import cv2
import numpy as np
import pytest

from oldphoto_jax import cli, sample
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import stage
from oldphoto_jax.restore.classical import METHODS
from tests import painter
from tests.painter import scene


@pytest.fixture(scope="module")
def small():
    return painter.stage_of(painter.Paint())


@pytest.fixture
def quick(monkeypatch, small):
    monkeypatch.setattr(stage, "load", lambda path, default, kind: small)
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def scans(tmp_path):
    """Photos of several kinds, and masks as `oldphoto detect` writes them."""
    kinds = {
        "a.jpg": ("a.jpg_mask.png", 3, np.uint8),
        "a.png": ("a.png_mask.png", 1, np.uint8),
        "box/é ☀.tif": ("box/é ☀_mask.png", 3, np.uint16),
    }
    for name, (mask, channels, dtype) in kinds.items():
        pixels, holes = scene(dtype, channels, (60, 90))
        for path, drawn in (tmp_path / "scans" / name, pixels), (tmp_path / "masks" / mask, holes):
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = drawn * 255 if drawn is holes else drawn
            path.write_bytes(cv2.imencode(path.suffix, drawn)[1].tobytes())
    return tmp_path / "scans"


def run(scans, out, *options, mask=None):
    mask = mask or scans.parent / "masks"
    return cli.main(["inpaint", str(scans), "--mask", str(mask), "--out", str(out), *options])


@pytest.mark.parametrize("method", ["network", "auto", *METHODS])
def test_a_folder_is_restored(scans, tmp_path, quick, method, capsys):
    out = tmp_path / "out"
    assert run(scans, out, "--method", method) == 0
    names = {"a.jpg": "a.jpg_restored.png", "a.png": "a.png_restored.png"}
    for name, made in (names | {"box/é ☀.tif": "box/é ☀_restored.tif"}).items():
        photo, restored = files.read(scans / name).pixels, files.read(out / made).pixels
        mask = tmp_path / "masks" / f"{made.rpartition('_')[0]}_mask.png"
        mask = files.read(mask).pixels[..., 0] > 0
        assert restored.dtype == photo.dtype and restored.shape == photo.shape
        assert np.array_equal(restored[~mask], photo[~mask])
        assert not np.array_equal(restored, photo)
    assert len(list(out.rglob("*.*"))) == 4
    assert "3 ok" in capsys.readouterr().err
    assert run(scans, out, "--method", method) == 0
    assert "3 nothing_to_do" in capsys.readouterr().err


def test_an_edited_mask_is_noticed(scans, tmp_path, capsys):
    out, mask = tmp_path / "out", tmp_path / "masks" / "a.png_mask.png"
    options = ("--method", "telea")
    assert run(scans, out, *options) == 0
    files.write_png(mask, np.zeros((60, 90, 1), np.uint8))
    assert run(scans, out, *options) == 1
    assert "--force" in capsys.readouterr().err
    assert run(scans, out, *options, "--force") == 0
    told = capsys.readouterr().err
    assert "2 ok" in told and "1 nothing_to_do" in told


def test_photos_that_cannot_be_done_are_told_and_the_rest_is_done(scans, tmp_path, capsys):
    masks = tmp_path / "masks"
    (masks / "a.png_mask.png").unlink()
    files.write_png(masks / "a.jpg_mask.png", np.zeros((90, 60, 1), np.uint8))
    assert run(scans, tmp_path / "out", "--method", "telea") == 1
    told = capsys.readouterr().err
    assert "a.png: has no mask" in told
    assert "the mask has 60 x 90 pixels, the photo 90 x 60" in told
    assert "1 ok" in told and "2 failed" in told
    assert {p.name for p in (tmp_path / "out").rglob("*_restored*")} == {"é ☀_restored.tif"}


def test_holes_beyond_training_are_told_and_may_be_left(scans, tmp_path, quick, capsys):
    mask = np.zeros((60, 90, 1), np.uint8)
    mask[10:40, 20:60] = mask[50:52, 10:80] = 255
    files.write_png(tmp_path / "m.png", mask)
    photo = files.read(scans / "a.jpg").pixels
    assert run(scans / "a.jpg", tmp_path / "out", mask=tmp_path / "m.png") == 0
    told = capsys.readouterr().err
    assert "1 beyond_training" in told and "left" not in told
    assert "thicker than 9 pixels: 1 in 1 photos" in told
    restored = files.read(tmp_path / "out" / "a_restored.png").pixels
    assert (restored[10:40, 20:60] != photo[10:40, 20:60]).any(axis=-1).mean() > 0.9
    options = ("--max-hole", "9", "--force")
    assert run(scans / "a.jpg", tmp_path / "out", *options, mask=tmp_path / "m.png") == 0
    told = capsys.readouterr().err
    assert "1 beyond_training" in told and "left as they are: 1 in 1 photos" in told
    restored = files.read(tmp_path / "out" / "a_restored.png").pixels
    assert np.array_equal(restored[10:40], photo[10:40])


def test_the_sample_brings_its_own_mask(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["inpaint", "--sample", "--out", str(out), "--method", "telea"]) == 0
    old, mask = sample.aged()["photo"], files.read(out / sample.TRUTH).pixels[..., 0] > 0
    restored = files.read(out / "sample_restored.png").pixels
    assert restored.shape == old.shape
    assert np.array_equal(restored[~mask], files.read(out / sample.NAME).pixels[~mask])
    assert "1 ok" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["{scans}"], "--mask: name the photo's mask"),
        (["--sample", "--mask", "{scans}"], "the sample brings its own"),
        (["{scans}", "--mask", "nowhere"], "nowhere: there is no such file or folder"),
        (["{scans}", "--mask", "{scans}/a.png"], "one mask for 3 photos"),
        (["{scans}", "--mask", "{scans}", "--weights", "w"], "telea takes none"),
        (["{scans}", "--mask", "{scans}", "--overlap", "300"], "overlap 300"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(scans, tmp_path, capsys, options, words):
    options = [option.format(scans=scans) for option in options]
    assert cli.main(["inpaint", *options, "--out", str(tmp_path / "o"), "--method", "telea"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line
