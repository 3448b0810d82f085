r"""What becomes of a folder of photos when `oldphoto restore` is killed, or meets what is broken?

    python -m experiments.restore_faults
    python -m experiments.restore_faults --fault killed --photos=PHOTOS

PHOTOS is what a configuration takes: samples, a folder, a .txt list. Small pieces of them, in all
formats, gray and in colour, 8 and 16 bits, make a folder of --count. It is restored once
undisturbed and then with each fault, by the command in a process of its own:

    killed     `kill -9` --kills times at random moments, and at last let through
    full       the disk of OUT is full half-way (a small tmpfs; where none can be mounted, a limit
               on the size of files), later it has room
    unreadable truncated, empty, locked and other files that are no photos, among good ones
    bombs      headers that promise more pixels than anybody has memory for
    masks      masks of another size

A row of what happened is printed as soon as it did, at the end a table; the exit status is 1 where
something did that should not.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from experiments import broken, visit
from oldphoto_jax.data import sources
from oldphoto_jax.photo import files

REPORT = "report.jsonl"
BEFORE = "done before with the same settings"  # what the report says of a photo that is finished
GOOD = 20  # photos among which the broken ones lie
PATIENCE = 1800  # seconds; no run takes so long, unless it hangs
READ_ANYTHING = (1, 2)  # capabilities that root has: DAC_OVERRIDE and DAC_READ_SEARCH
DROP = 24  # prctl's PR_CAPBSET_DROP
ROOM = 64  # MiB, of the disk that is full no longer


@dataclasses.dataclass
class Row:
    """One fault, what happened, the exit status, and whether all of it should have."""

    fault: str
    happened: str
    exit: int | str
    fine: bool


def lines(out: pathlib.Path) -> list[dict]:
    """The whole lines of the report in a folder; none if there is no report yet."""
    path = out / REPORT
    text = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.loads(line) for line in text.splitlines()]


def finished(out: pathlib.Path) -> Counter:
    """How often each photo was restored, as the report has it."""
    return Counter(
        line["photo"]
        for line in lines(out)
        if line["status"] != "failed" and line.get("reason") != BEFORE
    )


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """All files, hidden ones too, but the report."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != REPORT)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(out: pathlib.Path, expected: dict[str, bytes]) -> str:
    """In words, how the files in a folder differ from those expected; empty if they don't."""
    made = tree(out)
    wrong = [name for name in made.keys() & expected.keys() if made[name] != expected[name]]
    told = {
        "other bytes in": wrong,
        "left over:": made.keys() - expected.keys(),
        "missing:": expected.keys() - made.keys(),
    }
    return "; ".join(
        f"{what} {', '.join(sorted(names)[:5])}" for what, names in told.items() if names
    )


def whole(out: pathlib.Path) -> int:
    """The number of pictures in a folder, all of which can be read; raises where one cannot."""
    return len([files.read(path) for path in files.find(out)])


