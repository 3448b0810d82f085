r"""Puts the finders that `segment_seeing.py` trained to exams that no training drew.

    python -m experiments.seeing_exams runs/segment_seeing --photos=PHOTOS --textures=FOLDER \
        --genuine=FOLDER

Their validation is drawn by the generator that they learned from, and shares its blind spots. The
exam of the obvious does not, nor do the genuine photographs that are marked for tuning
(`genuine_exam.py`, which says where they come from), if you have them. The figures come into each
run's exams.json, from where `experiments.ledger` takes them; a run that has sat them is left alone.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from experiments import genuine_exam, ledger, report
from oldphoto_jax.data import sources
from oldphoto_jax.exams import defects, obvious
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.train.workdir import Workdir, write_text
from oldphoto_jax.weights.store import WeightsError

SIZE, COUNT = 256, 60  # smaller than the exam of shipped weights: there are many runs
SIDES = ("dark", "light", "both")


def sit(run: pathlib.Path, exam: obvious.Exam, genuine: pathlib.Path | None) -> dict[str, float]:
    """Figures of the last weights of a run by name, means of kinds of damage and of photos."""
    weights = Workdir(run).weights / "last.safetensors"
    method = defects.network(str(run), stages.load(weights, kind=DefectPredictor), False)
    (told,) = obvious.evaluate(exam, [method])["figures"]
    mean = told["kinds"]["mean"]
    figures = {f"obvious/AP {side}": mean[side]["average_precision"] for side in SIDES}
    figures["obvious/marked_on_clean"] = told["clean_marked"]
    if genuine:
        finder = genuine_exam.network(str(weights))
        *_, whole = genuine_exam.sit(finder, genuine_exam.listed("tune"), genuine)
        figures["genuine/AP"] = whole["mean"]["AP"]
    return figures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path, help="of experiments.run")
    parser.add_argument("--photos", required=True, help="samples, FOLDER or LIST.txt")
    parser.add_argument("--textures", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--genuine", type=pathlib.Path, metavar="DIR", help="marked photographs")
    parser.add_argument("--count", type=int, default=COUNT, help="crops (%(default)s)")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        stages.prepare()
        photos = sources.open_photos(options.photos)
        exam = obvious.Exam(
            photos=photos, count=options.count, size=SIZE, textures=options.textures, seed=0
        )
        for line in ledger.collect(options.workdir)[1:]:
            run = report.folder(options.workdir, line["variant"], line["seed"])
            if not (run / ledger.EXAMS).exists():
                figures = sit(run, exam, options.genuine)
                write_text(run / ledger.EXAMS, json.dumps(figures))
                print(line["variant"], line["seed"], figures, flush=True)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.seeing_exams: {error}")


if __name__ == "__main__":
    main()
