"""Photos of named classes: a folder with a folder for each, as ImageNet and its parts come."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from oldphoto_jax.data.source import Broken, Source, find

NAMED = 3  # folders that a message names


class Classes(Source):
    """The photos of FOLDER/CLASS and below, class by class, each sorted by name.

    `source[i]` is `{"photo": uint8 [H,W,3] sRGB, "name": str, "class": str, "label": int}`: the
    name is relative to FOLDER, the class is what its folder is called (a WordNet id, a word,
    anything), the label its number in `classes`, which are sorted. What lies in FOLDER itself is of
    no class and left out.

    Raises FileNotFoundError for a folder that is not there, ValueError where there are no classes,
    where one holds no photo, and where all of them hold nothing but folders.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__()
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            is_what = "is a file" if self.path.exists() else "does not exist"
            raise FileNotFoundError(
                f"classes: the folder {self.path} {is_what}; give one that holds a folder of "
                "photos for each class"
            )
        entries = [one for one in os.scandir(self.path) if not one.name.startswith(".")]
        self.classes = sorted(one.name for one in entries if one.is_dir())
        found = {name: self._photos(name) for name in self.classes}
        self._check(found)
        self.names = [name for names in found.values() for name in names]
        self.labels = [number for number, names in enumerate(found.values()) for _ in names]
        if beside := len(entries) - len(self.classes):
            logging.warning("%r: left out %d files that are in no class's folder", self, beside)

    def _photos(self, folder: str) -> list[str]:
        """The names of a class's photos, sorted."""
        return sorted(file.relative_to(self.path).as_posix() for file in find(self.path / folder))

    def _check(self, found: Mapping[str, list[str]]) -> None:
        if not found:
            raise ValueError(
                f"classes: {self.path} holds no folders; put the photos of each class into a "
                "folder of its own there, or name the folder alone for photos without classes"
            )
        if empty := [name for name, names in found.items() if not names]:
            raise ValueError(
                f"classes: no photos in {len(empty)} of the {len(found)} folders of {self.path}: "
                f"{_few(empty)}; put some there (JPEG, PNG, WebP ...), or take the folders away"
            )
        if all(name.count("/") > 1 for names in found.values() for name in names):
            raise ValueError(
                f"classes: the folders of {self.path}, {_few([*found])}, hold folders and no "
                f"photo; if those are the classes, give classes:{self.path / next(iter(found))}"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        counted = f"{len(self.classes)} classes, {len(self.names)} photos"
        return f"Classes({str(self.path)!r}, {counted})"

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The name and the bytes of a photo's file; raises Broken if it cannot be opened."""
        name = self.names[index]
        try:
            return name, (self.path / name).read_bytes()
        except OSError as error:
            raise Broken(name, error.strerror or error) from error

    def record(self, index: int) -> dict[str, Any]:
        """The photo of exactly this index and its class; raises Broken if it can't be decoded."""
        label = self.labels[index]
        return super().record(index) | {"class": self.classes[label], "label": label}


def _few(names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
