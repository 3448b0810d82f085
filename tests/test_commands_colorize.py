"""`oldphoto colorize` as its users see it: folders, what is told, wrong usage."""

import json

import cv2
import numpy as np
import pytest

from oldphoto_jax import cli, sample
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.photo import tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import stage
from tests.stages import Tint, colourful, luma_of, ramp, sepia


@pytest.fixture
def painter():
    return Tint()


@pytest.fixture
def quick(monkeypatch, painter):
    def load(path, default, kind):
        assert default == "colorize-lite" and kind is ColorPredictor
        return painter

    monkeypatch.setattr(stage, "load", load)
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def scans(tmp_path):
    kinds = {
        "a.jpg": ramp(np.uint8),
        "a.png": colourful()[..., ::-1],
        "box/é ☀.tif": sepia(np.uint16)[..., ::-1],
    }
    for name, pixels in kinds.items():
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return tmp_path / "scans"


def run(scans, out, *options):
    return cli.main(["colorize", str(scans), "--out", str(out), "--size", "64", *options])


def test_a_folder_is_coloured(scans, tmp_path, quick, painter, capsys):
    out = tmp_path / "out"
    assert run(scans, out) == 0
    told = capsys.readouterr().err
    assert "2 ok, 1 nothing_to_do; programs for 1 shapes of photo" in told
    made = {
        "a.jpg": "a.jpg_color.png",
        "a.png": "a.png_color.png",
        "box/é ☀.tif": "box/é ☀_color.tif",
    }
    assert len(list(out.rglob("*_color.*"))) == 3
    before = {name: (out / path).read_bytes() for name, path in made.items()}
    lines = [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").splitlines()]
    kinds = {line["photo"]: line["kind"] for line in lines if line["stage"] == "color"}
    assert kinds.pop("a.png") in tone.COLORED
    assert kinds == {"a.jpg": tone.GRAY, "box/é ☀.tif": tone.TONED}
    assert run(scans, out) == 0
    assert "3 nothing_to_do" in capsys.readouterr().err and len(painter.seen) == 2
    assert run(scans, out, "--strength", "0.5") == 1
    assert "--force" in capsys.readouterr().err
    assert run(scans, out, "--force") == 0
    assert "3 ok" in capsys.readouterr().err
    after = {name: (out / path).read_bytes() for name, path in made.items()}
    assert {name for name in made if after[name] != before[name]} == {"a.png"}
    assert run(scans, out) == 0  # what was coloured on request stays so
    assert (out / made["a.png"]).read_bytes() == after["a.png"]


def test_photos_that_cannot_be_done_are_told_and_the_rest_is_done(scans, tmp_path, quick, capsys):
    (scans / "broken.png").write_bytes((scans / "a.png").read_bytes()[:300])
    assert run(scans, tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "broken.png" in told and "2 ok" in told and "1 failed" in told
    assert not list((tmp_path / "out").glob("broken_color.*"))


def test_the_sample_is_a_gray_photo(tmp_path, quick, capsys):
    out = tmp_path / "out"
    assert cli.main(["colorize", "--sample", "--out", str(out), "--size", "64"]) == 0
    gray, coloured = (
        files.read(out / name).pixels for name in (sample.GRAY, "sample_gray_color.png")
    )
    true = Samples("train")[0]["photo"]
    assert gray.shape == (*true.shape[:2], 1) and coloured.shape == true.shape
    assert np.abs(luma_of(coloured) - luma_of(gray)).max() <= 1
    assert "1 ok" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["{scans}", "--strength", "2"], "strength 2.0: give a number"),
        (["{scans}", "--size", "32"], "size 32: give 64 to 1024"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(scans, tmp_path, quick, capsys, options, words):
    options = [option.format(scans=scans) for option in options]
    assert cli.main(["colorize", *options, "--out", str(tmp_path / "o")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line
