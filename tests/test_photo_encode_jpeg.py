"""JPEG on demand: full colour, and all that lies beside the pixels."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import encode_jpeg
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile
from tests.test_photo_encode import ICC, SCANNED, TAKEN, XMP, block, dates, draw, draw_all, source

RAMP = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
SMOOTH = {1: RAMP[..., None], 3: np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)}


def beside(photo):
    return photo.icc, photo.exif, photo.xmp, photo.resolution, photo.format


@pytest.mark.parametrize("orientation", range(1, 9))
def test_there_and_back_changes_nothing_beside_the_pixels(tmp_path, orientation):
    (tmp_path / "a.jpg").write_bytes(source(".jpg", orientation)[0])
    photo = files.read(tmp_path / "a.jpg")
    files.write(tmp_path / "b.JPEG", photo, quality=98)
    back = files.read(tmp_path / "b.JPEG")
    assert beside(back) == beside(photo) and None not in beside(photo)
    assert np.abs(back.pixels.astype(int) - photo.pixels).max() <= 6


@pytest.mark.parametrize("resolution, unit, density", [
    ((300.0, 150.0), 1, (300, 150)), ((299.72, 254 * 2.54), 2, (118, 254)),
    ((11811 * exif.INCH, 11811 * exif.INCH), 1, (300, 300)),  # as PNG says 300
    ((72.5, 72.5), 0, (1, 1)), ((0.5, 300), 0, (1, 1)), (None, 0, (1, 1)),
])  # fmt: skip
def test_the_resolution_is_jfif_s_or_else_exif_s(tmp_path, resolution, unit, density):
    photo = PhotoFile(SMOOTH[3], resolution=resolution, exif=block())
    files.write(tmp_path / "a.jpg", photo, quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        assert (image.info["jfif_unit"], image.info["jfif_density"]) == (unit, density)
        assert dates(image.getexif()) == (SCANNED, TAKEN)
    back = files.read(tmp_path / "a.jpg")
    assert back.resolution == (resolution and pytest.approx(resolution, abs=0.01))
    files.write(tmp_path / "b.jpg", back, quality=90)
    assert beside(files.read(tmp_path / "b.jpg")) == beside(back)


@pytest.mark.parametrize("channels", SMOOTH)
def test_other_programs_see_full_colour_or_one_channel(tmp_path, channels):
    photo = dataclasses.replace(draw_all(channels), pixels=SMOOTH[channels])
    files.write(tmp_path / "a.jpe", photo, quality=95)
    with Image.open(tmp_path / "a.jpe") as image:
        assert image.mode == {1: "L", 3: "RGB"}[channels]
        if channels == 3:
            assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
        assert image.info["icc_profile"] == ICC[channels] and image.info["xmp"] == XMP
        assert image.info["dpi"] == (300, 150)
        assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 30.0, 59.5)
        assert np.abs(np.array(image).astype(int) - SMOOTH[channels].squeeze()).max() <= 4
    seen = cv2.imread(str(tmp_path / "a.jpe"), cv2.IMREAD_UNCHANGED)
    assert seen.ndim == (2 if channels == 1 else 3)


def test_a_grainy_photo_at_the_highest_quality(tmp_path):
    """Of each quality, smaller than without its own tables; Pillow's writer stops here."""
    photo = draw(3, height=200, width=300)
    for quality in (50, 94, 100):
        files.write(tmp_path / "a.jpg", photo, quality=quality)
        Image.fromarray(photo.pixels).save(tmp_path / "b.jpg", quality=quality, subsampling=0)
        assert (tmp_path / "a.jpg").stat().st_size < (tmp_path / "b.jpg").stat().st_size
        other = np.array(Image.open(tmp_path / "b.jpg"))
        assert np.abs(files.read(tmp_path / "a.jpg").pixels.astype(int) - other).max() <= 1


def test_a_large_profile_goes_into_many_segments(tmp_path):
    profile = ICC[3] + np.random.default_rng(0).bytes(200_000)
    files.write(tmp_path / "a.jpg", PhotoFile(SMOOTH[3], icc=profile), quality=90)
    assert files.read(tmp_path / "a.jpg").icc == profile
    real = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files.write(tmp_path / "a.jpg", PhotoFile(SMOOTH[3], icc=real), quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == real


LONG = exif.pack_block({0x010E: exif.Value(2, bytes(65520))}, "<")


@pytest.mark.parametrize("photo, quality, match", [
    (draw(3), None, r"JPEG does not keep.*name it \.png"),
    (draw(3), 0, "quality 0: give a number from 1 to 100"),
    (draw(3), 101, "quality 101"),
    (draw(3, "uint16"), 90, r"JPEG holds 8 bits only; name it \.png or \.tif"),
    (draw(4), 90, r"JPEG holds no alpha; name it \.png, \.tif or \.webp"),
    (draw(1, height=1, width=65501), 90, "JPEG ends at 65500"),
    (draw(3, xmp=bytes(65505)), 90, r"its XMP packet has 65505 bytes, JPEG holds 65504; name it"),
    (draw(3, exif=LONG), 90, "its EXIF block has 65546 bytes, JPEG holds 65527"),
    (draw(3, icc=ICC[3] + bytes(255 * 65519)), 90, "its ICC profile has .* JPEG holds 16707345"),
])  # fmt: skip
def test_refusals_say_which_suffix_to_use(tmp_path, photo, quality, match):
    with pytest.raises(PhotoError, match=match):
        files.write(tmp_path / "a.jpg", photo, quality=quality)
    assert list(tmp_path.iterdir()) == []


def test_as_much_as_segments_hold(tmp_path):
    photo = PhotoFile(SMOOTH[3], xmp=b"x" * (encode_jpeg.SEGMENT - len(encode_jpeg.XMP)))
    photo.exif = exif.pack_block({0x010E: exif.Value(2, bytes(65500))}, "<")
    assert len(photo.exif) == 65526
    files.write(tmp_path / "a.jpg", photo, quality=90)
    back = files.read(tmp_path / "a.jpg")
    assert (back.xmp, back.exif) == (photo.xmp, photo.exif)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
def test_a_quality_costs_other_formats_nothing(tmp_path, suffix):
    files.write(tmp_path / f"a{suffix}", draw(3), quality=1)
    np.testing.assert_array_equal(files.read(tmp_path / f"a{suffix}").pixels, draw(3).pixels)
