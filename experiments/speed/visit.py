"""`oldphoto` in processes of its own, as users start it: timed, watched, and killed where asked.

For `restore` beside it and for tests/faults. Memory is what Linux tells in /proc: `peak` is
the highest resident memory, in which mapped files count although the system may drop their pages;
`anonymous` leaves those out, and is looked at every TICK seconds.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from flax import nnx

from oldphoto_jax.models import partial_unet, unet
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.weights import names, store

ROOT = pathlib.Path(__file__).parents[2]
REPORT = "report.jsonl"
TICK = 0.02  # seconds
COMMAND = (sys.executable, "-m", "oldphoto_jax.cli")
COUNTING = """
import collections, json, sys
from jax import monitoring
events = collections.Counter()
monitoring.register_event_listener(lambda event, **more: events.update([event]))
from oldphoto_jax import cli
status = cli.main(sys.argv[1:])
print(json.dumps(events))
sys.exit(status)
"""
ALBUNET = unet.Blueprint(width=4, decoder_width=4)
PAINTER = unet.imagenet(depth=18, stages=3, width=4, decoder_width=4, out_stride=4)
PREDICTORS = {  # by the option that takes the weights
    "detector": DefectPredictor(network=ALBUNET, threshold=1.0),
    "inpainter": FillingPredictor(network=partial_unet.Blueprint(levels=5, width=4), draft=True),
    "colorizer": ColorPredictor(network=PAINTER),
}
CACHE_EVENTS = {
    "compiled": "/jax/compilation_cache/cache_misses",
    "from cache": "/jax/compilation_cache/cache_hits",
}


@dataclasses.dataclass(frozen=True)
class Visit:
    """How a command ended: its exit status (-9 if killed), seconds, memory in MiB, and words."""

    status: int
    seconds: float
    peak: float
    anonymous: float
    out: str
    err: str

    @property
    def events(self) -> dict[str, int]:
        """How often JAX told of what, if it was counted."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def last(self) -> str:
        """The last line that it said."""
        return next(iter(self.err.splitlines()[::-1]), "")

    def succeeded(self) -> Visit:
        """The visit; ends this program where the command failed."""
        if self.status:
            raise SystemExit(f"oldphoto ended with {self.status}:\n{self.err}")
        return self


def visit(
    arguments: Sequence[str | os.PathLike],
    cache: str | os.PathLike,
    *,
    counted: bool = False,
    kill: Callable[[], bool] = lambda: False,
    patience: float = float("inf"),
    environment: Mapping[str, str] | None = None,
    **popen: Any,
) -> Visit:
    """One `oldphoto ARGUMENTS`, its compiled programs kept in the folder `cache`.

    With `counted`, JAX's events are. Gets a SIGKILL as soon as `kill` says so, at the latest after
    `patience` seconds.
    """
    command = [sys.executable, "-c", COUNTING] if counted else [*COMMAND]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **(environment or {})}
    peak = anonymous = 0
    text = functools.partial(tempfile.TemporaryFile, "w+", encoding="utf-8", errors="replace")
    with text() as out, text() as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, *map(str, arguments)],
            stdout=out,
            stderr=err,
            env=environment,
            cwd=ROOT,
            **popen,
        )
        try:
            while _runs(process):
                told = _memory(process.pid)
                peak = max(peak, told.get("VmHWM", 0))
                anonymous = max(anonymous, told.get("RssAnon", 0))
                if time.perf_counter() - start > patience or kill():
                    break
        finally:
            process.kill()
            process.wait()
        seconds = time.perf_counter() - start
        words = [(file.seek(0), file.read())[1] for file in (out, err)]
    return Visit(process.returncode, seconds, peak / 1024, anonymous / 1024, *words)


def _runs(process: subprocess.Popen) -> bool:
    try:
        process.wait(TICK)
    except subprocess.TimeoutExpired:
        return True
    return False


def _memory(pid: int) -> dict[str, int]:
    """KiB by the names of /proc; nothing of a process that has just ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(value) for name, value, _ in pairs}


def lines(out: pathlib.Path) -> list[dict]:
    """The whole lines of the report in a folder; none if there is no report yet."""
    path = out / REPORT
    text = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.loads(line) for line in text.splitlines()]


def untrained(folder: pathlib.Path, options: Iterable[str] = PREDICTORS) -> list[str]:
    """Options for narrow networks that have learned nothing, in files in this folder.

    They take photos of the same sides as the packaged ones, so as many programs are made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words: list[str] = []
    for option in options:
        predictor, path = PREDICTORS[option], folder / f"{option}.safetensors"
        nets = nnx.eval_shape(lambda one=predictor: one.networks(nnx.Rngs(0)))
        rng = np.random.default_rng(0)
        arrays = {
            name: _draw(rng, name, array.shape)
            for net in nets
            for name, array in names.flatten(nets[net], net).items()
        }
        store.save(path, arrays, predictor.metadata())
        words += [f"--{option}", str(path)]
    return words


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels that keep the strength of a signal (He et al., 2015), norms that change nothing."""
    if len(shape) > 1:
        array = rng.normal(0, math.sqrt(2 / math.prod(shape[:-1])), shape)
    else:
        array = np.full(shape, name.endswith(("scale", "var")))
    return array.astype(np.float32)


class Results:
    """Rows of figures: printed as JSON as soon as they are measured, and kept in a file.

    Rows that the file has already are not measured again.
    """

    def __init__(self, path: str | os.PathLike | None):
        self._path = pathlib.Path(path) if path else None
        known = self._path and self._path.exists()
        text = self._path.read_text("utf-8") if known else ""
        self._rows = [json.loads(line) for line in text.splitlines()]

    def add(self, what: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> dict:
        """The row of `what`, which is measured unless it was before."""
        row = next((row for row in self._rows if what.items() <= row.items()), None)
        if row is None:
            row = {**what, **measure()}
            line = json.dumps(row, ensure_ascii=False)
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
        print(json.dumps(row, ensure_ascii=False), flush=True)
        return row


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """A Markdown table of rows with the same names."""
    rows = [*rows]
    head = [*rows[0]]
    sides = ["---" if isinstance(rows[0][name], str) else "---:" for name in head]
    body = [[_cell(row[name]) for name in head] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, sides, *body])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value).replace("|", r"\|").replace("\n", " ")
