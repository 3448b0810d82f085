"""Measurements of speed, memory and precision run, small."""

import argparse
import dataclasses
import json
import sys

import cv2
import jax
import numpy as np
import pytest

from experiments.speed import (
    beside,
    commands,
    convolution,
    depthwise,
    inpaint,
    malloc,
    norm_memory,
    precision_gradients,
    turns,
)
from oldphoto_jax.data import sources
from oldphoto_jax.models import lite_unet
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor

NETWORK = dict(levels=3, width=4, batch=2, seed=0, compile=False)


def test_in_place_norm_hands_less_to_the_backward_pass():
    options = argparse.Namespace(layers=3, channels=8, side=16, batch=2)
    handed = {
        kind: norm_memory.megabytes(kind, "float32", options)[1] for kind in ("batch", "inplace")
    }
    assert handed["inplace"] < 0.6 * handed["batch"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_a_bias_is_that_of_the_mean_in_either_precision(dtype):
    np.testing.assert_allclose(precision_gradients.of_mean(256, dtype), 1, rtol=1e-3)


def test_what_is_off_is_told_beside_its_kernel():
    exact = {"a.conv1.kernel": [2, 0], "a.norm1.scale": [1, 0], "a.norm1.bias": [1e-6, 0]}
    rounded = {"a.conv1.kernel": [2, 1], "a.norm1.scale": [1, 1], "a.norm1.bias": [1, 0]}
    both = {
        kind: {name: np.float32(array) for name, array in arrays.items()}
        for kind, arrays in {"float32": exact, "bfloat16": rounded}.items()
    }
    found = [("a.norm1.scale", 1, 1, 0.5), ("a.conv1.kernel", 2, 0.5, 0.5)]
    assert precision_gradients.rows(both) == found
    assert precision_gradients.together(both)["scale"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", precision_gradients.CONFIGS)
def test_biases_and_scales_are_hardly_further_off_than_kernels(name):
    off = precision_gradients.together(precision_gradients.of_task(name, 32, 4))
    assert max(off["bias"], off["scale"]) < max(1.5 * off["kernel"], 0.02)


@pytest.mark.parametrize("command", commands.CONFIGS)
def test_the_pipeline_is_timed_without_a_network(command):
    assert commands.pipeline(command, sources.open_photos("samples"), "", batches=1) > 0


def test_gradients_of_convolutions_are_timed():
    for way in (jax.lax.conv_general_dilated, convolution.convolve):
        assert convolution.milliseconds(way, 1, 8, 2, 3) > 0


def test_depthwise_convolutions_are_timed_forward_and_backward():
    for way in depthwise.WAYS:
        assert min(depthwise.milliseconds(way, 1, 6, 2, 3, 2)) > 0


def test_scratches_and_specks_cover_a_few_percent_at_every_size(monkeypatch, tmp_path):
    """Of three sizes the largest is five times the first; each is filled by both methods."""
    sizes = {1: (200, 300), 6: (490, 735), 24: (980, 1470)}
    monkeypatch.setattr(commands, "MEGAPIXELS", sizes)
    seen = []

    def visit(arguments, cache):
        photo, mask = (cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in (*arguments[1:4:2],))
        seen.append((arguments, photo.shape, mask.shape, (mask > 0).mean(), {*np.unique(mask)}))
        return len(seen), 3.0, {"filled": 0.03, "left": 0}

    monkeypatch.setattr(commands, "visit", visit)
    pixels = np.ascontiguousarray(sources.open_photos("samples")[0]["photo"][..., ::-1])
    rows = list(commands.rows("inpaint", pixels, ["--weights", "w"], [1, 24]))
    assert [row["megapixels"] for row in rows] == [1, 1, 24, 24]
    assert [row["method"] for row in rows] == [*commands.METHODS] * 2
    assert [(row["first"], row["second"]) for row in rows] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    for arguments, photo, mask, share, values in seen:
        assert photo == (*mask, 3) and mask in sizes.values()
        assert 0.015 < share < 0.055 and values == {0, 255}
        assert ("--weights" in arguments) == ("network" in arguments)


def test_a_visit_is_timed_in_its_own_process_and_its_failure_is_told(tmp_path):
    photo, mask = (tmp_path / name for name in ("a.png", "a_mask.png"))
    cv2.imwrite(str(photo), np.full((40, 60, 3), 99, np.uint8))
    cv2.imwrite(str(mask), cv2.circle(np.zeros((40, 60), np.uint8), (20, 20), 3, 255, -1))
    words = commands.commands("inpaint", photo, mask, [])
    seconds, peak, report = commands.visit(words["biharmonic"], str(tmp_path / "cache"))
    assert seconds > 0 and 30 < peak < 30_000
    assert report["holes"] == {"biharmonic": 1} and report["left"] == 0
    with pytest.raises(SystemExit, match=r"nowhere\.jpg"):
        commands.visit(["detect", "nowhere.jpg"], str(tmp_path / "cache"))


def test_players_take_turns_and_the_first_one_is_the_measure():
    order = []
    names = ("jax", "published", "tuned")
    playing = {name: lambda name=name: order.append(name) for name in names}
    seconds = turns.take(playing, rounds=2)
    assert order == [*names] * 3  # the first of three doesn't count
    assert {name: len(found) for name, found in seconds.items()} == dict.fromkeys(names, 2)
    first, second = inpaint.rows({"jax": [2.0, 1.0, 9.0], "published": [5.0, 4.0, 3.0]})
    assert (first["min"], first["median"], first["max"]) == (1.0, 2.0, 9.0)
    assert first["times as long as jax"] == 1 and second["times as long as jax"] == 2


@dataclasses.dataclass
class Fixed:
    photo: float

    def answer(self):
        return {"photo": np.array([1.0, self.photo, -4.0])} | {k: np.zeros(2) for k in "abc"}


def test_networks_that_differ_are_not_timed():
    far = inpaint.agree({"jax": Fixed(2.0), "published": Fixed(2.002)})
    assert far["published"] == pytest.approx(0.0005)
    for other in (2.005, np.nan):  # a difference that is no number is no agreement
        with pytest.raises(SystemExit, match="not the same network"):
            inpaint.agree({"jax": Fixed(2.0), "published": Fixed(other)})


@pytest.mark.parametrize("script", [inpaint, beside])
def test_missing_pytorch_is_told_with_what_brings_it(script, monkeypatch):
    for name in ("torch", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("inpaint_torch", "beside_torch", "lite_unet_torch"):
        monkeypatch.delitem(sys.modules, f"experiments.speed.{name}", raising=False)
        monkeypatch.delattr(f"experiments.speed.{name}", raising=False)  # of an earlier test
    monkeypatch.setattr(sys, "argv", ["script"])
    monkeypatch.setattr(beside.heap, "keep", lambda: True)
    with pytest.raises(SystemExit, match=r"is missing: pip install -e '\.\[compare\]'"):
        script.main()


def test_each_network_sees_what_its_predictor_shows_it():
    network = lite_unet.Blueprint(out_stride=4, widths=lite_unet.WIDTHS[:3])
    kinds = (DefectPredictor, ColorPredictor)
    photo, gray = (beside.shown(kind(network=network), 64, 96)[0] for kind in kinds)
    filler = beside.shown(FillingPredictor(network=lite_unet.Blueprint(), draft=True), 64, 96)[0]
    assert photo.shape == gray.shape == (64, 96, 3) and -1 <= photo.min() < photo.max() <= 1
    assert np.ptp(photo, -1).max() > 0.1 > np.ptp(gray, -1).max()
    np.testing.assert_array_equal(filler[..., :3], photo)
    assert {*np.unique(filler[..., 3])} == {0, 1}
    assert {one.dtype for one in (photo, gray, filler)} == {np.dtype("float32")}


def test_gradients_are_compared_a_kind_at_a_time():
    right = {"a.kernel": np.eye(2), "b.bias": np.array([0.0]), "a.bias": np.array([3.0, 4.0])}
    other = right | {"b.bias": np.array([0.05])}  # of a norm of 5
    answers = {"jax": beside.kinds(right), "torch": beside.kinds(other)}
    assert {kind: len(vector) for kind, vector in answers["jax"].items()} == {
        "kernel": 4,
        "bias": 3,
    }
    assert turns.agree(answers, turns.norm, 0.02)["torch"] == pytest.approx(0.01)
    with pytest.raises(SystemExit, match=r"torch differs from jax by 0\.01 \(norm\)"):
        turns.agree(answers, turns.norm, 0.001)


def test_the_table_beside_others_is_made_of_rows_that_were_kept(monkeypatch, tmp_path, capsys):
    """Nothing of what they were measured with is needed again."""
    asked = ["beside", "--rounds=3", "--size=64", f"--results={tmp_path / 'rows.jsonl'}"]
    seconds = {"jax": [0.1, 0.2, 0.4], "torch": [0.2, 0.6, 0.4]}
    measured = beside.figures(seconds, {"torch": 1e-6})
    monkeypatch.setattr(beside, "measure", lambda options, part, network: measured)
    monkeypatch.setattr(beside.heap, "keep", lambda: True)
    monkeypatch.setattr(sys, "argv", asked)
    beside.main()
    monkeypatch.setattr(beside, "measure", lambda *given: pytest.fail("again"))
    beside.main()
    told = capsys.readouterr().out
    first, second = (block.splitlines() for block in told.split("\n\n")[-2:])
    assert first[0] == "| network | input | jax, ms | torch, ms | torch / jax |"
    assert first[2] == "| segment-lite | 1 x 512 x 512 | 200 | 400 | 2.00 (1.00 to 3.00) |"
    assert second[0].endswith("| jax, images/s | torch, images/s | torch / jax |")
    assert second[2] == "| segment-lite | 8 x 64 x 64 | 40 | 20 | 2.00 (1.00 to 3.00) |"
    assert len(first) == 2 + 3 and len(second) == 2 + 1


@pytest.mark.compare
def test_light_networks_are_the_same_elsewhere_and_learn_the_same(monkeypatch):
    monkeypatch.setattr(beside, "SIZES", dict.fromkeys(beside.SIZES, (64, 96)))
    options = argparse.Namespace(compile=False, size=64, batch=2)
    for name in beside.SIZES:
        playing = beside.networks(options, name)
        far = turns.agree({one: player.answer() for one, player in playing.items()})
        assert far.keys() == {"torch", "onnxruntime"} and max(far.values()) < 1e-4
    learning = beside.training(options, beside.TRAINED)
    answers = {name: beside.kinds(player.answer()) for name, player in learning.items()}
    assert turns.agree(answers, turns.norm, beside.CLOSE)["torch"] < 1e-3


@pytest.mark.compare
@pytest.mark.parametrize("gradient", [False, True])
def test_our_network_and_that_of_pytorch_are_the_same(gradient):
    options = argparse.Namespace(**NETWORK, gradient=gradient)
    far = inpaint.agree(inpaint.players(options, side=32))
    assert far.keys() == {"published", "tuned"} and max(far.values()) < 1e-4


@pytest.mark.compare
def test_the_comparison_is_printed_as_json(monkeypatch, capsys):
    arguments = ["--levels=2", "--width=4", "--sides", "16", "32", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", ["inpaint", *arguments])
    inpaint.main()
    about, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert about["levels"] == 2 and about["cores"] >= 1
    assert [line.get("player") for line in lines] == [None, "jax", "published", "tuned"] * 2


def test_a_training_run_is_told_by_what_it_says_last():
    said = "step 5/15: bce 0.4; 3.1 images/s, 0:01 left\nstep 10/15: bce 0.3; 6.25 images/s, ..."
    assert malloc.last_speed(said) == 6.25
    with pytest.raises(SystemExit, match="no images/s"):
        malloc.last_speed("killed")
    assert list(malloc.players("")) == ["malloc", "kept"]
    row = {"malloc": [3.0, 5.0, 4.0], "kept": [6.0, 8.0, 7.0]}
    assert [line["images/s"] for line in malloc.cells(row)] == [
        "4.0 (3.0 to 5.0)",
        "7.0 (6.0 to 8.0)",
    ]
