r"""The figures of a training at each of its validations, as a table by iteration.

    python -m experiments.iterations runs/colorize-lite
    python -m experiments.iterations runs/colorize-lite --figure=psnr --figure=ab

Without --figure they are those of a classifier that looks at the photos, which a training has by
--config.task.classifier=efficientnet-lite0: how often it takes the coloured photos for what they
are, how often the true ones, and how often it takes both for the same. A figure that a validation
did not give, such as accuracy where no class is known, is blank. The run is named by its folder, or
by its metrics.jsonl alone.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from oldphoto_jax.exams.exam import cell, markdown
from oldphoto_jax.train.workdir import Workdir

CLASSES = ("top-1", "top-1 of the truth", "agreement")  # of `metrics.classifier.accuracy`
BEFORE = "validation/"


def told(path: pathlib.Path) -> dict[int, dict[str, float | None]]:
    """Of each step with a validation its figures.

    Raises ValueError for a place without a run, or without a validation.
    """
    work = Workdir(path if path.is_dir() else path.parent)
    work.metrics = work.metrics if path.is_dir() else path
    if not work.metrics.is_file():
        raise ValueError(f"{work.metrics}: there is no such file; name the --workdir of a training")
    found = {}
    for line in work.lines():
        figures = {k.removeprefix(BEFORE): v for k, v in line.items() if k.startswith(BEFORE)}
        found |= {line["step"]: figures} if figures else {}
    if not found:
        raise ValueError(f"{work.metrics}: no validation yet; see config.evaluate_every")
    return found


def table(found: dict[int, dict[str, float | None]], figures: Sequence[str] = CLASSES) -> str:
    """One row a validation. Raises ValueError for figures that none of them has."""
    known = {name for one in found.values() for name in one}
    if missing := [name for name in figures if name not in known]:
        way = "; --config.task.classifier asks for them" if set(missing) & set(CLASSES) else ""
        raise ValueError(
            f"there is no {', '.join(missing)} in this run{way}. It has {', '.join(sorted(known))}"
        )
    rows = [["iteration", *figures]]
    rows += [
        [f"{step:,}", *(cell(one.get(name)) for name in figures)]
        for step, one in sorted(found.items())
    ]
    return markdown(rows)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("run", type=pathlib.Path, help="the --workdir of a training, or its metrics.jsonl")
    add("--figure", action="append", help="may be given several times")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        print(table(told(options.run), options.figure or CLASSES))
    except (OSError, ValueError) as error:
        sys.exit(f"experiments.iterations: {error}")


if __name__ == "__main__":
    main()
