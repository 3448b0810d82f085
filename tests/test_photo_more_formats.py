"""Formats that are read but not written.

The files in tests/files were made by other libraries than those that read them: by imagecodecs
(JPEG 2000, AVIF, JPEG XL), ImageMagick (PSD, PCX, GIF) and netpbm (TGA), all of the picture that
`draw` draws, packed without loss.
"""

import builtins
import pathlib
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.photo.codecs import kinds, more_formats
from oldphoto_jax.photo.content import PhotoError
from oldphoto_jax.photo.disk import files

FILES = pathlib.Path(__file__).parent / "files"
SIZE = HEIGHT, WIDTH = 8, 12


def draw(bits=8, channels=3):
    y, x, c = np.ogrid[:HEIGHT, :WIDTH, :channels]
    values = (y * 37 + x * 11 + c * 53) * (1 if bits == 8 else 97) % (1 << bits)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def full(values, top):
    """Whole numbers 0..top at the full scale of their dtype."""
    scaled = np.floor(values * (np.iinfo(values.dtype).max / top) + (0.5 + 1e-9))
    return scaled.astype(values.dtype)


def check(path, pixels, alpha=None, form=None):
    photo, header = files.read(path), files.header(path)
    assert photo.pixels.dtype == pixels.dtype and photo.pixels.shape == pixels.shape
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert (photo.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(photo.alpha, alpha)
    assert (header.height, header.width) == pixels.shape[:2]
    assert header.format == photo.format == (form or photo.format)
    return photo


def put(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", [
    "rgb8.jp2", "rgb12.jp2", "rgba16.jp2", "gray16.j2k", "rgba8.avif", "rgb10.avif", "rgb8.psd",
    "rgb8.pcx", "rle.tga",
])  # fmt: skip
def test_files_of_other_libraries_have_all_pixels_at_their_depth(name):
    stem, ending = name.split(".")
    bits = int("".join(filter(str.isdigit, stem)) or 8)
    count = {"gray": 1, "rgba": 4}.get(stem.rstrip("0123456789"), 3)
    values = full(draw(bits, count), (1 << bits) - 1)
    form = {"j2k": "JPEG2000", "jp2": "JPEG2000"}.get(ending, ending.upper())
    check(FILES / name, values[..., :3], values[..., 3] if count == 4 else None, form)


@pytest.mark.parametrize(("name", "count"), [("rgb12.jxl", 3), ("rgba8.jxl", 4), ("gray8.jxl", 1)])
def test_jpeg_xl_is_read_where_its_library_is_there(name, count):
    pytest.importorskip("imagecodecs")
    bits = 12 if "12" in name else 8
    values = full(draw(bits, count), (1 << bits) - 1)
    photo = check(FILES / name, values[..., :3], values[..., 3] if count == 4 else None, "JXL")
    assert bool(photo.notes) == bool(photo.left_behind) == (bits == 12)  # which is linear light


def test_jpeg_xl_is_refused_by_its_name_without_its_library(monkeypatch):
    whole = builtins.__import__

    def without(name, *args, **options):
        if name == "imagecodecs":
            raise ImportError(name)
        return whole(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match=r"JPEG XL needs .*'oldphoto-jax\[codecs\]'"):
            use(FILES / "gray8.jxl")


