import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError

HEIGHT, WIDTH = 5, 7
ORIENTATION = 0x0112
TOP = {"uint8": 255, "uint16": 65535}

# How the stored array comes from the upright one: the definition in the EXIF standard.
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


def draw(channels, dtype=np.uint8, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def save(path, samples, orientation=1, **options):
    """Gray, RGB, gray + alpha or RGBA samples in the format that the suffix names."""
    channels = samples.shape[-1]
    if path.suffix in (".tif", ".tiff"):
        photometric = "minisblack" if channels < 3 else "rgb"
        extra = {} if channels in (1, 3) else {"extrasamples": ["unassalpha"]}
        tag = [(ORIENTATION, "H", 1, orientation, True)]
        given = {"photometric": photometric, "planarconfig": "contig", **extra, **options}
        shown = samples[..., 0] if channels == 1 else samples
        tifffile.imwrite(path, shown, extratags=tag, metadata=None, **given)
    elif samples.dtype == np.uint16:
        path.write_bytes(deep_png(samples, orientation))
    else:
        shown = samples[..., 0] if channels == 1 else samples
        Image.fromarray(shown).save(path, exif=exif(orientation), **options)


def deep_png(samples, orientation=1, extra=b""):
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[-1]]
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    turned = chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body = header + extra + turned + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def check(photo, samples):
    """The file gave back exactly these channels."""
    colors = 1 if samples.shape[-1] < 3 else 3
    assert photo.pixels.dtype == samples.dtype
    np.testing.assert_array_equal(photo.pixels, samples[..., :colors])
    if samples.shape[-1] in (1, 3):
        assert photo.alpha is None
    else:
        assert photo.alpha.dtype == samples.dtype
        np.testing.assert_array_equal(photo.alpha, samples[..., -1])


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix, dtype", [
    (".png", "uint8"), (".png", "uint16"), (".tif", "uint8"), (".tiff", "uint16"),
])  # fmt: skip
def test_every_mode_depth_and_orientation(tmp_path, suffix, dtype, channels, orientation):
    upright = draw(channels, dtype)
    save(tmp_path / f"a{suffix}", STORED[orientation](upright), orientation)
    check(files.read(tmp_path / f"a{suffix}"), upright)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("channels", [3, 4])
def test_webp(tmp_path, channels, orientation):
    upright = draw(channels)
    upright[..., 3:] |= 1  # WebP forgets the colour where alpha is 0
    stored = STORED[orientation](upright)
    save(tmp_path / "a.webp", stored, orientation, lossless=True)
    check(files.read(tmp_path / "a.webp"), upright)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path, mode, orientation):
    ramp = np.add.outer(np.arange(24) * 6, np.arange(32) * 3).astype(np.uint8)
    upright = ramp[..., None] if mode == "L" else np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)
    stored = STORED[orientation](upright)
    image = Image.fromarray(stored[..., 0] if mode == "L" else stored).convert(mode)
    image.save(tmp_path / "a.jpg", exif=exif(orientation), quality=98, subsampling=0)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.pixels.shape == upright.shape and photo.alpha is None
    assert np.abs(photo.pixels.astype(int) - upright).max() <= 6


def test_one_bit_and_palette(tmp_path):
    bits = draw(1)[..., 0] > 127
    for name in ("bits.png", "bits.tif", "bits.bmp"):
        Image.fromarray(bits).save(tmp_path / name)
        np.testing.assert_array_equal(files.read(tmp_path / name).pixels[..., 0], 255 * bits)
    palette = Image.fromarray(draw(3)).quantize(9)
    expected = np.array(palette.convert("RGB"))
    for name in ("palette.png", "palette.tif", "palette.bmp"):
        palette.save(tmp_path / name)
        check(files.read(tmp_path / name), expected)
    palette.save(tmp_path / "clear.png", transparency=3)
    photo = files.read(tmp_path / "clear.png")
    np.testing.assert_array_equal(photo.pixels, expected)
    np.testing.assert_array_equal(photo.alpha, np.where(np.array(palette) == 3, 0, 255))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", TOP)
def test_png_with_one_transparent_colour(tmp_path, channels, dtype):
    samples = draw(channels, dtype)
    key = samples[2, 3]
    path = tmp_path / "a.png"
    if dtype == "uint8":
        shown = samples[..., 0] if channels == 1 else samples
        named = int(key[0]) if channels == 1 else tuple(map(int, key))
        Image.fromarray(shown).save(path, transparency=named)
    else:
        path.write_bytes(deep_png(samples, extra=chunk(b"tRNS", key.astype(">u2").tobytes())))
    photo = files.read(path)
    np.testing.assert_array_equal(photo.pixels, samples)
    hidden = (samples == key).all(axis=-1)
    np.testing.assert_array_equal(photo.alpha, np.where(hidden, 0, TOP[dtype]).astype(dtype))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", TOP)
