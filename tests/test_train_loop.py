import contextlib
import dataclasses
import functools
import json
import logging
import math
import re
import shutil
import signal
import types

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from oldphoto_jax.data import loader
from oldphoto_jax.train import loop
from oldphoto_jax.train.log import Log, NonFiniteLoss
from oldphoto_jax.train.loop import Interrupted, train
from oldphoto_jax.weights import store
from tests import toy

CASES = {"float32 on 1 device": ("float32", 1), "bfloat16 on 4 devices": ("bfloat16", 4)}


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def change(config=None, task=None, **fields):
    config = config or toy.get_config()
    task = dataclasses.replace(config.task, **(task or {}))
    return dataclasses.replace(config, task=task, **fields)


def saved(workdir):
    """Every array of the newest checkpoint, and where its run stood in the data."""
    with ocp.CheckpointManager((workdir / "checkpoints").absolute()) as manager:
        args = ocp.args.Composite(state=ocp.args.StandardRestore(), run=ocp.args.JsonRestore())
        found = manager.restore(manager.latest_step(), args=args)
    return {k: np.asarray(v) for k, v in found["state"].items()}, found["run"]["position"]


def told(workdir):
    """The lines of metrics.jsonl without their timings."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def kept(workdir):
    """The whole checkpoints; a killed run may leave a torn one beside them."""
    names = [path.name for path in (workdir / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if name.isdecimal())


def assert_same(a, b):
    """Two work folders hold the same run, bit for bit."""
    (mine, my_place), (theirs, their_place) = saved(a), saved(b)
    assert my_place == their_place and mine.keys() == theirs.keys()
    differing = [name for name in mine if not np.array_equal(mine[name], theirs[name])]
    assert not differing and all(mine[name].dtype == theirs[name].dtype for name in mine)
    assert told(a) == told(b)
    for file in ("best", "last"):
        pair = [(w / "weights" / f"{file}.safetensors").read_bytes() for w in (a, b)]
        assert pair[0] == pair[1]


class Compilations(logging.Handler):
    """Collects the names of the programs that JAX compiles."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.names, self.logger = [], logging.getLogger("jax._src.dispatch")

    def emit(self, record):
        if match := re.search(r"XLA compilation of (?:jit\()?(\w+)", record.getMessage()):
            self.names.append(match[1])

    def __enter__(self):
        self.before = self.logger.level, self.logger.propagate
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.logger.addHandler(self)
        return self.names

    def __exit__(self, *_):
        self.logger.removeHandler(self)
        self.logger.level, self.logger.propagate = self.before


@dataclasses.dataclass
class Whole:
    """A run that nothing disturbed, and what it had in memory at its end."""

    config: object
    devices: list
    workdir: object
    figures: dict
    programs: list[str]
    predict: object


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def whole(request, tmp_path_factory):
    precision, count = request.param
    config, devices = toy.get_config(precision), jax.devices()[:count]
    workdir = tmp_path_factory.mktemp("whole")
    with Compilations() as programs, contextlib.ExitStack() as closing:
        run = loop._Run(config, str(workdir), devices, closing)
        figures = run.go()
        predict = functools.partial(run.predict, run.state)
    return Whole(config, devices, workdir, figures, programs, predict)


def interrupt(monkeypatch, step, number=signal.SIGTERM):
    """The next run is sent a signal while it makes that step."""
    add = Log.add

    def interrupting(self, at, terms):
        if at == step:
            signal.raise_signal(number)
        add(self, at, terms)

    monkeypatch.setattr(Log, "add", interrupting)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(whole, tmp_path, monkeypatch):
    """Weights, statistics, optimizers, averages, random counters, data, figures."""
    with monkeypatch.context() as patch:
        interrupt(patch, 5)
        with pytest.raises(Interrupted) as stop:
            train(whole.config, str(tmp_path), whole.devices)
    assert stop.value.code == 143
    assert kept(tmp_path) == [4, 5]  # best (and only) of the evaluated, and last
    assert "stopped by SIGTERM at step 5; the same command resumes" in read(tmp_path, "log.txt")
    assert train(whole.config, str(tmp_path), whole.devices) == whole.figures
    assert "resumed from" in read(tmp_path, "log.txt")
    assert_same(tmp_path, whole.workdir)


def read(workdir, file):
    return (workdir / file).read_text()


