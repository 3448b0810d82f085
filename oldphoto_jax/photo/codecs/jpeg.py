"""The segments of a JPEG file, found in spite of harmless faults, and the picture among them.

Cameras, phones and mended files leave bytes between segments, lengths that are wrong, and no end
(ITU-T T.81, annex B). A decoder is given the picture alone, put together from what it needs.
"""

from __future__ import annotations

import itertools
import mmap
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from oldphoto_jax.photo.content import PhotoError

Data: TypeAlias = bytes | mmap.mmap

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
APP0, APP1, APP2, APP13, APP14, COM = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
SOS, DNL = 0xDA, 0xDC
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# What no decoder here reads: hierarchical JPEG, arithmetic coding without loss, and JPEG-LS
OTHERS = {0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
JPEG_LS = 0xF7
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment: TEM, RST0 to RST7, SOI
MARKER = re.compile(rb"\xff[\xc0-\xcf\xda-\xfe]")
IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # what ends the packed samples
# In the place of bits that may be missing. Decoders have zeros there where a file ends; of these
# three, two at least are different codes, of which one says more than that a block ends.
FILLS = (b"", b"\x55" * 4096, b"\xaa" * 4096)
REACH = 1 << 20  # bytes through which the next marker is looked for
TRIES = 128  # markers that are tried there
FAULTS = 32  # that are got over in one file
MOST = 1024  # segments of one file, which may hold 64 MB of profiles and the like


class Segment(NamedTuple):
    """A marker and where its content lies."""

    marker: int
    start: int
    end: int


class Jpeg(NamedTuple):
    """A JPEG file's segments in front of its first scan, and the extent of its picture.

    `scans` is where the first scan's marker stands, `end` the byte behind the picture; `ended`
    says whether the picture's own end was there, `skipped` whether bytes were passed over.
    """

    segments: tuple[Segment, ...]
    scans: int
    end: int
    ended: bool
    skipped: bool


def read(data: Data) -> Jpeg:
    """Finds all segments; raises as `segments` does."""
    segments, scans, skipped = _segments(data)
    end, ended = _end(data, scans)
    return Jpeg(segments, scans, end, ended, skipped)


def frame(data: Data) -> tuple[int, int, int, int]:
    """(marker, bits a sample, height, width) of the picture, whose samples are not looked at.

    Raises PhotoError for kinds of JPEG that nobody here can decode, ValueError as `segments` does.
    """
    found = _frame(data, _segments(data)[0])
    if found is None:
        raise ValueError("no picture in it")
    marker, _, height, _ = found
    if marker in OTHERS:
        raise PhotoError(f"JPEG of a rare kind (SOF{marker - 0xC0}); save it as TIFF or PNG")
    if height == 0:
        raise PhotoError(
            "JPEG that tells its height behind its pixels (DNL); save it as TIFF or PNG"
        )
    return found


def segments(data: Data) -> tuple[Segment, ...]:
    """The segments in front of the first scan.

    Raises ValueError where there is no picture, and PhotoError for JPEG-LS.
    """
    return _segments(data)[0]


def picture(data: Data, found: Jpeg, tail: bytes = EOI) -> bytes:
    """A JPEG file of the picture alone, for a decoder; `tail` stands where the file's end did."""
    parts = [SOI]
    for marker, start, end in found.segments:
        told = data[start:end]
        needed = (
            marker < APP0
            or (marker == APP0 and told.startswith(b"JFIF\0") and len(told) >= 14)
            or (marker == APP14 and told.startswith(b"Adobe") and len(told) >= 12)
        )
        if needed:
            parts.append(struct.pack(">BBH", 0xFF, marker, len(told) + 2) + told)
    samples = data[found.scans : found.end]
    # Without an end, the half of a marker may be left of it.
    samples = samples.removesuffix(EOI) if found.ended else samples.rstrip(b"\xff")
    return b"".join([*parts, samples, tail])


def complete(data: Data, found: Jpeg) -> bool:
    """Whether scans for all coefficients of all channels begin; each may be cut off."""
    marker, *_ = frame(data)
    (start,) = (segment.start for segment in found.segments if segment.marker in FRAMES)
    channels = data[start + 6 : start + 6 + 3 * data[start + 5] : 3]
    wanted = {(channel, k) for channel in channels for k in range(64)}
    for scan in _scans(data, found):
        count = data[scan]
        members = data[scan + 1 : scan + 1 + 2 * count : 2]
        first, last, bits = data[scan + 1 + 2 * count : scan + 4 + 2 * count]
        if marker not in PROGRESSIVE:
            first, last, bits = 0, 63, 0
        if bits & 15 == 0:
            wanted -= {(channel, k) for channel in members for k in range(first, last + 1)}
    return not wanted


def _scans(data: Data, found: Jpeg) -> Iterator[int]:
    """Where the content of each scan's own segment starts."""
    at = found.scans
    while at < found.end:
        segment = _segment(data, at)
        if segment is None or segment.end > found.end:
            return
        if segment.marker == SOS:
            yield segment.start
        at = segment.end
        if data[at : at + 1] != b"\xff" or IN_SCAN.match(data, at) is None:
            after = IN_SCAN.search(data, at, found.end)
            at = after.start() if after else found.end


def _segments(data: Data) -> tuple[tuple[Segment, ...], int, bool]:
    """The segments up to the first scan, where its marker stands, whether bytes were skipped."""
    found: list[Segment] = []
    at, skipped = len(SOI), False
    for _ in range(FAULTS):
        more, at = _walk(data, at)
        found += more
        if data[at : at + 2] == bytes([0xFF, SOS]):
            if _frame(data, found) is None:
                if any(segment.marker == JPEG_LS for segment in found):
                    raise PhotoError("JPEG-LS, not plain JPEG; save it as TIFF or PNG")
                raise ValueError("no picture in it")
            return tuple(found), at, skipped
        onward = _resume(data, found, at)
        if onward is None:
            raise ValueError(f"no picture behind byte {at}")
        if found and onward < found[-1].end:  # its length was wrong
            found[-1] = found[-1]._replace(end=onward)
        at, skipped = onward, True
    raise ValueError("no picture behind all its faults")


def _walk(data: Data, at: int) -> tuple[list[Segment], int]:
    """Segments that follow each other from `at` on, and where the first scan or no marker is."""
    found: list[Segment] = []
    while len(found) < MOST:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if data[at : at + 1] == b"\xff" and at + 1 < len(data) and data[at + 1] in ALONE:
            at += 2
            continue
        segment = _segment(data, at)
        if segment is None or segment.marker == SOS:
            return found, at
        found.append(segment)
        at = segment.end
    raise ValueError(f"no picture in its first {MOST} segments")


def _segment(data: Data, at: int) -> Segment | None:
    """The segment whose marker stands at `at`, if one does and its length makes sense."""
    if at + 4 > len(data) or data[at] != 0xFF or not MARKER.match(data, at):
        return None
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    # One that goes beyond the file is none, but the last may lead right up to its end.
    return Segment(data[at + 1], at + 4, end) if at + 4 <= end <= len(data) else None


def _resume(data: Data, found: list[Segment], stop: int) -> int | None:
    """Where segments go on behind a fault: the last one was too long, or bytes lie between.

    A marker within the last segment counts if all follows from it, without another fault, to a
    scan behind the segment's end. Else it is the first marker behind that leads to the largest
    picture, as the thumbnail in a segment whose length is too short has markers, too.
    """
    start = found[-1].start if found else len(SOI)
    for at in _markers(data, start, min(stop, len(data))):
        more, end = _walk(data, at)
        whole = data[end : end + 2] == bytes([0xFF, SOS]) and end >= stop
        if whole and _frame(data, [*found[:-1], *more]):
            return at
    best, most, seen = None, 0, 0
    for at in _markers(data, stop + 1, stop + REACH):
        if at >= seen:  # what lies within a chain that was followed leads to no more
            size, seen = _leads_to(data, found, at)
            best, most = (at, size) if size > most else (best, most)
    return best


def _markers(data: Data, start: int, end: int) -> Iterator[int]:
    found = MARKER.finditer(data, start, min(end, len(data)))
    return (match.start() for match in itertools.islice(found, TRIES))


def _leads_to(data: Data, found: list[Segment], at: int) -> tuple[int, int]:
    """Pixels of the picture that segments from `at` on lead to, and the byte where they end.

    Bytes between them are passed over.
    """
    found, start = [*found], at
    for _ in range(FAULTS):
        more, at = _walk(data, at)
        found += more
        if data[at : at + 2] == bytes([0xFF, SOS]):
            size = _frame(data, found)
            return (size[2] * size[3], at) if size else (0, start)
        onward = MARKER.search(data, at + 1, at + REACH)
        if onward is None:
            break
        at = onward.start()
    return 0, start


def _frame(data: Data, segments: Sequence[Segment]) -> tuple[int, int, int, int] | None:
    """(marker, bits a sample, height, width), where one of the segments says it."""
    for marker, start, end in segments:
        if marker in FRAMES and end - start >= 6:
            return (marker, *struct.unpack_from(">BHH", data[start : start + 5]))
    return None


def _end(data: Data, scans: int) -> tuple[int, bool]:
    """The byte behind the picture, and whether its end is marked."""
    at = scans
    while True:
        segment = _segment(data, at)
        if segment is None:
            if data[at : at + 2] == EOI:
                return at + 2, True
            at += 2  # no marker that is known here: damage, of which the decoder will speak
        else:
            at = segment.end
        match = IN_SCAN.search(data, at)
        if match is None:
            return len(data), False
        at = match.start()