@pytest.mark.parametrize("options", [
    {"byteorder": ">"}, {"byteorder": ">", "compression": "zlib"}, {"bigtiff": True},
    {"rowsperstrip": 2}, {"tile": (16, 16)}, {"compression": "zlib", "tile": (16, 16)},
    {"planarconfig": "separate"}, {"planarconfig": "separate", "tile": (16, 16)},
], ids=lambda options: "-".join(map(str, options)))  # fmt: skip
def test_tiff_layouts(tmp_path, channels, dtype, options):
    upright = draw(channels, dtype)
    if channels == 1:
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    planar = options.get("planarconfig") == "separate"
    stored = STORED[6](upright)
    path = tmp_path / "a.tif"
    if planar:
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        tag = [(ORIENTATION, "H", 1, 6, True)]
        given = {"photometric": "rgb", "extratags": tag, "metadata": None, **extra, **options}
        tifffile.imwrite(path, np.moveaxis(stored, -1, 0), **given)
    else:
        save(path, stored, 6, **options)
    check(files.read(path), upright)


@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "group4"])
@pytest.mark.parametrize("orientation", [1, 5, 8])
def test_compressed_tiff_of_8_bits(tmp_path, codec, orientation):
    samples = draw(1) if codec == "group4" else draw(3)
    stored = STORED[orientation](samples)
    if codec == "group4":
        image = Image.fromarray(stored[..., 0] > 127)
        samples = np.where(samples > 127, 255, 0).astype(np.uint8)
    else:
        image = Image.fromarray(stored)
    image.save(tmp_path / "a.tif", compression=codec, tiffinfo={ORIENTATION: orientation})
    check(files.read(tmp_path / "a.tif"), samples)


def test_jpeg_inside_tiff(tmp_path):
    flat = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    Image.fromarray(flat).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    pixels = files.read(tmp_path / "a.tif").pixels
    assert np.abs(pixels.astype(int) - flat).max() <= 3


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lzw_tiff_of_16_bits(tmp_path, channels, orientation):
    upright = draw(channels, np.uint16)
    order = [0] if channels == 1 else [2, 1, 0, 3][:channels]  # OpenCV's
    stored = np.ascontiguousarray(STORED[orientation](upright)[..., order])
    path = tmp_path / "a.tif"
    path.write_bytes(with_orientation(cv2.imencode(".tif", stored)[1].tobytes(), orientation))
    photo = files.read(path)
    np.testing.assert_array_equal(photo.pixels, upright[..., :3])


