"""What goes in comes out: every format, depth, mode and orientation, by three other programs.

The files are made by Pillow, tifffile and OpenCV, read and written by us, and read again by them
and by us.
"""

import io
import struct
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from oldphoto_jax.photo import content, exif
from oldphoto_jax.photo.disk import files
from tests.test_photo_encode import SCANNED, TAKEN, block, dates

STORED = {  # how the stored pixels come from the upright ones: the definition in EXIF
    1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
    5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1), 8: lambda x: np.rot90(x, -1),
}  # fmt: skip
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ICC = {1: SRGB[:16] + b"GRAY" + SRGB[20:], 3: SRGB}
HOLDS = {  # channels by depth; 2 and 4 are with alpha
    ".jpg": {8: (1, 3)},
    ".png": {8: (1, 2, 3, 4), 16: (1, 2, 3, 4)},
    ".tif": {8: (1, 2, 3, 4), 16: (1, 2, 3, 4)},
    ".webp": {8: (3, 4)},
    ".heic": {8: (1, 2, 3, 4), 16: (1, 2, 3, 4)},
}
CASES = [
    (suffix, bits, n, turn)
    for suffix, depths in HOLDS.items()
    for bits, channels in depths.items()
    for n in channels
    for turn in STORED
]


def upright(suffix, bits, channels):
    """Smooth where the format loses, noise where it must not."""
    dtype, shape = (np.uint8 if bits == 8 else np.uint16), (6, 8, channels)
    if suffix == ".jpg":
        ramp = np.add.outer(np.arange(6) * 8, np.arange(8) * 5)
        return np.stack([40 + ramp, 90 + ramp // 2, 200 - ramp][:channels], axis=-1).astype(dtype)
    samples = np.random.default_rng(channels).integers(0, 1 << bits, shape).astype(dtype)
    if channels in (2, 4):
        samples[..., -1] |= 1  # WebP forgets the colour where alpha is 0
    return samples


def make(path, samples, orientation):
    """A file by another program, with EXIF, ICC profile and 300 x 150 dots per inch."""
    suffix, channels, deep = path.suffix, samples.shape[-1], samples.dtype == np.uint16
    told, icc = block(orientation, (300, 150)), ICC[1 if channels < 3 else 3]
    stored = np.ascontiguousarray(STORED[orientation](samples))
    if suffix == ".tif":
        make_tiff(path, stored, told, icc)
    elif suffix == ".heic":
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels] + (";12" if deep else "")
        options = dict(quality=-1, chroma=444, matrix_coefficients=0, bit_depth=12 if deep else 8)
        data = (stored >> 4 if deep else stored).tobytes()
        size = stored.shape[1::-1]
        told = exif.PREFIX + told
        pillow_heif.encode(mode, size, data, str(path), exif=told, icc_profile=icc, **options)
    elif deep:
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(channels)
        data = (
            cv2.imencode(".png", stored[..., order])[1].tobytes() if order else gray_alpha(stored)
        )
        path.write_bytes(with_chunks(data, told, icc))
    else:
        options = {".jpg": dict(quality=98, subsampling=0), ".webp": dict(lossless=True)}
        beside = dict(exif=exif.PREFIX + told, icc_profile=icc, dpi=(300, 150))
        Image.fromarray(stored.squeeze(-1) if channels == 1 else stored).save(
            path, **beside, **options.get(suffix, {})
        )


def make_tiff(path, stored, told, icc):
    channels = stored.shape[-1]
    tags = Image.Exif()
    tags.load(exif.PREFIX + told)
    stream = io.BytesIO()  # Pillow packs the directories, tifffile the pixels
    Image.new("L", (1, 1)).save(stream, "TIFF", exif=tags, icc_profile=icc, dpi=(300, 150))
    found = exif.parse(stream.getvalue())
    options = {"photometric": "minisblack" if channels < 3 else "rgb", "planarconfig": "contig"}
    options |= {} if channels in (1, 3) else {"extrasamples": ["unassalpha"]}
    if channels == 1:
        del options["planarconfig"]
    shown, pixels = stored.squeeze(-1) if channels == 1 else stored, io.BytesIO()
    tifffile.imwrite(pixels, shown, metadata=None, software=False, **options)
    data = bytearray(pixels.getvalue())
    storage = exif.parse(bytes(data))
    told = exif.describing(found) | {t: found[t] for t in (exif.ORIENTATION, exif.ICC)}
    told |= exif.resolution_tags((300, 150), "<")
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    path.write_bytes(data + exif.pack(storage | told, len(data), "<"))


def with_chunks(data, told, icc):
    """A PNG file of OpenCV, which writes nothing beside pixels, with chunks by hand."""
    dots = struct.pack(">IIB", round(300 / 0.0254), round(150 / 0.0254), 1)
    parts = [(b"iCCP", b"ICC\0\0" + zlib.compress(icc)), (b"pHYs", dots), (b"eXIf", told)]
    return data[:33] + b"".join(chunk(*part) for part in parts) + data[33:]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def gray_alpha(stored):
    height, width = stored.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0))
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    body = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def seen_by_others(path, samples):
    """The pixels by a reader that is not ours, or None where none at hand reads all of them."""
    deep = samples.dtype == np.uint16
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if path.suffix == ".heic":
        read = None if deep else np.array(heif_image(path))
        return read[..., ::3] if samples.shape[-1] == 2 and not deep else read  # of gray and alpha
    if deep and samples.shape[-1] == 2:
        return None
    if deep:
        read = np.atleast_3d(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        return read[..., [2, 1, 0, 3][: samples.shape[-1]] if samples.shape[-1] > 1 else [0]]
    with Image.open(path) as image:
        return np.array(image)


def heif_image(path):
    import pillow_heif

    return pillow_heif.open_heif(path).to_pillow()


def tags_by_others(path):
    if path.suffix == ".heic":
        return heif_image(path).getexif()
    if path.suffix == ".tif":  # an EXIF block is a TIFF file; not every mode is one of Pillow's
        tags = Image.Exif()
        tags.load(path.read_bytes())
        return tags
    with Image.open(path) as image:
        image.load()
        return image.getexif()


@pytest.mark.parametrize("suffix, bits, channels, orientation", CASES)
def test_what_goes_in_comes_out(tmp_path, suffix, bits, channels, orientation):
    expected = upright(suffix, bits, channels)
    if suffix == ".heic" and bits == 16:  # what 12 bits hold, at full scale
        expected = np.round((expected >> 4) * (65535 / 4095)).astype(np.uint16)
        source = (np.round(expected / (65535 / 4095)).astype(np.uint16)) << 4
    else:
        source = expected
    make(tmp_path / f"a{suffix}", source, orientation)
    photo = files.read(tmp_path / f"a{suffix}")
    path = tmp_path / f"b{suffix}"
    files.write(path, photo, quality=100)
    back = files.read(path)
    gray, loss = channels < 3, 6 if suffix == ".jpg" else 0
    dots = (300, 150) if orientation < 5 else (150, 300)
    for found in (photo, back):
        assert found.pixels.dtype == expected.dtype  # the depth
        colors = expected[..., : 1 if gray else 3]
        assert found.pixels.shape == colors.shape  # upright once, gray stays gray
        assert np.abs(found.pixels.astype(int) - colors).max() <= loss
        assert (found.alpha is None) == (channels in (1, 3))
        if found.alpha is not None:
            np.testing.assert_array_equal(found.alpha, expected[..., -1])
        assert found.icc == ICC[1 if gray else 3]
        assert found.resolution == pytest.approx(dots, abs=exif.INCH / 2)
        assert content.orientation(found.exif, None) == 1
        tags = exif.parse(found.exif)
        assert tags[0x0132].data.rstrip(b"\0").decode() == SCANNED
        assert tags[exif.EXIF_DIRECTORY][0x9003].data.rstrip(b"\0").decode() == TAKEN
        assert 2 in tags[exif.GPS_DIRECTORY]
    others = seen_by_others(path, expected)
    if others is not None:
        assert np.abs(others.astype(int).squeeze() - expected.squeeze()).max() <= loss
    tags = tags_by_others(path)
    assert dates(tags) == (SCANNED, TAKEN) and tags.get(ExifTags.Base.Orientation, 1) == 1
    assert tags.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 30.0, 59.5)
