r"""Which photos are taken for gray, toned, faded and colour ones?

    python -m experiments.tone_kinds --photos=samples:all
    python -m experiments.tone_kinds --photos=old/ --list

Every photo of PHOTOS (what a configuration takes: samples, a folder, a .txt list), all of them in
colour, is led through the lives below, each made from a seed: made gray, toned, its dyes faded as
densities fade, and as it came. What `photo.tone` takes them for makes the confusion matrix, printed
as Markdown and written to --json. --list tells of each photo as it is what it is taken for. The
tables of the packaged samples and of the validation photos stand in tone_kinds.md.
"""

import argparse
import json
import pathlib
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np

from oldphoto_jax.damage import fading, stains
from oldphoto_jax.data import sources
from oldphoto_jax.photo import image, tone

KINDS = (tone.GRAY, tone.TONED, tone.FADED, tone.COLOR)
LARGEST = 512  # the longer side of what is judged: the verdict rests on 64 cells a side
CYANOTYPE = ((0.03, 0.12, 0.30), (0.90, 0.94, 0.95))  # Prussian blue on paper
RUST = np.array([0.55, 0.40, 0.22], np.float32)  # what foxing lets through
PRINTS = {  # the share of density that red, green and blue keep, and the stain each gains
    "pale": ((0.45, 0.50, 0.45), (0.02, 0.02, 0.04)),
    "magenta": ((0.50, 0.85, 0.55), (0.02, 0.03, 0.08)),
    "red": ((0.40, 0.80, 0.75), (0.00, 0.02, 0.06)),
    "yellow": ((0.60, 0.65, 0.70), (0.02, 0.05, 0.20)),
}
STRENGTHS = {"slightly": 0.4, "faded": 0.7, "badly": 1.0}  # the way from new to PRINTS
Life = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def noisy(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A gray photo after JPEG at quality 50 and a scanner's noise in every channel."""
    gray = fading.jpeg(fading.desaturate(photo), 50)
    noise = rng.normal(0, 0.03, photo.shape).astype(np.float32)
    return np.clip(gray + noise, 0, 1)


def toned(photo: np.ndarray, ends: tuple) -> np.ndarray:
    """The photo's luma painted between the colours of shadows and highlights."""
    shadow, highlight = (np.float32(end) for end in ends)
    return shadow + (highlight - shadow) * fading.desaturate(photo)


def foxed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gray on paper that yellowed from one side, with rusty spots."""
    gray = fading.desaturate(photo)
    height, width = gray.shape[:2]
    age = np.linspace(0.1, 0.6, width, dtype=np.float32)[None, :, None]
    paper = 1 - age * (1 - np.float32((1.0, 0.92, 0.72)))
    spots = stains.foxing((height, width), rng, max(height, width) // 16)[..., None]
    return gray * paper * (1 - 0.6 * spots * (1 - RUST))


def dyes(photo: np.ndarray, kept: np.ndarray, stain: np.ndarray) -> np.ndarray:
    """The print when each dye keeps this share of its density, with this density of stain added.

    photo is [H,W,3] in 0..1; kept and stain are those of cyan, magenta and yellow dye, which hold
    back red, green and blue (Wilhelm and Brower, The Permanence and Care of Color Photographs,
    1993).
    """
    linear = np.maximum(photo, 0.002) ** np.float32(2.2)
    faded = linear ** np.float32(kept) * np.float32(10.0) ** -np.float32(stain)
    return faded ** np.float32(1 / 2.2)


def print_of(photo: np.ndarray, name: str, strength: float) -> np.ndarray:
    """The photo as one of PRINTS, from new (0) to faded as the table has it (1)."""
    kept, stain = (np.array(part) for part in PRINTS[name])
    return dyes(photo, 1 - strength * (1 - kept), strength * stain)


def lives() -> dict[str, dict[str, Life]]:
    """Every life by name, under its true kind: life(photo [H,W,3] 0..1, rng) -> the same."""
    tones = {**fading.TONES, "cyanotype": CYANOTYPE}
    return {
        tone.GRAY: {
            "gray": lambda photo, rng: fading.desaturate(photo),
            "gray, JPEG 50 and noise": noisy,
        },
        tone.TONED: {
            name: lambda photo, rng, ends=tones[name]: fading.jpeg(toned(photo, ends), 80)
            for name in ("sepia", "brown", "selenium", "cyanotype")
        }
        | {"yellowed unevenly, foxed": foxed},
        tone.FADED: {
            f"{name} print, {word}": lambda photo, rng, name=name, strength=strength: fading.jpeg(
                print_of(photo, name, strength), 85
            )
            for name in PRINTS
            for word, strength in STRENGTHS.items()
        },
        tone.COLOR: {
            "colour": lambda photo, rng: photo,
            "colour, JPEG 50": lambda photo, rng: fading.jpeg(photo, 50),
        },
    }


def fitted(pixels: np.ndarray) -> np.ndarray:
    """A photo uint8 [H,W,3], no side longer than LARGEST, as float32 in 0..1."""
    height, width = pixels.shape[:2]
    scale = min(1, LARGEST / max(height, width))
    sides = (max(1, round(scale * side)) for side in (height, width))
    return image.to_float(image.resize(pixels, *sides))


def count(photos: sources.Photos) -> dict[str, dict[str, Counter]]:
    """How often each life of each true kind is taken for what."""
    taken = {kind: {name: Counter() for name in named} for kind, named in lives().items()}
    for number in range(len(photos)):
        photo = fitted(photos[number]["photo"])
        for kind, named in lives().items():
            for name, life in named.items():
                aged = image.to_uint8(life(photo, np.random.default_rng(number)))
                taken[kind][name][tone.kind(aged)] += 1
    return taken


def table(rows: dict[str, Counter]) -> str:
    """Markdown: names down, what they were taken for across, as counts and shares of the row."""
    lines = ["| | " + " | ".join(KINDS) + " |", "| --- |" + " ---: |" * len(KINDS)]
    for name, taken in rows.items():
        total = taken.total()
        cells = (f"{taken[kind]} ({taken[kind] / total:.1%})" for kind in KINDS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(taken: dict[str, dict[str, Counter]]) -> str:
    """The confusion matrix, what crosses the border of tone.COLORED, and each life by itself."""
    matrix = {kind: sum(named.values(), Counter()) for kind, named in taken.items()}
    border = {}
    for name, colored in (("to be coloured", False), ("left alone", True)):
        kinds = [kind for kind in KINDS if (kind in tone.COLORED) == colored]
        border[name] = sum((matrix[kind] for kind in kinds), Counter())
    each = {name: seen for named in taken.values() for name, seen in named.items()}
    return "\n\n".join(table(rows) for rows in (matrix, border, each))


def listed(photos: sources.Photos) -> str:
    """A line for each photo as it is: kind, the figures behind it, name."""
    lines = [f"{'kind':6} {'chroma':>7} {'residual':>8} {'hue':>4} {'black':>6}  name"]
    for number in range(len(photos)):
        record = photos[number]
        told = tone.measure(record["photo"])
        figures = f"{told.chroma:7.1f} {told.residual:8.1f} {told.hue:4.0f} {told.black:6.1f}"
        lines.append(f"{told.kind:6} {figures}  {record['name']}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", default="samples:all", help="as a configuration takes them")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="the counts, by life")
    parser.add_argument("--list", action="store_true", help="each photo as it is, no lives")
    options = parser.parse_args(argv)
    try:
        photos = sources.open_photos(options.photos)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"experiments.tone_kinds: {error}")
    if options.list:
        print(listed(photos))
        return
    taken = count(photos)
    print(report(taken))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(taken, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
