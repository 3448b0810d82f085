import json
import pathlib
import sys

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.task import Task
from oldphoto_jax.train import log as logs
from oldphoto_jax.train.workdir import Workdir


@pytest.fixture
def work(tmp_path):
    work = Workdir(tmp_path / "run")
    work.claim("{}")
    return work


@pytest.fixture
def log(work):
    log = logs.Log(work, steps=10, start=0, images=4, tensorboard=False)
    yield log
    log.close()


def add(log, step, **terms):
    log.add(step, {f"painter/{name}": jnp.float32(value) for name, value in terms.items()})


def read(work):
    return [json.loads(line) for line in work.metrics.read_text().splitlines()]


def test_an_interval_tells_the_mean_of_its_steps(log, work):
    add(log, 1, pixel=1.0, fool=5.0)
    add(log, 2, pixel=2.0)
    terms = log.check("none")
    assert terms == {"painter/pixel": 1.5, "painter/fool": 5.0}
    log.interval(2, terms, {"painter/rate": 0.1})
    add(log, 3, pixel=7.0)
    log.interval(3, log.check("none"), {})
    first, second = read(work)
    assert first.pop("images_per_second") > 0
    assert first == {"step": 2, "painter/pixel": 1.5, "painter/fool": 5.0, "painter/rate": 0.1}
    assert second["painter/pixel"] == 7.0
    assert "step 2/10: painter/fool 5, painter/pixel 1.5;" in work.log.read_text()
    assert "left" in work.log.read_text()


def test_images_per_second_count_the_timed_steps_only(log, work, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(logs.time, "perf_counter", lambda: now[0])
    log.restart_clock()
    add(log, 1, pixel=1.0)
    now[0] = 60.0  # compiling
    log.restart_clock()
    log.interval(1, log.check(""), {})
    add(log, 2, pixel=1.0)
    add(log, 3, pixel=1.0)
    now[0] += 2.0
    log.interval(3, log.check(""), {})
    first, second = read(work)
    assert "images_per_second" not in first
    assert second["images_per_second"] == pytest.approx(2 * 4 / 2.0)
    assert "4.0 images/s, 0:00:07 left" in work.log.read_text()  # 7 steps of a second


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_bad_term_is_named_with_its_step_and_the_checkpoint(log, bad):
    add(log, 6, pixel=1.0, fool=1.0)
    add(log, 7, pixel=1.0, fool=bad)
    add(log, 8, pixel=bad, fool=bad)
    with pytest.raises(logs.NonFiniteLoss) as error:
        log.check("runs/x/checkpoints/5")
    message = f"painter/fool became {bad} at step 7. Last good checkpoint: runs/x/checkpoints/5."
    assert str(error.value).startswith(message)


def test_figures_that_are_no_numbers_become_null(log, work):
    log.figures(3, {"a": float("nan"), "b": 2.0})
    assert read(work) == [{"step": 3, "a": None, "b": 2.0}]


def shown(batch, prediction):
    """What a task without wishes of its own puts on a sheet."""
    return Task().pictures(batch, prediction)


def test_a_sheet_shows_input_truth_and_prediction_side_by_side(log, work):
    photo = np.full((3, 8, 6, 3), 0.2, np.float32)
    batch = {"photo": photo, "mask": np.ones((3, 8, 6, 1), np.float32)}
    log.sheet(40, shown(batch, {"mask": np.zeros((3, 8, 6, 1), np.float32)}), rows=2)
    sheet = cv2.imread(str(work.sheets / "00000040.png"))
    assert sheet.shape == (2 * 8, 3 * 6, 3)
    assert (sheet[:, :6] == 51).all() and (sheet[:, 6:12] == 255).all()
    assert (sheet[:, 12:] == 0).all()


def test_the_truth_of_a_photo_is_the_target(log, work):
    gray, one = np.zeros((2, 4, 4, 1), np.float32), np.ones((2, 4, 4, 3), np.float32)
    log.sheet(1, shown({"photo": gray, "target": one}, {"photo": one / 2}), rows=8)
    sheet = cv2.imread(str(work.sheets / "00000001.png"))
    assert sheet.shape == (8, 12, 3)
    assert [sheet[0, x, 0] for x in (0, 4, 8)] == [0, 255, 128]


def test_what_is_no_picture_stays_off_the_sheet_and_small_ones_are_enlarged(log, work):
    photo = np.full((2, 8, 8, 3), 0.2, np.float32)
    latent = {
        "latent": np.zeros((2, 4, 4, 64)),
        "score": np.zeros(2),
        "mask": np.ones((2, 4, 4, 1)),
    }
    log.sheet(1, shown({"photo": photo}, latent | {"measured/features": photo}), rows=8)
    sheet = cv2.imread(str(work.sheets / "00000001.png"))
    assert sheet.shape == (16, 16, 3)
    assert (sheet[:, :8] == 51).all() and (sheet[:, 8:] == 255).all()


def test_no_rows_no_sheet(log, work):
    log.sheet(1, {"photo": np.zeros((1, 4, 4, 3))}, rows=0)
    assert not list(work.sheets.iterdir())


def test_without_tensorboard_the_extra_is_named(work, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"oldphoto-jax\[tensorboard\]"):
        logs.Log(work, steps=1, start=0, images=1, tensorboard=True)


def test_tensorboard_gets_every_figure(work, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder, purge_step):
            told.append((pathlib.Path(folder), purge_step))

        def add_scalar(self, *scalar):
            told.append(scalar)

        def close(self):
            told.append("closed")

    monkeypatch.setitem(sys.modules, "tensorboardX", type(sys)("tensorboardX"))
    sys.modules["tensorboardX"].SummaryWriter = Writer
    log = logs.Log(work, steps=9, start=5, images=1, tensorboard=True)
    log.figures(6, {"a": 1.0})
    log.close()
    assert told == [(work.tensorboard, 6), ("a", 1.0, 6), "closed"]