class Faults:
    """A folder of photos, what an undisturbed run makes of it, and what others do."""

    def __init__(self, folder: pathlib.Path, photos: sources.Photos, count: int, more: Sequence):
        self.folder, self.more, self.count = folder, [*more], count
        self.cache, self.source = folder / "cache", folder / "photos"
        broken.build(self.source, photos, count)
        self.names = sorted(path.name for path in self.source.iterdir())
        self.undisturbed = folder / "undisturbed"
        self.restore(self.source, self.undisturbed).succeeded()  # compiles
        self.expected = tree(self.undisturbed)
        shutil.rmtree(self.undisturbed)
        seen = self.restore(self.source, self.undisturbed).succeeded()
        if told := differences(self.undisturbed, self.expected):
            raise SystemExit(f"two undisturbed runs differ: {told}")
        self.pace, self.peak = seen.seconds / count, seen.peak

    def restore(self, source, out: pathlib.Path, *more, **how) -> visit.Visit:
        arguments = ["restore", source, "--out", out, *self.more, *more]
        return visit.visit(arguments, self.cache, patience=PATIENCE, **how)

    def of(self, names: Sequence[str]) -> dict[str, bytes]:
        """What an undisturbed run makes of these photos."""
        stems = {pathlib.Path(name).stem for name in names}
        return {name: data for name, data in self.expected.items() if broken.stem(name) in stems}

    def killed(self, kills: int, seed: int = 0) -> Iterator[Row]:
        """One folder, killed and started again until it is done."""
        out, rng = self.folder / "killed", np.random.default_rng(seed)
        again = 0
        for number, target in enumerate(sorted(rng.choice(self.count - 1, kills, replace=False))):
            late, when = functools.partial(wait, rng.uniform(0, self.pace)), ""
            if number % 2:
                late, when = among_files, ", among a photo's files"
            seen = self.restore(
                self.source, out, kill=functools.partial(reached, out, target, late)
            )
            done, parts = finished(out), [*out.rglob("*.part")]
            again += len(torn(out))
            yield Row(
                f"`kill -9`, {number + 1} of {kills}{when}",
                f"{len(done)} photos were done, {len(torn(out))} half-done; "
                f"{len(parts)} half-written files",
                seen.status,
                seen.status == -9 and len(torn(out)) <= 1 and max(done.values(), default=1) == 1,
            )
        seen = self.restore(self.source, out)
        done, wrong = finished(out), differences(out, self.expected)
        once = [*done.values()] == [1] * self.count
        yield Row(
            f"the same command after {kills} kills",
            f"{'one line' if once else 'NOT one line'} for each of {self.count} photos; "
            f"{whole(out)} pictures are whole; all files "
            f"{wrong or 'are those of an undisturbed run, byte by byte, and no others are there'}; "
            f"{again} photos were half-done and done again",
            seen.status,
            seen.status == 0 and once and not wrong,
        )

    def full(self) -> Iterator[Row]:
        """A disk that is full half-way."""
        out = self.folder / "full"
        blocks = sum(-(-len(data) // 4096) for data in self.expected.values())
        with disk(out, blocks * 4096 // 2) as (what, limit, enlarge):
            seen = self.restore(self.source, out, preexec_fn=limit)
            there = tree(out)
            wrong = [name for name in there if there[name] != self.expected.get(name)]
            failed = [line["reason"] for line in lines(out) if line["status"] == "failed"]
            reason = seen.err.strip().splitlines()[-1].replace(str(self.folder), "")
            reason = f"; {failed[0].replace(str(self.folder), '')}" if failed else f"; {reason}"
            yield Row(
                f"full disk ({what})",
                f"{len(finished(out))} photos done, {len(failed)} failed{reason}; "
                f"{', '.join(wrong) + ': not whole' if wrong else 'every file there is whole'}",
                seen.status,
                seen.status in (1, 2) and not wrong,
            )
            enlarge()
            seen = self.restore(self.source, out)
            told = differences(out, self.expected)
            yield Row(
                "the same command with room again",
                f"{len(finished(out))} photos done; all files "
                f"{told or 'are those of an undisturbed run, and no others are there'}",
                seen.status,
                seen.status == 0 and not told,
            )

    def unreadable(self) -> Iterator[Row]:
        """Files that cannot be read, among good ones."""
        source = self._among("unreadable")
        made = broken.unreadable(source, self.source)
        yield from self._faulty(source, made)

    def bombs(self) -> Iterator[Row]:
        """Headers that promise too much, among good photos."""
        source = self._among("bombs")
        yield from self._faulty(source, broken.bombs(source))

    def masks(self) -> Iterator[Row]:
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

    def _faulty(self, source: pathlib.Path, made: dict[str, str]) -> Iterator[Row]:
        """A row for each broken file of a folder, by its name, and one for the good ones."""
        out = self.folder / f"out_{source.name}"
        seen = self.restore(source, out, preexec_fn=None if os.geteuid() else bind_root)
        told = {line["photo"]: line for line in lines(out)}
        begun = {broken.stem(name) for name in tree(out)}
        for name, what in made.items():
            line = told.get(name, {"status": "no line", "reason": "passed over as no file"})
            reason = line.get("reason", "").replace(f"{source}/", "")
            written = pathlib.Path(name).stem in begun
            happened = f"{line['status']}: {reason}{'; FILES WERE WRITTEN' if written else ''}"
            fine = line["status"] in ("failed", "no line") and not written
            yield Row(what, happened, seen.status, fine)
        good = self.names[:GOOD]
        wrong = differences(out, self.of(good))
        yield Row(
            f"the {len(good)} good photos beside them",
            f"all files {wrong or 'are those of an undisturbed run, and no others are there'}; "
            f"{seen.seconds:.0f} s, peak memory {seen.peak:.0f} MiB (undisturbed {self.peak:.0f})",
            seen.status,
            seen.status == 1 and not wrong and seen.peak < 1.2 * self.peak,
        )

    def _told(self, fault: str, out, wrong: set[str], seen: visit.Visit, good: int) -> Row:
        """A row about photos of which those in `wrong` should fail."""
        failed = {
            line["photo"]: line["reason"] for line in lines(out) if line["status"] == "failed"
        }
        reasons = {reason.rpartition("/")[2] for reason in failed.values()}
        stems = {pathlib.Path(name).stem for name in wrong}
        written = [name for name in tree(out) if broken.stem(name) in stems]
        happened = f"{len(failed)} failed: {'; '.join(sorted(reasons))}; "
        happened += f"{len(finished(out))} others done; files of those that failed: {len(written)}"
        fine = failed.keys() == wrong and len(finished(out)) == good and not written
        return Row(fault, happened, seen.status, fine and seen.status == 1)


def torn(out: pathlib.Path) -> set[str]:
    """The photos, without endings, of which there are files but no line in the report."""
    begun = {broken.stem(path.name) for path in out.glob("[!.]*") if path.name != REPORT}
    return begun - {pathlib.Path(name).stem for name in finished(out)}


def reached(out: pathlib.Path, target: int, late: Callable[[pathlib.Path], None]) -> bool:
    """Whether so many photos are done, and `late` has passed since."""
    if len(finished(out)) < target:
        return False
    late(out)
    return True


def wait(seconds: float, out: pathlib.Path) -> None:
    """A moment that has nothing to do with the files."""
    time.sleep(seconds)


def among_files(out: pathlib.Path) -> None:
    """Until there are files of a photo that is not done, at most a few seconds."""
    end = time.perf_counter() + 10
    while not torn(out) and time.perf_counter() < end:
        time.sleep(0.001)


def bind_root() -> None:
    """Lets permissions bind this process's programs, although root starts them."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in READ_ANYTHING:
        if libc.prctl(DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


@contextlib.contextmanager
def disk(folder: pathlib.Path, size: int):
    """A small disk at `folder`: what it is, what limits a process to it, what makes room on it."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = not subprocess.run(["mount", *options], capture_output=True).returncode
    except FileNotFoundError:
        mounted = False
    if not mounted:
        most = 5000  # bytes; some pictures are larger, and the report is soon
        limits = (most, most)
        what = f"files of at most {most} bytes, as no tmpfs can be mounted"
        yield what, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits), lambda: None
        return
    larger = ["mount", "-o", f"remount,size={ROOM}m", str(folder)]
    try:
        what = f"tmpfs of {size >> 10} KiB"
        yield what, None, lambda: subprocess.run(larger, check=True, capture_output=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


FAULTS = ("killed", "full", "unreadable", "bombs", "masks")


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
