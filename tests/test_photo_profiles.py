"""Inks and Lab become sRGB as other programs see them; gray and RGB stay as they are."""

import io
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from oldphoto_jax.photo import color, content, icc, profiles
from oldphoto_jax.photo.codecs import decode
from oldphoto_jax.photo.disk import files
from tests import inks

PRINT = np.array(
    [[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 255, 255, 0],
     [255, 255, 0, 0], [0, 0, 0, 255], [255, 255, 255, 255], [120, 60, 40, 10],
     [30, 90, 120, 60], [64, 64, 64, 0], [200, 180, 170, 128]], np.uint8,
)[None]  # fmt: skip
# PRINT by libvips 8.14 (LittleCMS 2.14): vips icc_transform a.tif b.png screen.icc --embedded
# --intent perceptual, with inks.profile(2), and with inks.profile(14) without and with (where the
# screen's profile is of version 4) black point compensation
DARK = [
    [255, 255, 255], [0, 164, 231], [229, 38, 133], [255, 247, 10], [227, 46, 44],
    [46, 55, 134], [21, 21, 21], [9, 9, 9], [145, 171, 195], [177, 161, 139],
    [203, 187, 188], [43, 62, 76],
]  # fmt: skip
PLAIN = [
    [255, 255, 255], [0, 164, 231], [229, 38, 133], [255, 247, 10], [227, 46, 44],
    [46, 55, 134], [47, 47, 47], [38, 38, 38], [148, 175, 198], [186, 170, 147],
    [205, 189, 190], [61, 81, 96],
]  # fmt: skip
SCALED = [
    [255, 255, 255], [0, 161, 231], [229, 0, 129], [255, 246, 0], [227, 22, 18],
    [23, 38, 130], [25, 25, 25], [0, 0, 0], [145, 173, 197], [184, 167, 144],
    [204, 188, 188], [47, 72, 88],
]  # fmt: skip


def lab(pixels):
    top = np.float32(np.iinfo(pixels.dtype).max)
    return color.rgb_to_lab(pixels.astype(np.float32) / top)


def difference(one, two):
    two = np.array(two, np.uint8).reshape(one.shape)
    return np.sqrt(((lab(one) - lab(two)) ** 2).sum(axis=-1)).mean()


def save_tiff(path, samples, profile=None, **options):
    options = dict(photometric="separated", metadata=None) | options
    tifffile.imwrite(path, samples, iccprofile=profile, **options)
    return files.read(path)


@pytest.mark.parametrize("way", ["plain", "planar", "alpha", "pillow"])
def test_inks_are_seen_as_another_reader_sees_them(tmp_path, way):
    path, profile = tmp_path / "a.tif", inks.profile(2)
    if way == "pillow":
        Image.fromarray(PRINT, "CMYK").save(path, compression="tiff_lzw", icc_profile=profile)
        photo = files.read(path)
    elif way == "planar":
        planes = np.moveaxis(PRINT, -1, 0)
        photo = save_tiff(path, planes, profile, planarconfig="separate")
    elif way == "alpha":
        samples = np.dstack([PRINT, np.full((1, 12), 9, np.uint8)])
        photo = save_tiff(
            path, samples, profile, extrasamples=["unassalpha"], planarconfig="contig"
        )
        assert (photo.alpha == 9).all()
    else:
        photo = save_tiff(path, PRINT, profile)
    assert np.abs(photo.pixels[0].astype(int) - DARK).max() <= 1
    assert photo.icc == icc.srgb() and not photo.faulty
    assert photo.notes == ("its colours are inks (CMYK): they became sRGB by its profile.",)


def test_black_lies_between_those_of_readers_that_scale_it_and_that_do_not(tmp_path):
    photo = save_tiff(tmp_path / "a.tif", PRINT, inks.profile(14))
    for other in (PLAIN, SCALED):
        assert difference(photo.pixels, other) < 5
    darkest = photo.pixels[0, 7]
    assert (darkest == darkest[0]).all() and SCALED[7][0] < darkest[0] < PLAIN[7][0]
    light = lab(darkest[None, None])[0, 0, 0]
    assert light == pytest.approx(116 * 7.787 * profiles.BLACK, abs=0.3)


def ycck(path, samples, profile):
    """A JPEG file of luma, chroma and black, as Photoshop writes them."""
    luma = Image.fromarray(samples[..., :3], "RGB").convert("YCbCr").split()
    channels = [one.point(lambda value: 255 - value) for one in luma]
    image = Image.merge("CMYK", [*channels, Image.fromarray(samples[..., 3])])
    image.save(path, quality=100, subsampling=0, icc_profile=profile)
    data = bytearray(path.read_bytes())
    marker = data.index(b"\xff\xee\0\x0eAdobe")
    assert data[marker + 15] == 0
    data[marker + 15] = 2
    path.write_bytes(data)


@pytest.mark.parametrize("way", ["cmyk", "ycck"])
def test_inks_of_jpeg_files(tmp_path, way):
    samples, path = np.repeat(np.repeat(PRINT, 8, axis=0), 8, axis=1), tmp_path / "a.jpg"
    if way == "ycck":
        ycck(path, samples, inks.profile(2))
    else:
        Image.fromarray(samples, "CMYK").save(path, quality=100, icc_profile=inks.profile(2))
    photo = files.read(path)
    assert np.abs(photo.pixels[4, 4::8].astype(int) - DARK).max() <= 4
    assert photo.icc == icc.srgb() and "by its profile" in photo.notes[0]


