"""What became of each photo: OUT/report.jsonl, one line a photo, and what a killed run left."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from oldphoto_jax.restore.status import FAILED, NOTHING
from oldphoto_jax.weights import cache

REPORT, DOING = "report.jsonl", ".doing"
FURTHER = (
    "further"  # in an entry, those of a photo's further pages, which become lines of their own
)
PASSED_OVER = "passed_over"  # no photo; told once, for as long as the reason is the same

DONE = {"status": NOTHING, "reason": "done before with the same settings"}
MERGED = ("settings", "inputs")  # what later lines of a photo add to
OF_PHOTO = ("photo", "stage", "settings", "source", "inputs")
UNLOCKABLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # some network file systems

Entry = dict[str, Any]  # a line of the report


class Report:
    """The lines of OUT/report.jsonl: what became of each photo, in this run and in earlier ones.

    A photo of several pages has a line for each, `page` 1 first, which says how many `pages` there
    are and stands for the photo.

    Commands that write into one folder share the file; each looks only at lines of its own
    `stage`. OUT/.doing-STAGE names the photos that are being worked on. If a run finds some there,
    their files are `remains` of a run that was killed. `fatal` are the lines of photos at which a
    process of their own has ended as well, `told` all lines of this run.
    """

    def __init__(self, out: pathlib.Path, stage: str = "segment"):
        out.mkdir(parents=True, exist_ok=True)
        self.path, self._doing, self.stage = out / REPORT, out / f"{DOING}-{stage}", stage
        self.done: dict[str, Entry] = {}
        self.fatal: dict[str, Entry] = {}
        self.told: list[Entry] = []
        self._passed_over: dict[str, str] = {}
        text = self.path.read_bytes() if self.path.exists() else b""
        complete, newline, torn = text.rpartition(b"\n")
        if torn:  # a killed run may leave half a line
            with self.path.open("r+b") as file:
                file.truncate(len(complete + newline))
        lines = [self._parse(*line) for line in enumerate(complete.split(b"\n"), 1) if complete]
        self.remains: set[str] = set()
        if self._doing.exists():
            doing = json.loads(self._doing.read_text("utf-8"))
            since = {entry["photo"] for entry in lines[doing["lines"] :] if self._mine(entry)}
            self.remains = set(doing["names"]) - since
        self._lines, self._names = len(lines), set(self.remains)
        self._note()

    @property
    def suspects(self) -> set[str]:
        """The photos that a process may end at."""
        return self.remains | self.fatal.keys()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes from the files of this stage; raises ValueError if one is at it.

        The lock goes with the process, whatever ends it.
        """
        path = self.path.with_name(f".lock-{self.stage}")
        with path.open("ab") as file:
            try:
                # The run before may have taken the file away between opening and locking it.
                free = cache.locked(file) and os.path.exists(path)
            except OSError as error:
                if error.errno not in UNLOCKABLE:
                    raise
                free = True
            if not free:
                raise ValueError(
                    f"--out {self.path.parent}: another run is writing into it; wait for its end, "
                    "or choose another folder"
                )
            try:
                yield
            finally:
                with contextlib.suppress(PermissionError):  # on Windows open files stay
                    path.unlink(missing_ok=True)

    def begin(self, names: Iterable[str]) -> None:
        """Notes that the files of these photos are being made."""
        self._names |= set(names)
        self._note()

    def add(self, entries: Iterable[Entry]) -> None:
        """Appends lines, at once, in UTF-8 whatever bytes the names have."""
        entries = [line for entry in entries for line in _lines(entry) if not self._is_told(line)]
        lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries]
        text = "".join(lines).encode("utf-8", "backslashreplace")  # an escape of JSON
        try:
            with self.path.open("ab") as file:
                file.write(text)
        except OSError as error:
            reason = f"{self.path} cannot be written ({error.strerror}); mend that, and the same"
            raise OSError(error.errno, f"{reason} command goes on from here") from error
        self._lines += len(lines)
        self.told += entries
        for entry in entries:
            self._remember(entry)
            self._names.discard(entry["photo"])
        if not self._names:
            self._doing.unlink(missing_ok=True)

    def _note(self) -> None:
        """Photos whose lines come after those counted here are finished, whatever the names say."""
        if self._names:
            part = self._doing.with_name(f"{self._doing.name}.part")
            doing = {"lines": self._lines, "names": sorted(self._names)}
            part.write_text(json.dumps(doing), "utf-8")
            part.replace(self._doing)

    def _parse(self, number: int, line: bytes) -> Entry:
        try:
            entry = json.loads(line)
            self._remember(entry)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.path}, line {number}: no line of a report; move this file elsewhere"
            ) from error
        return entry

    def _is_told(self, entry: Entry) -> bool:
        before = self._passed_over.get(entry["photo"])
        return entry["status"] == PASSED_OVER and before == entry["reason"]

    def _mine(self, entry: Entry) -> bool:
        return entry.get("stage", self.stage) == self.stage

    def _remember(self, entry: Entry) -> None:
        """Keeps what the outputs of a photo were made with; they may be of several runs."""
        if not self._mine(entry) or entry.get("page", 1) > 1:
            return
        if entry["status"] == PASSED_OVER:
            self._passed_over[entry["photo"]] = entry["reason"]
            return
        if entry["status"] == FAILED:
            if entry.get("fatal"):
                self.fatal[entry["photo"]] = entry
            return
        self.fatal.pop(entry["photo"], None)
        before = self.done.get(entry["photo"], {})
        if before and entry.get("reason") == DONE["reason"]:
            return
        made = {key: {**before.get(key, {}), **entry.get(key, {})} for key in MERGED}
        made = {key: value for key, value in made.items() if value}
        self.done[entry["photo"]] = {**entry, **made}


def _lines(entry: Entry) -> Iterator[Entry]:
    """The line of a photo, and behind it those of its further pages, which say the same of it."""
    photo = {key: value for key, value in entry.items() if key != FURTHER}
    yield photo
    of_photo = {key: photo[key] for key in OF_PHOTO if key in photo}
    yield from ({**of_photo, **page} for page in entry.get(FURTHER, ()))
