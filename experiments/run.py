r"""Runs all variants of an experiment with several seeds, and makes one table and one plot of them.

    python -m experiments.run experiments/inpaint_choices.py --seeds=3 --workdir=runs/choices

An experiment is a configuration file with `VARIANTS`, the names that its `get_config` takes, and
`FIGURES`, those of the validation that answer its question; the plot shows the first.

Each run lives in WORKDIR/VARIANT/SEED and goes through `python -m oldphoto_jax.main` in a process
of its own: its memory is given back, a run that dies takes no other with it, and it is the run
that anybody gets who types that command. Compiled programs are shared in WORKDIR/compiled. The
same command goes on where it was stopped and makes no finished run again; with more --seeds, it
adds those. A run that fails leaves its cell blank and the others go on; the exit status is then 1.

--photos and --validation name what a configuration takes. --steps makes runs shorter or longer,
and with them what they count in steps: warm-up, evaluation, freezing. --config.any.field=value is
passed on to every run. --report-only makes WORKDIR/report.md and report.png again.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from experiments import report
from experiments.plan import Run, plan


class Stop:
    """Passes SIGTERM and Ctrl-C on to the run of the moment, which saves and ends."""

    def __init__(self):
        self.seen: int | None = None
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        numbers = (signal.SIGTERM, signal.SIGINT)
        self.old = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_):
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.seen = number
        if self.process:
            self.process.send_signal(number)


def execute(run: Run, stop: Stop, environment: dict[str, str]) -> str:
    """Trains in a process of its own; returns "", or how it ended if it didn't end well."""
    run.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "oldphoto_jax.main", *run.flags, f"--workdir={run.folder}"]
    output = run.folder / "output.txt"
    with output.open("w", encoding="utf-8") as said:
        # In a session of its own, a run hears Ctrl-C from us and not a second time by itself.
        options = dict(stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        stop.process = subprocess.Popen(command, env=environment, **options)
        if stop.seen:  # just before there was a process to tell
            stop.process.send_signal(stop.seen)
        status = stop.process.wait()
    if not status:
        return ""
    lines = output.read_text("utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"exit status {status}: {last.strip()} (see {output})"


def walk(runs: list[Run], workdir: pathlib.Path) -> dict[str, str]:
    """Makes the runs that are not finished; returns those that failed, and why.

    After SIGTERM or Ctrl-C the run of the moment saves, and SystemExit is raised.
    """
    environment = {"JAX_COMPILATION_CACHE_DIR": str(workdir / "compiled")} | os.environ
    failed = {}
    with Stop() as stop:
        for number, run in enumerate(runs, 1):
            where = f"[{number}/{len(runs)}] {run}"
            if report.finished(run.folder):
                print(f"{where}: finished before", flush=True)
                continue
            print(f"{where}: runs, see {run.folder / 'output.txt'}", flush=True)
            start = time.perf_counter()
            error = "" if stop.seen else execute(run, stop, environment)
            if stop.seen:
                print("stopped; the same command goes on", flush=True)
                sys.exit(128 + stop.seen)
            if error:
                failed[str(run)] = error
            print(f"{where}: {error or 'done'}, {time.perf_counter() - start:.0f} s", flush=True)
    return failed


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; `overrides` are those for the configurations, `given` is all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", help="a file with VARIANTS and get_config(variant)")
    parser.add_argument("--seeds", type=int, default=3, help="0, 1, ... up to this number")
    parser.add_argument("--workdir", type=pathlib.Path, help="default: runs/NAME")
    parser.add_argument("--photos", help="as a configuration takes them")
    parser.add_argument("--validation", help="likewise")
    parser.add_argument("--steps", type=int, help="of every run")
    parser.add_argument("--figure", action="append", help="instead of FIGURES; may be repeated")
    parser.add_argument("--variant", action="append", help="only this one; may be repeated")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    overrides = [word for word in argv if word.startswith("--config.")]
    options = parser.parse_args([word for word in argv if word not in overrides])
    for name in ("seeds", "steps"):
        if (value := getattr(options, name)) is not None and value < 1:
            parser.error(f"--{name}={value}: give 1 or more")
    options.workdir = options.workdir or pathlib.Path("runs", pathlib.Path(options.experiment).stem)
    options.overrides, options.given = overrides, argv
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        failed = {} if options.report_only else walk(plan(options), options.workdir)
        path = report.write(options.workdir, options.figure, failed)
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        print(f"experiments.run: {error}", file=sys.stderr)
        sys.exit(1)
    print(path.read_text("utf-8"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
