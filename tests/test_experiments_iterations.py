"""A table by training iteration is what the run's own lines tell."""

import json

import pytest

from experiments import iterations

LINES = [
    {"step": 50, "generator/pixel": 0.5},
    {"step": 100, "validation/top-1": 0.25, "validation/agreement": 0.5, "validation/psnr": 20.0},
    {"step": 2000, "validation/top-1": None, "validation/agreement": 0.75},
]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in LINES))
    return tmp_path / "run"


def test_every_validation_has_a_row(run, capsys):
    for place in (run, run / "metrics.jsonl"):
        iterations.main([str(place), "--figure=agreement", "--figure=top-1"])
        assert capsys.readouterr().out.splitlines() == [
            "| iteration | agreement | top-1  |",
            "| --------- | --------- | ------ |",
            "| 100       | 0.5000    | 0.2500 |",
            "| 2,000     | 0.7500    |        |",
        ]


def test_what_the_run_does_not_tell_is_said(run, tmp_path):
    with pytest.raises(SystemExit, match=r"no top-1 of the truth in .*task.classifier asks.*psnr"):
        iterations.main([str(run)])
    with pytest.raises(SystemExit, match=r"no psmr in this run. It has agreement, psnr, top-1"):
        iterations.main([str(run), "--figure=psmr"])
    with pytest.raises(SystemExit, match="no such file; name the --workdir of a training"):
        iterations.main([str(tmp_path)])
    (run / "metrics.jsonl").write_text(json.dumps(LINES[0]) + "\n")
    with pytest.raises(SystemExit, match="no validation yet; see config.evaluate_every"):
        iterations.main([str(run)])
