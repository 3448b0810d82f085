"""TIFF files by hand, after TIFF 6.0, with every layout and every mistake that tests ask for."""

import itertools
import lzma
import struct
import zlib

import numpy as np

MINISWHITE, MINISBLACK, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, FLOAT = 1, 2, 3, 4, 5, 7, 11
WIDTH, HEIGHT, BITS, CODEC, COLORS, FILL, OFFSETS = 256, 257, 258, 259, 262, 266, 273
SAMPLES, ROWS, COUNTS, PLANAR, PREDICTOR, COLOR_MAP, EXTRAS = 277, 278, 279, 284, 317, 320, 338
CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", FLOAT: "f"}
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def packbits(data):
    """Runs where there are some, else up to 128 bytes as they are."""
    runs = [(byte, len([*same])) for byte, same in itertools.groupby(data)]
    result = b""
    for byte, count in runs:
        for start in range(0, count, 128):
            length = min(128, count - start)
            result += bytes([257 - length if length > 1 else 0, byte])
    return result


def lzw(data):
    """Codes of 9 bits only: the table is cleared before it needs more."""
    codes = [
        code for start in range(0, len(data), 250) for code in (256, *data[start : start + 250])
    ]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def zstd(data):
    """One frame of blocks that are not packed (RFC 8878)."""
    parts = [data[start : start + 100_000] for start in range(0, len(data), 100_000)]
    blocks = b"".join(
        (len(part) << 3 | (part is parts[-1])).to_bytes(3, "little") + part for part in parts
    )
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + blocks


def xz(data):
    """At the least effort."""
    return lzma.compress(data, preset=0)


PACKERS = {
    1: bytes, 5: lzw, 8: zlib.compress, 32773: packbits, 32946: zlib.compress,
    34925: xz, 50000: zstd,
}  # fmt: skip
NAMES = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773, "lzma": 34925, "zstd": 50000}


def stored(samples, bits, order):
    """Samples [H,W,S] as they lie in a strip."""
    if bits >= 8:
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    each = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., -bits:]
    return np.packbits(each.reshape(len(samples), -1), axis=1).tobytes()


def tiff(
    samples,
    colors,
    bits=8,
    order="<",
    codec="none",
    rows=None,
    tile=None,
    planar=False,
    differences=False,
    mirrored=False,
    tags=None,
    without=(),
    backwards=False,
):
    """A file of samples [H,W,S]; `tags` (number: (type, values)) replace or add, `without` drop."""
    height, width, channels = samples.shape
    rows = min(rows or height, height)
    planes = np.moveaxis(samples[..., None], -2, 0) if planar else [samples]
    if tile:
        filled = (-height % tile[0], -width % tile[1])
        planes = [np.pad(plane, [(0, filled[0]), (0, filled[1]), (0, 0)]) for plane in planes]
        parts = [
            plane[top : top + tile[0], left : left + tile[1]]
            for plane in planes
            for top in range(0, height, tile[0])
            for left in range(0, width, tile[1])
        ]
    else:
        parts = [plane[top : top + rows] for plane in planes for top in range(0, height, rows)]
    if differences:
        parts = [
            np.concatenate([part[:, :1], np.diff(part.astype(int), axis=1) % (1 << bits)], 1)
            for part in parts
        ]
    datas = [PACKERS[NAMES[codec]](stored(part, bits, order)) for part in parts]
    datas = [data.translate(REVERSED) for data in datas] if mirrored else datas
    return assemble(datas, {
        WIDTH: (SHORT, [width]), HEIGHT: (SHORT, [height]), BITS: (SHORT, [bits] * channels),
        CODEC: (SHORT, [NAMES[codec]]), COLORS: (SHORT, [colors]), SAMPLES: (SHORT, [channels]),
        FILL: (SHORT, [2 if mirrored else 1]), PLANAR: (SHORT, [2 if planar else 1]),
        PREDICTOR: (SHORT, [2 if differences else 1]),
        **({322: (SHORT, [tile[1]]), 323: (SHORT, [tile[0]])} if tile else {ROWS: (LONG, [rows])}),
    } | (tags or {}), order, without, tile is not None, backwards)  # fmt: skip


def assemble(datas, tags, order="<", without=(), tiled=False, backwards=False):
    """Parts of pixels, and a directory that tells of them, in a file."""
    body, offsets = b"", []
    for data in datas:
        offsets.append(8 + len(body))
        body += data + bytes(len(data) % 2)
    places = {324 if tiled else OFFSETS: (LONG, offsets)}
    places[325 if tiled else COUNTS] = (LONG, [len(data) for data in datas])
    tags = {tag: value for tag, value in (places | tags).items() if tag not in without}
    return (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(order + "I", 8 + len(body))
        + body
        + directory(tags, order, 8 + len(body), backwards)
    )


def directory(tags, order, start, backwards=False):
    """The bytes of a directory, the last one of its file, that stands at `start`."""
    table, tail = struct.pack(order + "H", len(tags)), b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items(), reverse=backwards):
        raw = values if isinstance(values, bytes) else b""
        raw = raw or struct.pack(f"{order}{len(values)}{CODES[kind]}", *values)
        count = len(values) // (2 if kind == RATIONAL else 1)
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(raw) <= 4:
            table += raw.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", after + len(tail))
            tail += raw + bytes(len(raw) % 2)
    return table + bytes(4) + tail
