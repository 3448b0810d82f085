"""ICC profiles (ISO 15076-1, https://www.color.org/specification/ICC.1-2022-05.pdf), read and made.

What is read is how light the colours of an RGB or gray profile are; all else is left to LittleCMS.
"""

from __future__ import annotations

import struct

import numpy as np

CHANNELS = {b"GRAY": (b"kTRC",), b"RGB ": (b"rTRC", b"gTRC", b"bTRC")}
SPACE = slice(16, 20)  # of a profile: what it is for
MOST_TAGS = 100
# The curve of sRGB as ICC's function of type 3: (a X + b) ** g from d on, c X below
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
WHITE = (0.9642, 1.0, 0.8249)
PRIMARIES = {  # of sRGB, adapted to D50 by Bradford's matrix
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}


def tags(profile: bytes) -> dict[bytes, bytes]:
    """What a profile holds, by the names of its tags. Raises ValueError for no profile."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("no ICC profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > MOST_TAGS or len(profile) < 132 + 12 * count:
        raise ValueError(f"an ICC profile of {count} tags in {len(profile)} bytes")
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(count))
    return {name: profile[start : start + size] for name, start, size in entries}


def light(profile: bytes, levels: int) -> np.ndarray | None:
    """How much light the codes of each channel stand for: [1|3,levels] float64 in 0..1.

    None where a profile says that by tables of many channels, or is for neither gray nor RGB.
    Raises ValueError for a damaged one.
    """
    found = tags(profile)
    names = CHANNELS.get(profile[SPACE], ())
    if not names or b"A2B0" in found or any(name not in found for name in names):
        return None
    codes = np.linspace(0, 1, levels)
    try:
        curves = np.stack([_curve(found[name], codes) for name in names])
    except struct.error as error:
        raise ValueError(f"an ICC profile with a curve that is cut off: {error}") from error
    if profile[20:24] == b"Lab " and len(names) == 1:  # then the curve gives L
        curves = np.where(curves > 0.08, ((curves + 0.16) / 1.16) ** 3, curves / 9.033)
    return curves


def srgb(black: float = 0.0) -> bytes:
    """The profile of sRGB; or of a screen like it whose black gives off light, `black` of white."""
    return make("sRGB", b"RGB ", _screen(black))


def linear(channels: int) -> bytes:
    """The profile of gray, or of RGB with the primaries of sRGB, in linear light."""
    space = b"GRAY" if channels == 1 else b"RGB "
    return make("Linear light", space, power(1))


def power(exponent: float) -> bytes:
    """The tag of a curve: light is the code to this power."""
    return struct.pack(">4sIHHi", b"para", 0, 0, 0, round(65536 * exponent))


def make(name: str, space: bytes, *curves: bytes) -> bytes:
    """A profile for gray, or RGB with the primaries of sRGB, by its curves' tags: one, or three."""
    names = CHANNELS[space]
    rows = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(WHITE),
        **({name: _xyz(value) for name, value in PRIMARIES.items()} if len(names) > 1 else {}),
        **dict(zip(names, curves * (len(names) // len(curves)), strict=True)),
    }
    return pack(space, rows)


def pack(space: bytes, rows: dict[bytes, bytes]) -> bytes:
    """A profile, of version 4, for a screen with colours of this space; by its tags."""
    start, table, data = 132 + 12 * len(rows), b"", b""
    places: dict[bytes, int] = {}
    for name, content in rows.items():
        if content not in places:
            places[content] = start + len(data)
            data += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), bytes(4), 0x04200000, b"mntr", space, b"XYZ "
    )
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(WHITE)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(rows)) + table + data


def _curve(tag: bytes, codes: np.ndarray) -> np.ndarray:
    """Light by a curve's tag, of codes 0..1."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12), float)
        if count <= 1:
            return codes ** (values[0] / 256) if count else codes
        return np.interp(codes, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError(f"an ICC profile with a curve of type {tag[:4]!r}")
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError(f"an ICC profile with a curve by function {kind}")
    count = (1, 3, 4, 5, 7)[kind]
    numbers = np.array((1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    numbers[:count] = struct.unpack_from(f">{count}i", tag, 12)
    numbers[:count] /= 65536
    g, a, b, c, d, e, f = numbers.tolist()
    if kind in (1, 2):
        c, d, e, f = 0.0, (-b / a if a else 0.0), c, c
    values = np.where(codes >= d, np.maximum(a * codes + b, 0) ** g + e, c * codes + f)
    return np.clip(values, 0, 1)


def _screen(black: float) -> bytes:
    g, a, b, c, d = SRGB_CURVE
    scale = (1 - black) ** (1 / g)
    numbers = (g, scale * a, scale * b, (1 - black) * c, d, black, black)
    return struct.pack(">4sIHH7i", b"para", 0, 4, 0, *(round(65536 * n) for n in numbers))


def _xyz(value: tuple[float, float, float]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(65536 * n) for n in value))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return struct.pack(">4sIII4sII", b"mluc", 0, 1, 12, b"enUS", len(data), 28) + data
