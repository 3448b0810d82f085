"""The chunks of a PNG file, found in spite of harmless faults, and what lies beside its pixels.

Decoders are given only the chunks that pixels need: others, such as those of animations, have made
them crash. Standard: PNG 3rd edition.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import pieces, png_text
from oldphoto_jax.photo.content import NO_PIXELS, PhotoError, PhotoFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
ENCODING = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")  # in the order of writing
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# Of no use for another picture: dates of saving, backgrounds, significant bits, histograms
SILENT = (b"tIME", b"bKGD", b"sBIT", b"hIST", b"iDOT")
LARGEST_CHUNK = 1 << 26  # bytes beside the pixels
LARGEST_PROFILE = 1 << 26  # bytes, unpacked
SMALL = (*ENCODING, b"pHYs")
PASSED = b"paSs"  # the name of a chunk that decoders pass over


class Chunk(NamedTuple):
    """A chunk's name and where its content lies."""

    name: bytes
    start: int
    size: int

    @property
    def end(self) -> int:
        """The byte behind its content, where its checksum stands."""
        return self.start + self.size


class Header(NamedTuple):
    """What says the size of the pixels and how they are turned."""

    width: int
    height: int
    bits: int
    kind: int  # PNG's colour type: 2 is colour, 4 is alpha
    exif: bytes | None
    xmp: bytes | None


class Chunks(NamedTuple):
    """All chunks up to the last one; `cut` says that the last one was not whole.

    `rest` is how many bytes there are behind.
    """

    all: list[Chunk]
    ended: bool
    cut: bool
    rest: int


def chunks(file: BinaryIO) -> Chunks:
    """Raises ValueError where the file ends before its pixels begin."""
    end, at = file.seek(0, io.SEEK_END), len(SIGNATURE)
    found: list[Chunk] = []
    while at + 8 <= end:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        if not name.isalpha():
            break
        chunk = Chunk(name, at + 8, min(size, end - at - 8))
        if chunk.size < size or chunk.end + 4 > end and name != b"IEND":
            if name == b"IDAT":
                return Chunks([*found, chunk], False, True, 0)
            break
        found.append(chunk)
        at = chunk.end + 4
        if name == b"IEND":
            return Chunks(found, True, False, max(0, end - at))
    if all(chunk.name != b"IDAT" for chunk in found):
        raise ValueError(f"parts are missing: it ends at byte {end}, before its pixels")
    return Chunks(found, False, False, max(0, end - at))


def header(file: BinaryIO) -> Header:
    """The size, and what says the orientation; no more is read."""
    found = chunks(file).all
    if found[0].name == b"CgBI":
        raise PhotoError("PNG as Apple's tools pack it for apps (CgBI); save it as plain PNG")
    if found[0].name != b"IHDR" or found[0].size != 13:
        raise ValueError(f"it begins with {found[0].name!r} of {found[0].size} bytes")
    width, height, bits, kind = struct.unpack(">IIBB", _content(file, found[0])[:10])
    told = png_text.sort([*_texts(file, [c for c in found if _turns(file, c)])])
    return Header(width, height, bits, kind, _exif(file, found) or told.exif, told.xmp)


def _turns(file: BinaryIO, chunk: Chunk) -> bool:
    """Whether a text chunk may say the orientation."""
    if chunk.name not in png_text.NAMES:
        return False
    keyword = _content(file, chunk._replace(size=min(chunk.size, 80))).partition(b"\0")[0]
    return keyword in (png_text.XMP, *(png_text.PROFILE + n for n in (b"exif", b"APP1", b"xmp")))


def beside(file: BinaryIO, found: Chunks) -> PhotoFile:
    """A photo without its pixels; raises PhotoError for an animation that is damaged."""
    told = png_text.sort([*_texts(file, found.all)])
    named = {chunk.name: _content(file, chunk) for chunk in found.all if chunk.name in SMALL}
    notes, left = [], []
    damaged = _damaged(file, found.all[:-1] if found.cut else found.all)
    if any(name in ANIMATION for name in damaged):
        raise PhotoError("its animation is damaged; copy the file again, or save one frame alone")
    if beside_pixels := [name for name in dict.fromkeys(damaged) if name != b"IDAT"]:
        names = ", ".join(name.decode() for name in beside_pixels)
        notes.append(f"the checksum of {names}, beside the pixels, is wrong")
    if b"IDAT" in damaged:
        notes.append("a checksum of the pixels (IDAT) is wrong; that of all together is right")
    if not found.ended:
        notes.append("the end of the file is missing; the pixels are all there")
    if found.rest:
        left.append(f"{found.rest} bytes behind the picture")
    if any(chunk.name == b"fdAT" for chunk in found.all):
        left.append("the other pictures of the animation")
    profile = _profile(file, found.all) or told.icc
    if not profile and any(chunk.name == b"iCCP" for chunk in found.all):
        left.append("the colour profile, which is damaged")
    left += [f"PNG text {name}" for name in _giants(file, found.all)]
    unknown = {c.name for c in found.all} - {*NEEDED, *SILENT, *ANIMATION, *png_text.NAMES}
    left += [f"PNG chunk {name.decode()}" for name in sorted(unknown - {*SMALL, b"eXIf", b"iCCP"})]
    block = _exif(file, found.all) or told.exif
    said = exif.resolution(exif.parse(block), exif.order(block)) if block else None
    return PhotoFile(
        NO_PIXELS,
        exif=block,
        xmp=told.xmp,
        iptc=told.iptc,
        resources=told.resources,
        icc=profile,
        # ImageMagick repeats the tags of EXIF as text, the orientation among them.
        texts=tuple(t for t in told.texts if not (block and t[1].startswith(b"exif:"))),
        encoding=tuple((name, named[name]) for name in ENCODING if name in named),
        resolution=_resolution(named.get(b"pHYs", b"")) or said,
        notes=tuple(notes),
        left_behind=tuple(left),
        faulty=bool(damaged) or not found.ended,
    )


