r"""What becomes of a folder of photos when `oldphoto restore` is killed, or meets what is broken?

    python -m tests.faults.restore
    python -m tests.faults.restore --fault killed --photos=PHOTOS

PHOTOS is what a configuration takes: samples, a folder, a .txt list. Small pieces of them, in all
formats, gray and in colour, 8 and 16 bits, make a folder of --count. It is restored once
undisturbed and then with each fault, by the command in a process of its own:

    killed     `kill -9` --kills times at random moments, and at last let through
    full       the disk of OUT is full half-way (a small tmpfs; where none can be mounted, a limit
               on the size of files), later it has room
    unreadable truncated, empty, locked and other files that are no photos, among good ones
    bombs      headers that promise more pixels than are allowed; refused without taking memory
    promise    a header that promises just less, and nothing behind it
    masks      masks of another size

A row of what happened is printed as soon as it did, at the end a table; the exit status is 1 where
something did that should not.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from experiments.speed import visit
from oldphoto_jax.data import sources
from oldphoto_jax.photo.disk import files
from tests.faults import aftermath, broken

GOOD = 20  # photos among which the broken ones lie
PATIENCE = 1800  # seconds; no run takes so long, unless it hangs


@dataclasses.dataclass
class Outcome:
    """One fault, what happened, the exit status, and whether all of it should have."""

    fault: str
    happened: str
    exit: int
    fine: bool


def judge(fault: str, happened: str, seen: visit.Visit, exit: int, fine: bool) -> Outcome:
    """A row; another exit status than `exit` should not have happened, and is explained."""
    if seen.status != exit:
        happened += f"; {seen.last}"
    return Outcome(fault, happened, seen.status, fine and seen.status == exit)


class Faults:
    """A folder of photos, what an undisturbed run makes of it, and what others do."""

    def __init__(self, folder: pathlib.Path, photos: sources.Photos, count: int, more: Sequence):
        self.folder, self.more, self.count = folder, [*more], count
        self.cache, self.source = folder / "cache", folder / "photos"
        broken.build(self.source, photos, count)
        self.names = sorted(path.name for path in self.source.iterdir())
        self.undisturbed = folder / "undisturbed"
        self.restore(self.source, self.undisturbed).succeeded()  # compiles
        self.expected = aftermath.tree(self.undisturbed)
        shutil.rmtree(self.undisturbed)
        seen = self.restore(self.source, self.undisturbed).succeeded()
        if told := aftermath.differences(self.undisturbed, self.expected):
            raise SystemExit(f"two undisturbed runs differ: {told}")
        self.peak = seen.peak
        self.pace = statistics.median(line["seconds"] for line in visit.lines(self.undisturbed))

    def restore(self, source, out: pathlib.Path, *more, **how) -> visit.Visit:
        arguments = ["restore", source, "--out", out, *self.more, *more]
        return visit.visit(arguments, self.cache, patience=PATIENCE, **how)

    def of(self, names: Sequence[str]) -> dict[str, bytes]:
        """What an undisturbed run makes of these photos."""
        stems = {pathlib.Path(name).stem for name in names}
        return {name: data for name, data in self.expected.items() if aftermath.stem(name) in stems}

    def killed(self, kills: int, seed: int = 0) -> Iterator[Outcome]:
        """One folder, killed and started again until it is done."""
        out, rng = self.folder / "killed", np.random.default_rng(seed)
        targets = 1 + rng.choice(self.count * 9 // 10, kills, replace=False)
        again = 0
        for number, target in enumerate(sorted(targets)):
            late, when = functools.partial(aftermath.wait, rng.uniform(0, self.pace)), ""
            if number % 2:
                late, when = aftermath.among_files, ", among a photo's files"
            seen = self.restore(
                self.source, out, kill=functools.partial(aftermath.reached, out, target, late)
            )
            done, torn, parts = aftermath.finished(out), aftermath.torn(out), out.rglob("*.part")
            again += len(torn)
            yield judge(
                f"`kill -9`, {number + 1} of {kills}{when}",
                f"{len(done)} photos were done, {len(torn)} half-done; "
                f"{len([*parts])} half-written files",
                seen,
                -9,
                len(torn) <= 1 and max(done.values(), default=1) == 1,
            )
        seen = self.restore(self.source, out)
        done, wrong = aftermath.finished(out), aftermath.differences(out, self.expected)
        once = [*done.values()] == [1] * self.count
        yield judge(
            f"the same command after {kills} kills",
            f"{'one line' if once else 'NOT one line'} for each of {self.count} photos; "
            f"{aftermath.whole(out)} pictures are whole; all files "
            f"{wrong or 'are those of an undisturbed run, byte by byte, and no others are there'}; "
            f"{again} photos were half-done and done again",
            seen,
            0,
            once and not wrong,
        )

    def full(self) -> Iterator[Outcome]:
        """A disk that is full half-way."""
        out = self.folder / "full"
        blocks = sum(-(-len(data) // 4096) for data in self.expected.values())
        with aftermath.disk(out, blocks * 4096 // 2) as (what, limit, enlarge):
            seen = self.restore(self.source, out, preexec_fn=limit)
            there = aftermath.tree(out)
            there.pop(aftermath.DOING, None)  # stays where the report could not be written either
            wrong = [name for name in there if there[name] != self.expected.get(name)]
            failed = [line["reason"] for line in visit.lines(out) if line["status"] == "failed"]
            reason = failed[0] if failed else seen.last
            yield Outcome(
                f"full disk ({what})",
                f"{len(aftermath.finished(out))} photos done, {len(failed)} failed: "
                f"{reason.replace(f'{out}/', '')}; "
                f"{', '.join(wrong) + ': not whole' if wrong else 'every file there is whole'}",
                seen.status,
                seen.status in (1, 2) and not wrong,
            )
            enlarge()
            seen = self.restore(self.source, out)
            told = aftermath.differences(out, self.expected)
            yield judge(
                "the same command with room again",
                f"{len(aftermath.finished(out))} photos done; all files "
                f"{told or 'are those of an undisturbed run, and no others are there'}",
                seen,
                0,
                not told,
            )

    def unreadable(self) -> Iterator[Outcome]:
        """Files that cannot be read, among good ones."""
        source = self._among("unreadable")
        made = broken.unreadable(source, self.source)
        yield from self._faulty(source, made)

    def bombs(self) -> Iterator[Outcome]:
        """Headers that promise too much, among good photos."""
        source = self._among("bombs")
        yield from self._faulty(source, broken.bombs(source), most=1.2 * self.peak)

    def promise(self) -> Iterator[Outcome]:
        """A header that promises what is just allowed, among good photos."""
        source = self._among("promise")
        yield from self._faulty(source, broken.promise(source))

    def masks(self) -> Iterator[Outcome]:
        """Masks of another size than their photos."""
        source, given = self._among("masked"), self.folder / "given"
        names = sorted(path.name for path in source.iterdir())
        wrong = {names[1], names[-1]}
        for name in names:
            size = files.read(source / name).pixels.shape[:2]
            mask = np.zeros(size if name not in wrong else (size[0] + 1, size[1]), np.uint8)
            mask[8:12, 8:40] = 255
            given.mkdir(exist_ok=True)
            files.write_png(given / f"{pathlib.Path(name).stem}_mask.png", mask[..., None])
        out = self.folder / "out_masked"
        seen = self.restore(source, out, "--mask", given)
        yield self._told("two masks of a wrong size in a folder", out, wrong, seen, len(names) - 2)
        out = self.folder / "out_mask"
        mask = given / f"{pathlib.Path(names[1]).stem}_mask.png"
        seen = self.restore(source / names[1], out, "--mask", mask)
        yield self._told("one photo with a mask of a wrong size", out, {names[1]}, seen, 0)

    def _among(self, name: str) -> pathlib.Path:
        """A folder with some of the good photos."""
        source = self.folder / name
        source.mkdir()
        for good in self.names[:GOOD]:
            shutil.copy2(self.source / good, source)
        return source

    def _faulty(
        self, source: pathlib.Path, made: dict[str, str], most: float = float("inf")
    ) -> Iterator[Outcome]:
        """A row for each broken file of a folder, by its name, and one for the good ones.

        More than `most` MiB should not be needed.
        """
        out = self.folder / f"out_{source.name}"
        seen = self.restore(source, out, preexec_fn=None if os.geteuid() else aftermath.bind_root)
        told = {line["photo"]: line for line in visit.lines(out)}
        begun = {aftermath.stem(name) for name in aftermath.tree(out)}
        for name, what in made.items():
            line = told.get(name, {"status": "no line", "reason": "passed over as no file"})
            reason = line.get("reason", "").replace(f"{source}/", "")
            written = pathlib.Path(name).stem in begun
            happened = f"{line['status']}: {reason}{'; FILES WERE WRITTEN' if written else ''}"
            fine = line["status"] in ("failed", "no line") and not written
            yield judge(what, happened, seen, 1, fine)
        good = self.names[:GOOD]
        wrong = aftermath.differences(out, self.of(good))
        yield judge(
            f"the {len(good)} good photos beside them",
            f"all files {wrong or 'are those of an undisturbed run, and no others are there'}; "
            f"{seen.seconds:.0f} s, peak memory {seen.peak:.0f} MiB (undisturbed {self.peak:.0f})",
            seen,
            1,
            not wrong and seen.peak <= most,
        )

    def _told(self, fault: str, out, wrong: set[str], seen: visit.Visit, good: int) -> Outcome:
        """A row about photos of which those in `wrong` should fail."""
        done, lines = aftermath.finished(out), visit.lines(out)
        failed = {line["photo"]: line["reason"] for line in lines if line["status"] == "failed"}
        reasons = "; ".join(sorted({reason.rpartition("/")[2] for reason in failed.values()}))
        stems = {pathlib.Path(name).stem for name in wrong}
        written = sum(aftermath.stem(name) in stems for name in aftermath.tree(out))
        happened = f"{len(failed)} failed: {reasons}; {len(done)} others done; "
        happened += f"{written or 'no'} files of those that failed"
        fine = failed.keys() == wrong and len(done) == good and not written
        return judge(fault, happened, seen, 1, fine)


FAULTS = ("killed", "full", "unreadable", "bombs", "promise", "masks")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--fault", nargs="+", choices=FAULTS, default=[*FAULTS])
    add("--photos", default="samples")
    add("--count", type=int, default=200, help="photos in the folder (%(default)s)")
    add("--kills", type=int, default=10, help="(%(default)s)")
    add("--untrained", action="store_true", help="narrow networks that have learned nothing")
    options = parser.parse_args()
    photos, rows = sources.open_photos(options.photos), []
    with tempfile.TemporaryDirectory(prefix="restore_faults_") as name:
        folder = pathlib.Path(name).resolve()
        more = visit.untrained(folder / "networks") if options.untrained else []
        faults = Faults(folder, photos, options.count, more)
        for fault in options.fault:
            arguments = [options.kills] if fault == "killed" else []
            for row in getattr(faults, fault)(*arguments):
                rows.append(dataclasses.asdict(row))
                print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    print("\n" + visit.table({**row, "fine": "yes" if row["fine"] else "NO"} for row in rows))
    return 0 if all(row["fine"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
