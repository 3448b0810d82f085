"""The table and the plot of an experiment, from what its runs wrote down and nothing else."""

from __future__ import annotations

import json
import math
import pathlib
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from scipy import stats

from experiments import curves
from oldphoto_jax.train.workdir import Workdir, write_text

ASKED = "experiment.json"  # in the experiment's folder

Runs = dict[tuple[str, int], dict[int, dict[str, float]]]  # (variant, seed): step: figure: value


def folder(workdir: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Where the run of a variant with a seed lives."""
    return workdir / variant / str(seed)


def finished(run: pathlib.Path) -> dict[int, dict[str, float]]:
    """The figures of every validation of a run by step; empty unless it reached its last step."""
    work = Workdir(run)
    if not work.config.exists():
        return {}
    told: dict[int, dict[str, float]] = {}
    for line in work.lines():
        figures = {
            name.removeprefix("validation/"): math.nan if value is None else value
            for name, value in line.items()
            if name.startswith("validation/")
        }
        if figures:
            told[line["step"]] = figures
    return told if json.loads(work.config.read_text("utf-8"))["steps"] in told else {}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of its 95 % interval by Student's t: NaN for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def write(
    workdir: pathlib.Path,
    figures: Sequence[str] | None = None,
    failed: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """Writes report.md and report.png and returns the former's path.

    `figures` are columns instead of those that were asked for; `failed` are runs, in words, that
    broke just now, and their errors. Raises ValueError for a folder that holds no experiment, and
    for a figure that its runs don't have, and ModuleNotFoundError where nothing can be drawn.
    """
    note = workdir / ASKED
    if not note.exists():
        raise ValueError(f"{workdir} holds no experiment; run one there, or name its --workdir")
    asked = json.loads(note.read_text("utf-8"))
    asked["figures"] = figures or asked["figures"]
    runs: Runs = {}
    for variant in asked["variants"]:
        for seed in range(asked["seeds"]):
            if told := finished(folder(workdir, variant, seed)):
                runs[variant, seed] = told
    known = {name: None for told in runs.values() for name in told[max(told)]}
    if runs and (unknown := [name for name in asked["figures"] if name not in known]):
        raise ValueError(f"no run has the figure {unknown[0]!r}; choose --figure of {[*known]}")
    lines = [f"# {asked['experiment']}", "", asked["question"], "", *table(asked, runs), ""]
    lines += _notes(workdir, asked, runs, failed or {})
    if runs:
        _plot(workdir / "report.png", asked, runs)
        lines += ["", f"![{asked['figures'][0]} over the steps](report.png)"]
    path = workdir / "report.md"
    write_text(path, "\n".join(lines) + "\n")
    return path


def table(asked: dict, runs: Runs) -> list[str]:
    """Lines of Markdown: one row a variant, each figure at its last step.

    `asked` has "variants", the base first, "seeds" and "figures"; what was not run stays blank.
    """
    first, base = asked["figures"][0], asked["variants"][0]
    seeds = range(asked["seeds"])
    ends = {run: told[max(told)] for run, told in runs.items()}
    head = ["variant", "seeds run", *asked["figures"]]
    head += [f"{first}, minus that of {base}", *(f"{first}, seed {seed}" for seed in seeds)]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for variant in asked["variants"]:
        own = {seed: ends[variant, seed] for seed in seeds if (variant, seed) in ends}
        cells = [_cell([end[name] for end in own.values()]) for name in asked["figures"]]
        pairs = [
            (own[seed][first], ends[base, seed][first]) for seed in own if (base, seed) in ends
        ]
        places = max((_places(value) for value, _ in pairs), default=0)
        gains = [value - other for value, other in pairs] if variant != base else []
        singles = [_cell([own[seed][first]]) if seed in own else "" for seed in seeds]
        rows.append([variant, str(len(own)), *cells, _cell(gains, places), *singles])
    return ["| " + " | ".join(row) + " |" for row in rows]


def _cell(values: Sequence[float], places: int | None = None) -> str:
    """Mean and interval of the values that are defined; blank where nothing was run."""
    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return "undefined" if values else ""
    mean, half = interval(defined)
    places = _places(mean) if places is None else places
    text = f"{mean:.{places}f}" + (f" ± {half:.{places}f}" if math.isfinite(half) else "")
    return text if len(defined) == len(values) else f"{text} ({len(defined)} of {len(values)})"


def _places(value: float) -> int:
    """Decimals that show four digits of a value."""
    if not math.isfinite(value) or value == 0:
        return 3
    return max(0, 3 - math.floor(math.log10(abs(value))))


def _notes(workdir: pathlib.Path, asked: dict, runs: Runs, failed: Mapping[str, str]) -> list[str]:
    """What has to be known to compare these figures with others."""
    wanted = len(asked["variants"]) * asked["seeds"]
    notes = [
        f"{len(runs)} of {wanted} runs are finished; cells of others are blank.",
        "Mean ± 95 % interval (Student's t over seeds) of the last validation, at step "
        f"{asked['steps']}. A seed decides weights, batches and the damage of validation photos, "
        "so differences are taken seed by seed.",
        f"Photos: {asked['photos']}. Validation: {asked['validation']}.",
    ]
    if 1 in Counter(variant for variant, _ in runs).values():
        notes.insert(2, "Where one seed was run there is no interval.")
    if runs:
        machines = sorted({_machine(folder(workdir, *run)) for run in runs})
        notes.append(f"Ran on {'; '.join(machines)}.")
    notes.append(f"Command: `{asked['command']}`")
    notes += [f"Failed: {run}: {error}" for run, error in failed.items()]
    return [f"- {note}" for note in notes]


def _machine(run: pathlib.Path) -> str:
    """What a run ended on."""
    lines = Workdir(run).environment.read_text("utf-8").splitlines()
    told = json.loads(lines[-1])
    return f"{', '.join(told['devices'])} with jax {told['versions']['jax']}"


def _plot(path: pathlib.Path, asked: dict, runs: Runs) -> None:
    """The first figure over the steps, by variant; of finished runs, as in the table.

    The band shows extremes: an interval from two or three seeds would hide the curves.
    """
    first = asked["figures"][0]
    drawn = {}
    for variant in asked["variants"]:
        own = [told for (name, _), told in runs.items() if name == variant]
        points = []
        for step in sorted({step for told in own for step in told}):
            values = [told[step][first] for told in own if first in told.get(step, ())]
            if values and all(map(math.isfinite, values)):
                mean = statistics.fmean(values)
                points.append(curves.Point(step, mean, min(values), max(values)))
        drawn[variant] = points
    title = f"{first} on the validation photos: mean, lowest and highest seed"
    curves.draw(path, drawn, title=title, x_label="step")
