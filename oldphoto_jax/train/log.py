"""What a run says: a progress bar, text lines, JSON lines, picture sheets, TensorBoard."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from clu import parameter_overview
from tqdm import tqdm

from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.train.state import TrainState
from oldphoto_jax.train.workdir import Workdir

MEND = (
    "In a new --workdir, a lower rate, gradient clipping (clip=1.0) or precision='float32' "
    "usually mends it."
)
AHEAD = 2  # steps that wait on the device while the host prepares the next


class NonFiniteLoss(RuntimeError):
    """A loss term, a gradient or a weight became infinite or not a number."""


class Log:
    """Collects the terms of steps and tells them at intervals.

    Terms stay on the device until an interval is over, so that logging never holds up a step.
    Processes other than the first collect and check, but write nothing.
    """

    def __init__(self, work: Workdir, steps: int, start: int, images: int, tensorboard: bool):
        self.work, self.steps, self.images = work, steps, images
        self.writes = jax.process_index() == 0
        self.terms: list[tuple[int, Mapping[str, jax.Array]]] = []
        self.board = _tensorboard(work, start) if tensorboard and self.writes else None
        self.bar = tqdm(
            total=steps, initial=start, unit="step", disable=None if self.writes else True
        )
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leaves what happened until now (compiling, evaluating) out of images/s."""
        self.clock, self.timed = time.perf_counter(), 0

    def add(self, step: int, terms: Mapping[str, jax.Array]) -> None:
        """Notes the terms of the step that was just dispatched.

        Waits for the step before the last two: more would only fill the device with batches.
        """
        self.terms.append((step, terms))
        if len(self.terms) > AHEAD:
            jax.block_until_ready(self.terms[-1 - AHEAD])
        self.timed += 1
        self.bar.update()

    def check(self, last_checkpoint: str) -> dict[str, float]:
        """The mean of every term since the last check.

        Raises NonFiniteLoss naming the first bad step, its term, and the last good checkpoint.
        """
        values: dict[str, list[float]] = {}
        for step, terms in jax.device_get(self.terms):
            for name, value in terms.items():
                if not math.isfinite(value):
                    raise NonFiniteLoss(
                        f"{name} became {float(value)} at step {step}. Last good checkpoint: "
                        f"{last_checkpoint}. {MEND}"
                    )
                values.setdefault(name, []).append(float(value))
        self.terms.clear()
        return {name: float(np.mean(numbers)) for name, numbers in values.items()}

    def interval(self, step: int, terms: dict[str, float], rates: dict[str, float]) -> None:
        """One JSON line and one text line about the steps since the last interval."""
        told = f"step {step}/{self.steps}: {in_words(terms)}"
        record = terms | rates
        if self.timed:  # the first step is compiled and not timed
            speed = self.timed * self.images / (time.perf_counter() - self.clock)
            left = _duration((self.steps - step) * self.images / speed)
            record["images_per_second"] = speed
            told += f"; {speed:.1f} images/s, {left} left"
            self.bar.set_postfix_str(f"{speed:.1f} images/s")
        self.figures(step, record)
        self.line(told)
        self.restart_clock()

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one line to metrics.jsonl."""
        if not self.writes:
            return
        record = {"step": step} | {k: v if math.isfinite(v) else None for k, v in values.items()}
        with self.work.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def line(self, text: str) -> None:
        """One line for people, on the terminal and in log.txt."""
        if not self.writes:
            return
        tqdm.write(text)
        with self.work.log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def overview(self, state: TrainState, players: set[str]) -> None:
        """Names every weight in parameters.txt and tells the size of each network."""
        if not self.writes:
            return
        tables = []
        for name, part in state.parts.items():
            tables.append(f"{name}\n{parameter_overview.get_parameter_overview(part.params)}\n")
            size = sum(x.size for x in jax.tree.leaves(part.params))
            role = "plays" if name in players else "frozen"
            self.line(f"{name}: {size:,} parameters, {role}")
        self.work.parameters.write_text("\n".join(tables), encoding="utf-8")

    def sheet(self, step: int, pictures: Mapping[str, np.ndarray], rows: int) -> None:
        """A picture: one row an example, `task.pictures` side by side, made equally high."""
        if not self.writes or not rows or not pictures:
            return
        columns = [np.asarray(column[:rows], np.float32) for column in pictures.values()]
        columns = [np.repeat(c, 3, -1) if c.shape[-1] == 1 else c for c in columns]
        height, width = (max(c.shape[axis] for c in columns) for axis in (1, 2))
        columns = [
            np.stack([image.resize(one, height, width, "bilinear") for one in column])
            for column in columns
        ]
        picture = np.concatenate([np.concatenate(list(c), axis=0) for c in columns], axis=1)
        pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        files.write_png(self.work.sheets / f"{step:08d}.png", pixels)

    def close(self) -> None:
        """Ends the bar and flushes TensorBoard."""
        self.bar.close()
        if self.board:
            self.board.close()


def in_words(values: Mapping[str, float]) -> str:
    """Named numbers in a line for people."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _tensorboard(work: Workdir, start: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "config.tensorboard=True needs the extra: pip install 'oldphoto-jax[tensorboard]'"
        ) from error
    # What a killed run told after its last save is told again.
    return SummaryWriter(str(work.tensorboard), purge_step=start + 1)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
