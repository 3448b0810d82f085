"""Experiments: what is compared differs as it claims to, and the report tells what was run."""

import json
import math
import pathlib
import runpy
import shlex
import signal
import statistics
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import colorize_loss, curves, inpaint_choices, report, run, sheet
from experiments import plan as plans
from oldphoto_jax.train.config import differences, to_text
from oldphoto_jax.train.loop import train
from oldphoto_jax.weights import store
from tests import toy

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
ROOT = pathlib.Path(__file__).parent.parent
CHOICES, LOSS = "experiments/inpaint_choices.py", "experiments/colorize_loss.py"
TOY = '''"""Are few photos enough?

Only a toy knows.
"""
import dataclasses
from tests import toy

VARIANTS = {"many": 20, "few": 9}
FIGURES = ("error", "bright/share")

def get_config(variant):
    return dataclasses.replace(toy.get_config(), photos=toy.Noise(VARIANTS[variant]))
'''
BROKEN = '''"""What becomes of a run that fails?"""
import dataclasses
from tests import toy

VARIANTS = {"broken": {"painter": "other.safetensors"}, "whole": {}}

def get_config(variant):
    return dataclasses.replace(toy.get_config(), weights=VARIANTS[variant])
'''
LACKING = '''"""What becomes of runs that lack something?"""
import dataclasses
from tests import toy

VARIANTS = {"a": {"painter": "nowhere"}, "b": {"painter": "nowhere", "eye": "none"}, "c": {}}

def get_config(variant):
    return dataclasses.replace(toy.get_config(), weights=VARIANTS[variant])
'''


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)  # as every command of ours is typed


def options(*words):
    return run.parse([str(word) for word in words])


def hand_made(workdir, seeds, **asked):
    """A folder as `run` leaves it; seeds: {variant: {seed: [values of error at 4, 8, 12]}}."""
    defaults = {"experiment": "toys", "question": "Which?", "command": "python -m x", "seeds": 3}
    defaults |= {"variants": ["a", "b", "c"], "steps": 12, "figures": ["error"]}
    defaults |= {"photos": "samples, 4 photos", "validation": "samples:val, 2 photos"}
    workdir.mkdir(exist_ok=True)
    (workdir / report.ASKED).write_text(json.dumps(defaults | asked))
    machine = {"devices": ["abacus"], "versions": {"jax": "1.2.3"}}
    for variant, runs in seeds.items():
        for seed, values in runs.items():
            folder = report.folder(workdir, variant, seed)
            folder.mkdir(parents=True)
            (folder / "config.json").write_text('{"steps": 12}')
            (folder / "environment.jsonl").write_text(json.dumps(machine) + "\n")
            lines = [{"step": 1, "painter/pixel": 0.5}]
            steps = zip((4, 8, 12), values, strict=False)
            lines += [{"step": step, "validation/error": value} for step, value in steps]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "metrics.jsonl").write_text(text + '{"step": 12, "val')  # a torn line
    return workdir


