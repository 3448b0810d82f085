"""Faces and other regions that XMP names, turned with the pixels.

They are parts of the sides, 0 to 1, of the pixels as they are stored. Standards: Metadata Working
Group's Guidelines 2.0 (mwg-rs), Microsoft's People Tagging (MPReg).
"""

from __future__ import annotations

import re
from typing import TypeAlias

from oldphoto_jax.photo import xmp_packet

Turn: TypeAlias = tuple[bool, bool, bool]  # swap rows and columns, then flip rows, flip columns
AREA, DIMENSIONS = rb"mwg-rs:Area", rb"mwg-rs:AppliedToDimensions"
CENTER, SIZE = (rb"stArea:x", rb"stArea:y"), (rb"stArea:w", rb"stArea:h")
RECTANGLE = rb"MPReg:Rectangle"


def turned(packet: bytes, turn: Turn) -> bytes:
    """The packet with its regions where the turn puts them, as far as it says them in numbers."""

    def area(found: re.Match[bytes]) -> bytes:
        told = found[0]
        told = _swapped(told, SIZE) if turn[0] else told
        told = _swapped(told, CENTER) if turn[0] else told
        for name, flip in zip(CENTER, (turn[2], turn[1]), strict=True):
            said = xmp_packet.value(told, name)
            if flip and said and (place := _number(said[1])) is not None:
                told = told[: said.start(1)] + _text(1 - place) + told[said.end(1) :]
        return told

    def dimensions(found: re.Match[bytes]) -> bytes:
        return _swapped(found[0], (rb"stDim:w", rb"stDim:h")) if turn[0] else found[0]

    def rectangle(found: re.Match[bytes]) -> bytes:
        numbers = [_number(word) for word in found[2].split(b",")]
        known = [number for number in numbers if number is not None]
        if len(known) != 4 or len(numbers) != 4:
            return found[0]
        x, y, width, height = known
        if turn[0]:
            x, y, width, height = y, x, height, width
        x, y = (1 - x - width if turn[2] else x), (1 - y - height if turn[1] else y)
        return found[1] + b", ".join(map(_text, (x, y, width, height)))

    packet = xmp_packet.patterns(AREA)[1].sub(area, packet)
    packet = xmp_packet.patterns(DIMENSIONS)[1].sub(dimensions, packet)
    words = re.compile(rb"(" + RECTANGLE + rb"(?:\s*=\s*[\"']|\s*>))([^\"'<]*)")
    return words.sub(rectangle, packet)


def _swapped(packet: bytes, names: tuple[bytes, bytes]) -> bytes:
    return xmp_packet.swapped(packet, *(xmp_packet.value(packet, name) for name in names))


def _number(word: bytes) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _text(number: float) -> bytes:
    return f"{number:.6f}".rstrip("0").rstrip(".").encode()
