"""`oldphoto evaluate`: kinds of damage that a network has not seen, holes that another found."""

import json

import numpy as np
import pytest

from oldphoto_jax import cli
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import stage
from tests.stages import Ready

EXCLUDED = {  # what the weights of each name were trained without
    "tears": ("tear",),
    "specks": ("dust", "flecks"),
    "films": ("film",),
    "all": (),
    "segment-lite": ("crease",),
}


class Dark(Ready):
    """A stage without a network: what is dark is damaged."""

    def __init__(self, name):
        self.predictor = DefectPredictor(unseen=EXCLUDED[name])
        self.checksum = name

    def __call__(self, photo):
        return {"mask": 1 - np.asarray(photo)[..., :1]}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A rule for every network; the user's cache stays untouched."""
    monkeypatch.setattr(stage, "load", lambda path, default, kind: Dark(str(path or default)))
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def evaluate(tmp_path):
    """Runs the command on two crops; what it wrote as JSON."""

    def run(*options):
        file = tmp_path / "figures.json"
        arguments = ["--count", "2", "--size", "64", "--json", str(file), *options]
        assert cli.main(["evaluate", "segment", *arguments]) == 0
        return json.loads(file.read_text("utf-8"))

    return run


def kinds(result):
    """Those that the protocol names."""
    told = [part for part in result["protocol"].split("; ") if part.startswith("only damage")]
    return [part.removeprefix("only damage of the kinds ") for part in told]


def test_only_draws_the_kinds_named_and_tells_them(evaluate, capsys):
    result = evaluate("--method", "tophat", "--only", "tear", "crack")
    assert kinds(result) == ["tear, crack"]
    assert result["protocol"] in capsys.readouterr().out
    every = evaluate("--method", "tophat")
    assert kinds(every) == [] and every["figures"] != result["figures"]


def test_unseen_asks_for_what_the_weights_were_trained_without(evaluate):
    unseen = evaluate("--weights", "specks", "--unseen")
    assert kinds(unseen) == ["dust, flecks"]
    assert unseen == evaluate("--weights", "specks", "--only", "dust", "flecks")
    assert kinds(evaluate("--unseen")) == ["crease"]


def test_the_first_network_says_what_is_unseen_for_all(evaluate):
    methods = ["--weights", "tears", "--weights", "specks", "--method", "tophat"]
    together = evaluate(*methods, "--unseen")
    assert kinds(together) == ["tear"]
    assert [figures["method"] for figures in together["figures"]] == ["tears", "specks", "tophat"]
    for figures in together["figures"]:
        named = "--method" if figures["method"] == "tophat" else "--weights"
        alone = evaluate(named, figures["method"], "--only", "tear")
        assert alone == {"protocol": together["protocol"], "figures": [figures]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--weights", "all", "--unseen"], "all: no kind of damage was kept from these weights"),
        (["--method", "tophat", "--unseen"], "--unseen: only weights tell"),
        (["--weights", "films", "--unseen"], "give their folder by --textures"),
        (["--only", "film"], "give their folder by --textures"),
    ],
)
def test_exams_that_cannot_be_are_one_line(options, words, capsys):
    assert cli.main(["evaluate", "segment", "--size", "64", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["segment", "--only", "tear", "--unseen"], "not allowed with"),
        (["inpaint", "--only", "tear"], "unrecognized arguments: --only tear"),
        (["inpaint", "--unseen"], "unrecognized arguments: --unseen"),
        (["colorize", "--unseen"], "unrecognized arguments: --unseen"),
    ],
)
def test_one_way_to_choose_kinds_and_for_segment_alone(command, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["evaluate", *command])
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("given, name", [([], "segment-lite"), (["all"], "all")])
def test_holes_that_a_network_finds(given, name, tmp_path):
    file = tmp_path / "figures.json"
    common = ["--count", "2", "--size", "64", "--method", "telea", "--json", str(file)]
    assert cli.main(["evaluate", "inpaint", *common, "--found", *given]) == 0
    found = json.loads(file.read_text("utf-8"))["protocol"]
    told = f"holes found by weights {name} at 0.5, grown by 2 px, in damage up to 64 px thick"
    assert f"; {told}; " in found
    assert cli.main(["evaluate", "inpaint", *common]) == 0
    drawn = json.loads(file.read_text("utf-8"))["protocol"]
    assert "; holes up to 64 px thick, large ones in a share of 0.15; " in drawn
