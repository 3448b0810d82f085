r"""Packs photos once into a TFDS data set, to be read at random without a file each.

python -m oldphoto_jax.data.builders scans/ --out data/packed --side 512
python -m oldphoto_jax.data.builders train=lists/train.txt val=lists/val.txt --out data/packed

Then `tfds:folder_photos/train@data/packed` is a source. TensorFlow is not needed for either.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from oldphoto_jax.data.decode import decode
from oldphoto_jax.data.sources import Broken, Source, open_photos

# What every reader of TFDS image features understands; other formats are packed as PNG.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class FolderPhotos(tfds.core.GeneratorBasedBuilder):
    """Photos as `image`, the bytes of a JPEG or PNG file, and `name`; see `pack`."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None  # nothing is downloaded; TFDS would search its code for checksums

    def __init__(
        self,
        *,
        photos: Mapping[str, Source] | None = None,
        side: int | None = None,
        quality: int = 95,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.photos, self.side, self.quality = dict(photos or {}), side, quality

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Photos packed by oldphoto_jax.data.builders.",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(), "name": tfds.features.Text()}
            ),
            disable_shuffling=True,  # keep the source's order
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        if not self.photos:
            raise ValueError(
                f"{self.name} is made from photos of yours: use oldphoto_jax.data.builders.pack"
            )
        return {split: self._generate_examples(photos) for split, photos in self.photos.items()}

    def _generate_examples(self, photos: Source) -> Iterator[tuple[int, dict[str, Any]]]:
        skipped = 0
        for index in range(len(photos)):
            try:
                name, data = photos.encoded(index)
                packed = self._packed(name, data)
            except Broken as error:
                logging.warning("%r: not packed: %s", photos, error)
                skipped += 1
            else:
                yield index, {"image": packed, "name": name}
        if skipped == len(photos):
            raise ValueError(f"none of the {skipped} photos of {photos!r} can be decoded")

    def _packed(self, name: str, data: bytes) -> bytes:
        """The bytes as they are, or those of the photo shrunk to `side`."""
        try:
            photo = decode(data)
        except ValueError as error:
            raise Broken(name, error) from error
        short = min(photo.shape[:2])
        if self.side is None or short <= self.side:
            return data if data.startswith(MAGIC) else _encode(photo, ".png", [])
        height, width = (max(1, round(size * self.side / short)) for size in photo.shape[:2])
        small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        # Colour is what is learned from these, so it keeps its full resolution.
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        return _encode(small, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, self.quality, *sampling])


def pack(
    photos: str | Source | Mapping[str, str | Source],
    out: str | os.PathLike[str],
    *,
    side: int | None = None,
    quality: int = 95,
) -> Path:
    """Packs photos into `out` and returns the folder of the data set.

    JPEG and PNG files are packed as they are, byte for byte; other formats as PNG, 8 bits a
    channel. Photos that cannot be decoded are warned of and left out. Read them back with
    `Tfds("folder_photos", split, out)`. An interrupted packing leaves nothing that opens.

    Args:
        photos: a source, or what `open_photos` takes, for the split `train`; or a dict of
            several splits.
        out: the TFDS data_dir, made if it is missing.
        side: shrink photos whose shorter side is longer than this many pixels. None shrinks none.
        quality: of the JPEGs that shrunk photos become, 1 to 100.

    Raises:
        FileExistsError: `out` holds such a data set already.
        ValueError: side or quality out of range, no photos, a source without encoded files, or
            a split of which no photo can be decoded.
    """
    if not 1 <= quality <= 100 or (side is not None and side < 1):
        raise ValueError(f"side={side} must be positive and quality={quality} in 1 to 100")
    splits = photos if isinstance(photos, Mapping) else {"train": photos}
    sources: dict[str, Source] = {}
    opened = {split: open_photos(where) for split, where in splits.items()}
    for split, source in opened.items():
        if not isinstance(source, Source):
            raise ValueError(f"{split}: {source!r} has no encoded files to pack; give a Source")
        sources[split] = source
    out = Path(out).expanduser()
    builder = FolderPhotos(
        photos=sources, side=side, quality=quality, data_dir=str(out), file_format="array_record"
    )
    if Path(builder.data_dir).exists():
        raise FileExistsError(f"{builder.data_dir} is packed already: delete it or choose another")
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with tempfile.TemporaryDirectory() as downloads:  # of which there are none
        builder.download_and_prepare(download_dir=downloads, download_config=config)
    return Path(builder.data_dir)


def _encode(photo: np.ndarray, suffix: str, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"OpenCV cannot write a photo of the shape {photo.shape} as {suffix}")
    return data.tobytes()


def main(arguments: list[str] | None = None) -> None:
    """The command line: see the head of this file."""
    parser = argparse.ArgumentParser(description="Packs photos once into a TFDS data set.")
    parser.add_argument(
        "photos", nargs="+", help="a folder or a list, for the split train; or SPLIT=FOLDER ..."
    )
    parser.add_argument("--out", required=True, help="the folder for the data set (data_dir)")
    parser.add_argument("--side", type=int, help="shrink photos to this shorter side, in pixels")
    parser.add_argument("--quality", type=int, default=95, help="of shrunk photos, 1 to 100")
    options = parser.parse_args(arguments)
    splits = {}
    for word in options.photos:
        split, equals, where = word.partition("=")
        if not equals:
            split, where = "train", word
        if split in splits:
            parser.error(f"two sources for the split {split!r}: write SPLIT=FOLDER for each")
        splits[split] = where
    folder = pack(splits, options.out, side=options.side, quality=options.quality)
    print(f"packed into {folder}")
    for split in splits:
        print(f"read it as tfds:{FolderPhotos.name}/{split}@{options.out}")


if __name__ == "__main__":
    main()
