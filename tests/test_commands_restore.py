"""`oldphoto restore` as its users see it; the networks are the rules of test_folder_chain."""

import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from oldphoto_jax import cli, sample
from oldphoto_jax.folder import chain, outputs, report
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import restorer, stage
from tests import test_folder_chain as toys
from tests.test_folder_chain import PICTURES, SIZE, last, lines, save, scratched

KINDS = ("prob", "mask", *PICTURES)
AS_COMMAND = """
import sys
from oldphoto_jax import cli
from oldphoto_jax.restore import stage
from tests import test_folder_chain
stage.load = test_folder_chain.load
sys.exit(cli.main(sys.argv[1:]))
"""

LOCKED = """
import pathlib, sys
from oldphoto_jax.folder import report
with report.Report(pathlib.Path(sys.argv[1]), "restore").alone():
    pass
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch, shared):
    """Rules for networks, compiled once for all tests; the user's cache stays untouched."""
    monkeypatch.setattr(stage, "load", toys.load)
    monkeypatch.setattr(stage, "prepare", lambda: None)
    monkeypatch.setenv("OLDPHOTO_OFFLINE", "")
    real = restorer.Restorer.from_weights

    def from_weights(**options):
        known = repr(options)
        if known not in shared:
            shared[known] = real(**options)
        return shared[known]

    monkeypatch.setattr(restorer.Restorer, "from_weights", from_weights)


@pytest.fixture(scope="module")
def shared():
    return {}


@pytest.fixture
def scans(tmp_path):
    """A folder of good photos and of all that else lies in such folders."""
    folder = tmp_path / "scans"
    save(folder / "a.jpg", scratched())
    save(folder / "a.png", scratched())
    save(folder / "Fotoğraf 1" / "été ☀.tif", scratched(3, np.uint16))
    save(folder / f"{'n' * 200}.png", scratched())
    return folder


def restore(photos, out, *options):
    arguments = [photos, "--out", out, "--tile", "128", "--batch", "1", *options]
    return cli.main(["restore", *map(str, arguments)])


def vivid():
    """A photo that is plainly in colour, [40,40,3] uint8."""
    y, x = np.mgrid[0:40, 0:40]
    return np.stack([6 * x, 6 * y, 250 - 6 * x], axis=-1).astype(np.uint8)


