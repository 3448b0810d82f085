"""MODEL_ZOO.md is what the catalogue, the cards and the weights files say, and they agree."""

import ast
import dataclasses
import functools
import importlib
import json
import pathlib
import re
import shlex

import pytest

from oldphoto_jax import cli
from oldphoto_jax.predictors import metadata as kept
from oldphoto_jax.weights import catalogue, fetch, rows, store, zoo

ROOT = pathlib.Path(__file__).parents[1]
PACKAGED = [row for row in catalogue.ROWS if row.card]
PUBLISHED = [row for row in catalogue.ROWS if not row.card]
every_packaged = pytest.mark.parametrize("row", PACKAGED, ids=lambda row: row.name)


@pytest.fixture(scope="module")
def document():
    return (ROOT / "MODEL_ZOO.md").read_text("utf-8")


def metadata(row, name):
    return json.loads(store.load(row.path)[1][name])


def trainings(row):
    """The words of the commands that trained it, one a phase; what prepares lists is left out."""
    lines = row.card.command.replace("\\\n", "").splitlines()
    return [shlex.split(line) for line in lines if "oldphoto_jax.main" in line]


def test_the_zoo_is_what_its_program_makes(tmp_path):
    target = tmp_path / "zoo.md"
    assert zoo.main([str(target)]) == 0
    committed = (ROOT / "MODEL_ZOO.md").read_bytes()
    again = "run: python -m oldphoto_jax.weights.zoo MODEL_ZOO.md"
    assert target.read_bytes() == committed, again


@every_packaged
def test_a_packaged_row_has_every_fact(row):
    card = row.card
    for name in (
        "network",
        "config",
        "variant",
        "steps",
        "command",
        "time",
        "data",
        "figures",
        "protocol",
    ):
        assert getattr(card, name), name
    assert (card.threshold is None and card.gain is None) or card.chosen
    assert "sha256 of names and pixels" in card.protocol
    text = zoo.prose(row)
    headings = re.findall("^### (.*)$", text, re.M)
    assert {"Figures", "Data", "Known failures"} <= set(headings) and not text.startswith("#")


def test_what_others_published_has_no_card_but_a_line(document):
    assert PUBLISHED
    for row in PUBLISHED:
        [line] = [line for line in document.splitlines() if line.startswith(f"| {row.name} |")]
        assert all(text in line for text in (row.purpose, row.licence, row.source.sha256))
        source = getattr(row.source, "archive", row.source)
        assert source.file in line and getattr(row.source, "inside", source.file) in line
        places = getattr(source, "places", None) or [source.origin]
        assert all(place in line for place in places)


def test_addresses_are_links():
    source = fetch.Source(file="n", sha256="0" * 64, size=1, places=("https://a.invalid/n",))
    row = dataclasses.replace(PUBLISHED[0], source=source)
    assert "| from | [a.invalid](https://a.invalid/n) |" in zoo.card(row)


@every_packaged
def test_facts_agree_with_the_file(row):
    predictor, card = kept.read(store.load(row.path)[1]), row.card
    assert card.trained_max == getattr(predictor, "max_size", None)  # only what meets damage has it
    for name in ("threshold", "gain"):
        assert (getattr(card, name) is None) == (not hasattr(predictor, name))
        if hasattr(predictor, name):
            assert getattr(card, name) == pytest.approx(getattr(predictor, name), abs=5e-4)
    module = importlib.import_module(card.config.removesuffix(".py").replace("/", "."))
    assert type(module.get_config(card.variant).task.predictor()) is type(predictor)
    run, step = metadata(row, "config"), metadata(row, "step")
    steps = f"{run['steps']:,} steps of {run['batch_size']} crops of {run['task']['size']} px"
    chosen = "" if step == run["steps"] else f" (kept: those of step {step:,})"
    assert card.steps == f"{steps}{chosen}, seed {run['seed']}"


@every_packaged
def test_the_command_gave_the_file(row):
    program, run = trainings(row)[-1], metadata(row, "config")
    assert program[:3] == ["python", "-m", "oldphoto_jax.main"]
    assert f"--config={row.card.config}:{row.card.variant}" in program
    changes = [word for word in program if word.startswith("--config.")]
    assert any(change.startswith("--config.photos=") for change in changes)
    for change in changes:
        path, _, text = change.removeprefix("--config.").partition("=")
        value = run
        for key in path.split("."):
            value = value[key]
        asked = list(ast.literal_eval(text)) if isinstance(value, list) else text
        assert asked == (value if isinstance(value, list) else str(value)), change


@every_packaged
def test_each_phase_is_one_of_its_configurations_and_starts_from_the_one_before(row):
    finished = set()
    for program in trainings(row):
        [named] = [word for word in program if word.startswith("--config=")]
        name, _, variant = named.removeprefix("--config=").partition(":")
        config = importlib.import_module(name.removesuffix(".py").replace("/", ".")).get_config(
            variant
        )
        for word in program:
            if word.startswith("--config."):
                path = word.removeprefix("--config.").partition("=")[0]
                functools.reduce(getattr, path.split("."), config)  # there is such a field
        before = {str(file).split("/weights/")[0] for file in config.weights.values()}
        assert {folder for folder in before if folder.startswith("runs/")} <= finished
        [workdir] = [word for word in program if word.startswith("--workdir=")]
        finished.add(workdir.removeprefix("--workdir="))
    assert name == row.card.config and variant == row.card.variant


@every_packaged
def test_figures_are_those_of_its_lines_in_the_tables(row):
    figures = re.findall(r"\d+\.\d+", row.card.figures)
    lines = re.findall(rf"^\| {row.name} \|.*", zoo.prose(row), re.M)
    assert len(figures) > 2 and set(figures) <= set(re.findall(r"\d+\.\d+", "".join(lines)))


@every_packaged
def test_figures_that_are_measured_are_those_of_the_tables(row):
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "docs/measured.md")]
    lines = [line for text in texts for line in re.findall(rf"^\| `{row.name}`.*", text, re.M)]
    known = [float(figure) for figure in re.findall(r"\d+\.\d+", zoo.prose(row))]
    assert len(lines) > 1
    for figure in re.findall(r"\d+\.\d+", "".join(lines)):
        digits = len(figure.partition(".")[2])
        assert figure in {f"{one:.{digits}f}" for one in known}, figure


def test_commands_of_the_zoo_are_understood(document):
    blocks = re.findall(r"^```bash\n(.*?)^```", document, re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    ours = [line for line in lines if line.startswith("oldphoto ")]
    assert len(ours) >= len(PACKAGED)
    for line in ours:
        assert callable(cli.parser().parse_args(shlex.split(line)[1:]).command), line


def test_links_and_pictures_of_the_zoo_are_there(document):
    links = re.findall(r"\]\(([^)\s]+)\)", document)
    assert len(links) > len(PACKAGED)
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_a_missing_card_and_a_damaged_file_are_told(tmp_path, monkeypatch, capsys):
    row = PACKAGED[0]
    monkeypatch.setattr(rows, "FILES", tmp_path)
    with pytest.raises(store.WeightsError, match=rf"{row.name}\.md: .*install the package again"):
        zoo.prose(row)
    (tmp_path / f"{row.name}.md").write_text("What it does.\n\nMore.\n", "utf-8")
    (tmp_path / f"{row.name}.safetensors").write_bytes(b"junk")
    with pytest.raises(store.WeightsError, match="wrong SHA-256.*install the package again"):
        zoo.card(row)
    assert zoo.main([str(tmp_path / "zoo.md")]) == 1
    assert capsys.readouterr().err.startswith("zoo: ") and not (tmp_path / "zoo.md").exists()
