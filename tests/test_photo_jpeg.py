"""JPEG files with harmless faults are read whole and noted; those that lack rows are refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.photo.codecs import jpeg
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError

RAMP = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
SMOOTH = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)


def by_pillow(picture=SMOOTH, **options):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", **{"quality": 90} | options)
    return stream.getvalue()


def segment(mark, content, size=None):
    """A segment whose length may be other than its content's."""
    return struct.pack(">BBH", 255, mark, len(content) + 2 if size is None else size) + content


def read(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    return files.read(tmp_path / "a.jpg")


def thumbnail():
    """What EXIF may hold: markers of a picture of its own."""
    return b"Exif\0\0" + bytes(20) + by_pillow(SMOOTH[:16, :16]) + bytes(9)


PLAIN = by_pillow()
START, REST = PLAIN[:20], PLAIN[20:]  # SOI and JFIF, then what the decoder needs
LONG = segment(0xE1, thumbnail())


@pytest.mark.parametrize("name, data", [
    ("junk", START + b"\0\1junk\xff\0" + REST),
    ("junk behind each", START + b"\0" + segment(0xFE, b"A") + b"\0\0" + REST),
    ("junk behind tables", PLAIN[:89] + b"\0junk" + PLAIN[89:]),
    ("filled", START + b"\xff\xff\xff" + REST),
    ("no length", START + b"\xff\xe5\0\0" + REST),
    ("length 1", START + b"\xff\xe5\0\1" + REST),
    ("too long", START + segment(0xE5, b"little", 80) + REST),
    ("too long by more than tables", START + segment(0xE5, b"little", 300) + REST),
    ("longer than the file", START + segment(0xE5, b"little", 65000) + REST),
    ("too short, a thumbnail in it", START + segment(0xE1, thumbnail(), 9) + REST),
    ("too long, a thumbnail in it", START + segment(0xE1, thumbnail(), len(LONG) + 50) + REST),
    ("JFIF too short", b"\xff\xd8" + segment(0xE0, b"JFIF\0\1") + REST),
    ("JFIF empty", b"\xff\xd8" + segment(0xE0, b"") + REST),
    ("two starts", b"\xff\xd8" + PLAIN),
])  # fmt: skip
def test_faulty_segments_cost_no_pixel(tmp_path, name, data):
    photo = read(tmp_path, data)
    np.testing.assert_array_equal(photo.pixels, read(tmp_path, PLAIN).pixels)
    harmless = name in ("filled", "JFIF too short", "JFIF empty", "two starts")
    assert photo.faulty != harmless and bool(photo.notes) == photo.faulty
    header = files.header(tmp_path / "a.jpg")
    assert (header.height, header.width, header.orientation) == (48, 64, 1)


@pytest.mark.parametrize("options", [
    {}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 2}, {"optimize": True},
])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_only_the_end_may_be_missing(tmp_path, options, channels):
    """Cut anywhere, it is the whole photo, noted as faulty, or none."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, channels)).astype(np.uint8)
    data = by_pillow(noise.squeeze(), **options)
    whole = read(tmp_path, data)
    assert not whole.faulty and not whole.notes
    for end in (*range(len(data) - 12, len(data)), *range(len(data) // 2, len(data) - 12, 97)):
        try:
            photo = read(tmp_path, data[:end])
        except PhotoError as error:
            assert "damaged or cut off" in str(error)
            assert end < len(data) - 2
            continue
        np.testing.assert_array_equal(photo.pixels, whole.pixels)
        assert photo.faulty and "end of the file is missing" in photo.notes[0]
        assert end > len(data) - 8


def test_zeros_in_the_place_of_the_end(tmp_path):
    photo = read(tmp_path, PLAIN[:-2] + bytes(500))
    np.testing.assert_array_equal(photo.pixels, read(tmp_path, PLAIN).pixels)
    assert photo.faulty


def test_other_depths_are_refused_by_name(tmp_path):
    at = PLAIN.index(b"\xff\xc0") + 4
    with pytest.raises(PhotoError, match="JPEG of 12 bits a sample; save it as TIFF or PNG"):
        read(tmp_path, PLAIN[:at] + b"\x0c" + PLAIN[at + 1 :])


@pytest.mark.parametrize("told, at, changed", [
    (r"JPEG of a rare kind \(SOF7\)", 1, b"\xc7"), (r"JPEG of a rare kind \(SOF11\)", 1, b"\xcb"),
    ("JPEG-LS, not plain JPEG", 1, b"\xf7"), ("JPEG that tells its height behind", 5, b"\0\0"),
])  # fmt: skip
def test_kinds_that_nobody_decodes_are_not_damage(tmp_path, told, at, changed):
    at += PLAIN.index(b"\xff\xc0")
    (tmp_path / "a.jpg").write_bytes(PLAIN[:at] + changed + PLAIN[at + len(changed) :])
    for use in (files.read, files.header):
        with pytest.raises(PhotoError, match=f"a.jpg: {told}.*; save it as TIFF or PNG"):
            use(tmp_path / "a.jpg")


@pytest.mark.parametrize("data", [
    b"\xff\xd8" + bytes(1 << 16), b"\xff\xd8" + b"\xff\xe0\0\2" * (1 << 16),
    b"\xff\xd8" + b"\xff\xe0\0\3" * (1 << 16), b"\xff\xd8" + b"\xff\xe0\xff\xff" * (1 << 15),
    START + b"\xff\xdb\0\3" * (1 << 15) + b"\0" + REST,
])  # fmt: skip
def test_what_is_no_picture_is_given_up_soon(data):
    with pytest.raises(ValueError, match="no picture"):
        jpeg.read(data)
