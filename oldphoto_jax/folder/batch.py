"""A photo or a folder of photos, none lost and none done twice.

Every photo leaves one line in OUT/report.jsonl. A run that was cut off goes on where it stopped.
Photos that a program can take together (`run_groups`) are worked on together.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from tqdm import tqdm

from oldphoto_jax.folder import passed_over
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import DONE, FURTHER, PASSED_OVER, Entry, Report
from oldphoto_jax.photo.disk import names
from oldphoto_jax.restore.status import BEYOND, FAILED, NOTHING, OK

SAME = {  # what tells whether a photo needs no other outputs, and how to say that it differs
    "settings": "with other settings",
    "source": "of the photo before it was changed",
    "inputs": "with another mask or other hints",
}
FOLLOWING = ("sheet",)  # outputs that show the others, and are made again with any of them
FAULTS = (OSError, ValueError, MemoryError)  # of a photo or of its surroundings; others are bugs


class Fatal(ChildProcessError):
    """What a photo fails with at which a process ended, and would again."""


Work = Callable[[Job], Entry]
ALONE = object()  # the key of a job that waits for no other
GroupWork = Callable[[Sequence[Job]], Sequence[Entry | Exception]]


def run(
    jobs: Sequence[Job],
    report: Report,
    work: Work,
    settings: dict[str, Any],
    force: bool = False,
    apart: GroupWork | None = None,
) -> collections.Counter:
    """Does `work` for one job after the other and counts how they ended, by status.

    `work` writes the job's outputs and returns what the report shall say about them; the status
    is ok unless it says otherwise, failed where it raises. See `run_groups` for the rest.
    """
    return run_groups(jobs, report, alone(work), settings, force, apart=apart)


def alone(work: Work) -> GroupWork:
    """The work of one job as that of groups of one."""
    return lambda group: [work(group[0])]


def run_groups(
    jobs: Sequence[Job],
    report: Report,
    work: GroupWork,
    settings: dict[str, Any],
    force: bool = False,
    key: Callable[[Job], Hashable] = lambda job: None,
    most: int = 1,
    apart: GroupWork | None = None,
) -> collections.Counter:
    """Does `work` for up to `most` jobs of one `key` at a time; counts how they ended, by status.

    `work` returns for each job what the report shall say about it, or what went wrong with it.
    Outputs that were made with the same settings are kept, unless `force`, and only missing ones
    made; a photo with outputs made in any other way fails, for they may have been edited since.

    Photos that an earlier run ended at come last and one at a time, if there is `apart` to do them,
    work that outlives what they do; else first. One that turns out to be fatal fails in later runs
    untried, unless `force`, until it or the settings are changed.
    """
    suspects = report.suspects if apart else set()
    parts = [
        ([job for job in jobs if job.name not in suspects], work, key, most),
        ([job for job in jobs if job.name in suspects], apart or work, key, 1),
    ]
    counts: collections.Counter = collections.Counter()
    bar = tqdm(total=len(jobs), unit="photo", disable=None, smoothing=0.1)
    with report.alone(), bar:
        for these, way, kind, size in parts:
            for group in groups(checked(these, report, settings, force), kind, size):
                todo = [pair for pair in group if "status" not in pair[1]]
                report.begin(job.name for job, _ in todo)
                entries = [entry for _, entry in group if "status" in entry] + perform(todo, way)
                tell(entries, report, counts)
                bar.update(len(entries))
    return counts


def tell(entries: Sequence[Entry], report: Report, counts: collections.Counter) -> None:
    """Puts finished entries into the report and counts them; failures are said aloud."""
    for entry in entries:
        if entry["status"] == FAILED:
            tqdm.write(f"failed: {entry['photo']}: {entry['reason']}", file=sys.stderr)
        if entry["status"] != PASSED_OVER:
            counts[_status(entry)] += 1
    report.add(entries)


def _status(entry: Entry) -> str:
    """How a photo ended, all of its pages taken together."""
    statuses = {page["status"] for page in (entry, *entry.get(FURTHER, ()))}
    return min(statuses, key=(FAILED, BEYOND, OK, NOTHING).index)


def checked(
    jobs: Sequence[Job], report: Report, settings: dict[str, Any], force: bool
) -> Iterator[tuple[Job, Entry]]:
    """Each job with what is left to be done, and the beginning of its entry.

    The entry has a status already where there is nothing to do, or nothing that may be done. What
    a killed run left unfinished comes first.
    """
    for job in sorted(jobs, key=lambda job: job.name not in report.remains):
        start = time.perf_counter()
        entry: Entry = {"photo": job.name, "stage": report.stage, "settings": settings}
        try:
            if job.problem:
                raise ValueError(job.problem)
            if job.passed_over:
                yield job, passed_over.entry(job.passed_over, entry)
                continue
            entry["source"] = identity(job.photo)
            if job.inputs:
                entry["inputs"] = {kind: identity(path) for kind, path in job.inputs.items()}
                job = _sparing(job)
            job = job if force else _unfinished(job, entry, report)
            fatal = None if force else report.fatal.get(job.name)
            if fatal and not any(_differ(fatal, entry, key) for key in SAME):
                entry |= {"status": FAILED, "reason": fatal["reason"], "fatal": True}
            elif not job.outputs:
                entry |= DONE
        except FAULTS as error:
            entry |= {"status": FAILED, "reason": str(error)}
        if "status" in entry:
            entry["seconds"] = round(time.perf_counter() - start, 3)
        yield job, entry


def groups(
    pairs: Iterable[tuple[Job, Entry]], key: Callable[[Job], Hashable], most: int
) -> Iterator[list[tuple[Job, Entry]]]:
    """Up to `most` jobs of the same key at a time, as soon as there are so many; the rest last.

    Those that have a status already, or the key ALONE, come one by one.
    """
    waiting: dict[Hashable, list[tuple[Job, Entry]]] = collections.defaultdict(list)
    for job, entry in pairs:
        if "status" in entry:
            yield [(job, entry)]
            continue
        kind = key(job)
        if kind is ALONE:
            yield [(job, entry)]
            continue
        waiting[kind].append((job, entry))
        if len(waiting[kind]) >= most:
            yield waiting.pop(kind)
    yield from waiting.values()


def perform(todo: Sequence[tuple[Job, Entry]], work: GroupWork) -> list[Entry]:
    """Does the work of one group and completes the entries of its jobs.

    Where a job fails, no file that was written for its photo stays behind.
    """
    if not todo:
        return []
    start = time.perf_counter()
    jobs = [job for job, _ in todo]
    before = [_there(job) for job in jobs]
    try:
        outcomes = work(jobs)
    except FAULTS as error:
        outcomes = [error] * len(jobs)
    seconds = round((time.perf_counter() - start) / len(jobs), 3)
    entries = []
    for (job, entry), earlier, outcome in zip(todo, before, outcomes, strict=True):
        if isinstance(outcome, Exception):
            for path, written in _there(job).items():
                if earlier.get(path) != written:  # else with --force two sets would be mixed
                    path.unlink()
            outcome = _failed(outcome)
        else:
            outcome = {"files": _names(job), **outcome}
        entries.append({**entry, "status": OK, "seconds": seconds, **outcome})
    return entries


def _failed(error: Exception) -> Entry:
    entry: Entry = {"status": FAILED, "reason": str(error)}
    if notes := getattr(error, "__notes__", None):
        entry["notes"] = notes
    return entry | ({"fatal": True} if isinstance(error, Fatal) else {})


def identity(path: pathlib.Path) -> list[int]:
    """What changes when a file is written anew: its size and time of modification."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _names(job: Job) -> dict[str, str]:
    """The files of a photo by what they are, relative to the folder of the report."""
    place = pathlib.PurePosixPath(job.name).parent
    return {kind: (place / path.name).as_posix() for kind, path in job.outputs.items()}


