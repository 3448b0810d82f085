r"""Which network's colours look best? Pairs of pictures with their names hidden, and votes.

    python -m experiments.duel draw --photos=data/old --out=runs/duel \
        --weights mean=runs/a vivid=runs/b critic=runs/c
    python -m experiments.duel count --out=runs/duel

Colours that are nearest to the truth on the average are not those that people like best. `draw`
makes sheets of ROWS duels: a gray photo and beside it, in columns called left and right, what two
of the networks make of it as `oldphoto colorize` does. Every pair of networks meets --each times,
over photos spread evenly; order and sides are shuffled by --seed, and who stands where is in
OUT/key.json, not to be opened before the votes are cast. Those are lines of OUT/votes.txt, one a
duel: number of the sheet, of the row, and "left", "right" or "equal", as in "3.2 left". `count`
says who won how often, half a win for "equal", and writes that to OUT/votes.md, with how often each
side won, which shows whether the voter was drawn to one of them.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import sheet
from oldphoto_jax.data import sources
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import colorize
from oldphoto_jax.restore import stage as stages

ROWS, CELL, EACH = 4, 320, 8
KEY, VOTES, TABLE = "key.json", "votes.txt", "votes.md"
LEFT, RIGHT, EQUAL = "left", "right", "equal"
CHANCE = (
    "By chance alone a network wins half of n duels, give or take sqrt(n) (95 %, if none is equal "
    "and no photo comes twice)."
)
VOTE = re.compile(rf"(\d+)\.(\d+)\s+({LEFT}|{RIGHT}|{EQUAL})")


@dataclasses.dataclass(frozen=True)
class Duel:
    """Two networks at one photo; `place` is that on the sheets, such as "3.2"."""

    place: str
    photo: int  # its number in the source
    left: str
    right: str


def pairing(labels: Sequence[str], photos: Sequence[int], each: int, seed: int) -> list[Duel]:
    """All duels in the order of the sheets: every pair of labels `each` times, half on each side.

    Of an odd number one of them, by chance, has one more on the left. The photos take turns, so
    that no two duels of a pair are about the same one while there are others.
    """
    rng = np.random.default_rng(seed)
    matches = []
    for pair in itertools.combinations(labels, 2):
        turns = [photos[i % len(photos)] for i in range(each)]
        first = int(rng.integers(2))
        matches += [
            (photo, pair[:: (-1) ** i]) for i, photo in enumerate(rng.permutation(turns), first)
        ]
    order = rng.permutation(len(matches))
    shuffled = [matches[i] for i in order]
    places = (f"{i // ROWS + 1}.{i % ROWS + 1}" for i in range(len(shuffled)))
    return [
        Duel(place, int(photo), *pair)
        for place, (photo, pair) in zip(places, shuffled, strict=True)
    ]


def read(path: pathlib.Path, duels: Sequence[Duel]) -> dict[str, str]:
    """The votes by their places. Raises ValueError unless each duel has one and no other has."""
    votes = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        if not (match := VOTE.fullmatch(line.strip())):
            raise ValueError(
                f"{path}, line {number}: {line!r} is no vote; write as '3.2 {LEFT}', '3.2 {RIGHT}' "
                f"or '3.2 {EQUAL}'"
            )
        place = f"{match[1]}.{match[2]}"
        if place in votes:
            raise ValueError(f"{path}, line {number}: a second vote on {place}; leave one")
        votes[place] = match[3]
    places = {duel.place for duel in duels}
    if wrong := [place for place in votes if place not in places]:
        raise ValueError(f"{path}: there is no duel {', '.join(wrong)}; leave those lines out")
    if missing := [duel.place for duel in duels if duel.place not in votes]:
        raise ValueError(f"{path}: no vote on {', '.join(missing)}; write a line for each")
    return votes


def tally(duels: Sequence[Duel], votes: Mapping[str, str]) -> str:
    """Who won how often, best first, and against whom: a Markdown table and a line on sides."""
    labels = sorted({label for duel in duels for label in (duel.left, duel.right)})
    won = {pair: [0.0, 0] for pair in itertools.permutations(labels, 2)}
    for duel in duels:
        share = {LEFT: 1.0, RIGHT: 0.0, EQUAL: 0.5}[votes[duel.place]]
        sides = (((duel.left, duel.right), share), ((duel.right, duel.left), 1 - share))
        for pair, value in sides:
            won[pair][0] += value
            won[pair][1] += 1

    def total(label: str) -> tuple[float, int]:
        own = [score for pair, score in won.items() if pair[0] == label]
        return sum(wins for wins, _ in own), sum(met for _, met in own)

    ranked = sorted(labels, key=lambda label: -total(label)[0] / total(label)[1])
    lines = [
        f"| network | won | {' | '.join(f'against {label}' for label in ranked)} |",
        f"| --- | ---: |{' ---: |' * len(ranked)}",
    ]
    for label in ranked:
        against = ["" if o == label else "{:g} of {}".format(*won[label, o]) for o in ranked]
        lines.append(f"| {label} | {' | '.join(['{:g} of {}'.format(*total(label)), *against])} |")
    count = {side: sum(vote == side for vote in votes.values()) for side in (LEFT, RIGHT, EQUAL)}
    told = ", ".join(f"{number} {side}" for side, number in count.items())
    lines += ["", f"{len(duels)} duels: {told}. {CHANCE}", ""]
    return "\n".join(lines)


def draw(options: argparse.Namespace) -> None:
    """Writes the sheets and their key. Raises ValueError rather than write over an older key."""
    if (options.out / KEY).exists():
        raise ValueError(f"{options.out} holds duels already; name another folder")
    if len(options.weights) < 2:
        raise ValueError("a duel takes two: give --weights of two networks or more")
    paths, photos = sheet.named(options), sources.open_photos(options.photos)
    numbers = sheet.spread(photos, min(options.each, len(photos)))
    networks = {label: stages.load(path, kind=ColorPredictor) for label, path in paths.items()}
    duels = pairing([*networks], numbers, options.each, options.seed)
    made = {i: sheet.cells(photos[i]["photo"], networks, colorize.SIZE, CELL) for i in numbers}
    options.out.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(duels), ROWS), 1):
        some = duels[start : start + ROWS]
        rows = [row(made[duel.photo], duel) for duel in some]
        picture = sheet.lay_out(rows, [sheet.GRAY, LEFT, RIGHT], CELL)
        files.write_png(options.out / f"{number}.png", picture)
        print(f"sheet {number}: {len(some)} duels", flush=True)
    key = {"seed": options.seed, "duels": [dataclasses.asdict(duel) for duel in duels]}
    key["photos"] = {str(number): photos[number]["name"] for number in numbers}
    key["weights"] = {label: stage.checksum for label, stage in networks.items()}
    (options.out / KEY).write_text(json.dumps(key, indent=1), "utf-8")


def row(made: Mapping[str, np.ndarray], duel: Duel) -> dict[str, np.ndarray]:
    """The pictures of a duel by the captions of their columns."""
    return {sheet.GRAY: made[sheet.GRAY], LEFT: made[duel.left], RIGHT: made[duel.right]}


def count(options: argparse.Namespace) -> None:
    """Prints the table of votes and writes it. Raises FileNotFoundError without key or votes."""
    missing = {KEY: "draw the duels first", VOTES: "write it, a line a duel, as '3.2 left'"}
    for name, mend in missing.items():
        if not (options.out / name).exists():
            raise FileNotFoundError(f"{options.out} has no {name}: {mend}")
    key = json.loads((options.out / KEY).read_text("utf-8"))
    duels = [Duel(**duel) for duel in key["duels"]]
    table = tally(duels, read(options.out / VOTES, duels))
    (options.out / TABLE).write_text(table, "utf-8")
    print(table, end="")


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    drawer = commands.add_parser("draw", help="make the sheets")
    add = drawer.add_argument
    add("--weights", nargs="+", default=[], metavar="LABEL=PATH", help="files or work folders")
    add("--photos", default="samples:all", help="as a configuration takes them; samples:all")
    add("--each", type=int, default=EACH, help=f"times that each pair of networks meets; {EACH}")
    add("--seed", type=int, default=0, help="another seed shuffles otherwise")
    drawer.set_defaults(run=draw, experiment=None)
    counter = commands.add_parser("count", help="count the votes")
    counter.set_defaults(run=count)
    for one in (drawer, counter):
        one.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR")
    options = parser.parse_args(argv)
    if options.command == "draw" and options.each < 1:
        parser.error(f"--each={options.each}: give 1 or more")
    return options


def main(argv: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if argv is None else argv)
    stages.prepare()
    try:
        options.run(options)
    except (OSError, ValueError) as error:
        sys.exit(f"experiments.duel: {error}")


if __name__ == "__main__":
    main()
