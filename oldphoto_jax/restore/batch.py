"""A photo or a folder of photos, one after the other, none lost and none done twice.

Every photo leaves one line in OUT/report.jsonl. A run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tqdm import tqdm

from oldphoto_jax.photo import files

REPORT, DOING = "report.jsonl", ".doing"
OK, NOTHING, BEYOND, FAILED = "ok", "nothing_to_do", "beyond_training", "failed"
SAME = {  # what tells whether a photo needs no other outputs, and how to say that it differs
    "settings": "with other settings",
    "source": "of the photo before it was changed",
    "inputs": "with another mask",
}
LOSSLESS = (".png", ".tif", ".tiff", ".webp")  # BMP files may hold what cannot be written again
DONE = {"status": NOTHING, "reason": "done before with the same settings"}


@dataclasses.dataclass(frozen=True)
class Job:
    """One photo, its name in the report, and the files to be made of it.

    `inputs` are further files that the outputs depend on, such as its mask. A job with a
    `problem` cannot be done and fails with these words.
    """

    photo: pathlib.Path
    name: str
    outputs: dict[str, pathlib.Path]
    inputs: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    problem: str = ""


def plan(
    source: pathlib.Path,
    out: pathlib.Path,
    kinds: Sequence[str],
    suffix: Callable[[pathlib.Path], str] = lambda photo: ".png",
) -> list[Job]:
    """What to make of a photo or, keeping the tree, of all photos in a folder.

    `kinds` such as "mask" become NAME_mask.png, or end as `suffix` says for the photo. NAME is
    the photo's name without ending; photos of one folder that share it (a.jpg, a.png) keep the
    ending: a.jpg_mask.png, a.png_mask.png. Photos inside `out` are passed over. Raises
    ValueError rather than overwrite a photo.
    """
    source, out = pathlib.Path(source), pathlib.Path(out)
    home = out.resolve()
    if source.is_dir() and source.resolve() == home:
        raise ValueError(f"--out {out}: is the folder of the photos; choose another one")
    photos = sorted(files.find(source))
    if source.resolve() in home.parents:
        outside = [photo for photo in photos if home not in photo.resolve().parents]
        if len(outside) < len(photos) and not (out / REPORT).exists():
            raise ValueError(f"--out {out}: holds photos of its own; choose an empty folder")
        photos = outside
    if not photos:
        raise ValueError(f"{source}: no photos in there")
    jobs, root = [], source if source.is_dir() else source.parent
    for photo, label in zip(photos, labels(photos), strict=True):
        inside = photo.relative_to(root)
        outputs = {kind: out / inside.parent / f"{label}_{kind}{suffix(photo)}" for kind in kinds}
        jobs.append(Job(photo, inside.as_posix(), outputs))
    sources = {photo.resolve() for photo in photos}
    for path in (path for job in jobs for path in job.outputs.values()):
        if path.resolve() in sources:
            raise ValueError(f"--out {out}: {path} would overwrite a photo; choose another folder")
    return jobs


def lossless(photo: pathlib.Path) -> str:
    """The ending of a restored photo: the photo's own if such files lose nothing, else .png."""
    return photo.suffix if photo.suffix.lower() in LOSSLESS else ".png"


def labels(photos: Iterable[pathlib.Path]) -> list[str]:
    """A name for each photo that no other photo of its folder has, on any file system."""
    photos = list(photos)
    chosen = [photo.stem for photo in photos]
    while True:
        keys = [(p.parent, label.casefold()) for p, label in zip(photos, chosen, strict=True)]
        taken = collections.Counter(keys)
        new = [
            photo.name if taken[key] > 1 else label
            for photo, key, label in zip(photos, keys, chosen, strict=True)
        ]
        if new == chosen:
            return chosen
        chosen = new


