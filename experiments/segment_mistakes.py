r"""What a network that finds defects does wrong, as a picture: marks on clean photos, and misses.

    python -m experiments.segment_mistakes --weights=segment-lite \
        --photos=samples:all --out=mistakes.jpg

Each cell is a pair. Above, the undamaged photos on which most is marked, marks in red. Below, the
same photos damaged, each with the seed whose defects are found worst: found in green, missed in
red, marked wrongly in blue. PHOTOS is what a configuration takes: samples, a folder, a list.
"""

import argparse
import pathlib
import sys

import cv2
import numpy as np

from oldphoto_jax.data import sources
from oldphoto_jax.exams import defects
from oldphoto_jax.photo import image
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import detect
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.weights.store import WeightsError

COUNT, CELL, SEEDS = 3, 256, 4
FOUND, MISSED, WRONG = np.array([(0, 190, 60), (255, 0, 0), (40, 80, 255)], np.float32) / 255
QUALITY = 88


def tint(photo: np.ndarray, mask: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """The photo [H,W,3] in 0..1 with the pixels of mask [H,W] mostly in that ink."""
    return np.where(mask[..., None] > 0, 0.25 * photo + 0.75 * ink, photo)


def false_marks(stage: stages.Stage, photos: sources.Photos) -> list[tuple[float, np.ndarray]]:
    """Share marked, and a pair of pictures [h,2w,3] in 0..1, of every photo as it is."""
    found = []
    for index in range(len(photos)):
        pixels = photos[index]["photo"]
        mask = detect.cut(detect.probability(stage, pixels), stage.predictor.threshold)
        photo = np.broadcast_to(image.to_float(pixels), (*mask.shape, 3))
        found.append((float(mask.mean()), _pair(photo, tint(photo, mask, MISSED))))
    return found


def misses(
    stage: stages.Stage, photos: sources.Photos, size: int = 384
) -> list[tuple[float, np.ndarray]]:
    """1 - IoU, and a pair of pictures, of every photo with the worst found of SEEDS damages."""
    worst = {}
    exam = defects.Exam(photos=photos, count=SEEDS * len(photos), size=size)
    for name, example in exam.examples(clean=False):
        photo, mask = example["photo"], example["mask"][..., 0] > 0
        if mask.mean() < 0.005:
            continue
        marked = detect.ask(stage, photo[None])[0, ..., 0] >= stage.predictor.threshold
        shown = tint(photo, mask & marked, FOUND)
        shown = tint(tint(shown, mask & ~marked, MISSED), marked & ~mask, WRONG)
        lost = 1 - (mask & marked).sum() / (mask | marked).sum()
        worst[name] = max(worst.get(name, (-1.0, None)), (lost, _pair(photo, shown)), key=_lost)
    return list(worst.values())


def draw(rows: list[list[tuple[float, np.ndarray]]], count: int) -> np.ndarray:
    """The worst `count` of each row, the worst first, as one picture [H,W,3] uint8.

    Empty rows are left out. Raises ValueError when all are.
    """
    if not any(rows):
        raise ValueError("none of these photos has anything to show")
    lines = []
    for row in filter(None, rows):
        worst = sorted(row, key=_lost, reverse=True)[:count]
        lines.append(np.concatenate([pair for _, pair in worst], axis=1))
    width = max(line.shape[1] for line in lines)
    padded = [
        np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=1)
        for line in lines
    ]
    return image.to_uint8(np.concatenate(padded))


def _lost(cell: tuple[float, np.ndarray]) -> float:
    return cell[0]


def _pair(photo: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Both side by side, cropped to a square and CELL pixels high."""
    side = min(photo.shape[:2])
    top, left = ((size - side) // 2 for size in photo.shape[:2])
    squares = (p[top : top + side, left : left + side] for p in (photo, shown))
    small = [image.resize(np.ascontiguousarray(p, np.float32), CELL, CELL) for p in squares]
    return np.concatenate(small, axis=1)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights", default="segment-lite", help="a name, a file, or a work folder"
    )
    parser.add_argument("--photos", default="samples:all", help="as a configuration takes them")
    parser.add_argument("--count", type=int, default=COUNT, help="pairs in a row")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="a .jpg or .png")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        stage = stages.load(options.weights, kind=DefectPredictor)
        photos = sources.open_photos(options.photos)
        picture = draw([false_marks(stage, photos), misses(stage, photos)], options.count)
    except (OSError, ValueError, WeightsError) as error:
        sys.exit(f"experiments.segment_mistakes: {error}")
    quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if options.out.suffix == ".jpg" else []
    if not cv2.imwrite(str(options.out), picture[..., ::-1], quality):
        sys.exit(f"experiments.segment_mistakes: {options.out} can't be written")
    print(options.out)


if __name__ == "__main__":
    main()
