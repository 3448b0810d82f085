"""Where photos come from: a folder, classes, a list, a TFDS data set, pairs, a few samples.

A source is anything with `__len__` and `__getitem__(i) -> {"photo": uint8 [H,W,3], "name": str}`
that gives the same record for the same index every time and can be pickled (it travels to the
loader's workers). The classes here add one more: a photo that cannot be decoded does not stop a
run. Its place is taken by the next readable one, so the stream stays a function of the index.
"""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import logging

from oldphoto_jax.data.classes import Classes
from oldphoto_jax.data.pairs import Pairs
from oldphoto_jax.data.several import Joined, Mixed
from oldphoto_jax.data.source import Broken, Photos, Source, find

# Photographs in colour that scikit-image's wheel carries, each dedicated to the public domain:
# astronaut, hubble_deep_field (NASA) and rocket (SpaceX) public domain; chelsea (Stefan van der
# Walt), coffee (Rachel Michetti) and retina (Mikael Haggstrom) CC0. See skimage.data's notes.
SAMPLES = {
    "train": ("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg"),
    "val": ("chelsea.png", "rocket.jpg"),
}

NAMED = re.compile(r"([a-z]\w*)=(\S.*)")  # which source under what name
SHARE = re.compile(r"(\d+(?:\.\d+)?)\*(\S.*)")  # how much of which source

# What other data sets call the feature that names a photo.
NAME_FEATURES = ("name", "file_name", "filename", "image/filename", "image/id", "id")

FORMS = """one of
  samples, samples:train, samples:val      a few public-domain photos that come with a dependency
  path/to/folder                           all photos in a folder and below
  path/to/list.txt                         one photo a line, relative to the list or a parent of it
  classes:FOLDER                           photos of classes, FOLDER/CLASS/PHOTO, as of ImageNet
  pairs:FOLDER, pairs:PHOTOS@MASKS         photos with true masks, NAME_mask.png for each NAME
  tfds:NAME, tfds:NAME/SPLIT[@DATA_DIR]    a prepared TFDS data set (array_record)
  2*SOURCE + 1*SOURCE                      several of these, in which each has its share of photos
  photo=SOURCE & old=SOURCE                records of one photo of each, by these names
  or an object with __len__ and __getitem__"""


TFDS_MEND = """A folder of photos is packed by
  python -m oldphoto_jax.data.builders FOLDER --out DATA_DIR
and a data set that TFDS knows by
  tfds build {0} --data_dir DATA_DIR --file_format=array_record"""


class Folder(Source):
    """Every photo in a folder and below, sorted by name, or only those called `names`.

    Names are relative to the folder, with forward slashes. Names that are not there are warned
    of and left out. Raises FileNotFoundError or ValueError if nothing is there to read.
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str] | None = None):
        super().__init__()
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            is_what = "is a file" if self.path.exists() else "does not exist"
            raise FileNotFoundError(
                f"the folder of photos {self.path} {is_what}; name an existing folder"
            )
        if names is None:
            found = (file.relative_to(self.path).as_posix() for file in find(self.path))
            self.names = sorted(found)
        else:
            self.names = self._present(names)
        if not self.names:
            raise ValueError(
                f"no photos in {self.path}: put some there (JPEG, PNG, TIFF, WebP ...), "
                "or name another folder"
            )

    def _present(self, names: Sequence[str]) -> list[str]:
        present = [name for name in names if (self.path / name).is_file()]
        if len(present) < len(names):
            missing = sorted(set(names) - set(present))
            logging.warning(
                "%s: skipped %d of %d photos that are not there, e.g. %s",
                self.path,
                len(missing),
                len(names),
                ", ".join(missing[:3]),
            )
        return present

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {len(self.names)} photos)"

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The name and the bytes of a photo's file; raises Broken if it cannot be opened."""
        name = self.names[index]
        try:
            return name, (self.path / name).read_bytes()
        except OSError as error:
            raise Broken(name, error.strerror or error) from error


class Listed(Folder):
    """The photos that a text file lists, one relative path a line, in the order of the list.

    The paths start from the list's own folder or else from the nearest folder above it in which
    one of them exists: `data/splits/train.txt` may list `faces/x.jpg` for `data/faces/x.jpg`.
    Empty lines and lines that begin with # are skipped. Raises if none of the photos exists.
    """

    def __init__(self, path: str | os.PathLike[str]):
        file = Path(path).expanduser()
        if not file.is_file():
            raise FileNotFoundError(f"the list of photos {file} does not exist; name a text file")
        lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
        if not names:
            raise ValueError(f"the list of photos {file} is empty: write one relative path a line")
        for root in file.resolve().parents:
            if any((root / name).is_file() for name in names):
                super().__init__(root, names)
                return
        raise FileNotFoundError(
            f"none of the {len(names)} photos listed in {file} exists, neither beside the list nor "
            f"below a folder above it, e.g. {names[0]}; move the list or correct its paths"
        )


