"""The folder of a run: config, environment, log, figures, sheets, checkpoints, weights."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import time

import jax

from oldphoto_jax.train import config as configs

PACKAGES = ("oldphoto-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


class Workdir:
    """Paths and the rule that one folder holds one run.

    Only the first process writes; `claim` is called by all of them.
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

    def claim(self, config: configs.Config) -> str:
        """Takes the folder for this configuration and returns it as text.

        Raises ValueError, naming the fields, if the folder belongs to another configuration.
        """
        text = configs.to_text(config)
        if self.config.exists():
            changed = configs.differences(self.config.read_text(encoding="utf-8"), text)
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with another configuration:\n  "
                    + "\n  ".join(changed)
                    + "\nUse another --workdir, or the same configuration to resume."
                )
        if jax.process_index() == 0:
            for folder in (self.path, self.sheets, self.weights):
                folder.mkdir(parents=True, exist_ok=True)
            write_text(self.config, text)
            with self.environment.open("a", encoding="utf-8") as file:
                file.write(json.dumps(environment()) + "\n")
        return text

    def forget_after(self, step: int) -> None:
        """Drops figures of steps that a killed run made after its last save."""
        if not self.metrics.exists():
            return
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        # A killed run may leave a torn last line.
        whole = [line for line in lines if line.startswith("{") and line.endswith("}")]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        write_text(self.metrics, "".join(line + "\n" for line in kept))


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
