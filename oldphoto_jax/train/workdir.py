"""The folder of a run: config, environment, log, figures, sheets, checkpoints, weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import sys
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from oldphoto_jax.train import config as configs

PACKAGES = ("oldphoto-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


class Workdir:
    """Paths and the rule that one folder holds one run.

    Only the first process writes; `check` and `claim` are called by all of them.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.environment = self.path / "environment.jsonl"
        self.metrics = self.path / "metrics.jsonl"
        self.log = self.path / "log.txt"
        self.parameters = self.path / "parameters.txt"
        self.sheets = self.path / "sheets"
        self.checkpoints = self.path / "checkpoints"
        self.weights = self.path / "weights"
        self.tensorboard = self.path / "tensorboard"

    def check(self, text: str) -> None:
        """Raises ValueError, naming the fields, if the folder belongs to another configuration.

        Also if the processes of this run were started with different ones.
        """
        digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        if (np.asarray(multihost_utils.process_allgather(digest)) != digest).any():
            raise ValueError("the processes have different configurations; give all the same flags")
        if not self.config.exists():
            return
        changed = configs.differences(self.config.read_text(encoding="utf-8"), text)
        if changed:
            raise ValueError(
                f"{self.path} holds a run with another configuration:\n  "
                + "\n  ".join(changed)
                + "\nUse another --workdir, or the same configuration to resume."
            )

    def claim(self, text: str) -> None:
        """Takes the folder for this configuration, which `check` has let pass.

        Only once the run can begin: a configuration that fails must not occupy the folder.
        """
        if jax.process_index() != 0:
            return
        for folder in (self.path, self.sheets, self.weights):
            folder.mkdir(parents=True, exist_ok=True)
        write_text(self.config, text)
        with self.environment.open("a", encoding="utf-8") as file:
            file.write(json.dumps(environment()) + "\n")

    def forget_after(self, step: int) -> None:
        """Drops figures of steps that a killed run made after its last save."""
        if jax.process_index() == 0 and self.metrics.exists():
            kept = [json.dumps(line) + "\n" for line in self.lines() if line["step"] <= step]
            write_text(self.metrics, "".join(kept))

    def lines(self) -> list[dict]:
        """What metrics.jsonl holds; a killed run may have left a torn last line."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def figures(self, step: int) -> dict[str, float]:
        """Those of the last evaluation until that step; none if there was none."""
        told: dict[str, float] = {}
        for line in self.lines():
            found = {
                name.removeprefix("validation/"): math.nan if value is None else value
                for name, value in line.items()
                if name.startswith("validation/")
            }
            told = found if found and line["step"] <= step else told
        return told

    def scores(self, figure: str, step: int) -> list[float]:
        """One of the figures at every evaluation until that step, NaN where it was none."""
        told = (line for line in self.lines() if line["step"] <= step)
        values = (line[key] for line in told if (key := f"validation/{figure}") in line)
        return [math.nan if value is None else value for value in values]


def environment() -> dict:
    """What the run ran on: enough to know later why figures differ."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": [str(device) for device in jax.devices()],
        "processes": jax.process_count(),
        "versions": versions,
    }


def write_text(path: pathlib.Path, text: str) -> None:
    """Replaces a text file in one step, so that no reader ever sees half of it."""
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
