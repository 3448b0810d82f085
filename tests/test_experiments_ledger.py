"""Lines that are kept of an experiment tell the same as its folder, and nothing else gets in."""

import json
import pathlib
import shutil

import pytest

from experiments import ledger, report

FOLDER = pathlib.Path(ledger.__file__).parent
ASKED = {
    "experiment": "experiments/toy.py",
    "question": "Are few enough?",
    "variants": ["many", "few"],
    "seeds": 2,
    "steps": 20,
    "photos": "noise",
    "validation": "noise",
    "command": "python -m experiments.run experiments/toy.py",
    "figures": ["error", "share"],
}
ERRORS = {("many", 0): 0.5, ("many", 1): 0.25, ("few", 0): 0.75, ("few", 1): 0.625}


@pytest.fixture
def workdir(tmp_path):
    """An experiment's folder as experiments.run leaves it; the last run is not finished."""
    (tmp_path / report.ASKED).write_text(json.dumps(ASKED))
    for (variant, seed), error in ERRORS.items():
        run = report.folder(tmp_path, variant, seed)
        run.mkdir(parents=True)
        (run / "config.json").write_text(json.dumps({"steps": 20}))
        steps = (10,) if (variant, seed) == ("few", 1) else (10, 20)
        told = [
            {"step": n, "validation/error": 10 * error / n, "validation/share": None} for n in steps
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    return tmp_path


def test_finished_runs_alone_are_kept_with_their_exams(workdir):
    (workdir / "few" / "0" / ledger.EXAMS).write_text(json.dumps({"obvious/AP": 0.125}))
    asked, *runs = ledger.collect(workdir)
    assert asked["command"] == ASKED["command"] and "seeds" not in asked
    assert [(line["variant"], line["seed"]) for line in runs] == [
        ("many", 0),
        ("few", 0),
        ("many", 1),
    ]
    assert runs[1] == {"variant": "few", "seed": 0, "step": 20, "error": 0.375, "obvious/AP": 0.125}


def test_the_table_comes_of_the_file_alone(workdir, tmp_path, capsys):
    file = tmp_path / "kept.jsonl"
    ledger.main(["keep", str(workdir), str(file)])
    for variant in ASKED["variants"]:
        shutil.rmtree(workdir / variant)
    capsys.readouterr()
    ledger.main(["table", str(file), "--figure=error"])
    rows = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in rows[3].split("|")[1:-1]]
    assert cells[:3] == ["few", "1", "0.3750"]
    assert cells[3] == "0.1250"  # seed 0 alone has both


@pytest.mark.parametrize("file", [*FOLDER.glob("*.jsonl")], ids=lambda file: file.stem)
def test_the_table_that_is_shown_comes_of_the_committed_lines(file):
    assert ledger.table(ledger.read(file)) in file.with_suffix(".md").read_text("utf-8")


def test_later_runs_join_and_replace(workdir):
    old = ledger.collect(workdir)
    new = [
        old[0] | {"variants": ["many", "none"]},
        {"variant": "many", "seed": 1, "step": 20, "error": 9.0},
    ]
    head, *runs = ledger.merge(old, new)
    assert head["variants"] == ["many", "few", "none"]
    assert [line["error"] for line in runs] == [0.25, 0.375, 9.0]


def test_other_questions_do_not_mix(workdir):
    old = ledger.collect(workdir)
    with pytest.raises(ValueError, match="steps is 20"):
        ledger.merge(old, [old[0] | {"steps": 30}])


def test_what_is_no_experiment_is_said(tmp_path):
    with pytest.raises(SystemExit, match="holds no experiment"):
        ledger.main(["keep", str(tmp_path), str(tmp_path / "file.jsonl")])
    with pytest.raises(SystemExit, match="no such file"):
        ledger.main(["table", str(tmp_path / "file.jsonl")])
