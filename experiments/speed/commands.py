r"""How fast are the input pipeline and `oldphoto`, and how much memory does a scan take?

    python -m experiments.speed.commands --photos=PHOTOS --textures=DIR --weights=WEIGHTS
    python -m experiments.speed.commands --command=inpaint --photos=PHOTOS --weights=WEIGHTS
    python -m experiments.speed.commands --command=colorize --photos=PHOTOS --weights=WEIGHTS

PHOTOS is what a configuration takes: samples, a folder, a .txt list; WEIGHTS is what the command
takes: a training run, a file or a name. The pipeline is that of the
command's configuration `:lite`, on threads of one process. The first photo is enlarged to 1, 6 and
24 megapixels (3:2, JPEG) and each goes through a process of its own, as a user would start it:
seconds include start-up and compilation (`first`), or find the programs of the first run in the
compilation cache (`second`). Peak memory is the whole process's. Without --weights those that come
with the package are used.

What `oldphoto inpaint` fills are scratches and specks of our generator on 2 to 5 % of the photo,
drawn at one megapixel and enlarged with it, by each of METHODS. `oldphoto colorize` gets the photo
in gray.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np

from configs import colorize, inpaint, segment
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.data import loader, sources

CONFIGS = {"detect": segment, "inpaint": inpaint, "colorize": colorize}
METHODS = ("network", "biharmonic")
MEGAPIXELS = {1: (816, 1224), 6: (2000, 3000), 24: (4000, 6000)}
THICK = 12  # pixels at one megapixel; five times that in the largest is no more than was trained
LINES = ("scratch", "bundle", "film_lines", "hair", "lint")
SPECKS = ("dust", "flecks", "pinholes", "spots", "smut")
PEAK = "import resource; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
VISIT = f"import sys; from oldphoto_jax import cli; s = cli.main(sys.argv[1:]); {PEAK}; sys.exit(s)"


def pipeline(command: str, photos, textures: str, batches: int) -> float:
    """Training examples a second, without a network."""
    config = CONFIGS[command].get_config("lite")
    if textures:
        config.task.damage.textures = textures
    batch = config.batch_size
    options = dict(batch_size=batch, seed=0, threads=config.threads)
    with loader.loader(photos, config.task.example, **options) as stream:
        next(stream)
        start = time.perf_counter()
        for _ in range(batches):
            next(stream)
        return batches * batch / (time.perf_counter() - start)


def worn(photo: np.ndarray) -> np.ndarray:
    """A mask [H,W] uint8, 0 or 255, of the scratches and specks of an old photo [H,W,3]."""
    never = dict(clean=0, lookalikes=0, gray=0, ageing=0, scan=0)
    exclude = tuple(KINDS.keys() - {*LINES, *SPECKS})
    damage = Damage(max_size=THICK, amount=2.0, exclude=exclude, **never)
    for seed in range(100):
        mask = damage(photo, np.random.default_rng(seed))["mask"][..., 0]
        if 0.02 <= mask.mean() <= 0.05:
            return np.uint8(255 * mask)
    raise ValueError("no damage of 2 to 5 % came out on this photo; give another one first")


def visit(arguments: list[str], cache: str) -> tuple[float, float, dict]:
    """Seconds, peak memory (MiB) and report of one `oldphoto ARGUMENTS`, in its own process."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", VISIT, *arguments, "--out", out],
            capture_output=True,
            text=True,
            env=os.environ | {"XDG_CACHE_HOME": cache},
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"oldphoto {' '.join(arguments)}:\n{done.stderr}")
        report = json.loads((pathlib.Path(out) / "report.jsonl").read_text("utf-8"))
    return seconds, int(done.stdout.rpartition("PEAK")[2]) / 1024, report


def commands(command: str, photo: pathlib.Path, mask: pathlib.Path, weights: list[str]) -> dict:
    """The command lines to be timed on a photo, each by what is special about it."""
    if command != "inpaint":
        return {"": [command, str(photo), *weights]}
    shared = ["inpaint", str(photo), "--mask", str(mask)]
    return {
        method: [*shared, "--method", method, *(weights if method == "network" else [])]
        for method in METHODS
    }


def rows(command: str, pixels: np.ndarray, weights: list[str], megapixels: list[int]):
    """What is printed of each size and method; `pixels` [H,W,3] in OpenCV's order."""
    height, width = MEGAPIXELS[1]
    mask = worn(cv2.resize(pixels, (width, height))) if command == "inpaint" else None
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        for size in megapixels:
            height, width = MEGAPIXELS[size]
            photo, where = (
                pathlib.Path(folder) / f"{size}mp{end}" for end in (".jpg", "_mask.png")
            )
            shown = cv2.resize(pixels, (width, height))
            if command == "colorize":
                shown = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY)
            cv2.imwrite(str(photo), shown)
            if mask is not None:
                large = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(where), large)
            for method, arguments in commands(command, photo, where, weights).items():
                first, _, _ = visit(arguments, cache)
                second, peak, report = visit(arguments, cache)
                row = {"megapixels": size, "first": first, "second": second, "peak MiB": peak}
                row = {name: round(value, 1) for name, value in row.items()}
                if method:
                    row |= {"method": method, "filled": report["filled"], "left": report["left"]}
                yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", choices=CONFIGS, default="detect")
    parser.add_argument("--photos", default="samples")
    parser.add_argument("--textures", default="")
    parser.add_argument("--weights")
    parser.add_argument("--batches", type=int, default=40)
    sizes = dict(type=int, nargs="+", choices=MEGAPIXELS, default=[*MEGAPIXELS])
    parser.add_argument("--megapixels", **sizes)
    options = parser.parse_args()
    if options.textures and options.command == "colorize":
        parser.error("--textures: nothing is damaged before it is coloured")
    photos = sources.open_photos(options.photos)
    speed = pipeline(options.command, photos, options.textures, options.batches)
    print(json.dumps({"pipeline, examples/s": round(speed, 1), "cores": os.cpu_count()}))
    pixels = np.ascontiguousarray(photos[0]["photo"][..., ::-1])
    weights = ["--weights", options.weights] if options.weights else []
    for row in rows(options.command, pixels, weights, options.megapixels):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
