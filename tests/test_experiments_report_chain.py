"""The sheet of a chain: small holes filled by a classical method, then colours side by side."""

import pathlib

import numpy as np
import pytest

from experiments import fill_sheet, report_chain, sheet
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import colorize, detect, inpaint, stage
from tests.stages import Bright, Tint

CELL = 40


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Rules for networks; the user's cache stays untouched."""
    rules = {ColorPredictor: Tint(), DefectPredictor: Bright()}
    monkeypatch.setattr(stage, "load", lambda path, default, kind: rules[kind])
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def album(tmp_path):
    """A photo in colour and its mask, with a thin hole and a thick one."""
    photo = image.resize(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8), 80, 120)
    mask = np.zeros((80, 120), np.uint8)
    mask[10:13, 5:100] = mask[30:70, 40:80] = 1
    (tmp_path / "album").mkdir()
    files.write_png(tmp_path / "album" / "a.png", photo)
    files.write_png(tmp_path / "album" / "a_mask.png", 255 * mask[..., None])
    return tmp_path / "album", photo, mask


def test_small_holes_are_filled_and_every_network_colours_what_is_left(album, tmp_path):
    folder, photo, mask = album
    out = tmp_path / "new" / "chain.png"
    words = [f"--photos=pairs:{folder}", "--max-hole=16", "--size=64", f"--cell={CELL}"]
    report_chain.main([*words, f"--out={out}", "--weights-color", "net", "again=net"])
    gray = image.to_uint8(color.rgb_to_gray(image.to_float(photo)))
    filled, _ = inpaint.Inpainter(method="telea", max_hole=16).mend(gray, mask)
    made = colorize.colorize(Tint(), filled, 64)
    changed = (filled != gray)[..., 0]
    assert changed[11, 5:100].any() and not changed[30:70, 40:80].any()
    high, wide = 27, 40
    whole = {"gray": gray, "marked": gray, "filled": filled, "net": made, "again": made}
    row = {name: image.resize(one, high, wide) for name, one in whole.items()}
    row["marked"] = detect.overlay(
        row["gray"], image.resize(np.float32(mask[..., None]), high, wide)[..., 0] > 0
    )
    row = {name: np.broadcast_to(one, (high, wide, 3)) for name, one in row.items()}
    np.testing.assert_array_equal(files.read(out).pixels, sheet.lay_out([row], [*row], CELL))
    assert (row["marked"] != row["gray"]).any(axis=-1)[4].sum() > 25  # of 32, the scratch is there


def test_without_a_mask_the_finder_says_what_is_damaged(album):
    _, photo, _ = album
    photo = np.minimum(photo, 60)
    photo[40:44] = 255
    made = report_chain.chain(
        {"photo": photo, "name": "a"}, report_chain.mending("x", "telea", 16), {}
    )
    assert made["mask"][38:46].all() and made["mask"].sum() == 8 * 120  # grown by 2
    assert (made["filled"] <= 60).all()


def test_captions_are_of_one_column_each():
    found = fill_sheet.named(["a/net.safetensors", "b=c"], ("gray",), "--weights-color")
    assert found == {"net": pathlib.Path("a/net.safetensors"), "b": pathlib.Path("c")}
    with pytest.raises(ValueError, match="'gray': give each its own, --weights-color=LABEL=PATH"):
        fill_sheet.named(["gray=c"], ("gray",), "--weights-color")


WRONG = {
    "--photos=no/folder": (1, "no/folder"),
    "--max-hole=2000": (1, "max hole 2000"),
    "--size=8": (1, "size 8"),
    "--cell=8": (2, "give 16 to 2048"),
    "--out=sheet.gif": (2, "name it .png"),
}


@pytest.mark.parametrize("flag", WRONG)
def test_what_is_wrong_is_told_in_a_line(flag, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, told = WRONG[flag]
    with pytest.raises(SystemExit) as end:
        report_chain.main(["--out=sheet.png", flag, "--weights-color", "colorize-lite"])
    assert told in (end.value.code if status == 1 else capsys.readouterr().err)
    assert not (tmp_path / "sheet.png").exists()