def test_deep_inks_go_through_another_library_or_are_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    with monkeypatch.context() as patch, pytest.raises(content.PhotoError) as caught:
        patch.setitem(sys.modules, "imagecodecs", None)
        save_tiff(path, PRINT.astype(np.uint16) * 257, inks.profile(14))
    assert "inks (CMYK) of 16 bits" in str(caught.value) and "[codecs]" in str(caught.value)
    pytest.importorskip("imagecodecs")
    photo = files.read(path)
    shallow = save_tiff(path, PRINT, inks.profile(14))
    assert photo.pixels.dtype == np.uint16 and photo.icc == icc.srgb()
    assert np.abs(photo.pixels / 257 - shallow.pixels).max() <= 1


@pytest.mark.parametrize(
    "profile, why",
    [
        (None, "without a profile"),
        (inks.profile(14)[:300], "its profile is damaged"),
        (b"not a profile", "its profile is damaged"),
        (icc.srgb(), "its profile is for RGB"),
    ],
)
def test_without_a_profile_of_use_a_simple_formula_is_taken_and_said(tmp_path, profile, why):
    photo = save_tiff(tmp_path / "a.tif", PRINT, profile)
    light = (255 - PRINT[..., :3].astype(int)) * (255 - PRINT[..., 3:].astype(int)) / 255
    np.testing.assert_allclose(photo.pixels, light, atol=0.51)
    assert why in photo.notes[0] and "simple formula" in photo.notes[0]
    assert photo.icc is None and not photo.faulty


def encoded(lab, kind, dtype):
    """Lab as TIFF files have it, by TIFF 6.0, its technical notes and ITU-T T.42."""
    light, a, b = np.moveaxis(lab, -1, 0)
    if dtype == np.uint8:
        signed = [np.int8(np.rint(one)).view(np.uint8) for one in (a, b)]
        rows = {
            "cielab": [light * 2.55, *signed],
            "icclab": [light * 2.55, a + 128, b + 128],
            "itulab": [light * 2.55, a * 255 / 170 + 128, b * 255 / 200 + 96],
        }
    else:
        signed = [np.int16(np.rint(256 * one)).view(np.uint16) for one in (a, b)]
        rows = {
            "cielab": [light * 655.35, *signed],
            "icclab": [light * 652.8, 256 * (a + 128), 256 * (b + 128)],
            "itulab": [light * 655.35, a * 65535 / 170 + 32768, b * 65535 / 200 + 24576],
        }
    return np.rint(np.stack(rows[kind], axis=-1)).astype(dtype)


@pytest.mark.parametrize("dtype, most", [(np.uint8, 1.2), (np.uint16, 0.02)])
@pytest.mark.parametrize("kind", ["cielab", "icclab", "itulab"])
def test_lab_of_tiff_files(tmp_path, kind, dtype, most):
    """Colours of sRGB with their Lab of D50 by LittleCMS 2.19 (Pillow 13, in floats)."""
    colors = np.array([[255, 255, 255], [0, 0, 0], [119, 119, 119], [200, 120, 90], [60, 90, 140]])
    values = np.array(
        [
            [100, 0, 0],
            [0, 0, 0],
            [50.0349, 0, 0],
            [58.9146, 29.9223, 30.4235],
            [37.7072, 0.7239, -31.6496],
        ]
    )
    photo = save_tiff(tmp_path / "a.tif", encoded(values[None], kind, dtype), photometric=kind)
    found, expected = lab(photo.pixels), lab(np.uint8(colors)[None])
    assert np.sqrt(((found - expected) ** 2).sum(axis=-1)).max() < most
    assert photo.pixels.dtype == dtype and photo.icc == icc.srgb() and "Lab" in photo.notes[0]


def test_lab_that_pillow_unpacks(tmp_path):
    colors = np.random.default_rng(0).integers(40, 210, (8, 8, 3), np.uint8)
    there = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    there.apply(Image.fromarray(colors)).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert difference(files.read(tmp_path / "a.tif").pixels, colors) < 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_gray_and_rgb_keep_pixels_and_profile(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 3)[: 2 + (mode == "RGB")], np.uint8)
    profile = icc.srgb()[:16] + (b"GRAY" if mode == "L" else b"RGB ") + icc.srgb()[20:]
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    photo = files.read(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.pixels.squeeze(), pixels)
    assert photo.icc == profile and photo.notes == ()


def test_inks_are_turned_by_bands(tmp_path, monkeypatch):
    Image.new("CMYK", (300, 200), (10, 20, 30, 40)).save(tmp_path / "a.jpg")
    seen = []
    conversion = profiles.Conversion(
        lambda band: seen.append(band.shape) or band[..., :3], None, ""
    )
    monkeypatch.setattr(profiles, "of_pillow", lambda *_: conversion)
    monkeypatch.setattr(decode.samples, "BAND", 3000)
    files.read(tmp_path / "a.jpg")
    assert seen == [(10, 300, 4)] * 20


def test_srgb_is_srgb_to_another_library():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    own, other = ImageCms.getOpenProfile(io.BytesIO(icc.srgb())), ImageCms.createProfile("sRGB")
    assert ImageCms.getProfileName(own).strip() == "sRGB"
    for one, two in ((own, other), (other, own)):
        turned = ImageCms.buildTransform(one, two, "RGB", "RGB").apply(Image.fromarray(pixels))
        assert np.abs(np.asarray(turned).astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_a_profile_that_does_not_fit_is_told(tmp_path, suffix):
    """That of other channels, and that which is none."""
    path = tmp_path / f"a.{suffix}"
    gray = icc.srgb()[:16] + b"GRAY" + icc.srgb()[20:]
    for profile, told in ((gray, "for GRAY"), (b"nonsense" * 30, "damaged"), (icc.srgb(), None)):
        Image.new("RGB", (9, 7)).save(path, icc_profile=profile)
        photo = files.read(path)
        assert (photo.icc is None) == bool(told)
        assert photo.left_behind == ((f"the colour profile, which is {told}",) if told else ())
