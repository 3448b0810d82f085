import json
import math

import numpy as np
import pytest

from oldphoto_jax.train import workdir
from oldphoto_jax.train.workdir import Workdir


@pytest.fixture
def work(tmp_path):
    return Workdir(tmp_path / "deep" / "run")


def write(work, *lines):
    work.metrics.write_text("".join(lines))


def test_a_free_folder_is_claimed_and_tells_what_ran(work):
    text = json.dumps({"class": "x:Config", "steps": 3})
    work.check(text)
    assert not work.path.exists()  # checking takes nothing
    work.claim(text)
    assert work.config.read_text() == text
    (line,) = work.environment.read_text().splitlines()
    environment = json.loads(line)
    assert environment["versions"]["jax"] and len(environment["devices"]) >= 1
    assert environment["processes"] == 1 and environment["command"]


def test_another_configuration_is_refused_by_its_fields(work):
    work.claim(json.dumps({"steps": 3, "task": {"size": 1}, "workers": 0}))
    work.check(json.dumps({"steps": 3, "task": {"size": 1}, "workers": 5}))
    with pytest.raises(ValueError) as error:
        work.check(json.dumps({"steps": 4, "task": {"size": 2}, "workers": 5}))
    message = str(error.value)
    assert "steps: 3 -> 4" in message and "task.size: 1 -> 2" in message
    assert "workers" not in message and str(work.path) in message


def test_processes_with_different_configurations_are_refused(work, monkeypatch):
    gathered = []
    monkeypatch.setattr(
        workdir.multihost_utils, "process_allgather", lambda mine: np.stack([mine, *gathered])
    )
    work.check("{}")
    gathered.append(np.zeros(32, np.uint8))
    with pytest.raises(ValueError, match="the processes have different configurations"):
        work.check("{}")


def test_what_came_after_the_last_save_is_forgotten(work):
    work.claim("{}")
    whole = [json.dumps({"step": step, "a": 0.5}) + "\n" for step in (2, 4, 4, 6)]
    write(work, *whole, '{"step": 8, "a": 0.')  # torn by a kill
    work.forget_after(4)
    assert work.metrics.read_text() == "".join(whole[:3])
    work.forget_after(0)
    assert work.metrics.read_text() == ""


def test_figures_are_those_of_the_last_evaluation(work):
    assert work.figures(9) == {}
    work.claim("{}")
    evaluations = [
        {"step": 2, "loss": 1.0},
        {"step": 2, "validation/error": 0.5, "validation/bright/share": 0.1},
        {"step": 4, "validation/error": None, "validation/bright/share": 0.2},
        {"step": 5, "loss": 1.0},
    ]
    write(work, *(json.dumps(line) + "\n" for line in evaluations))
    assert work.figures(1) == {}
    assert work.figures(3) == {"error": 0.5, "bright/share": 0.1}
    last = work.figures(9)
    assert last["bright/share"] == 0.2 and math.isnan(last["error"])