def needed(file: BinaryIO, found: Chunks) -> io.BufferedReader:
    """A file of the chunks that a decoder needs."""
    parts: list[pieces.Piece] = [SIGNATURE]
    parts += [range(c.start - 8, c.end + 4) for c in found.all if c.name in NEEDED[:-1]]
    if found.cut:
        cut = found.all[-1]
        total = struct.pack(">I", zlib.crc32(_content(file, cut), zlib.crc32(cut.name)))
        parts[-1:] = [struct.pack(">I4s", cut.size, cut.name), range(cut.start, cut.end), total]
    return pieces.opened(file, [*parts, END])


def repacked(file: BinaryIO, found: Chunks) -> bytes:
    """A file whose samples are packed anew, for a decoder that wants the end of their stream."""
    unpacker = zlib.decompressobj()
    packed = pieces.opened(file, [range(c.start, c.end) for c in found.all if c.name == b"IDAT"])
    width, height = struct.unpack(">II", _content(file, found.all[0])[:8])
    most = 8 * (width + 8) * (height + 8) * 2  # of 16 bits and four channels, interlaced
    samples = unpacker.decompress(packed.read(), most)
    parts = [(c.name, _content(file, c)) for c in found.all if c.name in NEEDED[:3]]
    parts.append((b"IDAT", zlib.compress(samples, 1)))
    whole = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"".join([SIGNATURE, *whole, END])


def hide(data: mmap.mmap, found: Chunks) -> None:
    """Renames in a private copy of the file what a decoder does not need to see."""
    for chunk in found.all:
        if chunk.name not in NEEDED:
            data[chunk.start - 4 : chunk.start] = PASSED
            with memoryview(data) as view, view[chunk.start - 4 : chunk.end] as part:
                total = zlib.crc32(part)
            data[chunk.end : chunk.end + 4] = struct.pack(">I", total)


def _content(file: BinaryIO, chunk: Chunk) -> bytes:
    file.seek(chunk.start)
    return file.read(chunk.size)


def _texts(file: BinaryIO, found: list[Chunk]) -> Iterator[png_text.Text]:
    for chunk in found:
        if chunk.name in png_text.NAMES and chunk.size <= LARGEST_CHUNK:
            yield png_text.Text(chunk.name, _content(file, chunk))


def _giants(file: BinaryIO, found: list[Chunk]) -> Iterator[str]:
    """Keywords of texts that are too long to be carried."""
    for chunk in found:
        if chunk.name in png_text.NAMES and chunk.size > LARGEST_CHUNK:
            told = _content(file, chunk._replace(size=79))
            yield told.partition(b"\0")[0].decode("latin-1")


def _exif(file: BinaryIO, found: list[Chunk]) -> bytes | None:
    """The EXIF block, or None where there is none or no sense in it."""
    for chunk in found:
        if chunk.name == b"eXIf" and chunk.size <= LARGEST_CHUNK:
            block = _content(file, chunk).removeprefix(exif.PREFIX)
            try:
                exif.parse(block)
            except ValueError:  # it says nothing; the pixels are whole
                continue
            return block
    return None


def _profile(file: BinaryIO, found: list[Chunk]) -> bytes | None:
    """The ICC profile, where it is whole."""
    for chunk in found:
        if chunk.name == b"iCCP" and chunk.size <= LARGEST_CHUNK:
            unpacker = zlib.decompressobj()
            with contextlib.suppress(zlib.error):  # a damaged one says nothing
                packed = _content(file, chunk).partition(b"\0")[2][1:]
                profile = unpacker.decompress(packed, LARGEST_PROFILE)
                return profile if unpacker.eof else None
    return None


def _resolution(content: bytes) -> tuple[float, float] | None:
    """Dots per inch by pHYs."""
    if len(content) != 9 or content[8] != 1:
        return None
    x, y = (value * exif.INCH for value in struct.unpack(">II", content[:8]))
    return (x, y) if exif.is_resolution((x, y)) else None


def _damaged(file: BinaryIO, found: list[Chunk]) -> list[bytes]:
    """Names of the chunks whose checksum is wrong, but those that decoders check themselves."""
    names = []
    for chunk in found:
        if chunk.name in NEEDED and chunk.name != b"IDAT":
            continue
        total, left = zlib.crc32(chunk.name), chunk.size
        file.seek(chunk.start)
        while left:
            part = file.read(min(left, 1 << 20))
            total, left = zlib.crc32(part, total), left - len(part)
        if file.read(4) != struct.pack(">I", total):
            names.append(chunk.name)
    return names
