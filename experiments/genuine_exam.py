r"""How well a finder marks the genuine damage of old photographs, as their owners get them.

    python -m experiments.genuine_exam --photos=FOLDER --weights=segment-lite --method=tophat

FOLDER holds the photographs, which are not ours to give; `genuine/` has their masks, and its README
says how they were marked and where the photos come from. A photo is known by its SHA-256. Whole
photos are looked at, tile by tile and from further away too. One line of JSON for each photo, and
at the end one of them all: `pooled` over their pixels, where a large scan weighs more, and the
`mean` over photos. What is don't care in a mask counts nothing. Weights may be tuned on the half
called tune; only figures on the half called judge say how good they are.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from oldphoto_jax.exams import tophat
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.metrics.stream import Stream
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import detect
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.weights.store import WeightsError

MASKS = pathlib.Path(__file__).parent / "genuine"
SPLITS = ("judge", "tune")
WHOLE, DONT_CARE, DAMAGED = 0, 128, 255  # levels of a mask
TOLERANCE = 2  # pixels that a marked outline may be off


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to find damage: photo [H,W,1|3] -> [H,W] uint16, 65535 is certain."""

    name: str
    find: Callable[[np.ndarray], np.ndarray]
    threshold: float  # in 0..1, from which on a pixel is marked


def _tophat(pixels: np.ndarray) -> np.ndarray:
    return image.to_uint16(tophat.tophat(files.rgb(pixels)))


def network(path: str) -> Method:
    """Weights by their name, file or work folder. Raises WeightsError."""
    stage = stages.load(path, kind=DefectPredictor)
    return Method(path, functools.partial(detect.probability, stage), stage.predictor.threshold)


METHODS = {"tophat": Method("tophat", _tophat, tophat.THRESHOLD)}


def listed(split: str = "all") -> list[dict[str, str]]:
    """The rows of `split.csv` that are of this split, or all."""
    with open(MASKS / "split.csv", newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if split in ("all", row["split"])]


def pair(row: Mapping[str, str], folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """The photo [H,W,1|3] of a row, from the folder, and its mask [H,W] of three levels.

    A file with other bytes will do if its pixels are the same. Raises ValueError for any other
    photo, and for a mask that doesn't fit.
    """
    path, where = folder / row["file"], f"{row['source']}, {row['path']} ({row['processing']})"
    if not path.is_file():
        raise ValueError(f"{path}: there is no such photo; it comes from {where}")
    data, pixels = path.read_bytes(), files.read(path).pixels
    known = {hashlib.sha256(data).hexdigest(): "sha256", _hash(pixels): "pixels_sha256"}
    if not any(row[column] == found for found, column in known.items()):
        raise ValueError(
            f"{path}: is not the photo that was marked, its SHA-256 is {[*known][0]}, not "
            f"{row['sha256']}; take the one from {where}"
        )
    mask = files.read(MASKS / f"{row['name']}.png").pixels[..., 0]
    if mask.shape != pixels.shape[:2] or not np.isin(mask, (WHOLE, DONT_CARE, DAMAGED)).all():
        raise ValueError(
            f"{row['name']}.png: a mask is {pixels.shape[:2]} as its photo and of the levels "
            f"{WHOLE}, {DONT_CARE} and {DAMAGED}, this is {mask.shape} of {np.unique(mask)[:5]}"
        )
    return pixels, mask


def measure(mask: np.ndarray, found: np.ndarray, threshold: float) -> dict[str, Stream]:
    """Streams of what a map [H,W] uint16 found of the mask [H,W]; don't care counts nothing."""
    counted, score = mask != DONT_CARE, found / np.iinfo(np.uint16).max
    # A frame for what looks around itself; a row of the pixels that count for all else.
    frames = [(mask == DAMAGED)[None, ..., None], np.where(counted, score, 0)[None, ..., None]]
    rows = [frame[0][counted][None, None] for frame in frames]
    return {
        "ranking": metrics.Ranking.of(*rows),
        "overlap": metrics.Overlap.of(*rows, threshold),
        "boundary": metrics.BoundaryF1.of(*frames, threshold, TOLERANCE),
        "width": metrics.RecallByWidth.of(*frames, threshold),
    }


def figures(streams: Mapping[str, Stream]) -> dict[str, float]:
    """What streams say, by the names that stand in the lines; NaN where nothing was there."""
    told = {name: stream.compute() for name, stream in streams.items()}
    ranking, overlap, width = told["ranking"], told["overlap"], told["width"]
    return {
        "AP": ranking["average_precision"],
        "ROC-AUC": ranking["roc_auc"],
        **{name: overlap[short] for name, short in (("IoU", "iou"), ("recall", "recall"))},
        "precision": overlap["precision"],
        f"F1 {TOLERANCE} px": told["boundary"]["f1"],
        "best F1": ranking["best_f1"],
        **{f"recall {size} px": share for size, share in width.items()},
    }


def sit(
    method: Method, rows: Sequence[Mapping[str, str]], folder: pathlib.Path
) -> Iterator[dict[str, object]]:
    """The lines of a method: one for each photo, then one for all. Raises as `pair` does."""
    pooled: dict[str, Stream] = {}
    each: list[dict[str, float]] = []
    for row in rows:
        photo, mask = pair(row, folder)
        streams = measure(mask, method.find(photo), method.threshold)
        pooled = {name: pooled[name] + one if pooled else one for name, one in streams.items()}
        each.append(figures(streams))
        yield {"method": method.name, "photo": row["name"], "split": row["split"]} | _plain(
            each[-1]
        )
    mean = {name: _mean([one[name] for one in each]) for name in each[0]}
    yield {
        "method": method.name,
        "photos": len(each),
        "threshold": round(method.threshold, 4),
        "pooled": _plain(figures(pooled)),
        "mean": _plain(mean),
    }


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def _mean(values: Sequence[float]) -> float:
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    """For JSON, which has no NaN."""
    return {name: None if math.isnan(one) else round(one, 4) for name, one in figures.items()}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--photos", type=pathlib.Path, required=True, help="the folder of the photographs")
    add("--weights", action="append", default=[], help="a name, a file, or a work folder")
    add("--method", action="append", default=[], choices=METHODS, help="beside, or instead of")
    add("--split", choices=(*SPLITS, "all"), default="judge", help="which photos (%(default)s)")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        stages.prepare()
        weights = options.weights or ([] if options.method else ["segment-lite"])
        methods = [network(path) for path in weights]
        for method in [*methods, *(METHODS[name] for name in options.method)]:
            for line in sit(method, listed(options.split), options.photos):
                print(json.dumps(line), flush=True)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.genuine_exam: {error}")


if __name__ == "__main__":
    main()