def test_of_an_animation_the_first_picture_is_taken_and_it_is_said(tmp_path):
    photo = check(FILES / "two.gif", draw() // 85 * 85, form="GIF")
    assert photo.notes == ("is an animation of 2 pictures, of which this is the first",)
    assert photo.left_behind == ("the other pictures of the animation",)
    pictures = [Image.fromarray(draw() // n) for n in (1, 2, 3)]
    pictures[0].save(tmp_path / "a.avif", save_all=True, append_images=pictures[1:])
    assert files.read(tmp_path / "a.avif").notes[0].startswith("is an animation of 3 pictures")


def test_the_place_of_a_gif_that_is_clear_is_kept(tmp_path):
    palette = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(SIZE), "P")
    palette.putpalette([value for n in range(256) for value in (n, 255 - n, n // 2)])
    palette.save(tmp_path / "a.gif", transparency=5, comment=b"1923")
    photo = files.read(tmp_path / "a.gif")
    assert photo.comments == (b"1923",) and not photo.notes
    assert np.argwhere(photo.alpha == 0).tolist() == [[0, 5]]


def test_jpeg2000_carries_what_its_boxes_hold(tmp_path):
    whole = (FILES / "rgb8.jp2").read_bytes()
    at = whole.index(b"jp2c") - 4
    tiff = (
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # turned by 90 degrees
    )
    boxes = b"".join(
        struct.pack(">I4s", 8 + len(content), b"uuid") + content
        for content in (b"JpgTiffExif->JP2" + tiff, more_formats.jpeg2000.XMP + b"<x:xmpmeta/>")
    )
    photo = files.read(put(tmp_path / "b.jp2", whole[:at] + boxes + whole[at:]))
    assert photo.xmp == b"<x:xmpmeta/>" and photo.exif and photo.pixels.shape == (WIDTH, HEIGHT, 3)
    assert files.header(tmp_path / "b.jp2").height == WIDTH


NETPBM = {
    "P1 ascii bits": b"P1\n# of 1923\n3 2\n101\n0 1 0",
    "P4 bits": b"P4 3 2\n\xa0\x40",
    "P2 ascii": b"P2 3 2 # wide\n15\n0 15 0 15 # row\n0 15",
    "P5": b"P5\n3 2\n15\n\0\x0f\0\x0f\0\x0f",
    "P7": b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 1\nMAXVAL 1\nTUPLTYPE GRAYSCALE\nENDHDR\n\0\1\0\1\0\1",
}


@pytest.mark.parametrize("kind", NETPBM)
def test_portable_maps_of_any_range_reach_full_scale(tmp_path, kind):
    expected = np.array([[0, 255, 0], [255, 0, 255]], np.uint8)[..., None]
    check(put(tmp_path / "a.pnm", NETPBM[kind]), expected, form="PNM")


@pytest.mark.parametrize("top", [255, 65535, 1023, 100])
@pytest.mark.parametrize("ascii", [False, True])
def test_portable_maps_in_colour(tmp_path, top, ascii):
    deep = draw(8 if top < 256 else 16)
    values = (deep % (np.uint32(top) + 1)).astype(deep.dtype)
    head = b"P%d %d %d %d\n" % (3 if ascii else 6, WIDTH, HEIGHT, top)
    raw = values.astype(values.dtype.newbyteorder(">")).tobytes()
    body = " ".join(map(str, values.ravel())).encode() if ascii else raw
    check(put(tmp_path / "a", head + body), full(values, top), form="PNM")


def test_a_portable_map_with_alpha_and_one_with_another_behind_it(tmp_path):
    values = draw(16, 4)
    head = f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\n"
    data = head.encode() + b"ENDHDR\n" + values.astype(">u2").tobytes()
    check(put(tmp_path / "a.pam", data), values[..., :3], values[..., 3])
    photo = files.read(put(tmp_path / "two.pgm", NETPBM["P5"] * 2))
    assert photo.notes and photo.left_behind


@pytest.mark.parametrize("data", [
    b"P5\n3 2\n15\n\0\0", b"P5 3 2 0\n" + bytes(6), b"P2 2 1 9 1", b"P2 2 1 9 1 -1",
    b"P7\nWIDTH 3\n", b"P6 3 2 ",
])  # fmt: skip
def test_portable_maps_that_are_cut_off_are_refused(tmp_path, data):
    with pytest.raises(PhotoError, match="damaged or cut off"):
        files.read(put(tmp_path / "a.pnm", data))


def targa(values, depth, attributes, kind=2, top=True, extension=None):
    """A Targa file; `extension` is what the second version says of the fourth channel."""
    flags = attributes | (0x20 if top else 0)
    head = struct.pack("<BBB5xHHHHBB", 0, 0, kind, 0, 0, WIDTH, HEIGHT, depth, flags)
    order = [2, 1, 0, 3][: values.shape[-1]] if values.shape[-1] > 2 else [0]
    data = head + values[:: 1 if top else -1, :, order].tobytes()
    if extension is None:
        return data
    block = struct.pack("<H", 495) + bytes(492) + bytes([extension])
    return data + block + struct.pack("<II", len(data), 0) + kinds.TGA_FOOTER


@pytest.mark.parametrize("top", [False, True])
def test_targa_is_read_from_either_end(tmp_path, top):
    check(put(tmp_path / "a.tga", targa(draw(), 24, 0, top=top)), draw(), form="TGA")
    gray = draw(channels=1)
    check(put(tmp_path / "b.TGA", targa(gray, 8, 0, 3, top=top)), gray, form="TGA")


def test_the_fourth_channel_of_targa_is_what_the_file_says(tmp_path):
    values = draw(channels=4)
    pixels, alpha = values[..., :3], values[..., 3]

    def told(name, *options, seen=values, **more):
        return put(tmp_path / name, targa(seen, 32, *options, **more))

    check(told("none.tga", 0), pixels)
    check(told("straight.tga", 8), pixels, alpha)
    check(told("ignored.tga", 8, extension=2), pixels)
    check(told("useful.tga", 8, extension=3), pixels, alpha)
    whole = np.concatenate([values[..., :3], np.full((*SIZE, 1), 255, np.uint8)], -1)
    check(told("multiplied.tga", 8, seen=whole, extension=4), pixels, whole[..., 3])
    clear = values * np.array([1, 1, 1, 0], np.uint8)
    photo = check(told("clear.tga", 8, seen=clear), pixels)
    assert photo.notes == ("says that all of it is transparent; taken for opaque",)


def test_targa_needs_its_ending_or_the_mark_of_its_second_version(tmp_path):
    assert kinds.of(put(tmp_path / "a.tga", targa(draw(), 24, 0))) == "TGA"
    assert kinds.of(put(tmp_path / "a", targa(draw(), 24, 0))) is None
    assert kinds.of(put(tmp_path / "b", targa(draw(), 24, 0, extension=0))) == "TGA"
    assert kinds.of(put(tmp_path / "c.tga", bytes(900))) is None


def photoshop(mode=3, bits=8, version=1, merged=1, layers=0, channels=4):
    """A Photoshop file of draw(), with a fourth channel, resources, and so many layers."""
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in {
            1005: struct.pack(">IHHIHH", 600 << 16, 1, 1, 300 << 16, 1, 1),
            1028: b"\x1c\x02\x78\0\x05Paris",
            1057: struct.pack(">IB", 1, merged),
            1060: b"<x:xmpmeta/>",
        }.items()
    )
    head = struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, HEIGHT, WIDTH, bits, mode)
    parts = [b"", resources, struct.pack(">Ihh", 4, layers, 0) if layers else b""]
    data = head + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return data + b"\0\0" + np.moveaxis(draw(channels=channels), -1, 0).tobytes()


def test_photoshop_files_give_their_flattened_picture_and_what_lies_beside_it(tmp_path):
    path = put(tmp_path / "a.psd", photoshop(layers=-2))
    photo = check(path, draw(), draw(channels=4)[..., 3], "PSD")
    assert photo.resolution == (600, 300) and photo.xmp == b"<x:xmpmeta/>"
    assert photo.iptc == b"\x1c\x02\x78\0\x05Paris" and photo.left_behind == ("its layers",)
    saved = check(put(tmp_path / "b.psd", photoshop(layers=0)), draw(), None, "PSD")
    assert saved.left_behind == ("channels that were saved beside the picture",)


@pytest.mark.parametrize(("options", "words"), [
    (dict(version=2), "PSB"), (dict(bits=16), "of 16 bits"), (dict(mode=4), "in CMYK"),
    (dict(mode=9), "in Lab"), (dict(merged=0), "without a flattened picture.*Compatibility"),
])  # fmt: skip
def test_photoshop_files_that_are_not_read_are_refused_by_name(tmp_path, options, words):
    path = put(tmp_path / "a.psd", photoshop(**options))
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match=words):
            use(path)


RAWS = {
    "a.raf": b"FUJIFILMCCD-RAW 0201", "a.cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "a.orf": b"IIRO\x08\0\0\0", "a.rw2": b"IIU\0\x18\0\0\0", "a.x3f": b"FOVb\0\0",
}  # fmt: skip


@pytest.mark.parametrize("name", RAWS)
def test_what_a_sensor_saw_is_refused_by_its_name(tmp_path, name):
    path = put(tmp_path / name, RAWS[name] + bytes(80))
    assert files.find(tmp_path) == [path]
    with pytest.raises(PhotoError, match=r"sensor.*develop it"):
        files.read(path)


HUGE = {
    "a.ppm": b"P6 40000 30000 255\n",
    "a.pcx": b"\n\5\1\x08\0\0\0\0\xff\xff\xff\xff" + bytes(53) + b"\3\xff\xff" + bytes(59),
    "a.tga": targa(draw(), 24, 0)[:12] + b"\xff\xff\xff\xff\x18\x20" + bytes(99),
    "a.gif": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
    "a.psd": photoshop()[:14] + b"\0\0\x80\0\0\0\x80\0" + photoshop()[22:],
    "a.jp2": None,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_header_that_promises_too_much_is_refused_before_any_pixel(tmp_path, name):
    data = HUGE[name]
    if data is None:
        data = (FILES / "rgb8.jp2").read_bytes()
        at = data.index(b"\xff\x4f\xff\x51") + 8
        data = data[:at] + b"\0\0\xff\xff\0\0\xff\xff" + data[at + 8 :]
    path = put(tmp_path / name, data)
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match="pixels, more than max_pixels=500000000"):
            use(path)


def test_a_picture_of_a_gif_that_is_far_larger_than_its_canvas_is_refused(tmp_path):
    data = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;"
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match=r"4294836225 pixels.*Save it as PNG"):
            use(put(tmp_path / "a.gif", data))


CUT = [path for path in sorted(FILES.glob("*.*")) if kinds.of(path) in more_formats.FORMATS]


@pytest.mark.parametrize("path", CUT, ids=lambda path: path.name)
def test_half_a_file_is_a_fault_of_the_file(tmp_path, path):
    data = path.read_bytes()
    for share in (0.1, 0.3, 0.45 if path.suffix == ".gif" else 0.9):  # the first of two pictures
        half = put(tmp_path / path.name, data[: int(share * len(data))])
        with pytest.raises(PhotoError, match=path.name):
            files.read(half)


def test_a_photo_with_another_ending_says_so(tmp_path):
    png = cv2.imencode(".png", draw())[1].tobytes()
    told = {name: files.read(put(tmp_path / name, png)).notes for name in ("a.jpg", "b.png", "c")}
    assert told == {"a.jpg": ("holds PNG, though its name ends in .jpg",), "b.png": (), "c": ()}
