"""Photo files through the whole chain, as `batch.run_groups` asks for it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent import futures
from types import MappingProxyType
from typing import Any

import numpy as np

from oldphoto_jax.folder import batch, book, browse, known, masks, outputs, sheet, written
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.outputs import MASK, PROBABILITY, SHEET
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo import encoding, margin, scratch
from oldphoto_jax.photo.content import PHOTO, Page, PhotoFile
from oldphoto_jax.photo.disk import contained, files, hint_files
from oldphoto_jax.photo.margin import Margin
from oldphoto_jax.restore import detect, painted, stage
from oldphoto_jax.restore.restorer import (
    PICTURES,
    RESTORED,
    Request,
    Restored,
    Restorer,
)

BESIDE = 2  # small photos in work at a time: one is read or written while another is computed
SMALL = "small"  # the key of photos that are worked on so
QUALITY = 95  # of JPEG and HEIC files; colours are kept at full size


def build(
    restoring: Mapping[str, Any], filing: Mapping[str, Any], device: str = "auto", **more: Any
) -> Chain:
    """A Chain from the options of `Restorer.from_weights` and its own; in any process."""
    stage.use(device)
    stage.prepare()
    return Chain(restorer=Restorer.from_weights(**restoring), **filing, **more)


@dataclasses.dataclass(kw_only=True)
class Chain:
    """Restores photo files with a Restorer; a GroupWork.

    `quality` is that of files that are coded with loss. With `strip_gps` no file says where the
    photo was taken. `sheet` and `page` make pictures to look at, those of the page in `out`. What a
    scanner saw beside the print is left as it is, unless `margin` says "fill" or "crop". With
    `infrared` the damage is what that channel shows, and no network is asked for it. `maps` holds,
    by the name of photos, probability maps that were stored before. Raises ValueError for settings
    that don't fit.
    """

    restorer: Restorer
    out: pathlib.Path
    quality: int = QUALITY
    max_pixels: int = files.MAX_PIXELS
    strip_gps: bool = False
    page: bool = False
    margin: str = known.LEAVE
    infrared: bool = False
    maps: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    threads: int = dataclasses.field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality {self.quality}: give a number from 1 to 100")
        if self.max_pixels < 1:
            raise ValueError(f"max pixels {self.max_pixels}: give 1 or more")
        if self.margin not in known.MARGINS:
            raise ValueError(f"margin {self.margin!r}: choose one of {', '.join(known.MARGINS)}")
        if self.margin == known.CROP and self.infrared:
            raise ValueError(
                "margin 'crop' does not go together with infrared, which is of the whole scan; do "
                "one after the other"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """All that the files depend on, beside photos and masks."""
        names = ("quality", "strip_gps", "margin", "infrared")
        return self.restorer.settings | {name: getattr(self, name) for name in names}

    @property
    def _anew(self) -> bool:
        """Whether photos that have not changed are written all the same."""
        return self.strip_gps or self.margin == known.CROP

    def key(self, job: Job) -> Hashable:
        """Photos of equal keys can be worked on together: by their headers, and what is given."""
        if job.pages:
            return batch.ALONE  # its pages come one after the other
        try:
            header = contained.header(job.photo, self.max_pixels)
        except batch.FAULTS:
            return batch.ALONE  # reading it will say what is wrong
        if self.restorer.together.count == 1:
            return SMALL if header.height * header.width <= detect.NEAR else batch.ALONE
        where = self.restorer.place(header.height, header.width)
        detected = self.infrared or job.name in self.maps
        # Of what size a photo will be when it is cropped, nobody knows.
        alone = where is None or detected or job.inputs or self.margin == known.CROP
        return batch.ALONE if alone else where

    def __call__(self, jobs: Sequence[Job]) -> list[Entry | Exception]:
        """Writes the files of jobs of one key; says of each how it went, or what went wrong."""
        if jobs[0].pages:
            return [_caught(self._bind)(job) for job in jobs]
        with futures.ThreadPoolExecutor(self.threads) as pool:
            opened = [*pool.map(_caught(self._open), jobs)]
            good = [n for n, one in enumerate(opened) if not isinstance(one, Exception)]
            outcomes: list[Any] = list(opened)
            if good:
                answers = self.restorer.answer([opened[n][1] for n in good])
                work = _caught(self._finish)
                ready = ((jobs[n], *opened[n]) for n in good)
                for n, outcome in zip(good, pool.map(work, ready, answers), strict=True):
                    outcomes[n] = outcome
        return outcomes

    def _bind(self, job: Job) -> Entry:
        """Writes the files of a photo of several pages."""
        upright = all(page.orientation not in written.TURNED for page in job.pages)

        def read(page: int) -> PhotoFile[np.ndarray]:
            photo = self._read(job.photo, page)
            return files.strip_gps(photo) if self.strip_gps else photo

        with contextlib.ExitStack() as stack:
            books = {}
            for kind in (kind for kind in job.shared if kind in job.outputs):
                path = job.outputs[kind]
                path.parent.mkdir(parents=True, exist_ok=True)
                target = job.copies.get(kind, path)
                same = upright and not self._anew and written.same_format(job.photo, target)
                one = book.Book(
                    job.photo,
                    path,
                    read,
                    copyable=same,
                    copy=job.copies.get(kind),
                    max_pixels=self.max_pixels,
                    folder=self.out,
                )
                books[kind] = stack.enter_context(one)
            return book.bind(job, books, self._page)

    def _page(self, job: Job, page: Page, books: Mapping[str, book.Book]) -> Entry:
        """Restores a page of a photo, or carries along what is none; returns its entry."""
        if page.role == PHOTO:
            opened = self._open(job, page.index)
            [answer] = self.restorer.answer([opened[1]])
            return self._finish((job, *opened), answer, books)
        photo = self._read(job.photo, page.index)
        for one in books.values():
            one.add(photo, photo.pixels)
        return book.carried(photo, page, shared=bool(job.shared))

    def _read(self, path: pathlib.Path, page: int = 0) -> PhotoFile[np.ndarray]:
        """The photo, or a page of it, as it is to be worked on."""
        return self._read_print(path, page)[0]

    def _read_print(
        self, path: pathlib.Path, page: int
    ) -> tuple[PhotoFile[np.ndarray], Margin | None]:
        """The photo to be worked on, and where it lay in its scan if it is a part of that."""
        photo = contained.read(path, self.max_pixels, page, folder=self.out)
        if self.margin != known.CROP:
            return photo, None
        place = known.print_in(path, photo, page, self.max_pixels, self.out)
        return (margin.cropped(photo, place) if place else photo), place

    def _open(self, job: Job, page: int = 0) -> tuple[PhotoFile[np.ndarray], Request]:
        """The photo, and the request to restore it by all that is known of its damage."""
        photo, place = self._read_print(job.photo, page)
        pixels = encoding.view(photo, self.out)
        given = known.given(job, pixels.shape[:2], place)
        if path := self.maps.get(job.name):
            given.setdefault(known.PROBABILITY, masks.read_probability(path, pixels.shape[:2]))
        if self.infrared:
            level = self.restorer.detector.level if self.restorer.detector else 0.5
            given[known.PROBABILITY] = known.by_infrared(
                job, photo, page, level, self.max_pixels, self.out
            )
        if self.margin == known.FILL and (lid := known.beside(pixels)) is not None:
            given[known.ADD] = np.maximum(lid, given.get(known.ADD, 0))
        told = job.inputs.get(hint_files.HINTS)
        hints = hint_files.read(told, *pixels.shape[:2]) if told else None
        request = Request(pixels=pixels, hints=hints, **given)
        outputs.check(job.outputs, photo, self._colored(request), self.quality)
        return photo, request

    def _colored(self, request: Request) -> bool:
        """Whether the photo gets colours."""
        painter = self.restorer.colorizer
        return painter is not None and painter.reason(request.kind) is None

    def _finish(
        self,
        ready: tuple[Job, PhotoFile[np.ndarray], Request],
        answer: dict,
        books: Mapping[str, book.Book] = MappingProxyType({}),
    ) -> Entry:
        """Writes the files of one photo; those of a page go into the books."""
        job, photo, request = ready
        if self.strip_gps:
            photo = files.strip_gps(photo)
        for folder in {path.parent for path in job.outputs.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        restored = _settled(self.restorer.finish(request, answer, self.out))
        shown = encoding.shown(photo, request.pixels)
        entry = restored.report | {"files": self._names(job, restored)}
        writes: dict[str, Callable[[], Entry | None]] = {}
        for kind, path in job.outputs.items():
            if kind not in entry["files"]:
                continue
            if kind == PROBABILITY and restored.probability is not None:
                rows = restored.probability[..., None]
                writes[kind] = functools.partial(files.write_png, path, rows)
            elif kind == MASK and restored.mask is not None:
                rows = detect.white(restored.mask, self.out)
                writes[kind] = functools.partial(files.write_png, path, rows)
            elif kind == SHEET:
                made = {name: restored.pictures[name] for name in PICTURES}
                sheet.write(path, [*browse.captioned(shown, restored.mask, made)])
            else:
                changes = self._changes(kind, request, restored)
                back = encoding.returned(photo, request.pixels, restored.pictures[kind])
                if kind in books:
                    books[kind].add(*back, **changes)
                else:
                    changes["copy"] = job.copies.get(kind)
                    how: dict[str, Any] = {"quality": self.quality, "anew": self._anew} | changes
                    how |= {"max_pixels": self.max_pixels, "folder": self.out}
                    writes[kind] = functools.partial(written.put, job.photo, path, *back, **how)
        with futures.ThreadPoolExecutor(BESIDE) as pool:
            done = {kind: pool.submit(write) for kind, write in writes.items()}
        told = {kind: one.result() for kind, one in done.items()}
        pictures = {kind: entry for kind, entry in told.items() if entry is not None}
        if self.page:
            made = {kind: getattr(restored, kind) for kind in PICTURES if kind in job.outputs}
            browse.make(self.out, job.name, shown, restored.mask, made)
        entry["files"] = written.named(entry["files"], pictures, job.copies)
        return entry | written.together(pictures, photo.notes)

    def _names(self, job: Job, restored: Restored) -> dict[str, str]:
        """The files that there will be, relative to `out`, by what they are."""
        missing = {PROBABILITY} if restored.probability is None else set()
        return {
            kind: path.relative_to(self.out).as_posix()
            for kind, path in job.outputs.items()
            if kind not in missing
        }

    def _changes(self, kind: str, request: Request, restored: Restored) -> dict[str, Any]:
        """Where a picture differs from the photo, as `written.put` takes it."""
        filler = self.restorer.inpainter
        return {
            "mask": restored.mask,
            "feather": filler.feather if filler else 0,
            "colored": kind != RESTORED and self._colored(request),
        }


def _settled(restored: Restored) -> Restored:
    """With pictures that are looked at several times made once, where they are small."""
    small: dict[str, Any] = {
        kind: one[0 : one.shape[0]]
        for kind, one in restored.pictures.items()
        if isinstance(one, painted.Painted) and math.prod(one.shape) < scratch.SMALL
    }
    more = {kind: small.pop(kind, one) for kind, one in restored.candidates.items()}
    return dataclasses.replace(restored, **small, candidates=more)


def _caught(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the faults of a photo handed back instead of raised."""

    def careful(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except batch.FAULTS as error:
            return error

    return careful
