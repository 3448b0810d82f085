"""PNG's text chunks, and the profiles that ImageMagick and others put into them as lines of hex.

Text is carried packed as it is: unpacked are, up to a limit, only profiles and XMP. Standard: PNG
3rd edition, 11.3.3.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import photoshop

NAMES = (b"tEXt", b"zTXt", b"iTXt")
XMP = b"XML:com.adobe.xmp"
PROFILE = b"Raw profile type "
COMMENT = b"Comment"
LARGEST = 1 << 24  # bytes, unpacked, of XMP and of profiles' lines
APP1_XMP = b"http://ns.adobe.com/xap/1.0/\0"  # in front of XMP among those of type APP1


class Text(NamedTuple):
    """A chunk's name and its content, packed as it is in the file."""

    name: bytes
    content: bytes

    @property
    def keyword(self) -> bytes:
        """Its title, in Latin-1."""
        return self.content.partition(b"\0")[0]


def unpacked(text: Text) -> bytes | None:
    """The text itself, in Latin-1 (tEXt, zTXt) or UTF-8; None for a damaged or a giant one."""
    rest = text.content.partition(b"\0")[2]
    if text.name == b"tEXt":
        return rest
    if text.name == b"zTXt":
        packed, rest = rest[:1] == b"\0", rest[1:]
    else:
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        if not packed:
            return rest
    unpacker = zlib.decompressobj()
    try:
        told = unpacker.decompress(rest, LARGEST)
    except zlib.error:
        return None
    return told if packed and unpacker.eof else None


def profile(text: Text) -> bytes | None:
    """The bytes of a raw profile: an empty line, its type, its length, lines of hex."""
    lines = (unpacked(text) or b"").decode("latin-1").split("\n")[3:]
    try:
        return bytes.fromhex("".join(lines)) or None
    except ValueError:
        return None


def raw_profile(kind: bytes, data: bytes) -> Text:
    """A raw profile in the way of ImageMagick and exiftool."""
    told = data.hex().encode()
    lines = [told[start : start + 72] for start in range(0, len(told), 72)]
    text = b"\n%s\n%8d\n%s\n" % (kind, len(data), b"\n".join(lines))
    return Text(b"zTXt", PROFILE + kind + b"\0\0" + zlib.compress(text))


class Beside(NamedTuple):
    """What PhotoFile has fields for, out of the text chunks, and those that are left."""

    texts: tuple[tuple[bytes, bytes], ...]
    exif: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    resources: bytes | None
    icc: bytes | None


def sort(texts: list[Text]) -> Beside:
    """Takes out of the chunks what is no text: of several of a kind the first one that is sound."""
    found: dict[str, bytes] = {}
    left = []
    for text in texts:
        told = _decoded(text)
        if not told:
            left.append((text.name, text.content))
        for name, data in told.items():
            found.setdefault(name, data)
    fields = ("exif", "xmp", "iptc", "resources", "icc")
    return Beside(tuple(left), *(found.get(name) for name in fields))


def _decoded(text: Text) -> dict[str, bytes]:
    """What a chunk that is no text holds, by PhotoFile's names; nothing where it is text."""
    if text.keyword == XMP:
        told = unpacked(text)
        return {"xmp": told} if told else {}
    if not text.keyword.startswith(PROFILE):
        return {}
    kind = text.keyword[len(PROFILE) :].lower()
    data = profile(text)
    if data is None:
        return {}
    if kind in (b"iptc", b"8bim"):
        data = data.removeprefix(photoshop.HEAD)
        iptc, rest = (data, None) if data[:1] == b"\x1c" else photoshop.split(data)
        return {n: part for n, part in (("iptc", iptc), ("resources", rest)) if part}
    if kind in (b"icc", b"icm"):
        return {"icc": data}
    if kind == b"xmp" or kind == b"app1" and data.startswith(APP1_XMP):
        return {"xmp": data.removeprefix(APP1_XMP)}
    if kind in (b"exif", b"app1"):
        block = data.removeprefix(exif.PREFIX)
        try:
            exif.parse(block)
        except ValueError:
            return {}
        return {"exif": block}
    return {}


def from_comment(comment: bytes) -> Text:
    """A comment of JPEG, whose letters are of no stated kind, as text of PNG."""
    words = comment.rstrip(b"\0").replace(b"\0", b" ")
    try:
        latin = words.decode().isascii()
    except UnicodeDecodeError:
        latin = True
    return (
        Text(b"tEXt", COMMENT + b"\0" + words)
        if latin
        else Text(b"iTXt", COMMENT + bytes(5) + words)
    )


def to_comment(text: Text, most: int) -> bytes | None:
    """Text under the name Comment as JPEG has it, in UTF-8; None for others and for long ones."""
    if text.keyword.lower() != COMMENT.lower() or (words := unpacked(text)) is None:
        return None
    words = words if text.name == b"iTXt" else words.decode("latin-1").encode()
    return words if len(words) <= most else None
