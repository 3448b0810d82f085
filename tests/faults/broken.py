"""Small photos of all kinds, and files that are none: what restore.py lays into folders."""

from __future__ import annotations

import os
import pathlib
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

from experiments.speed.restore import aged
from oldphoto_jax.data import sources

SIDES = (64, 100)  # pixels
OLD = 4  # photos that are damaged; all others are pieces of them
KINDS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    (".jpg", lambda photo: photo),
    (".png", lambda photo: cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)),
    (".tif", lambda photo: np.uint16(photo) * 257),
    (".webp", lambda photo: photo),
    (".jpg", lambda photo: cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)),
    (".png", lambda photo: np.dstack([photo, photo[..., :1]])),  # with alpha
    (".tif", lambda photo: cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)),
    (".bmp", lambda photo: photo),
)


def build(folder: pathlib.Path, photos: sources.Photos, count: int) -> None:
    """Writes so many small old photos, 000.jpg, 001.png ..., of some larger ones."""
    folder.mkdir(parents=True)
    rng, side = np.random.default_rng(0), 4 * SIDES[1]
    old = [aged(photos[n % len(photos)]["photo"], (side, side), n) for n in range(OLD)]
    for number in range(count):
        height, width = rng.integers(SIDES[0], SIDES[1] + 1, 2)
        top, left = rng.integers(0, side - SIDES[1], 2)
        piece = old[number % OLD][top : top + height, left : left + width, ::-1]
        ending, kind = KINDS[number % len(KINDS)]
        told = cv2.imwrite(str(folder / f"{number:03}{ending}"), kind(np.ascontiguousarray(piece)))
        if not told:
            raise OSError(f"{folder / f'{number:03}{ending}'}: cannot be written")


def unreadable(folder: pathlib.Path, good: pathlib.Path) -> dict[str, str]:
    """Lays files that cannot be read into a folder; returns what is wrong with them by name.

    `good` is a folder of `build`, with photos to be cut off.
    """
    made = {}
    for number, (ending, _) in enumerate(KINDS[:4]):
        data = (good / f"{number:03}{ending}").read_bytes()
        (folder / f"cut{ending[1:]}{ending}").write_bytes(data[: len(data) // 2])
        made[f"cut{ending[1:]}{ending}"] = f"{ending[1:].upper()} file, its second half missing"
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is no photo.\n" * 50)
    (folder / "locked.jpg").write_bytes((good / "000.jpg").read_bytes())
    (folder / "locked.jpg").chmod(0)
    (folder / "nowhere.jpg").symlink_to("missing.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    return made | {
        "empty.jpg": "empty file",
        "text.jpg": "text called .jpg",
        "locked.jpg": "file without permission to read",
        "nowhere.jpg": "link to a file that is not there",
        "pipe.jpg": "named pipe called .jpg",
        "folder.jpg": "folder called .jpg",
    }


def bombs(folder: pathlib.Path) -> dict[str, str]:
    """Lays small files with enormous headers into a folder; returns what they are by name."""
    files = {
        "bombpng.png": (_png(60_000), "PNG header of 60000 x 60000"),
        "bombtif.tif": (_tiff(1 << 31), "TIFF header of 2^31 x 2^31"),
        "bombwebp.webp": (_webp(1 << 24), "WebP header of 2^24 x 2^24"),
        "bombjpg.jpg": (_jpeg(65_500), "JPEG header of 65500 x 65500"),
        "bombbmp.bmp": (_bmp(1 << 30), "BMP header of 2^30 x 2^30"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: what for name, (_, what) in files.items()}


def promise(folder: pathlib.Path) -> dict[str, str]:
    """Lays a file into a folder whose header promises as much as is just allowed, and no pixels."""
    (folder / "promise.png").write_bytes(_png(22_000))
    return {"promise.png": "PNG header of 22000 x 22000, which is allowed, without the pixels"}


def _png(side: int) -> bytes:
    """8-bit RGB, with a few bytes in place of its pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(bytes(99)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _tiff(side: int) -> bytes:
    """Of one strip, 8-bit gray: width, height, depth, compression, kind, where, rows, bytes."""
    tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (278, side), (279, 9)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def _webp(side: int) -> bytes:
    """An extended header, whose canvas is so large."""
    sides = 2 * (side - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _jpeg(side: int) -> bytes:
    """A baseline header, gray, and an end."""
    frame = struct.pack(">HBHHB", 11, 8, side, side, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    return b"\xff\xd8\xff\xc0" + frame + scan + b"\0\0\xff\xd9"


def _bmp(side: int) -> bytes:
    """A header of 24-bit pixels."""
    return b"BM" + struct.pack(
        "<IIIIiiHHIIiiII", 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0
    )
