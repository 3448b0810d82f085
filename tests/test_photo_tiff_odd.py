"""TIFF files with careless headers: read as they are meant, and told; or refused by name."""

import numpy as np
import pytest
import tifffile

from oldphoto_jax.photo.codecs import tiff_codecs
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError
from tests import tiff_maker
from tests.tiff_maker import (
    ASCII,
    BITS,
    BYTE,
    CODEC,
    COLOR_MAP,
    COLORS,
    COUNTS,
    EXTRAS,
    FLOAT,
    HEIGHT,
    LONG,
    MINISBLACK,
    MINISWHITE,
    OFFSETS,
    PALETTE,
    PLANAR,
    RATIONAL,
    RGB,
    ROWS,
    SAMPLES,
    SEPARATED,
    SHORT,
    UNDEFINED,
    WIDTH,
)  # fmt: skip

PHOTO = np.random.default_rng(0).integers(0, 256, (30, 47, 3)).astype(np.uint8)
GRAY = PHOTO[..., :1]
DEEP = PHOTO.astype(np.uint16) * 257
BITMAP = GRAY & 1
INKS = np.concatenate([PHOTO, GRAY // 2], axis=-1)
CMYK = {34675: (UNDEFINED, bytes(16) + b"CMYK" + bytes(108))}


def read(tmp_path, data):
    (tmp_path / "a.tif").write_bytes(data)
    return files.read(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("order", "<>")
def test_palettes_of_8_bits_are_scaled_up(tmp_path, bits, order):
    """Their entries go up to 255 where TIFF has 65535; a dark one of 16 bits stays dark."""
    samples = GRAY >> (8 - bits)
    colors = np.random.default_rng(1).integers(0, 256, (3, 1 << bits))
    for scale, faulty in ((1, True), (256, False), (257, False)):
        tags = {COLOR_MAP: (SHORT, (colors * scale).ravel().tolist())}
        photo = read(tmp_path, tiff_maker.tiff(samples, PALETTE, bits, order, tags=tags))
        np.testing.assert_array_equal(photo.pixels, colors.T[samples[..., 0]])
        assert photo.faulty == faulty and ("8 bits where TIFF has 16" in str(photo.notes)) == faulty


@pytest.mark.parametrize("samples, tags, expected, told", [
    (PHOTO, {}, PHOTO, "RGB"),
    (GRAY, {}, GRAY, "MINISBLACK"),
    (np.concatenate([GRAY, GRAY], -1), {}, GRAY, "MINISBLACK"),
    (np.concatenate([PHOTO, GRAY], -1), {}, PHOTO, "RGB"),
    (INKS, {332: (SHORT, [1])}, None, "SEPARATED"),
    (INKS, {336: (SHORT, [0, 255])}, None, "SEPARATED"),
    (INKS, CMYK, None, "SEPARATED"),
    (GRAY, {COLOR_MAP: (SHORT, 3 * [*range(0, 65536, 256)])}, GRAY.repeat(3, -1), "PALETTE"),
], ids=range(8))  # fmt: skip
def test_colours_that_are_not_told(tmp_path, samples, tags, expected, told):
    """By the number of samples, or by what only inks and palettes have; and it is said."""
    data = tiff_maker.tiff(samples, RGB, tags=tags, without=[COLORS])
    photo = read(tmp_path, data)
    colors = {"RGB": RGB, "MINISBLACK": MINISBLACK, "SEPARATED": SEPARATED, "PALETTE": PALETTE}
    sound = read(tmp_path, tiff_maker.tiff(samples, colors[told], tags=tags))
    np.testing.assert_array_equal(photo.pixels, sound.pixels if expected is None else expected)
    assert photo.faulty and not sound.faulty and f"read as {told}" in photo.notes[0]


def test_a_fax_without_a_photometric_tag_is_black_on_white(tmp_path):
    """As in libtiff, where white is zero for all codecs of fax."""
    from PIL import Image

    Image.fromarray(BITMAP[..., 0] > 0).save(tmp_path / "a.tif", compression="group4")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        start = page.photometric
        page.parent.filehandle.seek(page.dataoffsets[0])
        data = page.parent.filehandle.read(page.databytecounts[0])
    tags = {
        WIDTH: (SHORT, [47]), HEIGHT: (SHORT, [30]), BITS: (SHORT, [1]), CODEC: (SHORT, [4]),
        SAMPLES: (SHORT, [1]), ROWS: (SHORT, [30]),
    }  # fmt: skip
    photo = read(tmp_path, tiff_maker.assemble([data], tags))
    stored = 255 * BITMAP if start == MINISBLACK else 255 - 255 * BITMAP
    np.testing.assert_array_equal(photo.pixels, 255 - stored)


ODD = {
    "counts of zero": dict(tags={COUNTS: (LONG, [0])}),
    "no counts": dict(without=[COUNTS]),
    "counts behind the end": dict(tags={COUNTS: (LONG, [10**6])}),
    "counts of pixels": dict(tags={COUNTS: (LONG, [47 * 30])}),
    "no rows of strips": dict(without=[ROWS]),
    "rows of strips of zero": dict(tags={ROWS: (LONG, [0])}),
    "rows without end": dict(tags={ROWS: (LONG, [2**32 - 1])}),
    "one row of many": dict(tags={ROWS: (LONG, [1])}),
    "no samples": dict(without=[SAMPLES]),
    "no bits": dict(without=[BITS]),
    "bits of one sample": dict(tags={BITS: (SHORT, [8])}),
    "bits of two samples": dict(tags={BITS: (SHORT, [8, 8])}),
    "no samples, bits of one": dict(without=[SAMPLES], tags={BITS: (SHORT, [8])}),
    "no planes": dict(without=[PLANAR]),
    "no codec": dict(without=[CODEC]),
    "long ones": dict(tags={BITS: (LONG, [8, 8, 8]), COLORS: (LONG, [2]), SAMPLES: (LONG, [3])}),
    "bytes": dict(tags={WIDTH: (BYTE, [47]), HEIGHT: (BYTE, [30]), CODEC: (BYTE, [1])}),
    "text": dict(tags={WIDTH: (ASCII, b"47\0"), HEIGHT: (ASCII, b"30\0")}),
    "fractions": dict(tags={WIDTH: (RATIONAL, [94, 2]), ROWS: (FLOAT, [30.0])}),
    "nameless": dict(tags={COLORS: (UNDEFINED, b"\2"), SAMPLES: (UNDEFINED, b"\3")}),
    "out of order": dict(backwards=True),
    "surplus parts": dict(tags={OFFSETS: (LONG, [8, 8]), COUNTS: (LONG, [4230, 4230])}),
    "surplus kinds": dict(tags={EXTRAS: (SHORT, [2, 0, 0])}),
    "unknown fill order": dict(tags={266: (SHORT, [0])}),
    "unknown orientation": dict(tags={274: (SHORT, [9])}),
}  # fmt: skip
SOUND = {
    "no rows of strips", "rows without end", "bits of one sample", "no planes", "no codec",
    "long ones", "bytes", "unknown fill order", "unknown orientation",
}  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ODD)
def test_what_is_harmless_is_read_and_told(tmp_path, name, order):
    photo = read(tmp_path, tiff_maker.tiff(PHOTO, RGB, order=order, **ODD[name]))
    np.testing.assert_array_equal(photo.pixels, PHOTO)
    assert bool(photo.notes) == (name not in SOUND), photo.notes
    assert all(note.endswith(".") for note in photo.notes)
    assert photo.faulty == (name not in SOUND and name != "out of order")


@pytest.mark.parametrize("codec", ["none", "packbits", "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("tags, without", [
    ({COUNTS: (LONG, [0] * 5)}, []), ({}, [COUNTS]), ({COUNTS: (LONG, [3])}, []),
    ({}, [ROWS]), ({ROWS: (LONG, [0])}, []), ({ROWS: (LONG, [100])}, []), ({}, [ROWS, COUNTS]),
], ids=range(7))  # fmt: skip
def test_strips_of_which_too_little_is_said(tmp_path, codec, tags, without):
    """The number of strips says how many rows each has, and the next strip where one ends."""
    data = tiff_maker.tiff(PHOTO, RGB, codec=codec, rows=6, tags=tags, without=without)
    photo = read(tmp_path, data)
    np.testing.assert_array_equal(photo.pixels, PHOTO)
    assert photo.faulty and photo.notes


@pytest.mark.parametrize("samples, colors, bits", [
    (GRAY, MINISBLACK, 8), (GRAY, MINISWHITE, 8), (BITMAP, MINISBLACK, 1), (DEEP, RGB, 16),
], ids=range(4))  # fmt: skip
@pytest.mark.parametrize("without", [[COUNTS], [SAMPLES], [SAMPLES, COUNTS]], ids=str)
def test_other_depths_with_little_said(tmp_path, samples, colors, bits, without):
    sound = read(tmp_path, tiff_maker.tiff(samples, colors, bits))
    photo = read(tmp_path, tiff_maker.tiff(samples, colors, bits, without=without))
    np.testing.assert_array_equal(photo.pixels, sound.pixels)
    assert not sound.notes


def test_bits_that_are_not_told_are_counted(tmp_path):
    for samples, bits in ((GRAY, 8), (BITMAP, 1)):
        sound = read(tmp_path, tiff_maker.tiff(samples, MINISBLACK, bits))
        photo = read(tmp_path, tiff_maker.tiff(samples, MINISBLACK, bits, without=[BITS]))
        np.testing.assert_array_equal(photo.pixels, sound.pixels)
        assert photo.faulty == (bits != 1)  # the default of TIFF 6.0


def test_rgb_of_one_or_two_samples_is_gray(tmp_path):
    for samples in (GRAY, np.concatenate([GRAY, 255 - GRAY], -1)):
        photo = read(tmp_path, tiff_maker.tiff(samples, RGB, codec="deflate"))
        np.testing.assert_array_equal(photo.pixels, GRAY)
        assert photo.faulty and "not 3; read as gray" in photo.notes[0]
        assert (photo.extra is not None) == (samples.shape[-1] == 2)


def test_channels_beside_gray_that_have_no_name_are_told(tmp_path):
    photo = read(tmp_path, tiff_maker.tiff(PHOTO, MINISBLACK))
    np.testing.assert_array_equal(photo.extra, PHOTO[..., 1:])
    assert [note[:30] for note in photo.notes] == [
        "Its channel 2 has no name; of ", "Its channel 3 has no name; of "
    ]  # fmt: skip


@pytest.mark.parametrize("name, options", [
    ("strips that lie outside", dict(tags={OFFSETS: (LONG, [10**6])})),
    ("strips that go on behind the end",
     dict(codec="deflate", tags={COUNTS: (LONG, [10**6])})),
    ("strips at 0", dict(tags={OFFSETS: (LONG, [0])})),
    ("no strips", dict(without=[OFFSETS])),
    ("no width", dict(without=[WIDTH])),
    ("a width in words", dict(tags={WIDTH: (ASCII, b"wide\0")})),
    ("more rows than there are", dict(tags={HEIGHT: (SHORT, [31])})),
    ("two samples of RGB", dict(tags={SAMPLES: (SHORT, [2]), BITS: (SHORT, [8, 8])})),
])  # fmt: skip
def test_what_is_missing_is_damage(tmp_path, name, options):
    (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(PHOTO, RGB, **options))
    for use in (files.read, files.header):
        with pytest.raises(PhotoError, match=r"a\.tif: (damaged|its header)"):
            use(tmp_path / "a.tif")


@pytest.mark.parametrize("codec", [1, 3, 4, 8])
def test_a_directory_is_not_taken_for_pixels(tmp_path, codec):
    """Where the one strip has no bytes, the directory lies in its place."""
    tags = {
        WIDTH: (SHORT, [9]), HEIGHT: (SHORT, [2]), BITS: (SHORT, [1]), CODEC: (SHORT, [codec]),
        COLORS: (SHORT, [0]), SAMPLES: (SHORT, [1]), ROWS: (SHORT, [2]),
    }  # fmt: skip
    with pytest.raises(PhotoError, match=r"a\.tif: damaged .*parts are missing"):
        read(tmp_path, tiff_maker.assemble([b""], tags))


@pytest.mark.parametrize("options, told", [
    (dict(tags={CODEC: (SHORT, [34661])}), r"packed with JBIG \(8 bits\)"),
    (dict(tags={CODEC: (SHORT, [32809])}), r"packed with THUNDERSCAN \(8 bits\)"),
    (dict(tags={CODEC: (SHORT, [65535])}), r"packed with 65535 \(8 bits\)"),
    (dict(codec="deflate", tags={317: (SHORT, [3])}), "whole numbers by predictor 3"),
    (dict(tags={BITS: (SHORT, [5, 6, 5])}), "channels of 5, 6, 5 bits"),
    (dict(tags={BITS: (SHORT, [12, 12, 12])}), "12-bit samples"),
    (dict(tags={339: (SHORT, [3, 3, 3])}), "8-bit samples of format IEEEFP"),
    (dict(tags={COLORS: (SHORT, [32803])}), r"a camera's raw mosaic \(CFA\).*develop it first"),
    (dict(tags={COLORS: (SHORT, [32845])}), "colours of kind LOGLUV; save it as RGB"),
])  # fmt: skip
def test_what_is_not_supported_is_not_damage(tmp_path, options, told):
    (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(PHOTO, RGB, **options))
    for use in (files.read, files.header, files.pages):
        with pytest.raises(PhotoError, match=told) as caught:
            use(tmp_path / "a.tif")
        assert "damaged" not in str(caught.value) and "scan" not in str(caught.value)
        assert "save it" in str(caught.value)


def test_inks_that_are_not_four(tmp_path):
    tags = {332: (SHORT, [2]), 334: (SHORT, [4])}
    with pytest.raises(PhotoError, match="4 channels of inks that are not CMYK; save it as RGB"):
        read(tmp_path, tiff_maker.tiff(INKS, SEPARATED, tags=tags))


@pytest.mark.parametrize("codec, name", [
    (50000, "ZSTD"), (34925, "LZMA"), (34712, "JPEG 2000"), (50002, "JPEG XL"),
    (34887, "LERC"), (33005, "APERIO_JP2000_RGB"), (22610, "JPEGXR_NDPI"),
])  # fmt: skip
def test_codecs_that_are_not_installed_are_told_by_name(tmp_path, monkeypatch, codec, name):
    monkeypatch.setattr(tiff_codecs, "_has_libtiff", lambda codec: False)
    monkeypatch.setattr(tiff_codecs, "_imagecodecs", lambda: None)
    (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(PHOTO, RGB, tags={CODEC: (SHORT, [codec])}))
    for use in (files.read, files.header):
        with pytest.raises(PhotoError) as caught:
            use(tmp_path / "a.tif")
        told = str(caught.value)
        assert f"packed with {name} (8 bits)" in told
        assert "pip install 'oldphoto-jax[codecs]', or save it without compression" in told
