r"""A contact sheet: photos in rows; in columns gray, what each network makes of it, and the truth.

    python -m experiments.sheet --photos=samples:all --out=sheet.png \
        --weights lite=runs/colorize-lite critic=runs/colorize-lite-critic
    python -m experiments.sheet --photos=samples:all --out=sheet.png \
        --experiment=runs/colorize_loss --seed=0

--weights takes files or work folders, --experiment the variants of one that `experiments.run` has
made, and both may be given. PHOTOS is what a configuration takes: samples, a folder, a .txt list;
--count of them are shown, spread evenly. Each is made gray and coloured as `oldphoto colorize`
does, at its full size, then reduced. The truth is the photo as it came; where none of them is in
colour that column is left out, and with --no-truth always.
"""

import argparse
import json
import pathlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from experiments import report
from oldphoto_jax.data import sources
from oldphoto_jax.photo import color, image, tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import colorize
from oldphoto_jax.restore import stage as stages

COUNT, CELL = 6, 256
GRAY, TRUTH = "gray", "truth"  # labels
GAP = 6  # pixels between pictures, and around letters
HEAD = 26  # height of the line of labels
PAPER, INK = 255, (40, 40, 40)
FONT, LETTERS = cv2.FONT_HERSHEY_SIMPLEX, 0.55


def named(options: argparse.Namespace) -> dict[str, pathlib.Path]:
    """Label and path of all weights that were asked for.

    Raises ValueError for a word without a label, a label that comes twice, and no weights at all.
    """
    pairs = []
    for word in options.weights:
        label, _, path = word.partition("=")
        if not (label and path):
            raise ValueError(f"--weights {word}: give each as LABEL=FILE_OR_WORKDIR")
        pairs.append((label, pathlib.Path(path)))
    if folder := options.experiment:
        note = folder / report.ASKED
        if not note.exists():
            raise ValueError(f"{folder} holds no experiment; name a --workdir of experiments.run")
        variants = json.loads(note.read_text("utf-8"))["variants"]
        pairs += [(name, report.folder(folder, name, options.seed)) for name in variants]
    if not pairs:
        raise ValueError("whose colours? Give --weights or --experiment")
    for label, times in Counter([GRAY, TRUTH, *(label for label, _ in pairs)]).items():
        if times > 1:
            raise ValueError(f"{times} columns are called {label!r}: give each its own label")
    return dict(pairs)


def spread(photos: sources.Photos, count: int | None) -> list[int]:
    """The numbers of `count` photos, spread evenly; without it COUNT, or all if there are fewer.

    Raises ValueError when there are not so many.
    """
    count = min(COUNT, len(photos)) if count is None else count
    if not 1 <= count <= len(photos):
        raise ValueError(f"--count={count}: {photos!r}; take 1 to {len(photos)}")
    return [i * len(photos) // count for i in range(count)]


def cells(
    pixels: np.ndarray, networks: Mapping[str, stages.Stage], size: int, cell: int
) -> dict[str, np.ndarray]:
    """A row by the labels of its columns: pictures uint8 [h,w,3], the longer side `cell` pixels.

    `pixels` are the photo, uint8 [H,W,3]; `size` is that of `oldphoto colorize`.
    """
    gray = image.to_uint8(color.rgb_to_gray(image.to_float(pixels)))
    row = {GRAY: np.repeat(gray, 3, axis=-1)}
    row |= {label: colorize.colorize(stage, gray, size) for label, stage in networks.items()}
    row[TRUTH] = pixels
    high, wide = (max(1, round(side * cell / max(gray.shape))) for side in gray.shape[:2])
    return {label: image.resize(picture, high, wide) for label, picture in row.items()}


def lay_out(
    rows: Sequence[Mapping[str, np.ndarray]], labels: Sequence[str], cell: int
) -> np.ndarray:
    """One picture uint8 [H,W,3] of those columns of `cells` that `labels` name, labels on top."""
    heights = [len(row[labels[0]]) for row in rows]
    height = HEAD + sum(heights) + GAP * len(rows)
    canvas = np.full((height, GAP + len(labels) * (cell + GAP), 3), PAPER, np.uint8)
    for column, label in enumerate(labels):
        left, top = GAP + column * (cell + GAP), HEAD
        _write(canvas, label, left, cell)
        for row, high in zip(rows, heights, strict=True):
            wide = row[label].shape[1]
            start = left + (cell - wide) // 2
            canvas[top : top + high, start : start + wide] = row[label]
            top += high + GAP
    return canvas


def _write(canvas: np.ndarray, label: str, left: int, cell: int) -> None:
    """A label in the middle above its column, smaller where it is too long."""
    width = cv2.getTextSize(label, FONT, LETTERS, 1)[0][0]
    scale = LETTERS * min(1, cell / width)
    width, height = cv2.getTextSize(label, FONT, scale, 1)[0]
    place = (left + (cell - width) // 2, (HEAD + height) // 2)
    cv2.putText(canvas, label, place, FONT, scale, INK, 1, cv2.LINE_AA)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--weights", nargs="+", default=[], metavar="LABEL=PATH", help="files or work folders")
    add("--experiment", type=pathlib.Path, metavar="DIR", help="a --workdir of experiments.run")
    add("--seed", type=int, default=0, help="which runs of the experiment")
    add("--photos", default="samples:all", help="as a configuration takes them; samples:all")
    add("--count", type=int, help=f"of the photos; {COUNT}, or all if there are fewer")
    add("--no-truth", dest="truth", action="store_false", help="even if a photo is in colour")
    add("--size", type=int, default=colorize.SIZE, help="as of `oldphoto colorize`")
    add("--cell", type=int, default=CELL, help="the longer side of a picture on the sheet, pixels")
    add("--out", type=pathlib.Path, required=True, metavar="FILE.png")
    options = parser.parse_args(argv)
    if not colorize.SMALLEST <= options.size <= colorize.LARGEST:
        parser.error(f"--size={options.size}: give {colorize.SMALLEST} to {colorize.LARGEST}")
    if not 16 <= options.cell <= 2048:
        parser.error(f"--cell={options.cell}: give 16 to 2048")
    if options.out.suffix.lower() != ".png":
        parser.error(f"--out={options.out}: name it .png")
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    stages.prepare()
    try:
        paths, photos = named(options), sources.open_photos(options.photos)
        numbers = spread(photos, options.count)
        networks = {label: stages.load(path, kind=ColorPredictor) for label, path in paths.items()}
        rows, kinds = [], set()
        for record in (photos[number] for number in numbers):
            print(f"row {len(rows) + 1}: {record['name']}", flush=True)
            rows.append(cells(record["photo"], networks, options.size, options.cell))
            kinds.add(tone.kind(record["photo"]))
        labels = [GRAY, *networks]
        if options.truth and kinds & tone.COLORED:
            labels.append(TRUTH)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_png(options.out, lay_out(rows, labels, options.cell))
    except (ValueError, FileNotFoundError) as error:
        print(f"experiments.sheet: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
