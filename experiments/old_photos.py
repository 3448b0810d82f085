r"""How much finders mark of photographs as their owners have them, in figures and as a picture.

    python -m experiments.old_photos segment-lite new=runs/segment-lite/weights/last.safetensors \
        --photos=FOLDER --out=runs/old.png --thresholds=0.3,0.5,0.7

For each photo in the folder: the share of its pixels that each of the weights marks at its own
threshold, at its careful one, and at those of --thresholds; at the end the mean and the median over
photos. Whole photos are looked at, tile by tile and from further away too, as `oldphoto restore`
does. Contact sheets (runs/old-1.png, runs/old-2.png ...) show each photo beside the same with the
marks of each of the weights at its own threshold in red: what is undamaged should have none. A
small pixel is red wherever there is a mark in it, so that thin ones stay visible; `restore` grows
them by two pixels more. Photos with known damage: `genuine_exam.py`.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.folder import sheet
from oldphoto_jax.photo import encoding
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import detect
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.weights.store import WeightsError

LONGEST, PHOTOS = 420, 6  # pixels of a picture's longer side; photos on a sheet
SUFFIXES, QUALITY = (".jpg", ".jpeg", ".png"), 90
PAPER = sheet.PAPER


def named(words: Sequence[str]) -> dict[str, str]:
    """Label and path of weights, each PATH or LABEL=PATH. Raises ValueError for one label twice."""
    pairs = [word.rpartition("=")[::2] for word in words]
    labels = [
        label or pathlib.Path(path).name.removesuffix(".safetensors") for label, path in pairs
    ]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise ValueError(f"several weights are called {', '.join(twice)}: give each LABEL=PATH")
    return dict(zip(labels, (path for _, path in pairs), strict=True))


def levels(stage: stages.Stage[DefectPredictor], more: Iterable[float]) -> list[float]:
    """The weights' own threshold first, then the careful one and `more`, each once."""
    own = detect.Detector(stage=stage)
    careful = detect.Detector(stage=stage, careful=True)
    return list(dict.fromkeys([own.level, careful.level, *more]))


def shares(found: np.ndarray, thresholds: Iterable[float]) -> dict[float, float]:
    """The share of a map's pixels [H,W] that each threshold marks."""
    return {level: float(detect.cut(found, level).mean()) for level in thresholds}


def strip(
    name: str, pixels: np.ndarray, masks: Mapping[str, np.ndarray], longest: int = LONGEST
) -> np.ndarray:
    """A photo [H,W,1|3] beside itself with each of the masks [H,W] in red, uint8 [h,w,3].

    The keys of `masks` are the captions below; `longest` is that of a picture's sides, in pixels.
    """
    height = max(1, round(longest * len(pixels) / max(pixels.shape[:2])))
    shown = {text: sheet.found(pixels, mask, height) for text, mask in masks.items()}
    small = sheet.shrink(pixels, *next(iter(shown.values())).shape[:2])
    return sheet.draw([(name, small), *shown.items()], height)


def lay_out(strips: Sequence[np.ndarray]) -> np.ndarray:
    """The strips uint8 [h,w,3] in equal columns, as many as make the least long sheet, [H,W,3]."""
    choices = [_columns(strips, count) for count in range(1, len(strips) + 1)]
    return min(choices, key=lambda picture: max(picture.shape))


def _columns(strips: Sequence[np.ndarray], count: int) -> np.ndarray:
    wide = max(one.shape[1] for one in strips)
    lines = []
    for first in range(0, len(strips), count):
        line = strips[first : first + count]
        high = max(map(len, line))
        paper = np.full((high, count * wide, 3), PAPER, np.uint8)
        for column, one in enumerate(line):
            paper[: len(one), column * wide : column * wide + one.shape[1]] = one
        lines.append(paper)
    return np.concatenate(lines)


