"""Which format a file has: its first bytes say so, whatever its name ends in."""

from __future__ import annotations

import os
import pathlib
import re
from typing import BinaryIO

LOOKED_AT = 64  # bytes from the start, as many as any format needs to be told

# What names of each format end in, the commonest ending first.
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff", ".dng"),
    "WEBP": (".webp",),
    "HEIF": (".heic", ".heif", ".hif"),
    "BMP": (".bmp", ".dib"),
    "AVIF": (".avif", ".avifs"),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "JXL": (".jxl",),
    "PCX": (".pcx",),
    "PNM": (".pnm", ".pam", ".pbm", ".pgm", ".ppm", ".pfm"),
    "PSD": (".psd", ".psb"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
EXTENSIONS = tuple(sorted(ending for endings in ENDINGS.values() for ending in endings))

# Those of which files are written, and the endings that the writers know.
WRITTEN = {
    "JPEG": (".jpg", ".jpeg", ".jpe"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "HEIF": (".heic", ".heif", ".hif"),
    "BMP": (".bmp",),
}

RAW = "camera raw"  # the mosaic of a camera's sensor, in a maker's own format
SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\xff\x0a", "JXL"),
    (b"8BPS\0\1", "PSD"),
    (b"8BPS\0\2", "PSD"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),  # Sigma
    (b"IIRO", RAW),  # Olympus
    (b"IIRS", RAW),
    (b"IIU\0", RAW),  # Panasonic
    (b"\0MRM", RAW),  # Minolta
)
HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
PNM = re.compile(rb"P(?:[1-6]\s+(?:#|\d+\s+(?:#|\d+\s))|7\n(?:#|[WHDMTE])|[Ff]\s+\d+\s+\d+\s)")
PCX = re.compile(rb"\n[\0\2\3\4\5][\0\1][\1\2\4\x08]", re.DOTALL)
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the header behind the file's own
TGA_FOOTER = b"TRUEVISION-XFILE.\0"


def recognize(file: BinaryIO, name: str | os.PathLike = "") -> str | None:
    """The format of an open file, a key of ENDINGS or RAW, or None where it is no photo.

    TGA has no signature in front: its header must make sense, and the file must be called like
    one or end as the second version of that format does.
    """
    file.seek(0)
    start = file.read(LOOKED_AT)
    return _by_start(start) or ("TGA" if _is_tga(file, start, pathlib.Path(name)) else None)


def of(path: str | os.PathLike) -> str | None:
    """`recognize` of the file at a path; raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return recognize(file, path)


def ending(path: str | os.PathLike) -> str:
    """What the name of a photo should end in: as it does, unless its content is something else.

    Of formats that have several endings some are not written: .jfif becomes .jpg.
    """
    own = pathlib.Path(path).suffix
    try:
        form = of(path)
    except OSError:  # reading it will say what is wrong
        return own
    known = WRITTEN.get(form or "", ENDINGS.get(form or "", (own,)))
    return own if own.lower() in known else known[0]


def own_ending(path: str | os.PathLike) -> str:
    """What the name of a copy of a photo should end in: as it does, unless its content differs."""
    own = pathlib.Path(path).suffix
    try:
        return own if own.lower() in ENDINGS.get(of(path) or "", ()) else ending(path)
    except OSError:  # reading it will say what is wrong
        return own


def stem(name: pathlib.PurePath) -> str:
    """The name of a photo without its ending, but whole where that is no photo's ending.

    So "Oma. Paris 1950", which has none, keeps all of its name.
    """
    return name.stem if name.suffix.lower() in EXTENSIONS else name.name


def misnamed(path: str | os.PathLike, form: str) -> str | None:
    """What to say of a photo of this format whose name says that it has another, or None."""
    own = pathlib.Path(path).suffix.lower()
    if own not in EXTENSIONS or own in ENDINGS.get(form, (own,)):
        return None
    return f"holds {form}, though its name ends in {own}"


def _by_start(start: bytes) -> str | None:
    for signature, form in SIGNATURES:
        if start.startswith(signature):
            return form
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith(b"BM") and int.from_bytes(start[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if start[4:8] == b"ftyp":
        return _by_brands(start)
    if PNM.match(start):
        return "PNM"
    return "PCX" if PCX.match(start) else None


def _by_brands(start: bytes) -> str | None:
    """HEIC, AVIF and films are of one family (ISO/IEC 14496-12) and tell their brands."""
    size = min(int.from_bytes(start[:4], "big"), len(start))
    brands = [start[8:12], *(start[n : n + 4] for n in range(16, size - 3, 4))]
    if brands[0] in HEVC:
        return "HEIF"
    if {b"avif", b"avis"} & {*brands}:
        return "AVIF"
    if brands[0] == b"crx ":
        return RAW
    return "HEIF" if brands[0] in (b"mif1", b"msf1") else None


def _is_tga(file: BinaryIO, start: bytes, name: pathlib.Path) -> bool:
    if len(start) < 18 or start[1] > 1 or start[2] not in (1, 2, 3, 9, 10, 11):
        return False
    depths = {1: (8, 16), 2: (15, 16, 24, 32), 3: (8, 16)}[start[2] & 7]
    if (
        start[16] not in depths
        or start[17] & 0xC0
        or not any(start[12:14])
        or not any(start[14:16])
    ):
        return False
    if (start[2] & 7 == 1) != (start[1] == 1 and start[7] in (15, 16, 24, 32)):
        return False
    if name.suffix.lower() in ENDINGS["TGA"]:
        return True
    file.seek(max(0, file.seek(0, os.SEEK_END) - len(TGA_FOOTER)))
    return file.read() == TGA_FOOTER
