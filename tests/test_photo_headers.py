"""A header tells what reading would give, and absurd ones cost nothing."""

import builtins
import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import Header, PhotoError

SUFFIXES = [".jpg", ".png", ".tif", ".webp", ".bmp"]
FORMATS = {".jpg": "JPEG", ".tif": "TIFF"}
HUGE = 2**31 - 1


def picture(height=5, width=7):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))


def data(suffix, orientation=1, **options):
    stream, tags = io.BytesIO(), Image.Exif()
    tags[exif.ORIENTATION] = orientation
    kind = FORMATS.get(suffix, suffix[1:].upper())
    beside = {} if suffix == ".bmp" else {"exif": tags}
    picture().save(stream, kind, **beside, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", SUFFIXES[:4])
def test_the_header_says_what_reading_gives(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data(suffix, orientation))
    height, width = (5, 7) if orientation < 5 else (7, 5)
    assert files.header(path) == Header(
        height, width, FORMATS.get(suffix, suffix[1:].upper()), orientation
    )
    assert files.read(path).pixels.shape[:2] == (height, width)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}])
@pytest.mark.parametrize("beside", [{}, {"xmp": b'<x tiff:Orientation="6"/>'}])
def test_every_kind_of_webp(tmp_path, options, beside):
    picture().save(tmp_path / "a.webp", **options, **beside)
    found = files.header(tmp_path / "a.webp")
    assert (found.height, found.width) == ((7, 5) if beside else (5, 7))
    assert files.read(tmp_path / "a.webp").pixels.shape[:2] == (found.height, found.width)


def test_png_may_say_its_orientation_behind_the_pixels(tmp_path):
    stored = data(".png", 6)
    start = stored.index(b"eXIf") - 4
    size = 12 + int.from_bytes(stored[start : start + 4], "big")
    chunk, rest = stored[start : start + size], stored[:start] + stored[start + size :]
    (tmp_path / "a.png").write_bytes(rest[:-12] + chunk + rest[-12:])
    assert files.header(tmp_path / "a.png") == Header(7, 5, "PNG", 6)
    assert files.read(tmp_path / "a.png").pixels.shape == (7, 5, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_the_header_is_read(tmp_path, monkeypatch, suffix):
    """A megapixel of noise, of which less than a hundredth passes through the hands."""
    path, taken = tmp_path / f"a{suffix}", []
    picture(1000, 1000).save(path)
    whole = path.stat().st_size

    class Counting(io.FileIO):
        def read(self, size=-1):
            chunk = super().read(size)
            taken.append(len(chunk))
            return chunk

        def readinto(self, buffer):
            taken.append(super().readinto(buffer))
            return taken[-1]

    monkeypatch.setattr(files.Path, "open", lambda path, mode: Counting(path, mode))
    assert files.header(path).width == 1000
    assert 0 < sum(taken) < max(whole // 50, 4096)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_header_is_refused_as_the_photo_is(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data(suffix))
    assert files.header(path, max_pixels=35).height == 5
    match = "7 x 5 pixels, more than max_pixels=34; .* --max-pixels 35 if you trust"
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match=match):
            use(path, max_pixels=34)
        path.write_bytes(data(suffix)[:12])
        with pytest.raises(PhotoError, match="damaged or cut off"):
            use(path)
        path.write_bytes(b"")
        with pytest.raises(PhotoError, match="empty"):
            use(path)
        path.write_bytes(b"Dear grandmother, ")
        with pytest.raises(PhotoError, match="not a JPEG, PNG, TIFF, WebP, HEIC or BMP file"):
            use(path)
        path.write_bytes(data(suffix))
    with pytest.raises(PhotoError, match="no such file"):
        files.header(tmp_path / "missing.png")


def tiff(**changed):
    """A small uncompressed TIFF file with other numbers in its tags: (type, count, value)."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((5, 7), np.uint8), metadata=None, software=False)
    whole = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        for name, (count, value) in changed.items():
            tag = file.pages.first.tags[name]
            struct.pack_into("<HII", whole, tag.offset + 2, exif.LONG, count, value)
    return bytes(whole)


def bombs():
    png = bytearray(data(".png"))
    png[16:24] = struct.pack(">II", HUGE, HUGE)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    jpeg = bytearray(data(".jpg"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 65500, 65500)
    bmp = bytearray(data(".bmp"))
    bmp[18:26] = struct.pack("<ii", HUGE, HUGE)
    webp = bytearray(data(".webp", xmp=b"<x/>"))
    webp[24:30] = b"\xff" * 6
    yield from [("a.png", png), ("a.jpg", jpeg), ("a.bmp", bmp), ("a.webp", webp)]
    yield "wide.tif", tiff(ImageWidth=(1, 2**31), ImageLength=(1, 2**31))
    yield "none.tif", tiff(ImageWidth=(1, 0))
    yield "strips.tif", tiff(StripOffsets=(2**30, 8), StripByteCounts=(2**30, 8))
    yield "long.tif", tiff(StripByteCounts=(1, 2**32 - 1), ImageLength=(1, 5000))
    yield "rows.tif", tiff(ImageLength=(1, 50_000_000))
    yield "channels.tif", tiff(SamplesPerPixel=(1, 60_000), BitsPerSample=(1, 8))


@pytest.mark.parametrize("name, stored", [*bombs()], ids=[name for name, _ in bombs()])
@pytest.mark.parametrize("use", [files.header, files.read])
def test_absurd_headers_cost_no_memory(tmp_path, name, stored, use):
    (tmp_path / name).write_bytes(stored)
    if os.name == "posix":
        import resource

        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    with pytest.raises(PhotoError, match=name):
        use(tmp_path / name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    if os.name == "posix":  # what libraries take for themselves; in kilobytes, in bytes on macOS
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
        assert grown < 50_000 * (1024 if os.uname().sysname == "Darwin" else 1)


def test_heic_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    whole, plain = builtins.__import__, np.zeros((5, 7, 3), np.uint8)

    def without(name, *args, **options):
        if name == "pillow_heif":
            raise ImportError(name)
        return whole(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    match = r"a\.heic: HEIC needs .* pip install 'oldphoto-jax\[heic\]'"
    for use in (files.header, files.read):
        with pytest.raises(PhotoError, match=match):
            use(path)
    with pytest.raises(PhotoError, match=match):
        files.write(path, files.PhotoFile(plain), quality=90)
    assert files.find(tmp_path) == [path]