def pictures(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.*[gf]")}


def test_one_command_makes_three_pictures_of_every_photo(scans, tmp_path, capsys):
    out = tmp_path / "out"
    assert restore(scans, out) == 0
    labels = {"a.jpg": ".jpg", "a.png": ".png", "Fotoğraf 1/été ☀": ".tif", "n" * 200: ".png"}
    expected = {f"{name}_{kind}{end}" for name, end in labels.items() for kind in PICTURES}
    assert pictures(out).keys() - expected == {
        f"{name}_{kind}.png" for name in labels for kind in ("prob", "mask")
    }
    assert expected < pictures(out).keys()
    told = capsys.readouterr().err
    assert "4 ok; programs for" in told
    for entry in lines(out):
        assert entry["status"] == "ok" and entry["seconds"] >= 0 and entry["stage"] == "restore"
        assert all((out / path).exists() and "\\" not in path for path in entry["files"].values())


def test_what_is_no_photo_is_told_and_the_rest_is_done(scans, tmp_path, capsys):
    whole = (scans / "a.jpg").read_bytes()
    (scans / "cut.jpg").write_bytes(whole[:300])
    (scans / "empty.png").touch()
    (scans / "text.jpg").write_text("dear diary")
    (scans / "notes.txt").write_text("not a photo")
    shutil.copytree(scans / "Fotoğraf 1", scans / "folder.jpg")
    broken, foreign = {"cut.jpg", "empty.png", "text.jpg"}, {"notes.txt"}
    if os.name != "nt":
        broken, foreign = broken | {"loop.jpg"}, foreign | {"circle"}
        (scans / "loop.jpg").symlink_to("loop.jpg")
        (scans / "circle").symlink_to(scans, target_is_directory=True)
    assert restore(scans, tmp_path / "out", "--page") == 1
    told = last(tmp_path / "out")
    failed = {name for name, entry in told.items() if entry["status"] == "failed"}
    assert failed == broken and len(told) == 5 + len(broken | foreign)
    assert {name for name, entry in told.items() if entry["status"] == "passed_over"} == foreign
    assert "folder.jpg/été ☀.tif" in told
    told = capsys.readouterr().err
    assert all(f"failed: {name}: " in told for name in failed)
    assert f"5 ok, {len(broken)} failed" in told and "1 file is no photo" in told
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert text.count("<article") == 5 + len(broken) and all(name in text for name in failed)


@pytest.mark.parametrize("asked", ["restored", "color", "restored_color, color"])
def test_some_of_the_pictures(scans, tmp_path, asked):
    assert restore(scans / "a.png", tmp_path / "out", "--outputs", asked) == 0
    found = set() if asked == "color" else {"mask", "prob"}
    expected = {f"a_{kind.strip()}.png" for kind in asked.split(",")}
    assert pictures(tmp_path / "out").keys() == expected | {f"a_{kind}.png" for kind in found}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--outputs", "restord"], "'restord' asked for; choose some of restored,"),
        (["--outputs", ""], "nothing asked for; choose some of"),
        (["--strength", "inpaint=2"], "strength 2.0: give a number from 0 to 1"),
        (["--strength", "colour=1"], "there is inpaint and colorize"),
        (["--threshold", "7"], "threshold 7.0"),
        (["--min-size", "-1"], "min size -1"),
        (["--grow", "-1"], "grow -1"),
        (["--feather", "-1"], "feather -1"),
        (["--max-hole", "-1"], "max hole -1"),
        (["--size", "1"], "size 1: give"),
        (["--tile", "100"], "tile 100"),
        (["--batch", "0"], "--batch 0: give 1 or more"),
        (["--quality", "0"], "quality 0: give a number from 1 to 100"),
        (["--max-pixels", "0"], "max pixels 0: give 1 or more"),
        (["--mask", "nowhere"], "nowhere: there is no such file"),
        (["--mask", "{m}", "--threshold", "0"], "is used as it is; leave out --threshold"),
        (["--mask", "{m}", "--tta"], "is used as it is; leave out --tta"),
        (["--mask", "{m}", "--outputs", "color"], "`color` needs no mask"),
        (["--mask-add", "{scans}"], "holds no mask to add of any of these photos"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(scans, tmp_path, capsys, options, words):
    photo = scans / "a.png"
    mask = save(tmp_path / "m.png", np.zeros((*SIZE, 1), np.uint8))
    options = [option.format(m=mask, scans=scans / "Fotoğraf 1") for option in options]
    assert restore(photo, tmp_path / "out", *options) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line
    assert not (tmp_path / "out").exists()


def test_a_strength_without_a_number_is_told_how_it_is_written(scans, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        restore(scans, tmp_path / "out", "--strength", "inpaint")
    assert "'inpaint': give STAGE=S, such as inpaint=0.5" in capsys.readouterr().err


def test_other_settings_need_force(scans, tmp_path, capsys):
    out = tmp_path / "out"
    assert restore(scans, out) == 0
    before = pictures(out)
    assert restore(scans, out) == 0
    assert "4 nothing_to_do" in capsys.readouterr().err
    assert restore(scans, out, "--threshold", "0.9") == 1
    told = capsys.readouterr().err
    assert told.count("was made with other settings") == 4 and "--force" in told
    assert pictures(out) == before
    assert restore(scans, out, "--threshold", "0.9", "--force") == 0
    assert pictures(out).keys() == before.keys() and pictures(out) != before


def test_masks_of_an_earlier_run_give_the_same_pictures(scans, tmp_path):
    assert restore(scans, tmp_path / "one") == 0
    assert restore(scans, tmp_path / "two", "--mask", tmp_path / "one") == 0
    first, second = pictures(tmp_path / "one"), pictures(tmp_path / "two")
    assert second.keys() == {name for name in first if "_prob" not in name}
    assert all(first[name] == data for name, data in second.items())


def test_probabilities_of_detect_are_enough(scans, tmp_path, monkeypatch):
    assert cli.main(["detect", str(scans), "--out", str(tmp_path / "found"), "--tile", "128"]) == 0
    assert restore(scans, tmp_path / "one") == 0
    asked = toys.count_questions(monkeypatch)
    assert restore(scans, tmp_path / "two", "--probability", tmp_path / "found") == 0
    assert not asked and pictures(tmp_path / "one") == pictures(tmp_path / "two")


def test_masks_to_add_and_to_remove(scans, tmp_path):
    mask = np.zeros((*SIZE, 1), np.uint8)
    mask[:, 16:20] = 255
    save(tmp_path / "m" / "a.png_mask.png", mask)
    options = ["--mask-add", tmp_path / "m", "--grow", "0", "--feather", "0"]
    assert restore(scans, tmp_path / "out", *options) == 0
    found = files.read(tmp_path / "out" / "a.png_mask.png").pixels
    other = files.read(tmp_path / "out" / "a.jpg_mask.png").pixels
    assert (found[:, 16:20] == 255).all() and not other[:, 16:20].any()


def test_a_sheet_and_a_page_are_written(scans, tmp_path):
    out = tmp_path / "out"
    assert restore(scans, out, "--sheet") == 0
    assert len([*out.rglob("*_sheet.jpg")]) == 4 and not (out / "index.html").exists()
    assert restore(scans, out, "--sheet", "--page") == 0
    assert len([*(out / ".thumbnails").rglob("*.jpg")]) == 4 * 5
    assert len({entry["photo"] for entry in lines(out)}) == 4


def test_too_many_pixels_are_refused_with_words(scans, tmp_path):
    assert restore(scans / "a.png", tmp_path / "out", "--max-pixels", "1000") == 1
    assert "44 x 30 pixels, more than max_pixels=1000" in lines(tmp_path / "out")[0]["reason"]


def test_the_sample_is_the_same_for_a_seed_and_another_one_is_refused(
    tmp_path, monkeypatch, capsys
):
    old = scratched(3)
    monkeypatch.setattr(
        sample, "aged", lambda seed: {"photo": (old + seed) / 255, "mask": old[..., :1] / 255}
    )
    arguments = ["restore", "--sample", "--tile", "128", "--out"]
    for name in ("one", "two"):
        assert cli.main([*arguments, str(tmp_path / name), "--seed", "3"]) == 0
    assert pictures(tmp_path / "one") == pictures(tmp_path / "two")
    before = pictures(tmp_path / "one")
    assert cli.main([*arguments, str(tmp_path / "one"), "--seed", "4"]) == 2
    assert "holds another picture; choose another --out" in capsys.readouterr().err
    assert pictures(tmp_path / "one") == before


def test_a_seed_below_nothing_is_told(tmp_path, capsys):
    assert cli.main(["restore", "--sample", "--seed", "-1", "--out", str(tmp_path / "out")]) == 2
    assert "oldphoto: seed -1: give 0 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_network_nothing_is_missed(scans, tmp_path, monkeypatch):
    def blocked(*_):
        raise AssertionError("asks the network")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    assert restore(scans / "a.png", tmp_path / "out", "--offline") == 0
    assert os.environ["OLDPHOTO_OFFLINE"] == "1"


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names there are text")
def test_a_name_that_is_no_text_does_not_end_the_run(scans, tmp_path):
    (scans / os.fsdecode(b"\xff.png")).write_bytes((scans / "a.png").read_bytes())
    counts = [restore(scans, tmp_path / "out") for _ in range(2)]
    assert counts[0] == counts[1]
    told = last(tmp_path / "out")
    assert len(told) == 5 and sum(entry["status"] != "failed" for entry in told.values()) >= 4


def as_command(*arguments, **more):
    """A process of its own that runs the command with rules for networks."""
    root = pathlib.Path(__file__).parent.parent
    words = [sys.executable, "-c", AS_COMMAND, "restore", *map(str, arguments)]
    return subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, text=True, **more)


def test_a_device_that_is_not_there_is_one_line(scans, tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    run = as_command(scans, "--out", tmp_path / "out", "--device", "gpu", env=environment)
    told = run.communicate()[1].splitlines()
    assert run.returncode == 2 and not (tmp_path / "out").exists()
    assert "oldphoto: device gpu: JAX finds none" in told[-1]


@pytest.mark.slow
def test_a_killed_run_goes_on_until_all_is_done_once(tmp_path):
    for n in range(12):
        save(tmp_path / "in" / f"{n}.png", scratched(size=(300, 440), seed=n))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = (tmp_path / "in", "--out", tmp_path / "whole")
    run = as_command(*arguments, env=environment)
    assert run.communicate() and run.returncode == 0
    out, rng, begun, kills = tmp_path / "out", random.Random(0), 0, 0
    while True:
        run = as_command(tmp_path / "in", "--out", out, env=environment)
        while run.poll() is None and not (out / "report.jsonl").exists() and begun == 0:
            time.sleep(0.01)
        begun += 1
        enough = len(last(out)) if (out / "report.jsonl").exists() else 0
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline and kills < 4:
            done = (out / "report.jsonl").read_bytes().count(b'"status": "ok"')
            if done > enough:
                time.sleep(rng.uniform(0, 0.05))
                run.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        run.communicate()
        for path in out.rglob("[!.]*.png"):
            assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
        if run.returncode == 0:
            break
    assert kills >= 2 and pictures(out) == pictures(tmp_path / "whole")
    made = [entry["photo"] for entry in lines(out) if entry["status"] == "ok"]
    assert sorted(made) == sorted({*made}) and len(made) == 12
    assert not [*out.rglob("*.part"), *out.glob(".doing*")]


def test_help_lists_every_option_in_its_group(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["restore", "--help"])
    text = capsys.readouterr().out
    groups = re.findall(r"^(?:the )?(\w+):$", text, re.M)
    assert groups[-4:] == ["mask", "pictures", "files", "machine"]
    formats = re.search(r"--format \{(.*?)\}", text)[1].split(",")
    assert tuple(formats) == outputs.FORMATS
    assert str(files.MAX_PIXELS) in text and f"({chain.QUALITY})" in text


def test_no_other_run_makes_pictures_be_taken_for_made_with_other_settings(scans, tmp_path):
    """Settings of all runs into a folder count: nothing is mixed of two thresholds."""
    photo, out = scans / "a.png", tmp_path / "out"
    assert restore(photo, out, "--threshold", "0.9") == 0
    assert restore(photo, out, "--outputs", "color") == 0
    assert restore(photo, out, "--threshold", "0.3") == 1
    assert "with other settings" in last(out)["a.png"]["reason"]
    (out / "a_restored.png").unlink()
    assert restore(photo, out, "--threshold", "0.3") == 1
    assert restore(photo, out, "--threshold", "0.9") == 0
    assert (out / "a_restored.png").exists()


def test_coloured_anew_when_that_is_asked_for_later(scans, tmp_path):
    photo = save(tmp_path / "vivid.png", vivid())
    assert restore(photo, tmp_path / "out") == 0
    before = files.read(tmp_path / "out" / "vivid_color.png").pixels
    assert np.array_equal(before, vivid())
    assert restore(photo, tmp_path / "out", "--recolor") == 1
    assert restore(photo, tmp_path / "out", "--recolor", "--force") == 0
    assert not np.array_equal(files.read(tmp_path / "out" / "vivid_color.png").pixels, before)


def test_a_mask_that_was_edited_where_it_lies_is_used_and_stays(scans, tmp_path, monkeypatch):
    photo, out = scans / "a.png", tmp_path / "out"
    assert restore(photo, out) == 0
    mask = out / "a_mask.png"
    pixels = files.read(mask).pixels
    pixels = np.where(np.indices(pixels.shape)[0] < 5, np.uint8(255), pixels)
    files.write_png(mask, pixels)
    edited = mask.read_bytes()
    for options in (["--force"], ["--force", "--grow", "3"]):
        assert restore(photo, out, "--mask", str(out), *options) == 0
        assert mask.read_bytes() == edited
    real = files.write

    def full(path, photo, **more):
        if "restored_color" in str(path):
            raise OSError(28, "No space left on device")
        real(path, photo, **more)

    monkeypatch.setattr(files, "write", full)
    assert restore(photo, out, "--mask", str(out), "--force") == 1
    assert mask.read_bytes() == edited


def test_two_runs_never_write_into_one_folder(scans, tmp_path, capsys):
    with report.Report(tmp_path / "out", "restore").alone():
        other = [sys.executable, "-c", LOCKED, str(tmp_path / "out")]
        done = subprocess.run(other, capture_output=True, text=True)
    assert done.returncode == 1 and "another run is writing into it" in done.stderr
    assert subprocess.run(other, capture_output=True).returncode == 0
    assert not list((tmp_path / "out").glob(".lock*"))


def test_a_sheet_is_made_again_when_pictures_are_added(scans, tmp_path):
    photo, out = scans / "a.png", tmp_path / "out"
    assert restore(photo, out, "--outputs", "color", "--sheet") == 0
    two = files.read(out / "a_sheet.jpg").pixels.shape
    assert restore(photo, out, "--sheet") == 0
    assert files.read(out / "a_sheet.jpg").pixels.shape[1] > 1.5 * two[1]


def test_a_photo_marked_all_over_still_gets_its_colours(scans, tmp_path):
    photo, out = scans / "a.png", tmp_path / "out"
    assert restore(photo, out, "--threshold", "0") == 0
    entry = last(out)["a.png"]
    assert entry["status"] == "beyond_training" and "all of it is marked" in entry["reason"]
    assert np.array_equal(files.read(out / "a_restored.png").pixels, files.read(photo).pixels)
    assert (out / "a_color.png").exists()


def test_hints_change_what_is_coloured_of_their_photo_alone(tmp_path):
    scans = tmp_path / "scans"
    for name in ("a.png", "b.png"):
        save(scans / name, scratched())
    (scans / "a_hints.json").write_text(
        '{"hints": [{"points": [[0.5, 0.5]], "color": "#2040c0", "radius": 0.2}]}', "utf-8"
    )
    command = ["restore", str(scans), "--size", "64", "--batch", "1", "--out"]
    assert cli.main([*command, str(tmp_path / "plain")]) == 0
    assert cli.main([*command, str(tmp_path / "told"), "--hints", str(scans)]) == 0

    def written(out, name):
        return files.read(tmp_path / out / name).pixels

    changed = {
        (name, kind)
        for name in "ab"
        for kind in PICTURES
        if not np.array_equal(*(written(out, f"{name}_{kind}.png") for out in ("plain", "told")))
    }
    assert changed == {("a", "restored_color"), ("a", "color")}
    blue = written("told", "a_color.png")[15, 22].astype(int)
    assert blue[2] > blue[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hints", "h", "--outputs", "restored"], "--hints: `restored` is not coloured"),
        (["--candidates", "2", "--outputs", "restored"], "--candidates: `restored` is not"),
        (["--hints", "h", "--margin", "crop"], "--hints: are about places of the whole scan"),
        (["--candidates", "2"], "name one colour for each place"),
    ],
)
def test_what_is_said_of_colours_must_have_an_effect(tmp_path, capsys, options, words):
    save(tmp_path / "a.png", scratched())
    assert cli.main(["restore", str(tmp_path), "--out", str(tmp_path / "o"), *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line
