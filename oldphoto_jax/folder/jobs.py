"""Jobs: a photo, or each photo of a folder, and the files that are to be made of it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from oldphoto_jax.folder import passed_over
from oldphoto_jax.folder.report import REPORT
from oldphoto_jax.photo.codecs import kinds as formats
from oldphoto_jax.photo.content import PHOTO, Page
from oldphoto_jax.photo.disk import files, names
from oldphoto_jax.photo.disk.survey import Left

LOSSLESS = (".png", ".tif", ".tiff", ".webp")  # BMP files may hold what cannot be written again


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
    recorded = names.recalled((photo.relative_to(root).as_posix() for photo in photos), called)
    kept = {
        photo: called[name] for photo, name in zip(photos, recorded, strict=True) if name in called
    }
    several = {photo: its_pages for photo in photos if (its_pages := pages(photo))}
    further = {photo: _further(kinds, its_pages) for photo, its_pages in several.items()}
    jobs = []
    labels = names.labels(photos, kinds, kept, further)
    for photo, name, label in zip(photos, recorded, labels, strict=True):
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
    summary = passed_over.counted(job.passed_over for job in jobs if job.passed_over)
    return f"{summary}: see {REPORT}" if summary else ""


def lossless(photo: pathlib.Path, kind: str = "") -> str:
    """The ending of a restored photo: the photo's own if such files lose nothing, else .png."""
    return photo.suffix if photo.suffix.lower() in LOSSLESS else ".png"
