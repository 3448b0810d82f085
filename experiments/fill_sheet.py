r"""Fillings side by side: crops in rows; in columns the damage, each method's filling, the truth.

    python -m experiments.fill_sheet --photos=data/splits/val.txt --textures=data/textures \
        --weights=inpaint-lite --weights=new=runs/inpaint-lite --out=sheet.jpg

The crops are those of `oldphoto evaluate inpaint` with the same photos, size and seed: of the first
--count of them the --rows with the thickest holes. They are filled as `oldphoto inpaint` does.
--weights takes files, work folders and names of packaged weights, and may be given several times;
a caption other than the path's own goes before: LABEL=PATH. Crops up to 128 pixels are shown twice
as large.
"""

import argparse
import pathlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import sheet
from oldphoto_jax.data import sources
from oldphoto_jax.exams import filling
from oldphoto_jax.folder import masks
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import detect, holes, inpaint
from oldphoto_jax.restore import stage as stages

ROWS, CHOICE = 6, 4  # CHOICE: crops that are drawn for each row
SIZE, SMALLEST, LARGEST = 192, 16, 1024  # pixels
SMALL = 128  # pixels; crops up to here are shown twice as large
DAMAGED, TRUTH = "damaged", "truth"  # captions
PLAIN = "biharmonic"
SUFFIXES, QUALITY = (".jpg", ".jpeg", ".png"), 92


def named(
    words: Sequence[str], taken: Sequence[str] = (DAMAGED, PLAIN, TRUTH), flag: str = "--weights"
) -> dict[str, pathlib.Path]:
    """Caption and path of all weights that were asked for, by `flag`.

    Raises ValueError for a caption that comes twice, or is one of those `taken`.
    """
    pairs = []
    for word in words:
        label, _, path = word.rpartition("=")
        pairs.append((label or pathlib.Path(path).name.removesuffix(".safetensors"), path))
    for label, times in Counter([*taken, *(label for label, _ in pairs)]).items():
        if times > 1:
            raise ValueError(
                f"{times} columns are called {label!r}: give each its own, {flag}=LABEL=PATH"
            )
    return {label: pathlib.Path(path) for label, path in pairs}


def thickest(exam: filling.Exam, rows: int) -> list[tuple[int, str, dict[str, np.ndarray]]]:
    """Thickness of the thickest hole, name and example of the crops in which it is most.

    The thickest comes first, of equals the earlier crop. Crops that the exam leaves out are left
    out here. Raises ValueError when there are fewer than `rows`.
    """
    found = [
        (holes.thickest(example["mask"][..., 0]), name, example)
        for name, example in exam.examples()
        if 0 < example["mask"].mean() <= masks.MOST
    ]
    if len(found) < rows:
        raise ValueError(
            f"{len(found)} of the {exam.count} crops have holes and more photo than holes, too "
            f"few for {rows} rows; give a larger --count or fewer --rows"
        )
    return sorted(found, key=lambda crop: -crop[0])[:rows]


def cells(
    example: Mapping[str, np.ndarray], methods: Sequence[filling.Method]
) -> dict[str, np.ndarray]:
    """A row by the captions of its columns: pictures uint8 [H,W,3] of an exam's example."""
    photo, mask = example["photo"], example["mask"][..., 0]
    row = {DAMAGED: detect.overlay(photo, mask)}
    row |= {method.name: method.fill(photo, mask) for method in methods}
    row[TRUTH] = example["target"]
    zoom = 2 if max(mask.shape) <= SMALL else 1
    return {label: picture.repeat(zoom, 0).repeat(zoom, 1) for label, picture in row.items()}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    where = "a file, a work folder or a name; may be given several times"
    add("--weights", action="append", required=True, metavar="[LABEL=]PATH", help=where)
    add("--photos", default="samples:all", help="as a configuration takes them; samples:all")
    add("--textures", type=pathlib.Path, metavar="DIR", help="scans of damage to mix in")
    add("--rows", type=int, default=ROWS, help=f"of the sheet; {ROWS}")
    add("--count", type=int, help=f"crops to choose them from; {CHOICE} a row")
    add("--size", type=int, default=SIZE, help=f"side of a crop, pixels; {SIZE}")
    add("--seed", type=int, default=0, help="another seed damages otherwise")
    add("--out", type=pathlib.Path, required=True, metavar="FILE", help="a .jpg or .png")
    options = parser.parse_args(argv)
    if options.rows < 1:
        parser.error(f"--rows={options.rows}: give 1 or more")
    if options.count is None:
        options.count = CHOICE * options.rows
    if options.count < options.rows:
        parser.error(f"--count={options.count}: fewer than the {options.rows} rows; give more")
    if not SMALLEST <= options.size <= LARGEST:
        parser.error(f"--size={options.size}: give {SMALLEST} to {LARGEST}")
    if options.seed < 0:
        parser.error(f"--seed={options.seed}: give 0 or more")
    if options.out.suffix.lower() not in SUFFIXES:
        parser.error(f"--out={options.out}: name it .jpg or .png")
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    stages.prepare()
    try:
        methods = [filling.candidate(PLAIN)]
        for label, path in named(options.weights).items():
            loaded = stages.load(path, kind=FillingPredictor)
            methods.append(filling.candidate(inpaint.NETWORK, loaded, label))
        exam = filling.Exam(
            photos=sources.open_photos(options.photos),
            textures=options.textures,
            count=options.count,
            size=options.size,
            seed=options.seed,
        )
        exam.check(methods)
        rows = []
        for thickness, name, example in thickest(exam, options.rows):
            print(f"row {len(rows) + 1}: {name}, a hole {thickness} pixels thick", flush=True)
            rows.append(cells(example, methods))
        picture = sheet.lay_out(rows, [*rows[0]], rows[0][TRUTH].shape[1])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        quality = None if options.out.suffix.lower() == ".png" else QUALITY
        files.write(options.out, PhotoFile(picture), quality=quality)
    except (OSError, ValueError) as error:
        sys.exit(f"experiments.fill_sheet: {error}")


if __name__ == "__main__":
    main()
