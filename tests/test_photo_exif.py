"""EXIF blocks as bytes: packed and parsed, turned upright, and harmless where they are damaged."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.disk import files

NOTES = bytes(range(64))  # a camera maker's, which points by offset and must not move


def block(order="<", orientation=6):
    """An EXIF block with a thumbnail's directory behind the first one."""
    tags = {
        exif.ORIENTATION: exif.numbers(exif.SHORT, order, orientation),
        **exif.resolution_tags((300, 72.5), order),
        0x0132: exif.Value(2, b"1923:05:17 11:30:00\0"),
        0x010F: exif.Value(2, b"Agfa Ansco\0"),
        exif.EXIF_DIRECTORY: {
            0x927C: exif.Value(exif.UNDEFINED, NOTES),
            0xA002: exif.numbers(exif.LONG, order, 640),
            0xA003: exif.numbers(exif.SHORT, order, 480),
            exif.INTEROPERABILITY: {1: exif.Value(2, b"R98\0")},
        },
        exif.GPS_DIRECTORY: {2: exif.numbers(exif.RATIONAL, order, 52, 1, 30, 1, 59, 2)},
    }
    data = bytearray(exif.pack_block(tags, order))
    struct.pack_into(order + "I", data, 10 + 12 * len(tags), len(data))
    thumbnail = {0x0201: exif.numbers(exif.LONG, order, 8)}
    return bytes(data) + exif.pack(thumbnail, len(data), order)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_packed_and_parsed_is_the_same(order, big):
    tags = exif.parse(block(order))
    assert tags[exif.EXIF_DIRECTORY][exif.INTEROPERABILITY] == {1: exif.Value(2, b"R98\0")}
    data = bytes(40) + exif.pack(tags, 40, order, big)
    assert exif.directory(data, 40, order, big) == tags


@pytest.mark.parametrize("order", "<>")
def test_pillow_reads_a_block(order):
    tags = Image.Exif()
    tags.load(exif.PREFIX + block(order))
    assert tags[exif.ORIENTATION] == 6 and tags[ExifTags.Base.Make] == "Agfa Ansco"
    assert (tags[exif.X_RESOLUTION], tags[exif.Y_RESOLUTION]) == (300, 72.5)
    inside = tags.get_ifd(ExifTags.IFD.Exif)
    assert inside[0x927C] == NOTES and (inside[0xA002], inside[0xA003]) == (640, 480)
    assert tags.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52, 30, 29.5)
    assert tags.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("swap", [False, True])
def test_upright_changes_what_it_must_and_moves_nothing(order, swap):
    given = block(order)
    turned = exif.upright(given, swap)
    tags, before = exif.parse(turned), exif.parse(given)
    assert tags.pop(exif.ORIENTATION) == exif.numbers(exif.SHORT, order, 1)
    assert before.pop(exif.ORIENTATION) == exif.numbers(exif.SHORT, order, 6)
    if swap:
        assert exif.resolution(tags, order) == (72.5, 300)
        for directory, pair in (
            (before, (exif.X_RESOLUTION, exif.Y_RESOLUTION)),
            (before[exif.EXIF_DIRECTORY], (0xA002, 0xA003)),
        ):
            directory.update(zip(pair, [directory[tag] for tag in pair[::-1]], strict=True))
    assert tags == before
    assert len(turned) == len(given) and turned.index(NOTES) == given.index(NOTES)
    read = Image.Exif()
    read.load(exif.PREFIX + turned)
    assert not read.get_ifd(ExifTags.IFD.IFD1)  # a thumbnail would show the photo as it was
    assert exif.upright(turned, False) == turned


@pytest.mark.parametrize("unit, dots", [(1, None), (2, (300, 118)), (3, (762, 299.72)), (9, None)])
def test_resolution_is_per_inch(unit, dots):
    tags = {
        exif.X_RESOLUTION: exif.numbers(exif.RATIONAL, ">", 600, 2),
        exif.Y_RESOLUTION: exif.numbers(exif.RATIONAL, ">", 118, 1),
        exif.RESOLUTION_UNIT: exif.numbers(exif.SHORT, ">", unit),
    }
    assert exif.resolution(tags, ">") == (dots and pytest.approx(dots))
    del tags[exif.RESOLUTION_UNIT]  # then the standard says inch
    assert exif.resolution(tags, ">") == (300, 118)
    for senseless in ((300, 0), (0, 1), (200_000, 1), (1, 20)):
        tags[exif.X_RESOLUTION] = exif.numbers(exif.RATIONAL, ">", *senseless)
        assert exif.resolution(tags, ">") is None
    del tags[exif.X_RESOLUTION]
    assert exif.resolution(tags, ">") is None


def test_only_what_speaks_of_the_photo_is_describing():
    tags = exif.parse(block())
    tags[273] = exif.numbers(exif.LONG, "<", 8)  # where the pixels of a TIFF file lie
    assert set(exif.describing(tags)) == {
        *(0x010F, 0x0132, exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY),
    }


def test_what_is_no_block_is_refused():
    for junk in (b"", b"junk", b"II*\0", b"II*\0\xff\xff\xff\xff", exif.PREFIX + block()):
        with pytest.raises(ValueError, match="begins with|cut off"):
            exif.parse(junk)


@pytest.mark.parametrize("order", "<>")
def test_damage_is_refused_or_passed_over(order):
    """Whatever was cut off or overwritten: ValueError or a block, and nothing else."""
    whole, rng = block(order), np.random.default_rng(0)
    given = [whole[:end] for end in range(len(whole))]
    for _ in range(300):
        noise = bytearray(whole)
        noise[rng.integers(len(whole))] = rng.integers(256)
        given.append(bytes(noise))
    parsed = 0
    for data in given:
        try:
            tags = exif.parse(data)
        except ValueError:
            continue
        exif.resolution(tags, exif.order(data))
        assert len(exif.upright(data, True)) == len(data)
        assert exif.parse(exif.pack_block(tags, exif.order(data))) == tags
        parsed += 1
    assert 300 < parsed < len(given)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_a_photo_with_damaged_exif_can_be_read_and_written(tmp_path):
    whole, rng = block(), np.random.default_rng(1)
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    for suffix, form in ((".png", "PNG"), (".webp", "WEBP")):
        for _ in range(100):
            noise = bytearray(whole)
            noise[rng.integers(len(whole))] = rng.integers(256)
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, form, exif=bytes(noise), lossless=True)
            (tmp_path / f"a{suffix}").write_bytes(stream.getvalue())
            photo = files.read(tmp_path / f"a{suffix}")
            np.testing.assert_array_equal(np.sort(photo.pixels.ravel()), np.sort(pixels.ravel()))
            for target in (".png", ".tif", ".webp"):
                files.write(tmp_path / f"b{target}", photo)
