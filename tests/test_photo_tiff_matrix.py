"""Every layout of TIFF 6.0, written by hand, and read by us as by others."""

import io
import itertools

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo.codecs import tiff_strips
from oldphoto_jax.photo.disk import files
from tests import tiff_maker
from tests.tiff_maker import MINISBLACK, MINISWHITE, PALETTE, RGB, YCBCR

KINDS = {"miniswhite": MINISWHITE, "minisblack": MINISBLACK, "rgb": RGB, "palette": PALETTE}
CODECS = ["none", "packbits", "lzw", "deflate", "lzma", "zstd"]
BITS = (1, 2, 4, 8, 16)
MAP = np.random.default_rng(7).integers(256, 65536, (3, 65536))
EXTRA = {tiff_maker.EXTRAS: (tiff_maker.SHORT, [0])}
LAYOUTS = [
    dict(zip(("order", "tile", "rows", "planar", "mirrored"), given, strict=True))
    for given in itertools.product("<>", (None, (16, 32)), (None, 7), (False, True), (False, True))
]


def draw(bits, channels):
    shape = (19, 37, channels)
    return np.random.default_rng(bits).integers(0, 1 << bits, shape).astype(np.uint16)


def light(samples, kind, bits):
    """What TIFF 6.0 says that the samples mean, at full scale of 8 or 16 bits."""
    top = 65535 if bits == 16 else 255
    if kind == "palette":
        return (MAP[:, samples[..., 0]] >> (0 if bits == 16 else 8)).transpose(1, 2, 0)
    full = samples[..., : 3 if kind == "rgb" else 1].astype(int) * top // ((1 << bits) - 1)
    return top - full if kind == "miniswhite" else full


def options(kind, bits, extra):
    tags = EXTRA if extra else {}
    if kind == "palette":
        colors = MAP[:, : 1 << bits].ravel().tolist()
        tags = tags | {tiff_maker.COLOR_MAP: (tiff_maker.SHORT, colors)}
    return {"colors": KINDS[kind], "bits": bits, "tags": tags}


@pytest.mark.parametrize("kind, bits, codec", [
    case for case in itertools.product(KINDS, BITS, CODECS)
    if case[:2] != ("palette", 16) or case[2] == "none"  # such palettes are large
])  # fmt: skip
def test_samples_are_what_the_standard_says(tmp_path, kind, bits, codec):
    """In both byte orders, strips and tiles, together and in planes, from the left and mirrored.

    A few layouts of each kind, others for others: all pairs of choices come together.
    """
    path, first = tmp_path / "a.tif", len(kind) + 3 * bits + 5 * CODECS.index(codec)
    for place in range(first, first + 4 * 9, 9):
        layout, extra = LAYOUTS[place % len(LAYOUTS)], place % 3 == 0
        samples = draw(bits, (3 if kind == "rgb" else 1) + extra)
        differences = place % 2 == 1 and bits >= 8 and codec not in ("none", "packbits")
        path.write_bytes(tiff_maker.tiff(
            samples, **options(kind, bits, extra), codec=codec, differences=differences, **layout,
        ))  # fmt: skip
        photo = files.read(path)
        told = (layout, differences)
        expected = light(samples, kind, bits)
        assert photo.pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
        assert np.array_equal(photo.pixels, expected), told
        assert (photo.extra is not None) == extra and not photo.faulty, told
        if extra:
            top = 65535 if bits == 16 else 255
            scaled = samples[..., -1:].astype(int) * top // ((1 << bits) - 1)
            assert photo.extra_kinds == (0,) and np.array_equal(photo.extra, scaled), told


def others(data):
    """The samples by other readers of TIFF: whichever of them take the file."""
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is not None:
        yield "OpenCV", array[..., ::-1] if array.ndim == 3 else array[..., None]
    try:
        with Image.open(io.BytesIO(data)) as image:
            wide = "RGB" if image.mode in ("P", "RGB") else "L"
            deep = image.mode.startswith("I")
            array = np.asarray(image if deep else image.convert(wide))
            yield "Pillow", array.reshape(*array.shape[:2], -1)
    except (OSError, SyntaxError):
        return


@pytest.mark.parametrize("kind, bits, codec, order, seen", [
    *((kind, 8, codec, "<", 2) for kind in ("minisblack", "rgb") for codec in CODECS[:4]),
    ("rgb", 16, "lzw", "<", 1), ("rgb", 16, "deflate", ">", 1), ("minisblack", 16, "none", ">", 2),
    ("miniswhite", 8, "none", "<", 1), ("minisblack", 1, "lzw", "<", 1),
    ("minisblack", 4, "none", "<", 1), ("palette", 8, "none", ">", 1),
    ("palette", 4, "lzw", "<", 1),
])  # fmt: skip
def test_others_see_the_same(tmp_path, kind, bits, codec, order, seen):
    """So that what is written by hand here is TIFF indeed."""
    samples = draw(bits, 3 if kind == "rgb" else 1)
    data = tiff_maker.tiff(samples, **options(kind, bits, False), codec=codec, order=order, rows=7)
    (tmp_path / "a.tif").write_bytes(data)
    ours = files.read(tmp_path / "a.tif").pixels
    found = [name for name, array in others(data) if np.array_equal(array, ours)]
    assert len(found) >= seen, found


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["miniswhite", "minisblack", "rgb"])
def test_tifffile_writes_and_we_read(tmp_path, kind, bits, planar):
    for order, codec, tile in itertools.product("<>", (None, "zlib"), (None, (16, 32))):
        channels = (3 if kind == "rgb" else 1) + 2
        samples = draw(bits, channels)
        shown = np.moveaxis(samples, -1, 0) if planar else samples
        tifffile.imwrite(
            tmp_path / "a.tif", shown.astype(f"u{bits // 8}"), photometric=kind, byteorder=order,
            planarconfig="separate" if planar else "contig", compression=codec, tile=tile,
            predictor=codec is not None, metadata=None, extrasamples=["unassalpha", "unspecified"],
        )  # fmt: skip
        photo = files.read(tmp_path / "a.tif")
        np.testing.assert_array_equal(photo.pixels, light(samples, kind, bits))
        np.testing.assert_array_equal(photo.alpha, samples[..., -2])
        np.testing.assert_array_equal(photo.extra, samples[..., -1:])


