r"""Makes of a training run's weights the file that is shipped: small, and calibrated if a finder.

    python -m experiments.pack_weights runs/segment-lite --out=segment-lite.safetensors \
        --photos=data/splits/val.txt --textures=data/textures

SOURCE is a work folder (its best weights, else the last), a file, or a name. Kernels of
convolutions are kept in bfloat16, half as large; biases and norms stay in float32. The thresholds
of a finder are then set anew, by its packed weights: the lowest ones at which at most 0.3 %
(`threshold`) and 0.05 % (`careful`) of undamaged photos are marked. These are the crops that
`oldphoto evaluate segment` calls clean, one of each of PHOTOS (samples, FOLDER or LIST.txt), aged,
gray and toned at random. Without --photos the thresholds stay.

A configuration names the folders that it read. Those below --home become relative to it, and are
told; any other place on this machine is refused, lest it be published.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from oldphoto_jax.data import sources
from oldphoto_jax.exams import defects
from oldphoto_jax.metrics.mask import LEVELS, CleanScores
from oldphoto_jax.photo import image
from oldphoto_jax.predictors import older
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.weights import store
from oldphoto_jax.weights.store import WeightsError

KERNEL = "kernel"  # the last part of the names of what is made smaller
BEFORE = r"(?:^|(?<=[*=:@ ]))"  # what stands before a place, in the words of `data.sources`
ELSEWHERE = re.compile(BEFORE + r"(?:[/~\\]|[A-Za-z]:[/\\])")


def packed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, kernels of convolutions ([kh,kw,D] or [kh,kw,C,D]) in bfloat16."""

    def pack(name: str, array: np.ndarray) -> np.ndarray:
        smaller = name.split(".")[-1] == KERNEL and array.ndim > 2
        return array.astype(ml_dtypes.bfloat16) if smaller else array

    return {name: pack(name, array) for name, array in arrays.items()}


def described(metadata: Mapping[str, str], predictor: Predictor) -> dict[str, str]:
    """The metadata of a weights file with this predictor in it, instead of a task of old."""
    kept = {key: text for key, text in metadata.items() if key != older.KEY}
    return kept | predictor.metadata()


def relative(value: Any, home: pathlib.Path) -> Any:
    """What JSON holds, with all places in texts relative to the folder `home`.

    Raises ValueError for a place that is not in it.
    """
    if isinstance(value, Mapping):
        return {key: relative(one, home) for key, one in value.items()}
    if isinstance(value, list):
        return [relative(one, home) for one in value]
    if not isinstance(value, str):
        return value
    found = value
    for place in (home.absolute(), home.resolve()):  # as it is called, and behind links
        found = re.sub(BEFORE + re.escape(os.path.join(place, "")), "", found)
    if ELSEWHERE.search(found):
        raise ValueError(
            f"the configuration names {found!r}, a place on this machine; name the folder that "
            "holds it by --home"
        )
    return found


def ask(method: defects.Method, exam: defects.Exam) -> tuple[CleanScores, str]:
    """How high the exam's crops score undamaged, and the sha256 of their names and pixels."""
    exam.check([method])
    digest, scores = hashlib.sha256(), CleanScores(np.zeros(LEVELS, np.int64))
    for name, example in exam.examples(clean=True):
        digest.update(name.encode("utf-8", "surrogateescape"))
        digest.update(image.to_uint8(example["photo"]).tobytes())
        found = method.score(example["photo"])[None, ..., None]
        scores += CleanScores.of(example["mask"][None], found)
    return scores, digest.hexdigest()


def calibrated(predictor: DefectPredictor, scores: CleanScores) -> DefectPredictor:
    """The predictor with the thresholds that validation would set by these scores."""
    figures = {f"threshold_for_clean/{share}": one for share, one in scores.compute().items()}
    before = Segment(threshold=predictor.threshold, careful=predictor.careful)
    new = before.predictor(figures)
    return dataclasses.replace(predictor, threshold=new.threshold, careful=new.careful)


