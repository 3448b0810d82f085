r"""Small holes filled without learning, then networks' colours side by side: one contact sheet.

    python -m experiments.report_chain --photos=scans --out=chain.png \
        --weights-color colorize-lite again=runs/colorize-lite
    python -m experiments.report_chain --photos=pairs:scans@masks --out=chain.png \
        --weights-color colorize-lite

The chain of a student's report: OpenCV fills small holes, and what is left is coloured by two
published networks (Zhang et al., 2016, https://arxiv.org/abs/1603.08511, beside Zhang et al., 2017,
https://arxiv.org/abs/1705.02999). Here it is a flow of the package's own steps, and
--weights-color takes the weights of any networks that colour: names, files or work folders, and
before each, if it is to have another, its caption, LABEL=PATH.

PHOTOS is what a configuration takes. Where records have a mask, as those of pairs:PHOTOS@MASKS,
that is what is filled; else what --weights-find marks is. Holes thicker than --max-hole stay as
they are. Photos in rows, --count of them, spread evenly; in columns each of them gray, what is
marked, what was filled, and the colours of each network. Everything is done at the photo's full
size, then reduced.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import fill_sheet, sheet
from oldphoto_jax.data import sources
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.tone import GRAY
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import classical, color_steps, detect, flow, inpaint, steps
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.options import COLORIZER, DETECTOR

MARKED, FILLED = "marked", "filled"  # captions
THICK = 24  # pixels; holes up to here are small


def mending(finder: str, method: str, max_hole: int) -> flow.Flow:
    """Finds what is damaged, unless it is given, and fills the small holes without learning."""
    detector = detect.Detector(stage=stages.load(finder, DETECTOR, DefectPredictor))
    inpainter = inpaint.Inpainter(method=method, max_hole=max_hole)
    return steps.Find(detector), steps.Mark(detector), steps.Fill(inpainter)


def coloring(path: pathlib.Path, size: int) -> flow.Flow:
    """Colours what was mended."""
    one = Colorizer(stage=stages.load(path, COLORIZER, ColorPredictor), size=size)
    return color_steps.Guess(one, "restored"), color_steps.Paint(one, "restored", "colored")


def chain(
    record: Mapping[str, Any], mend: flow.Flow, networks: Mapping[str, flow.Flow]
) -> dict[str, Any]:
    """Pictures of a source's record by caption, at full size: pixels [H,W,1|3], uint8.

    Beside them `mask` [H,W], 1 where damaged.
    """
    gray = image.to_uint8(color.rgb_to_gray(image.to_float(record["photo"])))
    asked = {"pixels": gray, "kind": GRAY}
    asked |= {"given": record["mask"][..., 0]} if "mask" in record else {}
    mended = flow.run(mend, asked)
    seen = {name: mended[name] for name in ("pixels", "kind", "restored")}
    colored = {name: flow.run(one, seen)["colored"][:] for name, one in networks.items()}
    return {sheet.GRAY: gray, "mask": mended["mask"], FILLED: mended["restored"]} | colored


def cells(made: Mapping[str, np.ndarray], cell: int) -> dict[str, np.ndarray]:
    """A row by its captions: pictures uint8 [h,w,3], the longer side `cell` pixels.

    Wherever there is damage in a small pixel it is red, so that scratches stay visible.
    """
    mask = made["mask"]
    high, wide = (max(1, round(side * cell / max(mask.shape))) for side in mask.shape)
    small = {name: image.resize(one, high, wide) for name, one in made.items() if name != "mask"}
    damaged = image.resize(np.float32(mask[..., None]), high, wide)[..., 0] > 0
    red = detect.overlay(small[sheet.GRAY], damaged)
    row = {sheet.GRAY: small[sheet.GRAY], MARKED: red} | small
    return {name: np.broadcast_to(one, (high, wide, 3)) for name, one in row.items()}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    where = "names, files or work folders"
    add("--weights-color", nargs="+", required=True, metavar="[LABEL=]PATH", help=where)
    add("--weights-find", default=DETECTOR, metavar="PATH", help="of the finder; %(default)s")
    add("--photos", default="samples:all", help="as a configuration takes them; samples:all")
    add("--count", type=int, help=f"of the photos; {sheet.COUNT}, or all if there are fewer")
    add("--method", choices=classical.METHODS, default="telea", help="%(default)s")
    add("--max-hole", type=int, default=THICK, metavar="PX", help="thickest filled; %(default)s")
    add("--size", type=int, default=Colorizer.size, help="as of `oldphoto colorize`")
    add("--cell", type=int, default=sheet.CELL, help="longer side of a picture on the sheet")
    add("--out", type=pathlib.Path, required=True, metavar="FILE.png")
    options = parser.parse_args(argv)
    if not 16 <= options.cell <= 2048:
        parser.error(f"--cell={options.cell}: give 16 to 2048")
    if options.out.suffix.lower() != ".png":
        parser.error(f"--out={options.out}: name it .png")
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    stages.prepare()
    try:
        words, taken = options.weights_color, (sheet.GRAY, MARKED, FILLED, "mask")
        paths = fill_sheet.named(words, taken, "--weights-color")
        photos = sources.open_photos(options.photos)
        numbers = sheet.spread(photos, options.count)
        mend = mending(options.weights_find, options.method, options.max_hole)
        networks = {name: coloring(path, options.size) for name, path in paths.items()}
        rows = []
        for record in (photos[number] for number in numbers):
            print(f"row {len(rows) + 1}: {record['name']}", flush=True)
            rows.append(cells(chain(record, mend, networks), options.cell))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_png(options.out, sheet.lay_out(rows, [*rows[0]], options.cell))
    except (OSError, ValueError) as error:
        sys.exit(f"experiments.report_chain: {error}")


if __name__ == "__main__":
    main()
