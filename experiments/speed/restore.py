r"""How fast is `oldphoto restore`, in how much memory, and how often does it compile?

    python -m experiments.speed.restore --results=runs/restore_speed.jsonl
    python -m experiments.speed.restore --part sizes --megapixels 1 6 --photos=PHOTOS

PHOTOS is what a configuration takes: samples, a folder, a .txt list. Every figure comes from
processes of its own, as a user would start them. With --results the rows that the file has are
not measured again, so the same command goes on where it was stopped. The parts:

    batch    photos a second for one-megapixel photos at several --batch, programs compiled before
    many     seconds a photo for photos of one megapixel, each of another size, programs compiled
             before
    sizes    seconds and memory of one photo of 1, 6, 24 (JPEG) and 100 megapixels (TIFF without
             compression), with an empty cache of compiled programs and then with a full one
    shapes   programs for photos of all sizes, in a first process and in a second. The filler and
             the colouring network are narrow ones that have learned nothing: they are faster, and
             as many programs are made of them
    start    one small photo with an empty cache, with a full one, and --help
    devices  pictures and masks by eight simulated devices beside those by one

Photos are grown old and damaged by our generator at one megapixel and smaller, where scratches and
specks are no thicker than THICK, and enlarged with their damage.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import pathlib
import re
import shutil
import statistics
import tempfile
from collections.abc import Iterator

import cv2
import numpy as np

from experiments.speed import visit
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.data import sources
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import colorize, detect, tiles
from oldphoto_jax.restore.request import PICTURES

MEGAPIXELS = {1: (816, 1224), 6: (2000, 3000), 24: (4000, 6000), 100: (8000, 12500)}
THICK = 8  # pixels, the least that can be asked for; enlarged to 100 megapixels ten times that
DISTINCT = 4  # photos that are damaged; the others repeat them
SIDES = (100, 1400)  # pixels, of the photos of all sizes
SMALL = ((160, 240), (240, 160))  # height and width of photos whose figures are no seconds
DEVICES = 8
SIMULATED = "--xla_force_host_platform_device_count"
PARTS = ("batch", "many", "sizes", "shapes", "start", "devices")
TELL = r"programs for (\d+) shapes"  # what `oldphoto restore` says at its end


def aged(photo: np.ndarray, size: tuple[int, int], seed: int) -> np.ndarray:
    """An old, damaged photo [H,W,3] uint8 of this size (H, W), of a good one."""
    damage = Damage(max_size=THICK, clean=0, lookalikes=0, gray=1, ageing=1, scan=1)
    old = damage(image.resize(photo, *size), np.random.default_rng(seed))["photo"]
    return image.to_uint8(old)


def save(path: pathlib.Path, photo: np.ndarray) -> pathlib.Path:
    """Writes photo [H,W,3] uint8; TIFF files without compression."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [cv2.IMWRITE_TIFF_COMPRESSION, 1] if path.suffix == ".tif" else []
    if not cv2.imwrite(str(path), photo[..., ::-1], plain):
        raise OSError(f"{path}: cannot be written")
    return path


