"""Which runs an experiment consists of, found wrong before the first of them begins."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import runpy
import shlex

from absl import flags
from ml_collections import config_flags

from experiments import curves, report
from oldphoto_jax.data import sources
from oldphoto_jax.train import config as configs
from oldphoto_jax.train import needs
from oldphoto_jax.train.checkpoint import begun
from oldphoto_jax.train.workdir import Workdir, write_text

IN_STEPS = ("warmup", "hold", "freeze_norm_from")  # fields of an optimizer


@dataclasses.dataclass
class Run:
    """One variant with one seed: its folder, its flags, the configuration that they make."""

    variant: str
    seed: int
    folder: pathlib.Path
    flags: list[str]
    config: configs.Config

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}"


def build(given: list[str]) -> configs.Config:
    """The configuration that these flags make at the training door."""
    values = flags.FlagValues()
    argv = ["main", *given]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    try:
        values(argv)
    except (flags.Error, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{shlex.join(given)}: {error}") from error
    return values.config


def plan(options: argparse.Namespace) -> list[Run]:
    """The runs to make, for which all is there that they need; writes down what was asked.

    Raises ValueError or FileNotFoundError for what is better known before the first run than after
    hours.
    """
    loaded, runs = read(options)
    chosen = [run for run in runs if not options.variant or run.variant in options.variant]
    gather(chosen)
    _write_down(options, loaded, runs[0].config)
    return chosen


def read(options: argparse.Namespace) -> tuple[dict, list[Run]]:
    """The experiment's module as a dict, and its runs.

    They come seed by seed, so that a walk that is stopped leaves whole comparisons. Those of
    variants that are left out are checked, too: the report may tell of them.
    """
    path = pathlib.Path(options.experiment)
    if not path.is_file():
        raise FileNotFoundError(f"no experiment {path}; name a file such as those in experiments/")
    loaded = runpy.run_path(str(path))
    if not loaded.get("VARIANTS"):
        raise ValueError(f"{path} has no VARIANTS, the names that its get_config takes")
    if unknown := set(options.variant or ()) - set(loaded["VARIANTS"]):
        raise ValueError(
            f"no variant {unknown.pop()!r}; choose from {', '.join(loaded['VARIANTS'])}"
        )
    runs: list[Run] = []
    for seed in range(options.seeds):
        for variant in loaded["VARIANTS"]:
            given = [f"--config={options.experiment}:{variant}"]
            for name in ("photos", "validation"):
                if value := getattr(options, name):
                    given.append(f"--config.{name}={value}")
            if options.steps:
                given += stretched(build(given), options.steps)
            given += [*options.overrides, f"--config.seed={seed}"]
            config = build(given)
            folder = report.folder(options.workdir, variant, seed)
            runs.append(Run(variant, seed, folder, given, config))
            check(runs[-1])
    if len(steps := {run.config.steps for run in runs}) > 1:
        raise ValueError(f"variants take {sorted(steps)} steps; to be compared they take the same")
    return loaded, runs


def gather(runs: list[Run]) -> None:
    """Fetches what the runs need and raises ValueError with all that is missing, each thing once.

    What the plot needs is looked for as well. A finished run needs nothing, one that goes on has
    its weights; seeds need the same.
    """
    missing: dict[str, list[str]] = {}
    for variant in dict.fromkeys(run.variant for run in runs):
        folders = [run.folder for run in runs if run.variant == variant]
        folders = [folder for folder in folders if not report.finished(folder)]
        if not folders:
            continue
        config = next(run.config for run in runs if run.variant == variant)
        resumes = all(begun(Workdir(folder).checkpoints) for folder in folders)
        try:
            needs.gather(config, resumes=resumes)
        except needs.Missing as error:
            for need in error.needs:
                missing.setdefault(need, []).append(variant)
    told = [f"for {', '.join(variants)}: {need}" for need, variants in missing.items()]
    if need := curves.lacking():
        told.append(need)
    if told:
        raise ValueError(needs.in_words(told))


def stretched(config: configs.Config, steps: int) -> list[str]:
    """Flags that make a run so long, and all that it counts in steps longer by the same factor."""

    def scaled(number: int) -> int:
        return max(1, round(number * steps / config.steps))

    changed = {"steps": steps, "evaluate_every": scaled(config.evaluate_every)}
    for name, optimizer in config.optimizers.items():
        if optimizer.drops:
            raise ValueError(
                f"--steps can't move the drops {optimizer.drops} of {name!r}: change steps and "
                "drops in the experiment's file"
            )
        for field in IN_STEPS:
            if (number := getattr(optimizer, field)) > 0:
                changed[f"optimizers.{name}.{field}"] = scaled(number)
    return [f"--config.{name}={value}" for name, value in changed.items()]


def check(run: Run) -> None:
    """Raises ValueError for a run that can't begin or would not be what it claims."""
    run.config.check()
    if not run.config.validation:
        raise ValueError(f"{run}: without validation photos there is nothing to compare")
    for name, optimizer in run.config.optimizers.items():
        if optimizer.freeze_norm_from >= run.config.steps:
            raise ValueError(
                f"{run}: the run ends at step {run.config.steps}, before the norms of {name!r} "
                f"freeze at {optimizer.freeze_norm_from}; --steps=N moves both"
            )
    saved = run.folder / "config.json"
    if saved.exists():
        old, new = saved.read_text("utf-8"), configs.to_text(run.config)
        if changed := configs.differences(old, new):
            raise ValueError(
                f"{run.folder} holds a run with another configuration:\n  "
                + "\n  ".join(changed)
                + "\nUse another --workdir, or the same configuration to resume."
            )


def _write_down(options: argparse.Namespace, loaded: dict, config: configs.Config) -> None:
    """Writes down what was asked, so that the report needs nothing but the folder."""
    figures = options.figure or [*loaded.get("FIGURES", ())] or [config.best]
    if figures == [""]:
        raise ValueError(f"{options.experiment} has no FIGURES: name some by --figure")
    asked = {
        "experiment": pathlib.Path(options.experiment).stem,
        "question": (loaded["__doc__"] or "").strip().split("\n\n")[0].replace("\n", " "),
        "command": shlex.join(["python", "-m", "experiments.run", *options.given]),
        "variants": [*loaded["VARIANTS"]],
        "seeds": options.seeds,
        "steps": config.steps,
        "figures": figures,
    }
    for name in ("photos", "validation"):
        source = getattr(config, name)
        word = source if isinstance(source, str) else type(source).__name__
        asked[name] = f"{word}, {len(sources.open_photos(source))} photos"
    options.workdir.mkdir(parents=True, exist_ok=True)
    path = options.workdir / report.ASKED
    if path.exists():
        other = json.loads(path.read_text("utf-8"))["experiment"]
        if other != asked["experiment"]:
            raise ValueError(
                f"{options.workdir} holds the experiment {other!r}; use another --workdir"
            )
    write_text(path, json.dumps(asked, indent=1) + "\n")
