"""A picture of a photo of several pages: one TIFF file, written a page at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from oldphoto_jax.folder import batch, report, untouched, written
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo.content import Page, PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.types import Rows
from oldphoto_jax.restore.status import NOTHING

ROLES = {
    "preview": "a preview of another page",
    "mask": "a mask of another page",
    "infrared": "the infra-red channel of the page before",
}


def carried(photo: PhotoFile[np.ndarray], page: Page, shared: bool) -> Entry:
    """What is told of a page that is no photo: it is kept where the files hold all (`shared`)."""
    size = [int(side) for side in photo.pixels.shape[:2]]
    how = "left out, for only TIFF holds several pages"
    if shared:
        same = size == [page.height, page.width]
        how = "kept as it came" if same else "cropped as its page"
    return {
        "size": size,
        "status": NOTHING,
        "role": page.role,
        "reason": f"{ROLES[page.role]}: {how}",
    }


def bind(
    job: Job,
    books: Mapping[str, Book],
    work: Callable[[Job, Page, Mapping[str, Book]], Entry],
) -> Entry:
    """Does `work` for one page of a photo after the other, and finishes the books by their kinds.

    `work` adds its page to each book and returns what is to be told of it, but for the books. In
    the entry of the first page those of the others are FURTHER. Raises ValueError where a page
    cannot be done: then there is no book.
    """
    lines: list[Entry] = []
    for page in job.pages:
        start = time.perf_counter()
        try:
            line = work(job.of_page(page.index), page, books)
        except batch.FAULTS as error:
            failure = ValueError(f"page {page.index + 1}: {error}")
            for note in getattr(error, "__notes__", ()):
                failure.add_note(note)
            raise failure from error
        line["seconds"] = round(time.perf_counter() - start, 3)
        lines.append({"page": page.index + 1, **line})
    made = {kind: book.finish() for kind, book in books.items()}
    for number, line in enumerate(lines):
        of_page = {kind: entries[number] for kind, entries in made.items()}
        line |= written.together(of_page)
        line["files"] = written.named(line.get("files", {}), of_page, job.copies)
    first, *further = lines
    return {"pages": len(lines), **first, report.FURTHER: further}


class Book:
    """The file at `path`, made of all pages of the photo at `source` in their order.

    `read` gives a page of the photo by its number from 0. While no page has changed nothing is
    written, and if none has in the end the file is copied byte for byte, if that is `copyable`,
    and to `copy` if that is given.
    Only the page at hand is held, and of those before it where they were filled. To be used in a
    `with` statement; the file is there after `finish`, or never.
    """

    def __init__(
        self,
        source: pathlib.Path,
        path: pathlib.Path,
        read: Callable[[int], PhotoFile[np.ndarray]],
        *,
        copyable: bool,
        copy: pathlib.Path | None = None,
        max_pixels: int = files.MAX_PIXELS,
        folder: str | os.PathLike | None = None,
    ):
        self.source, self.path, self.read, self.copyable = source, path, read, copyable
        self.copy = copy
        self._reach: dict[str, Any] = dict(max_pixels=max_pixels, folder=folder)
        self._entries: list[Entry] = []
        self._filled: list[tuple[np.ndarray, int] | None] = []  # mask, packed to bits, and feather
        self._stack = contextlib.ExitStack()
        self._write: Callable[[PhotoFile[Rows]], None] | None = None

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(
        self,
        photo: PhotoFile[np.ndarray],
        rows: Rows,
        *,
        mask: np.ndarray | None = None,
        feather: int = 0,
        colored: bool = False,
    ) -> None:
        """Adds `rows` made of the next page, `photo`; all else is as for `written.put`."""
        same = rows is photo.pixels
        if not (same and self.copyable and not photo.faulty):
            self._begin()
        picture, entry = written.picture(photo, rows, self.path.suffix)
        if self._write:
            self._write(picture)
        if colored and not same:
            entry["untouched"] = untouched.COLORED
        filled = None if mask is None or same or colored else (np.packbits(mask, axis=1), feather)
        self._entries.append(entry)
        self._filled.append(filled)

    def finish(self) -> list[Entry]:
        """The file, whole; returns what is to be told of each page, as `written.put` does.

        Raises ValueError where more has changed in the file than what was filled.
        """
        if self._write is None:
            written.copy_to(self.source, self.copy or self.path, self.path)
            pages = range(len(self._entries))
            return [{"copied": True, "untouched": untouched.copied(self.read(n))} for n in pages]
        self._stack.close()
        if self.copy:
            self.copy.unlink(missing_ok=True)
        for number, (entry, filled) in enumerate(zip(self._entries, self._filled, strict=True)):
            if "untouched" in entry:
                continue
            photo, mask, feather = self.read(number), None, 0
            if filled is not None:
                packed, feather = filled
                mask = np.unpackbits(packed, axis=1, count=photo.pixels.shape[1])
            entry["untouched"] = untouched.compare(
                photo, self.path, mask, feather, page=number, **self._reach
            )
        return self._entries

    def _begin(self) -> None:
        """From now on pages are written; first those that came before."""
        if self._write is None:
            self._write = self._stack.enter_context(files.appending(self.path))
            for number in range(len(self._entries)):
                self._write(self.read(number))
