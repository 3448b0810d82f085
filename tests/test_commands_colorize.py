"""`oldphoto colorize` as its users see it: folders, what is told, wrong usage."""

import json

import cv2
import numpy as np
import pytest

from oldphoto_jax import cli, sample
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.photo import color, hints, image, tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ChoicePredictor, ColorPredictor
from oldphoto_jax.restore import choices, stage
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


HINT = {"points": [[0.5, 0.5]], "color": "#b04030", "radius": 0.06}


def picture(pixels, folder, name="a.png"):
    folder.mkdir(exist_ok=True)
    files.write_png(folder / name, pixels)
    return folder / name


def hint_file(folder, name="a_hints.json", hint=HINT):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"hints": [hint]}), "utf-8")
    return folder


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_hinted_place_has_its_colour_and_its_thing_goes_with_it(tmp_path, quick, dtype):
    gray = np.full((120, 150, 1), np.iinfo(dtype).max // 2, dtype)
    gray[:, 110:] = np.iinfo(dtype).max // 5
    gray[:, :, 0] += (np.arange(120)[:, None] * (np.iinfo(dtype).max // 1600)).astype(dtype)
    photo = picture(gray, tmp_path / "scans")
    plain, told = tmp_path / "plain", tmp_path / "told"
    assert run(photo.parent, plain) == 0
    assert run(photo.parent, told, "--hints", str(hint_file(tmp_path / "hints"))) == 0
    made = files.read(told / "a_color.png").pixels
    assert made.dtype == dtype and np.abs(luma_of(made) - luma_of(gray)).max() <= 1
    before, after = (
        color.rgb_to_lab(image.to_float(files.read(out / "a_color.png").pixels))
        for out in (plain, told)
    )
    place = hints.drawn(hints.parse({"hints": [HINT]}), 120, 150)
    at = place[..., 2] > 0
    wanted = place[at, :2]
    assert np.linalg.norm(after[at][:, 1:] - wanted, axis=-1).max() < 5
    for away in (10, 20, 30):
        for down, across in ((away, 0), (-away, 0), (0, -away), (0, away)):
            there = (60 + down, 75 + across)
            missing = np.linalg.norm(wanted[0] - before[there][1:])
            moved = np.linalg.norm(after[there][1:] - before[there][1:])
            assert moved > 0.5 * missing or missing < 5
    apart = np.linalg.norm(after[:, 118:, 1:] - before[:, 118:, 1:], axis=-1)
    assert apart.max() < 0.35 * np.linalg.norm(wanted[0] - before[60, 125, 1:])


def test_hints_belong_to_their_photo_and_new_ones_are_not_passed_over(scans, tmp_path, quick):
    told = hint_file(tmp_path / "hints", "a.jpg_hints.json")
    out = tmp_path / "out"
    assert run(scans, out, "--hints", str(told)) == 0
    first = (out / "a.jpg_color.png").read_bytes()
    assert run(scans, tmp_path / "plain") == 0
    plain = tmp_path / "plain"
    assert first != (plain / "a.jpg_color.png").read_bytes()
    other = "box/é ☀_color.tif"
    assert (out / other).read_bytes() == (plain / other).read_bytes()
    hint_file(told, "a.jpg_hints.json", HINT | {"color": "#3040b0", "radius": 0.07})
    assert run(scans, out, "--hints", str(told)) == 1
    assert (out / "a.jpg_color.png").read_bytes() == first
    assert run(scans, out, "--hints", str(told), "--force") == 0
    assert (out / "a.jpg_color.png").read_bytes() != first


def test_hints_that_are_none_fail_with_their_photo_alone(scans, tmp_path, quick, capsys):
    told = hint_file(tmp_path / "hints", "a.jpg_hints.json", {"points": [[0.5, 2]]})
    assert run(scans, tmp_path / "out", "--hints", str(told)) == 1
    error = capsys.readouterr().err
    assert "a.jpg_hints.json" in error and "1 failed, 1 nothing_to_do, 1 ok" in error
    assert run(scans, tmp_path / "other", "--hints", str(tmp_path / "scans")) == 2
    assert "holds no file of hints" in capsys.readouterr().err


@pytest.fixture(scope="module")
def packaged():
    """The packaged colours, which can be asked what else they might be."""
    one = stage.load(None, "colorize-lite", ColorPredictor)
    return stage.Stage(ChoicePredictor.of(one.predictor), one.params, one.checksum)


@pytest.fixture
def choosy(packaged, monkeypatch, tmp_path):
    """A folder with a gray photo, for a network that chooses among colours."""
    monkeypatch.setattr(stage, "load", lambda *_: packaged)
    monkeypatch.setattr(stage, "prepare", lambda: None)
    gray = color.rgb_to_gray(image.to_float(Samples("val")[0]["photo"]))
    return picture(image.to_uint8(gray), tmp_path / "scans").parent


def colorize(scans, out, *options):
    return cli.main(["colorize", str(scans), "--out", str(out), *options])


def ab(path):
    return color.rgb_to_lab(image.to_float(files.read(path).pixels))[..., 1:]


def test_candidates_are_written_and_differ(choosy, tmp_path):
    out, few = tmp_path / "out", tmp_path / "few"
    assert colorize(choosy, few) == 0
    assert colorize(choosy, out, "--candidates", "4") == 0
    names = ["a_color.png", *(f"a_color_{n}.png" for n in (2, 3, 4))]
    assert sorted(path.name for path in out.glob("*.png")) == sorted(names)
    assert (out / names[0]).read_bytes() == (few / names[0]).read_bytes()
    gray = luma_of(files.read(choosy / "a.png").pixels)
    for name in names:
        assert np.abs(luma_of(files.read(out / name).pixels) - gray).max() <= 1
    colours = [ab(out / name) for name in names]
    for n, one in enumerate(colours):
        for other in colours[n + 1 :]:
            assert choices.difference(one, other) >= 6
    again = [(out / name).read_bytes() for name in names]
    (out / names[2]).unlink()
    assert colorize(choosy, out, "--candidates", "4") == 0
    assert [(out / name).read_bytes() for name in names] == again
    assert colorize(choosy, few, "--candidates", "2") == 0  # those that are there are kept
    assert (few / names[1]).read_bytes() == again[1]


def test_another_photo_gives_its_colours(choosy, tmp_path, capsys):
    warm, made = Samples("train")[0]["photo"], {}
    for name, order in (("warm", (0, 1, 2)), ("cold", (2, 1, 0))):
        like = picture(warm[..., order], tmp_path / "like", f"{name}.png")
        assert colorize(choosy, tmp_path / name, "--like", str(like)) == 0
        made[name] = ab(tmp_path / name / "a_color.png").mean((0, 1))
    assert color.rgb_to_lab(image.to_float(warm))[..., 2].mean() > 3
    assert made["warm"][1] > made["cold"][1] + 3
    assert colorize(choosy, tmp_path / "warm", "--like", str(like)) == 1
    assert "with other settings" in capsys.readouterr().err
    assert colorize(choosy, tmp_path / "gray", "--like", str(choosy / "a.png")) == 2
    assert "a.png: is a gray photo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["{scans}", "--strength", "2"], "strength 2.0: give a number"),
        (["{scans}", "--size", "32"], "size 32: give 64 to 1024"),
        (["{scans}", "--candidates", "0"], "candidates 0: give 1 to 12"),
        (["{scans}", "--candidates", "2"], "name one colour for each place"),
        (["{scans}", "--hints", "nowhere"], "nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(scans, tmp_path, quick, capsys, options, words):
    options = [option.format(scans=scans) for option in options]
    assert cli.main(["colorize", *options, "--out", str(tmp_path / "o")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line