def summary(label: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The line of one of the weights over all photos: mean and median share by threshold."""
    each = {level: [row["marked"][level] for row in rows] for level in rows[0]["marked"]}
    return {
        "weights": label,
        "photos": len(rows),
        "mean": {level: round(statistics.mean(one), 6) for level, one in each.items()},
        "median": {level: round(statistics.median(one), 6) for level, one in each.items()},
    }


def in_words(line: Mapping[str, Any]) -> str:
    """A line of figures for people, the weights' own threshold first."""
    if "photo" in line:
        told = "; ".join(f"{part:.3%} at {level}" for level, part in line["marked"].items())
        return f"{line['weights']}, {line['photo']}: {told}"
    pairs = (
        f"mean {mean:.3%}, median {line['median'][level]:.3%} at {level}"
        for level, mean in line["mean"].items()
    )
    return f"{line['weights']}, {line['photos']} photos: {'; '.join(pairs)}"


def numbered(out: pathlib.Path, number: int) -> pathlib.Path:
    """The file of a sheet: runs/old-2.jpg of runs/old or runs/old.jpg."""
    known = out.suffix.lower() in SUFFIXES
    stem, suffix = (out.stem, out.suffix) if known else (out.name, SUFFIXES[0])
    return out.with_name(f"{stem}-{number}{suffix}")


def write(path: pathlib.Path, strips: Sequence[np.ndarray]) -> None:
    """Writes a sheet of the strips. Raises PhotoError where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = None if path.suffix.lower() == ".png" else QUALITY
    files.write(path, PhotoFile(lay_out(strips)), quality=quality)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("weights", nargs="+", metavar="[LABEL=]WEIGHTS", help="names, files or work folders")
    add("--photos", type=pathlib.Path, required=True, metavar="FOLDER")
    add(
        "--out", type=pathlib.Path, required=True, metavar="PREFIX[.jpg|.png]", help="of the sheets"
    )
    add("--thresholds", default="", metavar="T,T", help="beside the weights' own two")
    add("--count", type=int, metavar="N", help="of the photos, spread evenly (all)")
    add("--json", action="store_true", help="lines of JSON, shares 0..1")
    options = parser.parse_args(argv)
    try:
        options.thresholds = [float(word) for word in options.thresholds.split(",") if word]
    except ValueError:
        parser.error(f"--thresholds={options.thresholds}: give numbers, as in 0.3,0.5")
    if not all(0 <= level <= 1 for level in options.thresholds):
        parser.error(f"--thresholds={options.thresholds}: probabilities lie in 0..1")
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    say = json.dumps if options.json else in_words
    try:
        stages.prepare()
        paths = files.find(options.photos)
        count = len(paths) if options.count is None else options.count
        if not 1 <= count <= len(paths):
            raise ValueError(
                f"{count} of the {len(paths)} photos in {options.photos}: take 1 to all"
            )
        finders = {
            label: detect.Detector(stage=stages.load(path, kind=DefectPredictor))
            for label, path in named(options.weights).items()
        }
        rows: dict[str, list[dict[str, Any]]] = {label: [] for label in finders}
        strips: list[np.ndarray] = []
        for place in range(count):
            path = paths[place * len(paths) // count]
            pixels = encoding.view(files.read(path))
            masks = {}
            for label, finder in finders.items():
                found = finder.find(pixels)
                marked = shares(found, levels(finder.stage, options.thresholds))
                masks[f"{label} {marked[finder.level]:.2%}"] = detect.cut(found, finder.level)
                told = {str(round(level, 4)): round(part, 6) for level, part in marked.items()}
                rows[label].append({"weights": label, "photo": path.name, "marked": told})
                print(say(rows[label][-1]), flush=True)
            strips.append(strip(path.stem, pixels, masks))
            if len(strips) == PHOTOS or place == count - 1:
                write(numbered(options.out, place // PHOTOS + 1), strips)
                strips = []
        for label, lines in rows.items():
            print(say(summary(label, lines)), flush=True)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.old_photos: {error}")


if __name__ == "__main__":
    main()