def _there(job: Job) -> dict[pathlib.Path, list[int]]:
    """The outputs of a job that are there, as they are now."""
    return {path: identity(path) for path in job.paths if os.path.exists(path)}


def _sparing(job: Job) -> Job:
    """The job without outputs that are its inputs: a mask that was edited where it lay stays."""
    given = {path.resolve() for path in job.inputs.values()}
    outputs = {k: path for k, path in job.outputs.items() if path.resolve() not in given}
    return dataclasses.replace(job, outputs=outputs)


def _differ(before: Entry, entry: Entry, key: str) -> bool:
    """Whether two entries say different things; settings differ in what both speak of.

    So pictures can be added later by more stages, without those that are there being made again.
    """
    old, new = before.get(key), entry.get(key)
    if key != "settings" or old is None or new is None:
        return old != new
    return any(old[name] != new[name] for name in old.keys() & new.keys())


def _unfinished(job: Job, entry: Entry, report: Report) -> Job:
    """The job without what is done; raises ValueError where doing it would destroy something."""
    if job.name in report.remains:
        return job
    there = {kind for kind in job.outputs if job.has(kind)}
    before = report.done.get(job.name)
    changed = [how for key, how in SAME.items() if before and _differ(before, entry, key)]
    if before and not changed:
        missing = job.outputs.keys() - there
        if missing:
            missing |= {kind for kind in job.outputs if names.page_of(kind)[1] in FOLLOWING}
        outputs = {kind: path for kind, path in job.outputs.items() if kind in missing}
        return dataclasses.replace(job, outputs=outputs)
    if there:
        path = job.outputs[min(there)]
        how = f"was made {' and '.join(changed)}" if before else "was not made of this photo"
        raise ValueError(f"{path} {how}; choose another --out, or overwrite it with --force")
    return job
