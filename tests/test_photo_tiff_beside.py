"""What TIFF holds beside the colours: further channels, IPTC, Photoshop's resources."""

import struct

import numpy as np
import pytest
import tifffile

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import encode
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile
from tests import tiff_maker
from tests.tiff_maker import BYTE, EXTRAS, LONG, MINISBLACK, RGB, SHORT, UNDEFINED

SAMPLES = np.random.default_rng(0).integers(0, 1 << 16, (12, 17, 6)).astype(np.uint16)
TURNS = {1: lambda x: x, 3: lambda x: x[::-1, ::-1], 6: lambda x: np.rot90(x, -1)}
IPTC = b"".join(
    b"\x1c\x02" + bytes([number]) + len(words).to_bytes(2, "big") + words
    for number, words in ((5, b"Grandmother"), (25, b"1923"), (80, b"A. Nonym"), (90, b"Riga"))
)


def read(tmp_path, data):
    (tmp_path / "a.tif").write_bytes(data)
    return files.read(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colors, kinds, alpha, told", [
    (3, None, None, 1), (3, [0], None, 1), (3, [2], 3, 0), (3, [0, 0], None, 2),
    (3, [0, 2, 0], 4, 2), (3, [2, 1], 3, 0), (1, [0], None, 0), (1, [2, 0], 1, 0),
], ids=str)  # fmt: skip
def test_channels_beside_the_colours_are_kept(
    tmp_path, colors, kinds, alpha, told, bits, planar, orientation
):
    """Turned upright with the pixels, written, and read again by us and by others."""
    count = colors + len(kinds or [0])
    samples = SAMPLES[..., :count] >> (16 - bits)
    tags = {274: (SHORT, [orientation])} | ({EXTRAS: (SHORT, kinds)} if kinds else {})
    kind = RGB if colors == 3 else MINISBLACK
    photo = read(tmp_path, tiff_maker.tiff(samples, kind, bits, planar=planar, tags=tags))
    upright = TURNS[orientation](samples)
    others = [channel for channel in range(colors, count) if channel != alpha]
    files.write(tmp_path / "b.tif", photo)
    for found in (photo, files.read(tmp_path / "b.tif")):
        np.testing.assert_array_equal(found.pixels, upright[..., :colors])
        assert (found.alpha is None) == (alpha is None)
        if alpha is not None:
            np.testing.assert_array_equal(found.alpha, upright[..., alpha])
        if others:
            np.testing.assert_array_equal(found.extra, upright[..., others])
        assert found.extra_kinds == tuple((kinds or [0])[i - colors] for i in others)
        assert sum("infra-red" in note for note in found.notes) == told
    written = tifffile.imread(tmp_path / "b.tif")
    order = [*range(colors), *([] if alpha is None else [alpha]), *others]
    np.testing.assert_array_equal(written, upright[..., order])


def test_extra_channels_do_not_fit_other_formats(tmp_path):
    photo = PhotoFile(SAMPLES[..., :3], extra=SAMPLES[..., 3:], extra_kinds=(0, 0, 0))
    assert encode.left_out(".tif", photo) == []
    assert encode.left_out(".png", photo) == ["3 further channels"]
    files.write(tmp_path / "a.png", photo)
    assert files.read(tmp_path / "a.png").extra is None


@pytest.mark.parametrize("extra, kinds, match", [
    (SAMPLES[..., 3:], (0,), r"kinds \(0,\).*and E kinds"),
    (SAMPLES[:5, :, 3:4], (0,), r"extra is \(5, 17, 1\)"),
    (SAMPLES[..., 3:4].astype(np.uint8), (0,), "uint8 of kinds.*the same size and dtype"),
])  # fmt: skip
def test_extra_channels_must_fit_the_pixels(tmp_path, extra, kinds, match):
    with pytest.raises(PhotoError, match=match):
        files.write(tmp_path / "a.tif", PhotoFile(SAMPLES[..., :3], extra=extra, extra_kinds=kinds))


def swapped(data, order):
    """Four bytes at a time, as the whole numbers that old programs took them for."""
    data += bytes(-len(data) % 4)
    return struct.unpack(f"{order}{len(data) // 4}I", data)


def resource(number, content, name=b"\0\0"):
    data = b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(content)) + content
    return data + bytes(len(data) % 2)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tags", [
    lambda order: {exif.IPTC: (UNDEFINED, IPTC)},
    lambda order: {exif.IPTC: (BYTE, [*IPTC])},
    lambda order: {exif.IPTC: (LONG, swapped(IPTC, order))},
    lambda order: {exif.IPTC: (LONG, swapped(IPTC, "<" if order == ">" else ">"))},
    lambda order: {exif.RESOURCES: (BYTE, [*resource(1028, IPTC)])},
    lambda order: {exif.RESOURCES: (BYTE, [*resource(1000, b"odd"), *resource(1028, IPTC)])},
    lambda order: {exif.IPTC: (UNDEFINED, IPTC), exif.RESOURCES: (BYTE, [*resource(1028, b"x")])},
], ids=range(7))  # fmt: skip
def test_iptc_is_carried(tmp_path, tags, order):
    """As undefined bytes, as whole numbers in either order, or among Photoshop's resources."""
    data = tiff_maker.tiff(SAMPLES[..., :3], RGB, 16, order, tags=tags(order))
    photo = read(tmp_path, data)
    assert photo.iptc == IPTC and not photo.notes
    for name in ("b.tif", "b.png"):
        files.write(tmp_path / name, photo)
        assert files.read(tmp_path / name).iptc == IPTC
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages.first.tags[exif.IPTC].value == IPTC


def test_photoshop_s_resources_are_carried(tmp_path):
    rest = resource(1050, b"slices or what", b"\4name\0")
    tags = {exif.RESOURCES: (BYTE, [*resource(1028, IPTC), *rest, *resource(1005, bytes(16))])}
    photo = read(tmp_path, tiff_maker.tiff(SAMPLES[..., :3], RGB, 16, tags=tags))
    assert photo.resources == rest
    files.write(tmp_path / "b.tif", photo)
    back = files.read(tmp_path / "b.tif")
    assert (back.resources, back.iptc) == (rest, IPTC)


@pytest.mark.parametrize("data", [b"", b"\x1c", b"no data sets", b"\x1c\x02\x05\0\xff short"])
def test_iptc_without_sense_costs_nothing_else(tmp_path, data):
    tags = {exif.IPTC: (UNDEFINED, data or b"\0"), 271: (2, b"Agfa\0")}
    photo = read(tmp_path, tiff_maker.tiff(SAMPLES[..., :3], RGB, 16, tags=tags))
    np.testing.assert_array_equal(photo.pixels, SAMPLES[..., :3])
    assert exif.parse(photo.exif)[271].data == b"Agfa\0"


def test_layers_that_are_left_behind_are_told(tmp_path):
    tags = {37724: (UNDEFINED, b"Adobe Photoshop Document Data Block\0")}
    photo = read(tmp_path, tiff_maker.tiff(SAMPLES[..., :3], RGB, 16, tags=tags))
    assert encode.left_out(".tif", photo) == ["Photoshop's layers"]
