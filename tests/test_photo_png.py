"""PNG files with harmless faults, giant text or an animation: read whole and noted, or refused."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.photo.codecs import encode, png_text
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile

END = b"\0\0\0\0IEND\xaeB`\x82"
ACTL = struct.pack(">II", 2, 0)
CONTROL = struct.pack(">IIIIIHHBB", 0, 9, 7, 0, 0, 1, 10, 0, 0)


def chunk(name, data, broken=False):
    total = zlib.crc32(name + data) ^ broken
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", total)


def noise(deep):
    dtype = np.uint16 if deep else np.uint8
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 9, 3)).astype(dtype)


def plain(tmp_path, deep=False):
    """A file as bytes, cut in front of its pixels."""
    files.write(tmp_path / "plain.png", PhotoFile(noise(deep)))
    data = (tmp_path / "plain.png").read_bytes()
    return data[:33], data[33:]


def read(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    header = files.header(tmp_path / "a.png")
    assert (header.height, header.width) == (7, 9)
    return files.read(tmp_path / "a.png")


@pytest.mark.parametrize("deep", [False, True])
def test_harmless_faults_are_noted(tmp_path, deep):
    head, rest = plain(tmp_path, deep)
    last = len(END) + 4  # and the sum of the samples' chunk
    cases = {
        "": (head + chunk(b"tEXt", b"Title\0A") + rest, False),
        "the checksum of tEXt": (head + chunk(b"tEXt", b"Title\0A", True) + rest, True),
        "the checksum of gAMA, neWx": (
            head + chunk(b"gAMA", bytes(4), True) + chunk(b"neWx", b"", True) + rest, True),
        "a checksum of the pixels (IDAT) is wrong": (
            head + rest[: -len(END) - 4] + bytes(4) + END, True),
        "the end of the file is missing": (head + rest[: -len(END)], True),
        "the end of the file is missing;": (head + rest[:-last], True),
        "the end of the file is missing; the": (head + rest[: -last - 2], True),
        "the end of the file is missing; the pixels": (head + rest[:-7], True),
    }  # fmt: skip
    for told, (data, faulty) in cases.items():
        photo = read(tmp_path, data)
        np.testing.assert_array_equal(photo.pixels, noise(deep))
        assert photo.faulty == faulty and "".join(photo.notes).startswith(told)
        assert len(photo.notes) == faulty
    behind = read(tmp_path, head + rest + b"junk behind")
    assert behind.left_behind == ("11 bytes behind the picture",) and not behind.faulty


def test_what_apple_packs_for_apps_is_not_damage(tmp_path):
    head, rest = plain(tmp_path)
    with pytest.raises(PhotoError, match=r"a\.png: PNG as Apple's.*save it as plain PNG"):
        read(tmp_path, head[:8] + chunk(b"CgBI", bytes(4)) + head[8:] + rest)


@pytest.mark.parametrize("deep", [False, True])
def test_missing_rows_and_broken_pixels_are_refused(tmp_path, deep):
    head, rest = plain(tmp_path, deep)
    broken = bytearray(rest)
    broken[20] ^= 255
    cut = rest[: len(rest) // 2]
    wrong = bytes(broken)
    for data in (head + cut, head + cut + END, head + wrong, head + END, head, head[:20]):
        (tmp_path / "a.png").write_bytes(data)
        with pytest.raises(PhotoError, match="damaged or cut off"):
            files.read(tmp_path / "a.png")


@pytest.mark.parametrize("deep", [False, True])
def test_an_animation_shows_its_default_picture(tmp_path, deep):
    """And no chunk of it comes to a decoder, where one of them has crashed."""
    head, rest = plain(tmp_path, deep)
    other = chunk(b"fdAT", struct.pack(">I", 1) + zlib.compress(bytes(7 * (9 * 6 + 1))))
    frames = chunk(b"fcTL", CONTROL) + other + END
    for hidden in (b"", chunk(b"fcTL", CONTROL)):  # a default picture is a frame, too, or is none
        photo = read(tmp_path, head + chunk(b"acTL", ACTL) + hidden + rest[: -len(END)] + frames)
        np.testing.assert_array_equal(photo.pixels, noise(deep))
        assert encode.left_out(".png", photo) == ["the other pictures of the animation"]
    senseless = chunk(b"fdAT", b"\1") + chunk(b"fcTL", b"") + chunk(b"acTL", bytes(30))
    photo = read(tmp_path, head + senseless + rest)
    np.testing.assert_array_equal(photo.pixels, noise(deep))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", [b"acTL", b"fcTL", b"fdAT"])
def test_a_damaged_animation_is_a_reported_failure(tmp_path, deep, name):
    head, rest = plain(tmp_path, deep)
    data = head + chunk(b"acTL", ACTL) + rest[: -len(END)] + chunk(name, CONTROL, True) + END
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PhotoError, match="its animation is damaged; copy the file again, or save"):
        files.read(tmp_path / "a.png")


def test_text_is_carried_packed_however_long_it_would_be(tmp_path, monkeypatch):
    """A bomb costs no memory, and where it would be XMP or EXIF, it is none."""
    monkeypatch.setattr(png_text, "LARGEST", 1 << 18)
    bomb = zlib.compress(bytes(1 << 24), 1)
    text, packet = b"Comment\0\0" + bomb, b"XML:com.adobe.xmp\0\1\0\0\0" + bomb
    profile = b"Raw profile type exif\0\0" + bomb
    head, rest = plain(tmp_path)
    chunks = ((b"zTXt", text), (b"iTXt", packet), (b"zTXt", profile))
    data = head + b"".join(chunk(*part) for part in chunks) + rest
    tracemalloc.start()
    photo = read(tmp_path, data)
    files.write(tmp_path / "b.png", photo)
    files.write(tmp_path / "b.jpg", photo, quality=90)
    safe = files.strip_gps(photo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    assert photo.texts == chunks and photo.xmp is None and photo.exif is None
    assert files.read(tmp_path / "b.png").texts == chunks
    names = "PNG text Comment, XML:com.adobe.xmp, Raw profile type exif"
    assert encode.left_out(".jpg", photo) == [names]
    assert safe.texts == ()  # nobody knows whether they say a place


def test_large_chunks_beside_16_bits_come_to_no_decoder(tmp_path):
    head, rest = plain(tmp_path, deep=True)
    data = head + chunk(b"neWx", bytes(20_000_000)) + rest
    np.testing.assert_array_equal(read(tmp_path, data).pixels, noise(True))


def test_palette_and_transparency_come_through(tmp_path):
    image = Image.fromarray(np.arange(63, dtype=np.uint8).reshape(7, 9))
    image = image.convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "a.png", transparency=3)
    photo = files.read(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as other:
        expected = np.array(other.convert("RGBA"))
    np.testing.assert_array_equal(photo.pixels, expected[..., :3])
    np.testing.assert_array_equal(photo.alpha, expected[..., 3])