def test_lzw_tiff_of_16_bits_inverted(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(cv2.imencode(".tif", draw(1, np.uint16))[1].tobytes())
    overwrite(path, "PhotometricInterpretation", 0)
    check(files.read(path), 65535 - draw(1, np.uint16))


def test_packed_planes_are_refused_not_mangled(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(cv2.imencode(".tif", draw(3, np.uint16))[1].tobytes())
    overwrite(path, "PlanarConfiguration", 2)
    with pytest.raises(PhotoError, match=r"a\.tif.*parts are missing: 1 of 3"):
        files.read(path)


def overwrite(path, tag, value):
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags[tag].overwrite(value)


def with_orientation(data, orientation):
    """The TIFF file with one tag more; its directory moves behind the pixels."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        order, start = file.byteorder, file.pages.first.offset
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries.append(struct.pack(order + "HHIHH", ORIENTATION, 3, 1, orientation, 0))
    entries.sort(key=lambda entry: struct.unpack_from(order + "H", entry)[0])
    table = struct.pack(order + "H", count + 1) + b"".join(entries) + b"\0\0\0\0"
    data += b"\0" * (len(data) % 2)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + table


def test_white_is_zero(tmp_path):
    for dtype, top in TOP.items():
        samples = draw(1, dtype)
        save(tmp_path / "a.tif", top - samples, photometric="miniswhite")
        check(files.read(tmp_path / "a.tif"), samples)


@pytest.mark.parametrize("dtype", TOP)
def test_ink_becomes_light(tmp_path, dtype):
    top = TOP[dtype]
    ink = np.array([[[0, 0, 0, 0], [top, 0, 0, 0], [0, top, top, 0], [0, 0, 0, top]]], dtype)
    light = np.array([[[top, top, top], [0, top, top], [top, 0, 0], [0, 0, 0]]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated", metadata=None)
    check(files.read(tmp_path / "a.tif"), light)


@pytest.mark.parametrize("dtype", TOP)
def test_premultiplied_alpha_is_divided_out(tmp_path, dtype):
    top = TOP[dtype]
    color, alpha = np.array([[[top, top // 2, 0]] * 3]), np.array([[top, top // 4, 0]])
    stored = np.concatenate([color * alpha[..., None] // top, alpha[..., None]], axis=-1)
    save(tmp_path / "a.tif", stored.astype(dtype), extrasamples=["assocalpha"])
    photo = files.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.alpha, alpha)
    assert np.abs(photo.pixels[:, :2].astype(int) - color[:, :2]).max() <= 2


def test_channels_that_are_not_alpha_are_left_aside(tmp_path):
    save(tmp_path / "a.tif", draw(4, np.uint16), extrasamples=["unspecified"])
    photo = files.read(tmp_path / "a.tif")
    assert photo.alpha is None
    np.testing.assert_array_equal(photo.pixels, draw(4, np.uint16)[..., :3])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_does_not_cost_the_photo(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for junk in (b"junk", b"Exif\0\0junk", exif(6).tobytes()[:14], exif(99).tobytes()):
        Image.fromarray(draw(3)).save(path, exif=junk)
        assert files.read(path).pixels.shape == (HEIGHT, WIDTH, 3)


def test_the_first_page_counts(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(draw(3), photometric="rgb")
        writer.write(draw(1, height=2)[..., 0], photometric="minisblack")
    check(files.read(path), draw(3))


def test_the_content_counts_not_the_suffix(tmp_path):
    save(tmp_path / "a.png", draw(3))
    os.rename(tmp_path / "a.png", tmp_path / "a.jpg")
    check(files.read(tmp_path / "a.jpg"), draw(3))


@pytest.mark.parametrize("name", [
    "Großmutter 1923 – тётя.png", "家 族.TIF", "a b.png", "e\u0301.PNG", "-rf $HOME;'.png",
    251 * "x" + ".png", 83 * "家" + "xx.tif",
])  # fmt: skip
def test_names_of_the_world(tmp_path, name):
    folder = tmp_path / "Fotos älter"
    folder.mkdir()
    path = folder / name
    if path.suffix == ".png":
        files.write_png(path, draw(3))
    else:
        tifffile.imwrite(path, draw(3), photometric="rgb")
    check(files.read(str(path)), draw(3))
    assert files.find(tmp_path) == [path]
    assert files.header(path).width == WIDTH


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".Tiff", ".webp", ".bmp", ".HEIC"])
def test_very_long_paths(tmp_path, suffix):
    folder = tmp_path.joinpath(*[f"Schachtel {n} {'ü' * 50}" for n in range(6)])
    folder.mkdir(parents=True)
    path = folder / f"a{suffix}"
    assert len(str(path)) > 360
    files.write(path, files.PhotoFile(draw(3)), quality=100)
    assert files.find(tmp_path) == [path] and files.header(path).width == WIDTH
    assert files.read(str(path)).pixels.shape == (HEIGHT, WIDTH, 3)


def encoded(name):
    """A file of each kind whose last bytes matter."""
    photo, deep = draw(3, height=40, width=50), draw(3, np.uint16, height=40, width=50)
    stream = io.BytesIO()
    if name == "deep.png":
        return deep_png(deep)
    if name == "deep.tif":
        tifffile.imwrite(stream, deep, photometric="rgb", compression="zlib", rowsperstrip=8)
    elif name == "lzw16.tif":
        return cv2.imencode(".tif", deep)[1].tobytes()
    elif name == "lzw.tif":
        Image.fromarray(photo).save(stream, "TIFF", compression="tiff_lzw")
    elif name == "plain.tif":
        tifffile.imwrite(stream, photo, photometric="rgb")
    elif name == "progressive.jpg":
        Image.fromarray(photo).save(stream, "JPEG", progressive=True)
    else:
        Image.fromarray(photo).save(stream, name.rpartition(".")[2].replace("jpg", "jpeg"))
    return stream.getvalue()


@pytest.mark.parametrize("name", [
    "a.jpg", "progressive.jpg", "a.png", "deep.png", "a.webp", "a.bmp",
    "plain.tif", "deep.tif", "lzw.tif", "lzw16.tif",
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_file_cut_off_is_refused_or_whole(tmp_path, name):
    """Never half a photo; only the last few bytes, which no pixel needs, may be missing."""
    data, path = encoded(name), tmp_path / name
    path.write_bytes(data)
    whole = files.read(path).pixels
    assert whole.shape == (40, 50, 3)
    refused = 0
    ends = (*np.linspace(1, len(data) - 32, 40).astype(int), *range(len(data) - 31, len(data)))
    for end in ends:
        path.write_bytes(data[:end])
        try:
            np.testing.assert_array_equal(files.read(path).pixels, whole)
            assert end > len(data) - 32
        except PhotoError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused >= 40


def test_errors_name_the_file_the_fault_and_the_mend(tmp_path):
    def refuse(name, match, data=None):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(PhotoError, match=match) as caught:
            files.read(tmp_path / name)
        assert name in str(caught.value)

    refuse("missing.jpg", "no such file; check")
    refuse("empty.jpg", "is empty; copy", b"")
    refuse("text.jpg", "not a JPEG.*convert", b"Dear grandmother, ")
    refuse("riff.webp", "damaged", b"RIFF\x04\0\0\0WAVE" + bytes(40))
    refuse("head.png", "damaged or cut off", b"\x89PNG\r\n\x1a\n")
    (tmp_path / "folder.jpg").mkdir()
    refuse("folder.jpg", "cannot be opened")
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((4, 4), np.float32))
    refuse("float.tif", "32-bit.*8 or 16 bits", stream.getvalue())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp"])
def test_the_pixel_limit_is_ours_and_adjustable(tmp_path, monkeypatch, suffix):
    if suffix != ".webp":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # Pillow's own limit has no say
    path = tmp_path / f"a{suffix}"
    Image.fromarray(draw(3)).save(path)
    assert files.read(path, max_pixels=35).pixels.shape == (5, 7, 3)
    with pytest.raises(PhotoError, match="7 x 5 pixels, more than max_pixels=34; raise"):
        files.read(path, max_pixels=34)


def test_webp_stops_at_the_limit_of_pillow(tmp_path, monkeypatch):
    Image.fromarray(draw(3)).save(tmp_path / "a.webp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(PhotoError, match=r"a\.webp.*exceeds limit.*Save it as PNG"):
        files.read(tmp_path / "a.webp")


def test_a_header_of_a_billion_pixels_allocates_nothing(tmp_path):
    data = bytearray(deep_png(draw(3, np.uint16)))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(PhotoError, match="60000 x 60000"):
        files.read(tmp_path / "bomb.png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", TOP)
def test_what_is_written_is_read_again(tmp_path, channels, dtype):
    files.write_png(tmp_path / "a.png", draw(channels, dtype))
    check(files.read(tmp_path / "a.png"), draw(channels, dtype))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_writing_refuses_what_png_cannot_hold(tmp_path):
    for pixels in (
        draw(2),
        draw(4),
        draw(3)[..., 0],
        draw(3) / 255.0,
        np.zeros((0, 3, 1), np.uint8),
    ):
        with pytest.raises(PhotoError, match=r"a\.png"):
            files.write_png(tmp_path / "a.png", pixels)
    with pytest.raises(PhotoError, match=r"name it \.png"):
        files.write_png(tmp_path / "a.jpg", draw(3))
    with pytest.raises(PhotoError, match="cannot be written"):
        files.write_png(tmp_path / "nowhere" / "a.png", draw(3))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    files.write_png(path, draw(3))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(PhotoError, match="No space left"):
        files.write_png(path, draw(1))
    check(files.read(path), draw(3))
    assert list(tmp_path.iterdir()) == [path]


def test_find_walks_folders_in_order(tmp_path):
    names = [
        "b.JPG",
        "a.tiff",
        "i.heic",
        "j.HIF",
        "k.Heif",
        "sub/c.jpe",
        "sub/deep/d.WebP",
        "e.png",
        "f.bmp",
        "g.jpeg",
        "h.tif",
    ]
    for name in (*names, "notes.txt", ".hidden.jpg", ".cache/x.jpg", "sub/._c.jpe", "video.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "album.jpg").mkdir()
    found = files.find(str(tmp_path))
    assert found == sorted(tmp_path / name for name in names)
    assert files.find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(PhotoError, match="nowhere.*check the path"):
        files.find(tmp_path / "nowhere")


def test_a_hidden_folder_may_be_named_itself(tmp_path):
    folder = tmp_path / ".scans"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    assert files.find(folder) == [folder / "a.jpg"]


@pytest.mark.parametrize("dtype", TOP)
def test_rgb_is_what_networks_take(dtype):
    gray = files.rgb(draw(1, dtype))
    assert gray.shape == (HEIGHT, WIDTH, 3) and gray.dtype == np.float32 and gray.flags.writeable
    np.testing.assert_array_equal(gray, gray[..., :1].repeat(3, axis=-1))
    np.testing.assert_allclose(files.rgb(draw(3, dtype)), draw(3, dtype) / TOP[dtype], rtol=1e-6)
    with pytest.raises(ValueError, match=r"\(5, 7, 4\)"):
        files.rgb(draw(4, dtype))
