"""XMP packets as text: properties taken out, turned upright, put together from two parts.

Packets are carried as they are but for the places that would be wrong afterwards. Standard: ISO
16684-1, and XMP part 3 for the extended packets of JPEG.
"""

from __future__ import annotations

import functools
import hashlib
import re
from xml.parsers import expat

QUOTED = rb"\"[^\"]*\"|'[^']*'"
ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))([2-8])")
POINTER = rb"xmpNote:HasExtendedXMP"
# What must change places where rows become columns
SIDES = (
    (b"tiff:ImageWidth", b"tiff:ImageLength"),
    (b"tiff:XResolution", b"tiff:YResolution"),
    (b"exif:PixelXDimension", b"exif:PixelYDimension"),
    (b"exif:FocalPlaneXResolution", b"exif:FocalPlaneYResolution"),
)
# The picture as it was, and sums of the tags of EXIF and TIFF as they were
THUMBNAILS = rb"x[ma]p:Thumbnails"
DIGESTS = rb"(?:tiff|exif):NativeDigest"
REGIONS = rb"(?:mwg-rs:Regions|MP:RegionInfo)"  # faces and others, in shares of the sides
IPTC_DIGEST = rb"photoshop:LegacyIPTCDigest"
# What says that a film or pictures follow in a JPEG file (Motion Photo, MicroVideo, GContainer)
FILM = rb"(?:G?Camera:(?:MotionPhoto|MicroVideo)\w*|G?Container:Directory)"
RDF = re.compile(rb"<rdf:RDF(?:\s[^>]*)?>(.*)</rdf:RDF\s*>", re.DOTALL)
DECLARED = re.compile(rb"\s(xmlns:[\w.-]+)\s*=\s*(" + QUOTED + rb")")
DESCRIPTION = re.compile(rb"<rdf:Description(?:[^<>\"']|" + QUOTED + rb")*>")
ABOUT = re.compile(rb"(\srdf:about\s*=\s*)(" + QUOTED + rb")")


@functools.cache
def patterns(name: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A property, whose name is a regular expression, as an attribute and as an element."""
    return (
        re.compile(rb"\s" + name + rb"\s*=\s*(?:" + QUOTED + rb")"),
        re.compile(
            rb"<(" + name + rb")(?:\s(?:[^<>/\"']|" + QUOTED + rb")*)?(?:/>|>.*?</\1\s*>)",
            re.DOTALL,
        ),
    )


def without(packet: bytes, name: bytes) -> bytes:
    """The packet without a property, whose name is a regular expression."""
    attribute, element = patterns(name)
    return attribute.sub(b"", element.sub(b"", packet))


def value(packet: bytes, name: bytes) -> re.Match[bytes] | None:
    """Where the packet says a simple property: group 1 is its value."""
    return re.search(name + rb"(?:\s*=\s*[\"']|\s*>)\s*([^\"'<]*?)\s*[\"'<]", packet)


def upright(packet: bytes, turned: bool, swap: bool) -> bytes:
    """The packet for pixels that were turned upright, if they were; `swap` as in `exif.upright`.

    Thumbnails, which show the photo as it was, go; with a turn what sums up other tags, too.
    """
    packet = without(packet, THUMBNAILS) if b":Thumbnails" in packet else packet
    packet = ORIENTATION.sub(rb"\g<1>1", packet)
    packet = without(packet, DIGESTS) if turned else packet
    for pair in SIDES if swap else ():
        packet = swapped(packet, *(value(packet, name) for name in pair))
    return packet


def resized(packet: bytes) -> bytes:
    """The packet of a photo that was cropped, without what names its size or places in it."""
    for name in (THUMBNAILS, DIGESTS, REGIONS, *SIDES[0], *SIDES[2]):
        packet = without(packet, name)
    return packet


def swapped(packet: bytes, one: re.Match[bytes] | None, other: re.Match[bytes] | None) -> bytes:
    """The packet with the values of two properties in each other's place, where it has both."""
    if one is None or other is None:
        return packet
    (a, b), (c, d) = sorted([one.span(1), other.span(1)])
    return packet[:a] + packet[c:d] + packet[b:c] + packet[a:b] + packet[d:]


def identifier(extended: bytes) -> bytes:
    """What the main packet of a JPEG file names an extended packet by."""
    return hashlib.md5(extended, usedforsecurity=False).hexdigest().upper().encode()


def pointing(packet: bytes, extended: bytes) -> bytes:
    """A packet that names an extended one, under the name that this one has now."""
    said = value(packet, POINTER)
    if said is None:
        return packet
    return packet[: said.start(1)] + identifier(extended) + packet[said.end(1) :]


def merged(packet: bytes, extended: bytes) -> bytes | None:
    """One packet that says all that both say; None where either cannot be understood."""
    packet = without(packet, POINTER)
    main, more = RDF.search(packet), RDF.search(extended)
    if main is None or more is None or b"<!" in packet + extended:
        return None
    spaces = dict(DECLARED.findall(extended[: more.start(1)]))
    about = ABOUT.search(packet)

    def completed(tag: re.Match[bytes]) -> bytes:
        """A description that declares what stood around it, of the main packet's subject."""
        declared = b"".join(
            b" %s=%s" % pair
            for pair in spaces.items()
            if pair[0] not in dict(DECLARED.findall(tag[0]))
        )
        told = ABOUT.sub(lambda said: said[1] + about[2], tag[0]) if about else tag[0]
        return told[: len(b"<rdf:Description")] + declared + told[len(b"<rdf:Description") :]

    end = main.end(1)
    whole = packet[:end] + DESCRIPTION.sub(completed, more[1]) + packet[end:]
    try:
        expat.ParserCreate().Parse(whole.strip(b"\0"), True)
    except expat.ExpatError:
        return None
    return whole