def test_everything_is_in_the_checkpoint(whole):
    arrays, position = saved(whole.workdir)
    assert position["step"] == 12 and arrays[".step"] == 12
    for part in ("params", "rest", "opt", "ema"):
        assert any(name.startswith(f".parts['painter'].{part}") for name in arrays)
    count = next(name for name in arrays if "drop" in name and "count" in name)
    assert arrays[count] == 12
    floats = [a for a in arrays.values() if a.dtype.kind == "f"]
    assert all(a.dtype == np.float32 for a in floats)  # with bfloat16, too


def test_nothing_is_compiled_twice(whole):
    assert whole.programs.count("train_step") == whole.programs.count("predict_step") == 1


def test_metrics_have_every_step_once(whole):
    lines = told(whole.workdir)
    steps = [line["step"] for line in lines if "painter/pixel" in line]
    assert steps == list(range(1, 13))
    assert [line["step"] for line in lines if "critic/real" in line] == [1, 3, 5, 7, 9, 11]
    assert [line["step"] for line in lines if "validation/error" in line] == [4, 8, 12]
    assert lines[-1] == {"step": 12} | {f"validation/{k}": v for k, v in whole.figures.items()}
    assert lines[0]["painter/rate"] == pytest.approx(0.005)  # warmup


def test_the_work_folder_holds_the_run(whole):
    config = json.loads(read(whole.workdir, "config.json"))
    assert config["task"] == {"class": "tests.toy:Toy"} | dataclasses.asdict(whole.config.task)
    assert json.loads(read(whole.workdir, "environment.jsonl"))["versions"]["jax"]
    parameters = read(whole.workdir, "parameters.txt")
    assert "painter" in parameters and "encoder/conv/kernel" in parameters
    assert "eye: 116 parameters, frozen" in read(whole.workdir, "log.txt")
    sheets = sorted((whole.workdir / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == [f"{step:08d}.png" for step in (4, 8, 12)]
    assert cv2.imread(str(sheets[0])).shape == (2 * 8, 3 * 8, 3)  # sheet_rows x three pictures


def test_the_best_and_the_last_checkpoint_are_kept(whole):
    errors = {x["step"]: x["validation/error"] for x in told(whole.workdir) if len(x) == 3}
    best = min(errors, key=errors.get)
    assert kept(whole.workdir) == sorted({best, 12})
    for file, step in (("best", best), ("last", 12)):
        _, metadata = store.load(whole.workdir / "weights" / f"{file}.safetensors")
        assert metadata["step"] == str(step)
        assert json.loads(metadata["figures"])["error"] == errors[step]
        assert json.loads(metadata["predictor"]) == {"class": "tests.toy:Cleaner", "width": 4}


def test_figures_are_those_of_the_averaged_weights_in_evaluation_mode(whole):
    config = whole.config
    batches = loader.evaluation(config.validation, config.task.example, batch_size=8, threads=0)
    (batch,) = batches
    photo = whole.predict({"photo": batch["photo"], "target": batch["target"]})["photo"]
    error = np.abs(np.asarray(photo)[:5] - batch["target"][:5]).mean()
    assert photo.dtype == jnp.float32
    assert whole.figures["error"] == pytest.approx(error, rel=1e-4)


def test_a_finished_run_tells_its_figures_and_trains_no_more(whole, monkeypatch):
    before = read(whole.workdir, "metrics.jsonl")
    monkeypatch.setattr(Log, "add", None)  # a step would fail
    assert train(whole.config, str(whole.workdir), whole.devices) == whole.figures
    assert read(whole.workdir, "metrics.jsonl") == before
    assert saved(whole.workdir)[1]["step"] == 12


def test_another_configuration_is_refused_in_the_same_folder(whole):
    before = read(whole.workdir, "config.json")
    other = change(whole.config, task={"width": 8}, seed=3)
    with pytest.raises(ValueError, match=r"(?s)seed: 0 -> 3.*task.width: 4 -> 8"):
        train(other, str(whole.workdir), whole.devices)
    assert read(whole.workdir, "config.json") == before
    free = change(whole.config, log_every=7, save_every=3, threads=1, sheet_rows=0)
    assert train(free, str(whole.workdir), whole.devices) == whole.figures


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that stopped at step 6, without validation; to be copied."""
    workdir = tmp_path_factory.mktemp("stopped") / "run"
    config = change(validation="", log_every=4)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 6, signal.SIGINT)
        with pytest.raises(Interrupted) as stop:
            train(config, str(workdir))
    assert stop.value.code == 130
    return config, workdir


def test_without_validation_only_the_last_is_kept(stopped):
    _, workdir = stopped
    assert kept(workdir) == [6]
    assert [path.name for path in (workdir / "weights").iterdir()] == ["last.safetensors"]
    assert not list((workdir / "sheets").iterdir())
    # Also where a checkpoint is saved between intervals; the first step after is not timed.
    assert [line["step"] for line in told(workdir)] == [2, 4, 6]


def test_a_run_goes_on_with_fewer_devices(stopped, tmp_path):
    config, workdir = stopped
    ends = []
    for devices in (4, 1):
        shutil.copytree(workdir, tmp_path / str(devices))
        assert train(config, str(tmp_path / str(devices)), jax.devices()[:devices]) == {}
        ends.append(saved(tmp_path / str(devices)))
    (mine, my_place), (theirs, their_place) = ends
    assert my_place == their_place and my_place["step"] == 12
    for name in mine:  # sums over devices are taken in another order
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-3, atol=2e-5)


def test_norms_freeze_from_their_step_on_and_only_where_told(tmp_path):
    optimizers = toy.get_config().optimizers
    painter = dataclasses.replace(
        optimizers["painter"], freeze_norm_from=2, freeze_norm_in="encoder"
    )
    config = change(
        optimizers=optimizers | {"painter": painter}, steps=4, validation="", save_every=1
    )
    seen = []

    class Watching(loop.Checkpoints):
        def save(self, state, *args):
            rest = jax.device_get(state.parts["painter"].rest)
            seen.append([rest[layer]["norm"]["mean"] for layer in ("encoder", "decoder")])
            super().save(state, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Checkpoints", Watching)
        train(config, str(tmp_path))
    encoder, decoder = zip(*seen, strict=True)
    moved = [not np.array_equal(a, b) for a, b in zip(encoder, encoder[1:], strict=False)]
    assert moved == [True, False, False]
    assert all(not np.array_equal(a, b) for a, b in zip(decoder, decoder[1:], strict=False))


def test_weights_begin_a_run_and_are_not_needed_to_resume_it(stopped, tmp_path):
    config, workdir = stopped
    file = tmp_path / "start.safetensors"
    shutil.copy(workdir / "weights" / "last.safetensors", file)
    optimizers = {k: dataclasses.replace(o, rate=1e-9) for k, o in config.optimizers.items()}
    config = change(config, weights={"painter": str(file)}, optimizers=optimizers, steps=2)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 1)
        with pytest.raises(Interrupted):
            train(config, str(tmp_path / "run"))
    given, _ = store.load(file)
    begun, _ = store.load(tmp_path / "run" / "weights" / "last.safetensors")
    for name in ("painter.final.kernel", "painter.encoder.conv.kernel"):
        np.testing.assert_allclose(begun[name], given[name], atol=1e-6)
    critics = [saved(folder)[0] for folder in (workdir, tmp_path / "run")]
    given, begun = (arrays[".parts['critic'].params['final']['kernel']"] for arrays in critics)
    assert np.abs(begun - given).max() > 1e-4
    file.unlink()
    train(config, str(tmp_path / "run"))
    assert kept(tmp_path / "run") == [2]


POISON = {
    "a loss": (dict(poisoned_call=7), "painter/pixel became nan at step 7", "6"),
    "a gradient": (dict(poisoned_slope=True), "painter/gradient became nan at step 1", None),
}


@pytest.mark.parametrize(("task", "message", "last"), POISON.values(), ids=POISON)
def test_a_loss_that_breaks_stops_the_run(task, message, last, tmp_path):
    with pytest.raises(NonFiniteLoss) as error:
        train(change(task=task, validation="", log_every=50), str(tmp_path))
    checkpoint = str(tmp_path / "checkpoints" / last) if last else "no checkpoint yet"
    assert message in str(error.value) and f"Last good checkpoint: {checkpoint}." in str(
        error.value
    )
    assert message in read(tmp_path, "log.txt")
    if last:
        arrays, _ = saved(tmp_path)
        assert arrays[".step"] == int(last)
        assert all(np.isfinite(array).all() for array in arrays.values())
    else:
        assert not list((tmp_path / "checkpoints").iterdir())


def test_weights_that_are_no_numbers_are_never_saved():
    arrays = {"painter.norm.mean": np.zeros(3), "painter.norm.var": np.float32([1, np.inf])}
    with pytest.raises(NonFiniteLoss, match=r"painter.norm.var holds .* step 9.*checkpoint: x/8"):
        loop._check_finite(arrays, 9, "x/8")
    loop._check_finite({"painter.norm.mean": np.zeros(3), "calls": np.int32(2)}, 9, "x/8")


WRONG = {
    "batch": (dict(batch_size=6), r"config.batch_size=6 .* 4 devices; choose a multiple of 4"),
    "validation": (dict(validation_batch=3), r"config.validation_batch=3 .* 4 devices"),
    "figure": (
        dict(best="eror"),
        r"config.best='eror' is no figure .* one of \['bright/share', 'error'\]",
    ),
    "part": (
        dict(
            optimizers=toy.get_config().optimizers
            | {"critic": toy.Sgd(freeze_norm_from=1000, freeze_norm_in="layers")}
        ),
        "'layers' of Critic is a norm layer",
    ),
    "weights": (dict(weights={"panter": "x"}), "config.weights names 'panter'"),
    "photos": (dict(photos="no/such/folder"), "no/such/folder"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG.values(), ids=WRONG)
def test_what_can_not_run_fails_at_once_and_takes_no_folder(fields, message, tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(change(**fields), str(tmp_path / "run"))
    assert not (tmp_path / "run" / "config.json").exists()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_best_checkpoint_survives_worse_ones_and_a_restart(tmp_path):
    """Its figure is the highest error here, so the first evaluation remains the best."""
    config = change(best_is="highest", steps=8, evaluate_every=2)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 5)
        with pytest.raises(Interrupted):
            train(config, str(tmp_path))
    best = [store.load(tmp_path / "weights" / "best.safetensors")]
    train(config, str(tmp_path))
    best.append(store.load(tmp_path / "weights" / "best.safetensors"))
    errors = {x["step"]: x["validation/error"] for x in told(tmp_path) if len(x) == 3}
    assert max(errors, key=errors.get) == 2 and len(errors) == 4
    assert [metadata["step"] for _, metadata in best] == ["2", "2"]
    assert kept(tmp_path) == [2, 8]
    assert math.isclose(json.loads(best[1][1]["figures"])["error"], errors[2])


def test_a_run_ends_when_it_is_out_of_patience(tmp_path):
    """The first evaluation has the highest error: two more, and nothing is waited for."""
    config = change(best_is="highest", steps=20, evaluate_every=2, patience=2)
    figures = train(config, str(tmp_path))
    assert kept(tmp_path) == [2, 6] and told(tmp_path)[-1]["step"] == 6
    assert "stopped at step 6: no better error in the last 2 evaluations" in read(
        tmp_path, "log.txt"
    )
    assert train(config, str(tmp_path)) == figures  # it is finished
    assert kept(tmp_path) == [2, 6]


@pytest.mark.parametrize("score", [0.5, math.nan])
def test_what_is_only_as_good_is_not_waited_for(score):
    config = change(best_is="highest", patience=2)
    stops = [
        loop._Run._impatient(types.SimpleNamespace(config=config, scores=[score] * looks))
        for looks in range(5)
    ]
    assert stops == [False, False, False, True, True]


@dataclasses.dataclass(kw_only=True)
class Strict(toy.Toy):
    """Shows no noise, and measures one thing more."""

    def example(self, record, rng):
        target = super().example(record, rng)["target"]
        return {"photo": target, "target": target}

    def metrics(self, batch, prediction):
        clear = np.array([(batch["photo"] == batch["target"]).all()] * len(batch["photo"]))
        return super().metrics(batch, prediction) | {"clear": np.float64(clear)}


def test_another_task_may_judge_and_changes_nothing_of_what_is_learned(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    config = change(steps=2, evaluate_every=2)
    figures = train(config, str(own))
    judged = train(dataclasses.replace(config, judge=Strict()), str(other))
    assert "clear" not in figures and judged["clear"] == 1
    assert judged["error"] != figures["error"]
    one, two = (store.load(folder / "weights" / "last.safetensors")[0] for folder in (own, other))
    assert all(np.array_equal(one[name], two[name]) for name in one)