def smooth():
    rows, columns = np.mgrid[:48, :64]
    return np.stack([columns * 3, rows * 5, 200 - columns * 2], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("across", [1, 2, 4])
@pytest.mark.parametrize("down", [1, 2, 4])
def test_ycbcr_of_bytes_is_enlarged(tmp_path, across, down):
    """Section 21: units of so many lightnesses and two colours, whatever the codec."""
    photo = smooth()[:45, :61]
    ycc = cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    high, wide = -(-45 // down), -(-61 // across)
    padded = np.pad(ycc, [(0, high * down - 45), (0, wide * across - 61), (0, 0)], mode="edge")
    blocks = padded.reshape(high, down, wide, across, 3).swapaxes(1, 2)
    lights = blocks[..., 0].reshape(high, wide, -1)
    units = np.concatenate([lights, blocks[..., 1:].mean(axis=(2, 3)).round()], axis=-1)
    data = units.astype(np.uint8).tobytes()
    for codec in ("none", "lzw", "deflate"):
        packed = tiff_maker.PACKERS[tiff_maker.NAMES[codec]](data)
        tags = {
            256: (3, [61]), 257: (3, [45]), 258: (3, [8, 8, 8]),
            259: (3, [tiff_maker.NAMES[codec]]), 262: (3, [YCBCR]), 277: (3, [3]), 278: (3, [45]),
            530: (3, [across, down]),
        }  # fmt: skip
        (tmp_path / "a.tif").write_bytes(tiff_maker.assemble([packed], tags))
        read = files.read(tmp_path / "a.tif").pixels
        loss = np.abs(read.astype(int) - photo)
        assert loss.max() <= (3 if across * down == 1 else 16), codec
        assert loss.mean() < 4


@pytest.mark.parametrize("told", [None, (1, 1), (2, 2)])
@pytest.mark.parametrize("actual", [0, 1, 2])
def test_jpeg_knows_better_how_small_its_colours_are(tmp_path, actual, told):
    stream = io.BytesIO()
    Image.fromarray(smooth()).save(stream, "JPEG", quality=95, subsampling=actual)
    tags = {
        256: (3, [64]), 257: (3, [48]), 258: (3, [8, 8, 8]), 259: (3, [7]), 262: (3, [YCBCR]),
        277: (3, [3]), 278: (3, [48]),
    }  # fmt: skip
    tags |= {530: (3, told)} if told else {}
    (tmp_path / "a.tif").write_bytes(tiff_maker.assemble([stream.getvalue()], tags))
    read = files.read(tmp_path / "a.tif").pixels
    assert np.abs(read.astype(int) - smooth()).max() <= 6


def test_ycbcr_that_does_not_say_how_small_its_colours_are(tmp_path):
    """TIFF has it that they are two times smaller, both ways; but then bytes would be left over."""
    ycc = cv2.cvtColor(smooth(), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    for planar in (False, True):
        (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(ycc, YCBCR, planar=planar))
        read = files.read(tmp_path / "a.tif").pixels
        assert np.abs(read.astype(int) - smooth()).max() <= 2


@pytest.mark.parametrize("codec", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("inverted", [False, True])
def test_fax(tmp_path, codec, inverted):
    """By Pillow, whose 1 is white; a fax is mostly stored with 1 for black."""
    page = np.random.default_rng(0).integers(0, 2, (40, 61)).astype(bool)
    image = Image.fromarray(page)
    image.save(tmp_path / "a.tif", compression=codec, tiffinfo={262: 0 if inverted else 1})
    expected = np.array(Image.open(tmp_path / "a.tif").convert("L"))
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif").pixels[..., 0], expected)


@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_by_opencv(tmp_path, gray):
    photo = smooth()[..., 0] if gray else smooth()
    written = cv2.imwrite(
        str(tmp_path / "a.tif"), photo if gray else photo[..., ::-1],
        [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_JPEG,
         cv2.IMWRITE_TIFF_ROWSPERSTRIP, 16],
    )  # fmt: skip
    read = files.read(tmp_path / "a.tif").pixels.squeeze()
    assert written and np.abs(read.astype(int) - photo).max() <= 12


def test_large_plain_strips_are_taken_in_bands(tmp_path, monkeypatch):
    samples = draw(16, 3)
    (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(samples, RGB, 16, order=">"))
    monkeypatch.setattr(tiff_strips, "READ_AHEAD", 1)
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif").pixels, samples)
