"""HEIC by its extra: what phones write is read, and what is written is read again."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from oldphoto_jax.photo import content, exif
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile
from tests.test_photo_encode import ICC, XMP, block, check_pixels, draw, draw_all

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def store(path, samples, bits=8, **options):
    """By the library itself, without loss."""
    mode = MODES[samples.shape[-1]] + (f";{bits}" if bits > 8 else "")
    settings = dict(quality=-1, chroma=444, matrix_coefficients=0, bit_depth=bits)
    size = samples.shape[1::-1]
    with path.open("wb") as file:
        pillow_heif.encode(mode, size, samples.tobytes(), file, **settings, **options)


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_every_depth_and_mode_at_full_scale(tmp_path, bits, channels):
    top, rng = (1 << bits) - 1, np.random.default_rng(channels)
    dtype = np.uint8 if bits == 8 else np.uint16
    samples = rng.integers(0, top + 1, (9, 7, channels)).astype(dtype)
    samples[0, :2] = [[0], [top]]
    store(tmp_path / "a.heic", samples, bits)
    full = 255 if bits == 8 else 65535
    expected = np.round(samples.astype(np.float64) * full / top).astype(dtype)
    photo = files.read(tmp_path / "a.heic")
    assert photo.format == "HEIF" and photo.pixels.dtype == dtype and photo.pixels.max() == full
    np.testing.assert_array_equal(photo.pixels, expected[..., : 1 if channels < 3 else 3])
    assert (photo.alpha is None) == (channels in (1, 3))
    if photo.alpha is not None:
        np.testing.assert_array_equal(photo.alpha, expected[..., -1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_once_and_by_the_decoder(tmp_path, orientation):
    """The library writes EXIF's orientation as a property of HEIF, as phones do."""
    samples = draw(3).pixels
    turned = exif.PREFIX + block(orientation, (300, 150))
    store(tmp_path / "a.heic", samples, exif=turned)
    photo, found = files.read(tmp_path / "a.heic"), files.header(tmp_path / "a.heic")
    upright = {1: samples, 2: samples[:, ::-1], 3: samples[::-1, ::-1], 4: samples[::-1],
               5: samples.swapaxes(0, 1), 6: np.rot90(samples, -1),
               7: np.rot90(samples.swapaxes(0, 1), 2), 8: np.rot90(samples, 1)}  # fmt: skip
    np.testing.assert_array_equal(photo.pixels, upright[orientation])
    assert (found.height, found.width) == photo.pixels.shape[:2]
    assert content.orientation(photo.exif, None) == 1
    assert photo.resolution == ((300, 150) if orientation < 5 else (150, 300))
    tags = Image.Exif()
    tags.load(exif.PREFIX + photo.exif)
    assert tags.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 30.0, 59.5)


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("suffix", [".heic", ".HEIF"])
def test_quality_100_keeps_8_bits_and_all_beside_them(tmp_path, channels, suffix):
    photo, path = draw_all(channels), tmp_path / f"a{suffix}"
    files.write(path, photo, quality=100)
    back = files.read(path)
    check_pixels(back, photo)
    assert (back.icc, back.exif, back.xmp) == (photo.icc, photo.exif, XMP)
    assert back.resolution == (300, 150)


@pytest.mark.parametrize("channels", MODES)
def test_16_bits_become_12(tmp_path, channels):
    photo = draw(channels, "uint16")
    files.write(tmp_path / "a.heic", photo, quality=100)
    back = files.read(tmp_path / "a.heic")
    assert back.pixels.dtype == np.uint16
    assert np.abs(back.pixels.astype(int) - photo.pixels).max() <= 8  # half of 65535 / 4095


def test_a_lower_quality_is_smaller_and_near(tmp_path):
    ramp = np.add.outer(np.arange(64) * 2, np.arange(64)).astype(np.uint8)
    photo = PhotoFile(np.stack([ramp, ramp // 2, 255 - ramp], axis=-1))
    sizes = []
    for quality in (100, 90, 10):
        files.write(tmp_path / "a.heic", photo, quality=quality)
        sizes.append((tmp_path / "a.heic").stat().st_size)
        back = files.read(tmp_path / "a.heic").pixels
        assert np.abs(back.astype(int) - photo.pixels).mean() < 4
    assert sizes[0] > sizes[1] > sizes[2]


def test_refusals(tmp_path):
    path = tmp_path / "a.heic"
    with pytest.raises(PhotoError, match=r"a\.heic: HEIC does not keep.*name it \.png"):
        files.write(path, draw(3))
    files.write(path, draw(3, icc=ICC[3]), quality=90)
    with pytest.raises(PhotoError, match="7 x 5 pixels, more than max_pixels=34"):
        files.read(path, max_pixels=34)
    whole = path.read_bytes()
    for end in (20, 100, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:end])
        with pytest.raises(PhotoError, match="damaged or cut off"):
            files.read(path)
    huge = bytearray(whole)
    at = huge.index(b"ispe") + 8
    huge[at : at + 8] = b"\x7f\xff\xff\xff" * 2
    path.write_bytes(huge)
    with pytest.raises(PhotoError, match=r"a\.heic"):
        files.read(path)


def test_other_programs_read_it(tmp_path):
    files.write(tmp_path / "a.heic", draw_all(3), quality=100)
    stream = io.BytesIO((tmp_path / "a.heic").read_bytes())
    image = pillow_heif.open_heif(stream).to_pillow()
    np.testing.assert_array_equal(np.array(image), draw_all(3).pixels)
    assert image.info["icc_profile"] == ICC[3] and image.info["xmp"] == XMP
