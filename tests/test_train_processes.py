"""Whole runs in processes of their own: killed, told to stop, and two that work together."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from oldphoto_jax.train.loop import train
from tests import toy
from tests.test_train_loop import assert_same, kept, saved, told

ROOT = pathlib.Path(__file__).parent.parent
PATIENCE = 240  # seconds, on the slowest of machines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "compiled"
    with toy.compiled(folder):
        yield folder


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The run that nothing disturbs, on four devices of one process."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, train(toy.get_config(), str(workdir))


@contextlib.contextmanager
def started(folder, workdir, *flags, devices=4, pause=0.0):
    """A training process; each of its examples takes `pause` seconds."""
    command = [sys.executable, "-m", "oldphoto_jax.main", "--config=tests/toy.py"]
    environment = toy.environment(folder, devices) | {"TOY_PAUSE": str(pause)}
    process = subprocess.Popen(
        [*command, f"--workdir={workdir}", *flags],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process):
    """Its exit status and what it said."""
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def wait_for(step, workdir, process):
    """Until the run has told of that step."""
    end = time.monotonic() + PATIENCE
    metrics = workdir / "metrics.jsonl"
    while not metrics.exists() or f'{{"step": {step},' not in metrics.read_text():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "the process made no step in time"
        time.sleep(0.01)


def test_a_run_that_is_killed_and_stopped_ends_like_one_that_is_not(folder, whole, tmp_path):
    with started(folder, tmp_path, pause=0.02) as process:
        wait_for(3, tmp_path, process)
        process.kill()
        process.wait()
    assert not kept(tmp_path) or max(kept(tmp_path)) >= 2  # the save of step 2 may go on
    (tmp_path / "metrics.jsonl").open("a").write('{"step": 4, "pain')  # as a kill may leave it

    with started(folder, tmp_path, pause=0.02) as process:
        wait_for(7, tmp_path, process)
        process.terminate()
        status, said = finish(process)
    assert status == 143, said
    assert "stopped by SIGTERM at step" in said
    stop = max(kept(tmp_path))
    assert stop >= 7 and saved(tmp_path)[1]["step"] == stop

    assert train(toy.get_config(), str(tmp_path)) == whole[1]
    assert_same(tmp_path, whole[0])


def test_two_processes_are_one_run(folder, whole, tmp_path):
    """They give the losses, figures and weights of one, and stop together for either's SIGTERM."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    both = [
        (f"--coordinator=localhost:{port}", "--processes=2", f"--process={index}")
        for index in range(2)
    ]
    with (
        started(folder, tmp_path, *both[0], devices=2, pause=0.05) as first,
        started(folder, tmp_path, *both[1], devices=2, pause=0.05) as second,
    ):
        wait_for(5, tmp_path, first)
        second.terminate()
        answers = [finish(process) for process in (first, second)]
    assert [status for status, _ in answers] == [143, 143], answers
    stop = max(kept(tmp_path))
    assert 5 <= stop < 12
    assert "step 5/12" in answers[0][1] and "step 5/12" not in answers[1][1]  # one of them tells
    environment = json.loads((tmp_path / "environment.jsonl").read_text())
    assert environment["processes"] == 2 and len(environment["devices"]) == 4

    figures = train(toy.get_config(), str(tmp_path))  # and one process takes over
    assert figures == pytest.approx(whole[1], rel=1e-3)
    for mine, theirs in zip(told(tmp_path), told(whole[0]), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)
    (mine, place), (theirs, their_place) = saved(tmp_path), saved(whole[0])
    assert place == their_place
    for name in mine:  # sums over devices are taken in another order
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-2, atol=1e-4)


def test_wrong_settings_are_one_line_and_take_no_folder(folder, tmp_path):
    with started(folder, tmp_path, "--config.batch_size=6") as process:
        status, said = finish(process)
    assert status == 1
    last = said.strip().splitlines()[-1]
    assert last.startswith("oldphoto_jax: config.batch_size=6 can't be shared evenly by 4")
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