class Measurements:
    """What the parts measure, one row at a time. Photos are made when a row wants them."""

    def __init__(self, photos: sources.Photos, folder: pathlib.Path):
        self.photos, self.folder = photos, folder
        self.runs = 0

    def photo(self, number: int) -> np.ndarray:
        return self.photos[number % len(self.photos)]["photo"]

    @functools.cached_property
    def large(self) -> list[np.ndarray]:
        """Old photos to be cut into pieces."""
        size = (SIDES[1], SIDES[1])
        return [aged(self.photo(number), size, number) for number in range(DISTINCT)]

    def restore(self, source: pathlib.Path, cache: str, *more: str, **how) -> tuple:
        """One `oldphoto restore`: how it went, and the folder with what it made."""
        self.runs += 1
        out = self.folder / f"out{self.runs}"
        arguments = ["restore", source, "--out", out, *more]
        return visit.visit(arguments, self.folder / cache, **how).succeeded(), out

    def batch(self, photos: int, batch: int) -> dict:
        """Photos of one megapixel, so many at once, their program compiled before."""
        source, more = self.folder / f"megapixel{photos}", ["--batch", str(batch)]
        for number in range(0 if source.exists() else photos):
            first = source / f"{number % DISTINCT:03}.jpg"
            if number < DISTINCT:
                save(first, aged(self.photo(number), MEGAPIXELS[1], number))
            else:
                shutil.copyfile(first, source / f"{number:03}.jpg")
        self.restore(source / "000.jpg", "batch", *more)
        seen, out = self.restore(source, "batch", *more)
        working = sum(line["seconds"] for line in visit.lines(out))
        return {
            "photos/s": photos / seen.seconds,
            "photos/s without start-up": photos / working,
            "seconds": seen.seconds,
            "anonymous MiB": seen.anonymous,
            "peak MiB": seen.peak,
        }

    def many(self, photos: int) -> dict:
        """Photos of about one megapixel, none as high or as wide as another."""
        source, (height, width) = self.folder / "many", MEGAPIXELS[1]
        grown = [aged(self.photo(number), MEGAPIXELS[1], number) for number in range(DISTINCT)]
        for number in range(photos):
            size = width + 2 * number, height - number
            piece = cv2.resize(grown[number % DISTINCT], size, interpolation=cv2.INTER_LINEAR)
            save(source / f"{number:03}.jpg", piece)
        self.restore(source / "000.jpg", "many")
        seen, _ = self.restore(source, "many")
        return {
            "seconds a photo": seen.seconds / photos,
            "seconds": seen.seconds,
            "anonymous MiB": seen.anonymous,
            "peak MiB": seen.peak,
        }

    def sizes(self, megapixels: int, file: str) -> dict:
        """One photo of this size, in a file of this kind, twice."""
        height, width = MEGAPIXELS[megapixels]
        old = aged(self.photo(0), MEGAPIXELS[1], 0)
        path = self.folder / f"{megapixels}{file}"
        save(path, cv2.resize(old, (width, height), interpolation=cv2.INTER_LINEAR))
        cache = f"cache-{path.stem}"
        first, _ = self.restore(path, cache)
        second, out = self.restore(path, cache)
        (line,) = visit.lines(out)
        return {
            "the photo itself, MiB": height * width * 3 / 2**20,
            "first, s": first.seconds,
            "second, s": second.seconds,
            "first, anonymous MiB": first.anonymous,
            "second, anonymous MiB": second.anonymous,
            "first, peak MiB": first.peak,
            "second, peak MiB": second.peak,
            "filled": line["filled"],
            "left": line["left"],
        }

    def shapes(self, photos: int, process: int) -> dict:
        """Programs for photos of all sizes: traced, compiled, and found in the cache."""
        source, rng = self.folder / f"different{photos}", np.random.default_rng(0)
        for number in range(0 if source.exists() else photos):
            height, width = rng.integers(SIDES[0], SIDES[1] + 1, 2)
            top, left = rng.integers(0, SIDES[1] - np.array([height, width]) + 1)
            piece = self.large[number % DISTINCT][top : top + height, left : left + width]
            save(source / f"{number:03}.jpg", piece)
        more = visit.untrained(self.folder / "networks", ("inpainter", "colorizer"))
        cache = f"shapes{photos}"
        if process > 1 and not (self.folder / cache).exists():
            self.restore(source, cache, *more)  # the first process's row was measured before
        seen, _ = self.restore(source, cache, *more, counted=True)
        told = {name: seen.events.get(event, 0) for name, event in visit.CACHE_EVENTS.items()}
        if not any(told.values()):
            raise SystemExit(f"JAX told of no program, only of {seen.events}")
        traced = int(re.search(TELL, seen.err)[1])
        return {"possible": possible(), "traced": traced, **told, "seconds": seen.seconds}

    def start(self, cache: str, times: int) -> dict:
        """One small photo with an `empty` or `full` cache, or only --help."""
        path = save(self.folder / "start.png", aged(self.photo(0), SMALL[0], 0))
        if cache == "full":
            self.restore(path, "full")
        seconds = []
        for turn in range(times):
            if cache == "--help":
                seen = visit.visit(["restore", cache], self.folder / cache).succeeded()
            else:
                seen, _ = self.restore(path, f"empty{turn}" if cache == "empty" else cache)
            seconds.append(seen.seconds)
        middle = statistics.median(seconds)
        return {"seconds": middle, "fastest": min(seconds), "slowest": max(seconds)}

    def devices(self, photos: int, devices: int) -> dict:
        """How far what simulated devices make is from what one makes."""
        source, made = self.folder / "small", []
        for number in range(photos):
            size = SMALL[number % 3 // 2]  # two groups, of which one is smaller
            save(source / f"{number:03}.png", aged(self.photo(number), size, number))
        for count in (1, devices):
            flags = f"{os.environ.get('XLA_FLAGS', '')} {SIMULATED}={count}".strip()
            environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
            made.append(self.restore(source, "devices", environment=environment)[1])
        return compare(*made)


def possible() -> int:
    """How many shapes there are in which networks are asked: tiles to find and fill, and views."""
    photos = [*itertools.product(range(64, 4097, 64), repeat=2)]
    squares = {tiles.plan(*sides, detect.TILE, detect.OVERLAP)[0].side for sides in photos}
    size = colorize.SIZE
    views = {colorize.view(*colorize.working_size(*sides, size), size, 1) for sides in photos}
    return len(squares) + 1 + len(views)


def compare(one: pathlib.Path, other: pathlib.Path) -> dict:
    """How far the PNG files of two runs differ, by kind."""
    paths = sorted(path.relative_to(one) for path in one.rglob("*.png"))
    if not paths or paths != sorted(path.relative_to(other) for path in other.rglob("*.png")):
        raise SystemExit(f"{one} and {other} hold other files")
    differences: dict[str, list[int]] = {name: [] for name in (*PICTURES, "mask", "prob")}
    for path in paths:
        kind = next(name for name in differences if path.stem.endswith(f"_{name}"))
        first, second = (np.int64(files.read(out / path).pixels) for out in (one, other))
        differences[kind].append(int(np.abs(first - second).max()))
    pictures = [value for name in PICTURES for value in differences[name]]
    return {
        "pictures": len(pictures),
        "the same, share": sum(value == 0 for value in pictures) / len(pictures),
        "largest difference of 255": max(pictures),
        "masks": len(differences["mask"]),
        "masks the same": sum(value == 0 for value in differences["mask"]),
        "largest difference of probabilities, of 65535": max(differences["prob"]),
    }


def plan(options: argparse.Namespace) -> dict[str, list[dict]]:
    """What each row of the parts is about."""
    return {
        "batch": [{"photos": options.count, "batch": number} for number in options.batch],
        "many": [{"photos": options.count}],
        "sizes": [
            {"megapixels": size, "file": options.ending or (".jpg" if size < 100 else ".tif")}
            for size in options.megapixels
        ],
        "shapes": [{"photos": options.different, "process": number} for number in (1, 2)],
        "start": [
            {"cache": cache, "times": options.repeats} for cache in ("empty", "full", "--help")
        ],
        "devices": [{"photos": options.small, "devices": DEVICES}],
    }


def measure(options: argparse.Namespace, photos: sources.Photos) -> Iterator[tuple[str, list]]:
    """Each part and its rows."""
    results, planned = visit.Results(options.results), plan(options)
    with tempfile.TemporaryDirectory(prefix="restore_speed_") as folder:
        measurements = Measurements(photos, pathlib.Path(folder))
        for part in options.part:
            rows = []
            for what in planned[part]:
                one = functools.partial(getattr(measurements, part), **what)
                about = {"part": part, "source": options.photos}
                row = results.add(about | what, one)
                rows.append({name: value for name, value in row.items() if name not in about})
                for out in pathlib.Path(folder).glob("out*"):
                    shutil.rmtree(out)
            yield part, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=[*PARTS])
    add("--photos", default="samples")
    add("--results", help="a .jsonl file: rows in there are not measured again")
    add("--batch", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    add("--count", type=int, default=64, help="photos of one megapixel (%(default)s)")
    add("--megapixels", type=int, nargs="+", choices=MEGAPIXELS, default=[*MEGAPIXELS])
    add("--ending", choices=(".jpg", ".png", ".tif"), help="of the photos of these sizes")
    add("--different", type=int, default=200, help="photos of different sizes (%(default)s)")
    add("--repeats", type=int, default=3, help="starts that are timed (%(default)s)")
    add("--small", type=int, default=16, help="photos for several devices (%(default)s)")
    options = parser.parse_args()
    tables = [
        visit.table(rows) for _, rows in measure(options, sources.open_photos(options.photos))
    ]
    print("\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