class Report:
    """The lines of OUT/report.jsonl: what became of each photo, in this run and in earlier ones.

    Commands that write into one folder share the file; each looks only at lines of its own
    `stage`. OUT/.doing-STAGE names the photo that is being worked on. If a run finds one there,
    that photo's files are the remains of a run that was killed.
    """

    def __init__(self, out: pathlib.Path, stage: str = "segment"):
        out.mkdir(parents=True, exist_ok=True)
        self.path, self._doing, self.stage = out / REPORT, out / f"{DOING}-{stage}", stage
        self.remains = self._doing.read_text("utf-8") if self._doing.exists() else None
        self.done: dict[str, dict[str, Any]] = {}
        text = self.path.read_bytes() if self.path.exists() else b""
        complete, newline, torn = text.rpartition(b"\n")
        if torn:  # a killed run may leave half a line
            self.path.write_bytes(complete + newline)
        for number, line in enumerate(complete.split(b"\n") if complete else [], 1):
            try:
                self._remember(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{self.path}, line {number}: no line of a report; move this file elsewhere"
                ) from error

    def begin(self, name: str) -> None:
        """Notes that the files of this photo are being made."""
        self._doing.write_text(name, "utf-8")

    def add(self, entry: dict[str, Any]) -> None:
        """Appends one line, at once."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._doing.unlink(missing_ok=True)
        self._remember(entry)

    def _remember(self, entry: dict[str, Any]) -> None:
        if entry["status"] != FAILED and entry.get("stage", self.stage) == self.stage:
            self.done[entry["photo"]] = entry


def run(
    jobs: Sequence[Job],
    report: Report,
    work: Callable[[Job], dict[str, Any]],
    settings: dict[str, Any],
    force: bool = False,
) -> collections.Counter:
    """Does `work` for every job and counts how they ended, by status.

    `work` writes the job's outputs and returns what the report shall say about them; the status
    is ok unless it says otherwise, failed where it raises. Outputs
    that were made with the same settings are kept, unless `force`, and only missing ones made; a
    photo with outputs made in any other way fails, for they may have been edited since.
    """
    counts: collections.Counter = collections.Counter()
    jobs = sorted(jobs, key=lambda job: job.name != report.remains)  # what was cut off comes first
    for job in tqdm(jobs, unit="photo", disable=None):
        start = time.perf_counter()
        entry: dict[str, Any] = {
            "photo": job.name,
            "stage": report.stage,
            "settings": settings,
        }
        try:
            if job.problem:
                raise ValueError(job.problem)
            entry["source"] = _identity(job.photo)
            if job.inputs:
                entry["inputs"] = {kind: _identity(path) for kind, path in job.inputs.items()}
            rest = job if force else _unfinished(job, entry, report)
            entry |= _do(rest, work, report) if rest.outputs else DONE
        except (OSError, ValueError, MemoryError) as error:
            entry |= {"status": FAILED, "reason": str(error)}
            tqdm.write(f"failed: {job.name}: {error}", file=sys.stderr)
        report.add(entry | {"seconds": round(time.perf_counter() - start, 3)})
        counts[entry["status"]] += 1
    return counts


def _identity(path: pathlib.Path) -> list[int]:
    """What changes when a file is written anew: its size and time of modification."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _unfinished(job: Job, entry: dict[str, Any], report: Report) -> Job:
    """The job without what is done; raises ValueError where doing it would destroy something."""
    there = {kind for kind, path in job.outputs.items() if path.exists()}
    before = report.done.get(job.name)
    changed = [how for key, how in SAME.items() if before and before.get(key) != entry.get(key)]
    if before and not changed:
        missing = {kind: path for kind, path in job.outputs.items() if kind not in there}
        return dataclasses.replace(job, outputs=missing)
    if there and job.name != report.remains:
        path = job.outputs[min(there)]
        how = f"was made {' and '.join(changed)}" if before else "was not made of this photo"
        raise ValueError(f"{path} {how}; choose another --out, or overwrite it with --force")
    return job


def _do(job: Job, work: Callable[[Job], dict[str, Any]], report: Report) -> dict[str, Any]:
    """Does the work; if that fails, no new file of this photo stays behind."""
    new = [path for path in job.outputs.values() if not path.exists()]
    report.begin(job.name)
    try:
        return {"status": OK, **work(job)}
    except (OSError, ValueError, MemoryError):
        for path in new:
            path.unlink(missing_ok=True)
        raise
