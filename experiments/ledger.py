r"""Keeps what an experiment's runs came to as lines of JSON, and makes its table of them.

    python -m experiments.ledger keep runs/segment_seeing experiments/segment_seeing.jsonl
    python -m experiments.ledger table experiments/segment_seeing.jsonl

A work folder holds gigabytes and stays where it was made; the lines are small enough to commit, and
the table in the experiment's Markdown file comes of nothing else. The first line says what was
asked, as `experiments.run` wrote it down; each other one is a run: variant, seed, step, and the
figures of its last validation. Figures of exams that a run sat later, in its folder's exams.json,
stand beside them. `keep` adds runs that are not there yet and refuses to mix another question in.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

from experiments import report
from oldphoto_jax.train.workdir import write_text

EXAMS = "exams.json"  # in the folder of a run: figures by name
ASKED = ("experiment", "question", "variants", "steps", "photos", "validation", "command")


def collect(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of an experiment's folder: what was asked, then its finished runs.

    Raises ValueError for a folder that holds no experiment.
    """
    note = workdir / report.ASKED
    if not note.exists():
        raise ValueError(f"{workdir} holds no experiment; run one there with experiments.run")
    asked = json.loads(note.read_text("utf-8"))
    lines: list[dict[str, Any]] = [{key: asked[key] for key in (*ASKED, "figures")}]
    for seed in range(asked["seeds"]):
        for variant in asked["variants"]:
            run = report.folder(workdir, variant, seed)
            if told := report.finished(run):
                exams = run / EXAMS
                more = json.loads(exams.read_text("utf-8")) if exams.exists() else {}
                figures = {k: round(v, 6) for k, v in (told[max(told)] | more).items() if v == v}
                lines.append({"variant": variant, "seed": seed, "step": max(told)} | figures)
    return lines


def merge(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both, where runs of `new` replace those of the same variant and seed.

    Raises ValueError where they are answers to different questions.
    """
    if not old:
        return new
    differing = [key for key in ("experiment", "steps") if old[0][key] != new[0][key]]
    if differing:
        raise ValueError(f"the file is of other runs: {differing[0]} is {old[0][differing[0]]}")
    variants = [*dict.fromkeys(old[0]["variants"] + new[0]["variants"])]
    runs = {(line["variant"], line["seed"]): line for line in old[1:] + new[1:]}
    return [new[0] | {"variants": variants}, *runs.values()]


def table(lines: list[dict[str, Any]], figures: list[str] | None = None) -> str:
    """The table of the report, of lines alone; `figures` instead of those that were asked for."""
    asked, *runs = lines
    asked = asked | {"seeds": 1 + max((line["seed"] for line in runs), default=0)}
    asked["figures"] = figures or asked["figures"]
    kept = {(line["variant"], line["seed"]): {line["step"]: _figures(line)} for line in runs}
    return "\n".join(report.table(asked, kept))


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a file; none where there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _figures(line: dict[str, Any]) -> dict[str, float]:
    return {key: line[key] for key in line if key not in ("variant", "seed", "step")}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True, dest="action", metavar="keep | table")
    keep = actions.add_parser("keep", help="add a folder's finished runs to a file")
    keep.add_argument("workdir", type=pathlib.Path)
    keep.add_argument("file", type=pathlib.Path)
    show = actions.add_parser("table", help="print a file's table as Markdown")
    show.add_argument("file", type=pathlib.Path)
    show.add_argument("--figure", action="append", help="instead of those that were asked for")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        if options.action == "keep":
            lines = merge(read(options.file), collect(options.workdir))
            write_text(options.file, "".join(json.dumps(line) + "\n" for line in lines))
        elif lines := read(options.file):
            print(table(lines, options.figure))
        else:
            raise ValueError(f"{options.file}: there is no such file, or nothing in it")
    except (KeyError, OSError, ValueError) as error:
        sys.exit(f"experiments.ledger: {error}")


if __name__ == "__main__":
    main()
