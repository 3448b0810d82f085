r"""Puts what `colorful.py` trained to the exam of colours, `base` at several temperatures.

    python -m experiments.colorful_exams runs/colorful --photos=PHOTOS --count=100

At a temperature of 1 a photo gets the mean of all colours that it may have, which is dull, towards
0 the likeliest alone, which is blotched (Zhang et al., 2016, section 2.3,
https://arxiv.org/abs/1603.08511). The figures come into each run's exams.json, from where
`experiments.ledger` takes them; a run that has sat them is left alone. No gain is put on top.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys

from experiments import ledger, report
from oldphoto_jax.data import sources
from oldphoto_jax.exams import colors
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.train.workdir import Workdir, write_text
from oldphoto_jax.weights.store import WeightsError

BASE = "base"
TEMPERATURES = (0.1, 0.2, 0.38, 0.6, 0.8, 1.0)
SIZE = 128  # pixels; the shorter side of what networks see
FIGURES = {"psnr": "PSNR", "ab_error": "ab error", "cf_hs2003": "colourfulness"}


def methods(name: str, stage: stages.Stage[ColorPredictor], size: int) -> list[colors.Method]:
    """The network as it was trained, or at every temperature where it is `base`."""
    one = stage.predictor
    warm = TEMPERATURES if name == BASE else (one.temperature,)
    made = []
    for temperature in warm:
        predictor = dataclasses.replace(one, temperature=temperature, gain=1.0)
        shown = stages.Stage(predictor, stage.params, stage.checksum)
        made.append(colors.network(f"T {temperature:g}" if name == BASE else "exam", shown, size))
    return made


def sit(name: str, run: pathlib.Path, exam: colors.Exam, size: int = SIZE) -> dict[str, float]:
    """Figures of the last weights of a run by name, such as "T 0.38: ab error"."""
    stage = stages.load(Workdir(run).weights / "last.safetensors", kind=ColorPredictor)
    told = colors.evaluate(exam, methods(name, stage, size))["figures"]
    return {
        f"{one['method']}: {word}": one[key]
        for one in told
        for key, word in FIGURES.items()
        if one.get(key) is not None
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path, help="of experiments.run")
    parser.add_argument("--photos", required=True, help="samples, FOLDER or LIST.txt")
    parser.add_argument("--count", type=int, help="photos; default: all")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        exam = colors.Exam(
            photos=sources.open_photos(options.photos), count=options.count, size=SIZE
        )
        for line in ledger.collect(options.workdir)[1:]:
            run = report.folder(options.workdir, line["variant"], line["seed"])
            if not (run / ledger.EXAMS).exists():
                figures = sit(line["variant"], run, exam)
                write_text(run / ledger.EXAMS, json.dumps(figures))
                print(line["variant"], line["seed"], figures, flush=True)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.colorful_exams: {error}")


if __name__ == "__main__":
    main()