class Samples(Folder):
    """Six public-domain photos for a first try: no download, no folder to make.

    They are files of scikit-image's wheel (see SAMPLES). `split` is train, val or all.
    """

    def __init__(self, split: str = "train"):
        splits = {**SAMPLES, "all": sum(SAMPLES.values(), ())}
        if split not in splits:
            raise ValueError(f"the samples have no split {split!r}: choose {', '.join(splits)}")
        super().__init__(str(importlib.resources.files("skimage.data")), splits[split])
        self.split = split

    def __repr__(self) -> str:
        return f"Samples({self.split!r})"


class Tfds(Source):
    """The photos of a TFDS data set, read at random from array_record without TensorFlow.

    Args:
        name: as TFDS knows it, e.g. `oxford_flowers102` or `folder_photos`.
        split: a split or a part of one, e.g. `train[:90%]`.
        data_dir: where it was prepared; TFDS's own folder if None.
        key: the image feature.

    Raises:
        ValueError: it is not prepared there, or lacks the split or the feature.
    """

    def __init__(
        self, name: str, split: str = "train", data_dir: str | None = None, key: str = "image"
    ):
        super().__init__()
        self.name, self.split, self.key = name, split, key
        self.data_dir = None if data_dir is None else str(Path(data_dir).expanduser())
        self._open()

    def _open(self) -> None:
        import tensorflow_datasets as tfds  # half a second that folders need not spend

        try:
            builder = tfds.builder(self.name, data_dir=self.data_dir)
            prepared = builder.is_prepared()
        except tfds.core.DatasetNotFoundError:
            prepared = False
        if not prepared:
            raise ValueError(f"{self!r} is not prepared. {TFDS_MEND.format(self.name)}")
        features, splits = builder.info.features, builder.info.splits
        if self.key not in features:
            raise ValueError(f"{self!r} has no feature {self.key!r}, but {', '.join(features)}")
        if self.split.partition("[")[0] not in splits:
            raise ValueError(f"{self!r} has no such split, but {', '.join(splits)}")
        try:
            raw = {self.key: tfds.decode.SkipDecoding()}
            self._records = builder.as_data_source(self.split, decoders=raw)
        except NotImplementedError as error:
            raise ValueError(
                f"{self!r} is not in a format for random access. {TFDS_MEND.format(self.name)}"
            ) from error
        self._name_feature = next((name for name in NAME_FEATURES if name in features), None)

    def __getstate__(self) -> dict[str, Any]:
        # Open files stay at home; the worker opens its own.
        return {key: value for key, value in self.__dict__.items() if key != "_records"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        place = f", data_dir={self.data_dir!r}" if self.data_dir else ""
        return f"Tfds({self.name!r}, {self.split!r}{place})"

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The name and the bytes of a photo as they were packed."""
        record = self._records[index]
        if self._name_feature is None:
            return f"{self.name}/{self.split}/{index:06d}", record[self.key]
        name = record[self._name_feature]
        return name.decode("utf-8") if isinstance(name, bytes) else str(name), record[self.key]


def open_photos(where: str | os.PathLike[str] | Photos) -> Photos:
    """The source that a word names: see FORMS. An object that already is one passes through.

    Raises ValueError or FileNotFoundError with the accepted forms if `where` is none of them.
    """
    if not isinstance(where, str | os.PathLike):
        if isinstance(where, Photos):
            return where
        raise ValueError(f"{where!r} is no source of photos; give {FORMS}")
    text = os.fspath(where)
    if named := _parts(text, " & ", NAMED):
        return Joined({name: open_photos(part) for name, part in named})
    if shares := _parts(text, " + ", SHARE):
        weights = [float(share) for share, _ in shares]
        return Mixed([open_photos(part) for _, part in shares], weights)
    kind, _, rest = text.partition(":")
    if kind == "samples":
        return Samples(rest or "train")
    if kind == "tfds" and rest:
        address, _, data_dir = rest.partition("@")
        name, _, split = address.rpartition("/")
        return Tfds(name or split, split if name else "train", data_dir or None)
    if kind == "classes" and rest:
        return Classes(rest)
    if kind == "pairs" and rest:
        return Pairs.named(rest)
    path = Path(text).expanduser()
    if path.is_dir():
        return Folder(path)
    if path.suffix == ".txt":
        return Listed(path)
    raise FileNotFoundError(f"{text!r} is no source of photos: no such folder; give {FORMS}")


def _parts(text: str, between: str, form: re.Pattern[str]) -> list[tuple[str, str]]:
    """What stands before and after the sign of each part of a text; [] if it has another form."""
    found = [form.fullmatch(part) for part in text.split(between)]
    return [(part[1], part[2]) for part in found if part] if all(found) else []