def table(text):
    """{variant: {column: cell}} of a report."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


CHANGES = {
    "plain": {"task.network.convolution"},
    "gated": {"task.network.convolution"},
    "frozen": {"optimizers.filler.freeze_norm_from", "optimizers.filler.freeze_norm_in"},
    "perceptual": {"task.weight.perceptual", "weights", "weights.vgg"},
    "style": {"task.weight.perceptual", "task.weight.style", "weights", "weights.vgg"},
    "lpips": {"task.weight.lpips", "weights", "weights.lpips"},
    "critic": {"task.weight.fool", "optimizers.critic"},
}


def test_choices_of_the_filler_differ_in_what_they_claim_and_in_nothing_else():
    base = to_text(inpaint_choices.get_config("base"))
    assert to_text(inpaint_choices.get_config()) == base
    assert set(inpaint_choices.VARIANTS) == {"base", *CHANGES}
    for variant, changed in CHANGES.items():
        config = inpaint_choices.get_config(variant)
        config.check()
        names = {line.split(":")[0] for line in differences(base, to_text(config))}
        critic = {name for name in names if name.startswith("optimizers.critic.")}
        assert names - critic | ({"optimizers.critic"} if critic else set()) == changed
    with pytest.raises(ValueError, match="no variant 'dilated'; choose one of base, plain, gated"):
        inpaint_choices.get_config("dilated")


BINS = {"task.weight.bins", "task.weight.pixel"}
LOSSES = {
    "bins": BINS,
    "balanced": BINS | {"task.balance"},
    "critic": BINS | {"task.weight.fool", "optimizers.critic"},
    "perceptual": {"task.weight.fool", "optimizers.critic"}
    | {"task.weight.pixel", "task.weight.perceptual", "weights.vgg"},
}


def test_losses_of_colour_start_from_the_run_that_is_there_else_from_the_package(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    assert {*colorize_loss.get_config().weights.values()} == {"colorize-lite"}
    assert "best.safetensors is not there: all variants begin with the packaged" in caplog.text
    file = pathlib.Path("runs/colorize-lite/weights/best.safetensors")
    file.parent.mkdir(parents=True)
    file.touch()
    assert {*colorize_loss.get_config().weights.values()} == {str(file)}


def test_losses_of_colour_differ_in_their_terms_and_in_what_these_need(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = to_text(colorize_loss.get_config("l1"))
    assert to_text(colorize_loss.get_config()) == base
    assert set(colorize_loss.VARIANTS) == {"l1", *LOSSES}
    for variant, changed in LOSSES.items():
        config = colorize_loss.get_config(variant)
        config.check()
        names = {line.split(":")[0] for line in differences(base, to_text(config))}
        critic = {name for name in names if name.startswith("optimizers.critic.")}
        assert names - critic | ({"optimizers.critic"} if critic else set()) == changed
        stride = config.task.network.out_stride
        seen = config.task.size // stride  # by the critic, who scores windows of 4x4
        assert seen // 2**config.task.critic_levels - 3 > 1
        assert config.weights["generator.final"] == "colorize-lite"
    told = "no variant 'l2'; choose one of l1, bins, balanced, critic, perceptual"
    with pytest.raises(ValueError, match=told):
        colorize_loss.get_config("l2")


def test_what_colours_are_compared_by_is_measured(tmp_path):
    _, runs = plans.read(options(LOSS, "--seeds=2", "--steps=30", f"--workdir={tmp_path}"))
    assert [(one.variant, one.seed) for one in runs[4:6]] == [("perceptual", 0), ("l1", 1)]
    for one in runs:
        generator = one.config.optimizers["generator"]
        assert (one.config.evaluate_every, generator.warmup) == (30, 2)
    photo = np.zeros((1, 32, 32, 3), np.float32)
    measured = runs[0].config.task.metrics({"target": photo}, {"photo": photo})
    assert set(colorize_loss.FIGURES) <= measured.keys()


def test_the_filler_freezes_before_the_end_however_long_it_runs(tmp_path):
    for steps in (None, 40, 8000):
        flags = [f"--steps={steps}"] if steps else []
        _, runs = plans.read(options(CHOICES, "--seeds=2", f"--workdir={tmp_path}", *flags))
        assert len(runs) == 16 and {(r.variant, r.seed) for r in runs[:8]} == {
            (variant, 0) for variant in inpaint_choices.VARIANTS
        }
        for one in runs:
            filler = one.config.optimizers["filler"]
            assert one.config.seed == one.seed and one.config.steps == (steps or 300)
            assert one.config.steps == 4 * one.config.evaluate_every
            frozen = 0.75 * one.config.steps if one.variant == "frozen" else -1
            assert filler.freeze_norm_from == frozen
            assert filler.warmup == round(one.config.steps / 6)


@pytest.mark.parametrize("experiment", [inpaint_choices, colorize_loss])
def test_the_commands_in_the_experiment_are_understood(experiment, tmp_path):
    document = experiment.__doc__.replace("\\\n", "")
    typed = [line.partition(":  ")[2] for line in document.splitlines()]
    commands = [shlex.split(command) for command in typed if command]
    assert [words[:3] for words in commands[:2]] == [
        ["python", "-m", "oldphoto_jax.main"],
        ["python", "-m", "experiments.run"],
    ]
    variant = commands[0][3].partition(".py:")[2]
    assert plans.build(commands[0][3:4]).task == experiment.get_config(variant).task
    workdir = pathlib.Path("runs", experiment.__name__.partition(".")[2])
    assert options(*commands[1][3:]).workdir == workdir
    for words in commands[2:]:
        assert words[:3] == ["python", "-m", "experiments.sheet"]
        assert sheet.parse(words[3:]).experiment == workdir


def test_quantiles_are_those_of_student():
    """The density of t, summed between minus and plus the quantile, is 95 %."""
    for degrees in range(1, 31):
        values = range(degrees + 1)
        quantile = report.interval(values)[1] / statistics.stdev(values) * math.sqrt(len(values))
        t = np.linspace(-quantile, quantile, 20_001)
        log = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
        scale = math.exp(log) / math.sqrt(degrees * math.pi)
        density = scale * (1 + t**2 / degrees) ** (-(degrees + 1) / 2)
        assert abs(np.trapezoid(density, t) - 0.95) < 1e-5


def test_the_report_has_means_intervals_and_blanks(tmp_path):
    seeds = {
        "a": {0: [1, 1, 20.0], 1: [1, 1, 21.0], 2: [1, 1, 22.0]},
        "b": {0: [1, 1, 21.0], 1: [1, 1, 22.5], 2: [1, 5]},  # the last is not finished
    }
    text = report.write(hand_made(tmp_path, seeds), failed={"b, seed 2": "no memory"}).read_text()
    rows = table(text)
    # 4.3027 * 1 / sqrt(3); 12.706 * 1.0607 / sqrt(2); differences 1.0 and 1.5
    assert rows["a"]["error"] == "21.00 ± 2.48"
    assert rows["b"]["error"] == "21.75 ± 9.53"
    assert rows["b"]["error, minus that of a"] == "1.25 ± 3.18"
    assert rows["a"]["error, minus that of a"] == ""
    assert [rows["b"][f"error, seed {seed}"] for seed in range(3)] == ["21.00", "22.50", ""]
    assert list(rows["c"].values()) == ["c", "0", "", "", "", "", ""]
    assert "5 of 9 runs are finished" in text and "at step 12" in text
    for told in ("Which?", "`python -m x`", "samples:val, 2 photos", "abacus with jax 1.2.3"):
        assert told in text
    assert "Failed: b, seed 2: no memory" in text and "one seed" not in text


def test_one_seed_has_no_interval_and_says_so(tmp_path):
    text = report.write(hand_made(tmp_path, {"a": {0: [1, 1, 0.01234]}})).read_text()
    assert table(text)["a"]["error"] == "0.01234"
    assert "one seed was run there is no interval" in text


def test_a_figure_that_is_undefined_is_not_blank(tmp_path):
    seeds = {"a": {0: [1, 1, None], 1: [1, 1, None]}, "b": {0: [1, 1, 2.0], 1: [1, 1, None]}}
    rows = table(report.write(hand_made(tmp_path, seeds)).read_text())
    assert rows["a"]["error"] == "undefined"
    assert rows["b"]["error"] == "2.000 (1 of 2)"
    assert rows["b"]["error, minus that of a"] == "undefined"


def test_nothing_run_is_a_table_of_blanks_without_a_plot(tmp_path):
    text = report.write(hand_made(tmp_path, {})).read_text()
    assert [row["error"] for row in table(text).values()] == ["", "", ""]
    assert "report.png" not in text and not (tmp_path / "report.png").exists()


def test_a_report_needs_an_experiment_and_figures_that_exist(tmp_path):
    with pytest.raises(ValueError, match="holds no experiment"):
        report.write(tmp_path)
    hand_made(tmp_path, {"a": {0: [1, 1, 1]}})
    with pytest.raises(ValueError, match=r"no run has the figure 'erorr'; .*\['error'\]"):
        report.write(tmp_path, ["erorr"])


def test_the_plot_is_a_picture_with_a_curve_for_each_that_was_run(tmp_path):
    seeds = {"a": {0: [5, 3, 2], 1: [6, 4, 1]}, "b": {0: [7, 5, None]}}
    report.write(hand_made(tmp_path, seeds))
    with Image.open(tmp_path / "report.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[:2] == (curves.HEIGHT, curves.WIDTH)
    colors = [np.array(list(bytes.fromhex(color[1:]))) for color in curves.COLORS[:3]]
    columns = [(pixels[..., :3] == color).all(-1).any(0).nonzero()[0] for color in colors]
    legend = columns[2].min()  # where "c (not run)" is; it has no curve
    assert legend > 0.75 * curves.WIDTH and all(drawn.max() >= legend for drawn in columns)
    first, second = (drawn[drawn < legend] for drawn in columns[:2])
    assert abs(first.min() - second.min()) <= 2  # both begin at step 4
    # the second ends at step 8, where the figure was undefined, and the first at 12
    assert abs(np.ptp(second) / np.ptp(first) - 0.5) < 0.03


def test_without_the_extra_nothing_begins_and_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "toys.py").write_text(TOY)
    assert main(tmp_path / "toys.py", f"--workdir={tmp_path / 'runs'}") == 1
    assert "pip install -e '.[experiments]'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    made = hand_made(tmp_path / "made", {"a": {0: [1, 1, 1]}})
    assert main(CHOICES, f"--workdir={made}", "--report-only") == 1
    assert "pip install -e '.[experiments]'" in capsys.readouterr().err


@pytest.fixture
def toys(tmp_path, tmp_path_factory, monkeypatch):
    """An experiment whose runs are made in this process; the folders of those made so far."""
    (tmp_path / "toys.py").write_text(TOY)
    made = []

    def execute(one, stop, environment):
        made.append(one.folder)
        train(one.config, str(one.folder))
        return ""

    monkeypatch.setattr(run, "execute", execute)
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield made


def main(*words):
    with pytest.raises(SystemExit) as end:
        run.main([str(word) for word in words])
    return end.value.code


def test_two_variants_two_seeds_one_report_and_nothing_twice(toys, tmp_path, capsys):
    workdir = tmp_path / "runs"
    command = [tmp_path / "toys.py", f"--workdir={workdir}", "--config.best="]
    assert main(*command, "--seeds=1") == 0
    assert len(toys) == 2
    assert main(*command, "--seeds=2") == 0
    assert len(toys) == 4
    folders = [workdir / variant / seed for seed in "01" for variant in ("many", "few")]
    assert toys == folders
    made = {folder: (folder / "metrics.jsonl").read_text() for folder in folders}
    assert len(set(made.values())) == 4
    told = (workdir / "report.md").read_text()
    rows = table(told)
    for variant in ("many", "few"):
        ends = [report.finished(workdir / variant / seed)[12]["error"] for seed in "01"]
        mean, half = report.interval(ends)
        found = [float(number) for number in rows[variant]["error"].split(" ± ")]
        np.testing.assert_allclose(found, [mean, half], atol=1e-4)
        assert rows[variant]["bright/share"]
    assert "Are few photos enough?" in told and "Only a toy" not in told
    assert "Noise, 5 photos" in told and "--config.best=" in told

    assert main(*command, "--seeds=2") == 0
    assert len(toys) == 4 and (workdir / "report.md").read_text() == told
    assert main(*command, "--report-only", "--figure=bright/share") == 0
    assert "error" not in (workdir / "report.md").read_text().split("Command")[0]
    assert made == {folder: (folder / "metrics.jsonl").read_text() for folder in folders}

    capsys.readouterr()
    assert main(tmp_path / "toys.py", f"--workdir={workdir}", "--variant=few") == 1
    assert "best: '' -> 'error'" in capsys.readouterr().err
    assert main(CHOICES, f"--workdir={workdir}") == 1
    assert "holds the experiment 'toys'" in capsys.readouterr().err
    assert len(toys) == 4


def test_a_run_that_fails_is_named_and_the_others_go_on(
    tmp_path, tmp_path_factory, monkeypatch, capsys
):
    other = tmp_path / "other.safetensors"
    store.save(other, {"of_another_network": np.zeros(1)}, {})
    (tmp_path / "broken.py").write_text(BROKEN.replace("other.safetensors", str(other)))
    compiled = tmp_path_factory.getbasetemp() / "compiled"
    for name, value in toy.environment(str(compiled)).items():
        monkeypatch.setenv(name, value)
    words = [tmp_path / "broken.py", f"--workdir={tmp_path / 'runs'}", "--seeds=1"]
    assert main(*words) == 1  # FIGURES are missing: the one that chooses the best is taken
    text = (tmp_path / "runs" / "report.md").read_text()
    rows = table(text)
    assert rows["broken"]["error"] == "" and float(rows["whole"]["error"]) > 0
    assert "Failed: broken, seed 0: exit status 1: not in the network: of_another" in text
    assert "[2/2] whole, seed 0: done" in capsys.readouterr().out


def test_what_asks_us_to_stop_reaches_the_run():
    before = signal.getsignal(signal.SIGTERM)
    sleep = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with run.Stop() as stop:
        with subprocess.Popen(sleep, stdout=subprocess.PIPE, text=True) as stop.process:
            assert stop.process.stdout.readline() == "up\n"
            signal.raise_signal(signal.SIGTERM)
            assert stop.process.wait() == -signal.SIGTERM
        assert stop.seen == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_walk_that_was_stopped_ends_with_the_status_of_the_signal(toys, tmp_path, monkeypatch):
    def stopped(one, stop, environment):
        toys.append(one.folder)
        signal.raise_signal(signal.SIGTERM)
        return "exit status 143"

    monkeypatch.setattr(run, "execute", stopped)
    assert main(tmp_path / "toys.py", f"--workdir={tmp_path / 'runs'}") == 143
    assert len(toys) == 1


WRONG = {
    "--config.nonsense=1": "nonsense",
    "--config.task.width=wide": "wide",
    "--config.photos=no/folder": "no/folder",
    "--config.optimizers.painter.freeze_norm_from=99": "before the norms of 'painter' freeze",
    "--variant=some": "no variant 'some'; choose from many, few",
}


@pytest.mark.parametrize("flag", WRONG)
def test_what_is_wrong_is_found_before_the_first_run(flag, toys, tmp_path, capsys):
    assert main(tmp_path / "toys.py", f"--workdir={tmp_path / 'runs'}", flag) == 1
    assert WRONG[flag] in capsys.readouterr().err
    assert not toys and not (tmp_path / "runs").exists()


def test_what_is_missing_is_told_once_with_the_variants_that_want_it(toys, tmp_path, capsys):
    (tmp_path / "lacking.py").write_text(LACKING)
    words = [tmp_path / "lacking.py", f"--workdir={tmp_path / 'runs'}", "--seeds=2"]
    assert main(*words) == 1
    told = capsys.readouterr().err
    assert "2 things are missing" in told and told.count("\n- for") == 2
    assert told.count("- for a, b: config.weights['painter']='nowhere': ") == 1
    assert told.count("- for b: config.weights['eye']='none': ") == 1
    assert not toys and not (tmp_path / "runs").exists()
    chosen = plans.plan(options(*words, "--variant=c"))
    assert len(chosen) == 2  # the others' needs are not this walk's


def test_variants_that_are_finished_or_go_on_need_no_weights(toys, tmp_path):
    (tmp_path / "lacking.py").write_text(LACKING)
    asked = options(tmp_path / "lacking.py", f"--workdir={tmp_path / 'runs'}", "--seeds=1")
    _, runs = plans.read(asked)
    with pytest.raises(ValueError, match="'nowhere'"):
        plans.gather(runs)
    hand_made(tmp_path / "runs", {"a": {0: [1, 1, 1]}})  # finished
    (runs[1].folder / "checkpoints" / "4").mkdir(parents=True)
    plans.gather(runs)


def test_without_validation_there_is_nothing_to_compare(tmp_path):
    with pytest.raises(ValueError, match="base, seed 0: without validation photos"):
        plans.plan(options(CHOICES, f"--workdir={tmp_path}", "--config.validation="))


def test_files_that_are_no_experiments_are_refused(tmp_path, capsys):
    for file, told in {"no.py": "no experiment", "configs/inpaint.py": "no VARIANTS"}.items():
        assert main(file, f"--workdir={tmp_path / 'runs'}") == 1
        assert told in capsys.readouterr().err
    for flag in ("--seeds=0", "--steps=0", "--sead=1"):
        assert main(CHOICES, flag) == 2


def test_drops_are_not_silently_left_where_they_were():
    config = toy.get_config()
    config.optimizers["painter"].drops = {9: 0.25}
    with pytest.raises(ValueError, match="can't move the drops {9: 0.25} of 'painter'"):
        plans.stretched(config, 100)


def test_the_index_has_every_experiment_and_its_answer_every_variant():
    folder = ROOT / "experiments"
    index = (folder / "README.md").read_text("utf-8")
    helpers = {"__init__", "plan", "report", "curves", "visit", "turns"}
    helpers |= {"inpaint_torch", "lite_unet_torch", "beside_torch"}
    for path in (*folder.glob("*.py"), *folder.glob("speed/*.py")):
        assert path.stem in helpers or f"]({path.relative_to(folder).as_posix()})" in index
    for path in (CHOICES, LOSS):
        answer = (ROOT / path).with_suffix(".md").read_text("utf-8")
        for variant in runpy.run_path(path)["VARIANTS"]:
            assert f"| {variant} |" in answer
