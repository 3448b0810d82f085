r"""How much faster does training go with the memory that it keeps, and with jemalloc?

    python -m experiments.speed.malloc --photos=PHOTOS --results=runs/malloc.jsonl

Runs of `configs/segment.py:lite`, each a process of its own, take turns, A B C A B C ...: with the
system's `malloc` as it is, with what `oldphoto_jax.main` makes of it (`heap`), and with jemalloc
before both where --jemalloc names its library. A figure is the median over rounds of the images a
second that a run tells last, and in brackets the least and the most. With --results rows that the
file has are not measured again.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

from experiments.speed import visit

PLAIN = (
    "import runpy, sys; from oldphoto_jax import heap; heap.keep = lambda: False; "
    "sys.argv[0] = 'main'; runpy.run_module('oldphoto_jax.main', run_name='__main__')"
)
JEMALLOC = "thp:always,metadata_thp:auto,dirty_decay_ms:-1,muzzy_decay_ms:-1"  # MALLOC_CONF
SPOKEN = re.compile(r"([\d.]+) images/s")


def players(jemalloc: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """What Python runs, and in which environment, by name."""
    main = ["-m", "oldphoto_jax.main"]
    found: dict[str, tuple[list[str], dict[str, str]]] = {
        "malloc": (["-c", PLAIN], {}),
        "kept": (main, {}),
    }
    if jemalloc:
        found["jemalloc"] = (main, {"LD_PRELOAD": jemalloc, "MALLOC_CONF": JEMALLOC})
    return found


def last_speed(text: str) -> float:
    """The images a second that a run told last. Raises SystemExit where it told none."""
    if not (told := SPOKEN.findall(text)):
        raise SystemExit(f"the run told no images/s; its last words:\n{text[-2000:]}")
    return float(told[-1])


def run(command: list[str], environment: dict[str, str], options: argparse.Namespace) -> float:
    """The speed of one run in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                *command,
                "--config=configs/segment.py:lite",
                f"--workdir={folder}",
                f"--config.photos={options.photos}",
                "--config.validation=samples",
                f"--config.steps={options.steps}",
                f"--config.evaluate_every={options.steps + 1}",
                f"--config.log_every={max(1, options.steps // 3)}",
            ],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
    return last_speed(done.stdout + done.stderr)


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Images a second of every round, by player."""
    playing = players(options.jemalloc)
    speeds: dict[str, list[float]] = {name: [] for name in playing}
    for _ in range(options.rounds):
        for name, (command, environment) in playing.items():
            speeds[name].append(run(command, environment, options))
    return speeds


def cells(row: dict) -> list[dict[str, str]]:
    """A line of the table for each player."""
    return [
        {
            "memory": name,
            "images/s": f"{statistics.median(row[name]):.1f} "
            f"({min(row[name]):.1f} to {max(row[name]):.1f})",
        }
        for name in ("malloc", "kept", "jemalloc")
        if name in row
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--photos", required=True, help="what training sees: a folder, a .txt list, ...")
    add("--jemalloc", default="", metavar="FILE", help="the library, libjemalloc.so.2")
    add("--steps", type=int, default=60, help="of each run (%(default)s)")
    add("--rounds", type=int, default=3, help="turns of each (%(default)s)")
    add("--results", help="a .jsonl file: a row in there is not measured again")
    options = parser.parse_args()
    about = {"part": "malloc", "cores": os.cpu_count(), "rounds": options.rounds}
    about |= {"steps": options.steps, "jemalloc preloaded": bool(options.jemalloc)}
    row = visit.Results(options.results).add(about, lambda: measure(options))
    print("\n" + visit.table(cells(row)))


if __name__ == "__main__":
    main()