def share(scores: CleanScores, threshold: float) -> float:
    """The share of pixels that a threshold marks at most; scores in 16 bits are rounded up."""
    level = int(np.ceil(threshold * (LEVELS - 1) - 1e-6))
    return float(scores.clean[level:].sum() / scores.clean.sum())


def pack(
    source: str | os.PathLike, out: pathlib.Path, home: pathlib.Path, exam: defects.Exam | None
) -> list[str]:
    """Writes the packed weights of `source` to `out`; what became of them, in lines.

    Raises WeightsError for what are no weights, and ValueError for places outside `home` and
    for an exam that is not for them.
    """
    if home.resolve().parent == home.resolve():
        raise ValueError(f"--home={home} holds everything; name the folder in which data/ lies")
    arrays, metadata = store.load(stages.find(source))
    before, arrays = sum(array.nbytes for array in arrays.values()), packed(arrays)
    lines = []
    if "config" in metadata:
        config = relative(json.loads(metadata["config"]), home)
        metadata["config"] = json.dumps(config, indent=1, sort_keys=True)
        lines.append(f"step {metadata['step']} of a run on {config['photos']}")
    with tempfile.TemporaryDirectory(prefix="oldphoto-") as folder:
        rounded = pathlib.Path(folder) / "packed.safetensors"
        store.save(rounded, arrays, metadata)
        try:
            stage = stages.load(rounded)
        except WeightsError as error:
            raise WeightsError(f"{source}, packed: {error}") from error
    predictor = stage.predictor
    finds = isinstance(predictor, DefectPredictor)
    if exam is not None:
        if not finds:
            raise ValueError(f"{source}: only finders have thresholds to set; leave out --photos")
        scores, digest = ask(defects.network(str(source), stage), exam)
        lines.append(
            f"{exam.count} undamaged crops of {exam.size} px from {len(exam.photos)} photos, "
            f"seed {exam.seed}, sha256 of names and pixels {digest[:16]}"
        )
        old, predictor = predictor, calibrated(predictor, scores)
        for name in ("threshold", "careful"):
            level, was = getattr(predictor, name), getattr(old, name)
            lines.append(
                f"{name}: {level:.4f} marks {share(scores, level):.3%} of them "
                f"(before: {was:.4f}, {share(scores, was):.3%})"
            )
    elif finds:
        lines.append(
            f"thresholds stay {predictor.threshold:.4f} and {predictor.careful:.4f}: --photos "
            "sets them anew"
        )
    store.save(out, arrays, described(metadata, predictor))
    kinds = sorted({str(array.dtype) for array in arrays.values()})
    after = sum(array.nbytes for array in arrays.values())
    lines.append(f"{out}: numbers in {' and '.join(kinds)}, {before:,} -> {after:,} bytes")
    return [*lines, f"size {out.stat().st_size:,} bytes, SHA-256 {store.checksum(out)}"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a work folder, a file, or a name")
    add("--out", type=pathlib.Path, required=True, metavar="FILE", help="a .safetensors")
    add("--photos", help="undamaged photos, as a configuration takes them, to set thresholds by")
    add("--textures", type=pathlib.Path, metavar="DIR", help="scans; of them paper's grain is used")
    add("--count", type=int, metavar="N", help="how many crops (one of each photo)")
    add("--size", type=int, default=384, metavar="PX", help="side of a crop (%(default)s)")
    add("--seed", type=int, default=0, help="another seed ages otherwise (%(default)s)")
    text = "the folder from which places in the configuration are named (the current one)"
    add("--home", type=pathlib.Path, default=pathlib.Path(), metavar="DIR", help=text)
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        stages.prepare()
        exam = None
        if options.photos is not None:
            exam = defects.Exam(
                photos=sources.open_photos(options.photos),
                textures=options.textures,
                count=options.count,
                size=options.size,
                seed=options.seed,
            )
        for line in pack(options.source, options.out, options.home, exam):
            print(line, flush=True)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.pack_weights: {error}")


if __name__ == "__main__":
    main()
