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
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from oldphoto_jax.folder import passed_over
from oldphoto_jax.folder.report import DONE, FURTHER, PASSED_OVER, REPORT, Entry, Report
from oldphoto_jax.photo.codecs import kinds as formats
from oldphoto_jax.photo.content import PHOTO, Page
from oldphoto_jax.photo.disk import files, names
from oldphoto_jax.photo.disk.survey import Left
from oldphoto_jax.restore.status import BEYOND, FAILED, NOTHING, OK

SAME = {  # what tells whether a photo needs no other outputs, and how to say that it differs
    "settings": "with other settings",
    "source": "of the photo before it was changed",
    "inputs": "with another mask",
}
LOSSLESS = (".png", ".tif", ".tiff", ".webp")  # BMP files may hold what cannot be written again
FOLLOWING = ("sheet",)  # outputs that show the others, and are made again with any of them
FAULTS = (OSError, ValueError, MemoryError)  # of a photo or of its surroundings; others are bugs


class Fatal(ChildProcessError):
    """What a photo fails with at which a process ended, and would again."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One photo, its name in the report, and the files to be made of it.

    `inputs` are further files that the outputs depend on, such as its mask. A job with a
    `problem` cannot be done and fails with these words. `called` is NAME in the names of files
    that an earlier run made of the photo. What is `passed_over` is no photo, and only told of; it
    fails where it cannot be read. A photo that has not changed is copied to `copies`, by the kinds
    of outputs, where its own ending is not theirs.

    Of a photo of several, `pages` are all of them. Files of the `shared` kinds hold all pages; each
    page but the first has others of its own, of kinds such as "p2_mask", inputs too.
    """

    photo: pathlib.Path
    name: str
    outputs: dict[str, pathlib.Path]
    inputs: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    problem: str = ""
    called: str = ""
    passed_over: Left | None = None
    pages: tuple[Page, ...] = ()
    shared: tuple[str, ...] = ()
    copies: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> list[pathlib.Path]:
        """All files that there may be."""
        return [*self.outputs.values(), *self.copies.values()]

    def has(self, kind: str) -> bool:
        """Whether there is such an output, or the copy that stands for it."""
        there = (self.outputs[kind], self.copies.get(kind))
        return any(path is not None and path.exists() for path in there)

    def of_page(self, page: int) -> Job:
        """The job of one page, counted from 0, with the kinds of a photo that has no other."""

        def own(paths: Mapping[str, pathlib.Path]) -> dict[str, pathlib.Path]:
            places = ((*names.page_of(name), path) for name, path in paths.items())
            return {k: path for n, k, path in places if n == page or k in self.shared}

        name = f"{self.name}/{page + 1}" if page else self.name
        return dataclasses.replace(
            self, name=name, outputs=own(self.outputs), inputs=own(self.inputs), pages=()
        )


Work = Callable[[Job], Entry]
ALONE = object()  # the key of a job that waits for no other
GroupWork = Callable[[Sequence[Job]], Sequence[Entry | Exception]]


def plan(
    source: pathlib.Path,
    out: pathlib.Path,
    kinds: Sequence[str],
    suffix: Callable[[pathlib.Path, str], str] = lambda photo, kind: ".png",
    pages: Callable[[pathlib.Path], tuple[Page, ...]] = lambda photo: (),
    copied: Sequence[str] = (),
) -> list[Job]:
    """What to make of a photo or, keeping the tree, of all photos in a folder.

    `kinds` such as "mask" become NAME_mask.png, or end as `suffix` says for photo and kind; it gets
    the photo by a name that ends as its content is. NAME is the photo's name without ending;
    photos of one folder whose files would share a name (a.jpg, a.png) keep the ending:
    a.jpg_mask.png, a.png_mask.png, unless `out` has files of one of them. Names that would be too
    long for the file system are shortened. Photos inside `out` are passed over; so is all else that
    is no photo, each with a job of its own, behind those of the photos. `pages` finds those of a
    photo that has several: kinds that end in .tif hold them all, of others each further photo among
    them has its own, NAME_p2_mask.png. Kinds that may be `copied` get a name for copies that ends
    as the photo does. Raises ValueError rather than overwrite a photo, and for a folder without
    any.
    """
    source, out = pathlib.Path(source), pathlib.Path(out)
    if source.is_dir() and source.resolve() == out.resolve():
        raise ValueError(f"--out {out}: is the folder of the photos; choose another one")
    root = source if source.is_dir() else source.parent
    photos, others = passed_over.look_through(source, out)
    called = names.earlier(out)
    told = names.recalled((photo.relative_to(root).as_posix() for photo in photos), called)
    kept = {photo: called[name] for photo, name in zip(photos, told, strict=True) if name in called}
    several = {photo: found for photo in photos if (found := pages(photo))}
    further = {photo: _further(kinds, found) for photo, found in several.items()}
    jobs = []
    labels = names.labels(photos, kinds, kept, further)
    for photo, name, label in zip(photos, told, labels, strict=True):
        place, shown = (out / name).parent, photo.with_name(f"photo{formats.ending(photo)}")
        ends = {kind: suffix(shown, kind) for kind in kinds}
        shared = tuple(kind for kind in kinds if ends[kind].lower() in files.TIFF)
        own = [kind for kind in further.get(photo, ()) if names.page_of(kind)[1] not in shared]
        ends |= {kind: ends[names.page_of(kind)[1]] for kind in own}
        outputs = {kind: place / f"{label}_{kind}{ending}" for kind, ending in ends.items()}
        ending = formats.own_ending(photo)
        other = [kind for kind in copied if ends[kind].lower() != ending.lower()]
        copies = {kind: place / f"{label}_{kind}{ending}" for kind in other}
        job = Job(photo, name, outputs, called=kept.get(photo, ""), copies=copies)
        if photo in several:
            job = dataclasses.replace(job, pages=several[photo], shared=shared)
        jobs.append(job)
    sources = {photo.resolve() for photo in photos}
    for path in (path for job in jobs for path in job.paths):
        if path.resolve() in sources:
            raise ValueError(f"--out {out}: {path} would overwrite a photo; choose another folder")
    for one in others:
        jobs.append(Job(one.path, one.path.relative_to(root).as_posix(), {}, passed_over=one))
    return jobs


def _further(kinds: Sequence[str], pages: Sequence[Page]) -> list[str]:
    """The kinds of all photos among the pages but the first."""
    photos = [page.index for page in pages if page.role == PHOTO and page.index]
    return [names.of_page(kind, index) for index in photos for kind in kinds]


def closing(jobs: Iterable[Job]) -> str:
    """What to say at the end of all that was passed over; nothing if nothing was."""
    told = passed_over.counted(job.passed_over for job in jobs if job.passed_over)
    return f"{told}: see {REPORT}" if told else ""


def lossless(photo: pathlib.Path, kind: str = "") -> str:
    """The ending of a restored photo: the photo's own if such files lose nothing, else .png."""
    return photo.suffix if photo.suffix.lower() in LOSSLESS else ".png"


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
    found = {page["status"] for page in (entry, *entry.get(FURTHER, ()))}
    return min(found, key=(FAILED, BEYOND, OK, NOTHING).index)


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
    told: Entry = {"status": FAILED, "reason": str(error)}
    if notes := getattr(error, "__notes__", None):
        told["notes"] = notes
    return told | ({"fatal": True} if isinstance(error, Fatal) else {})


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
