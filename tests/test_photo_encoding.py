"""Photos are seen as their file means them to look, and written in their own numbers."""

import dataclasses
import struct

import numpy as np
import pytest
import tifffile

from oldphoto_jax.photo import color, encoding, icc, tone
from oldphoto_jax.photo.codecs import encode
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files

DEPTHS = [np.uint8, np.uint16]
SRGB_CHUNK = (b"sRGB", b"\0")


def gama(number):
    return b"gAMA", number.to_bytes(4, "big")


def cicp(transfer, full=1):
    return b"cICP", bytes([9, transfer, 0, full])


def curve(*numbers, kind="curv"):
    """A tag of a curve: one exponent or a table of light, or a function's type and parameters."""
    if kind == "para":
        values = (round(65536 * n) for n in numbers[1:])
        return struct.pack(f">4sIHH{len(numbers) - 1}i", b"para", 0, numbers[0], 0, *values)
    scale = 256 if len(numbers) == 1 else 65535
    values = (round(scale * n) for n in numbers)
    return struct.pack(f">4sII{len(numbers)}H", b"curv", 0, len(numbers), *values)


def profile(*curves, space=b"RGB "):
    return icc.make("", space, *curves)


LINEAR, LINEAR_GRAY = icc.linear(3), icc.linear(1)
ENCODED = {  # photo's fields; light of codes 0..1
    "gAMA linear": (dict(encoding=(gama(100000),)), lambda code: code),
    "gAMA 1.8": (dict(encoding=(gama(55556),)), lambda code: code**1.8),
    "cICP linear": (dict(encoding=(cicp(8),)), lambda code: code),
    "cICP 2.8": (dict(encoding=(cicp(5),)), lambda code: code**2.8),
    "cICP wins": (dict(encoding=(cicp(8), gama(45455), SRGB_CHUNK), icc=icc.srgb()), lambda c: c),
    "linear profile": (dict(icc=LINEAR), lambda code: code),
    "a profile wins": (dict(icc=LINEAR, encoding=(SRGB_CHUNK, gama(45455))), lambda code: code),
    "profile 1.75": (dict(icc=profile(curve(1.75))), lambda code: code**1.75),
    "table": (
        dict(icc=profile(curve(0, 0.2, 1))),
        lambda c: np.interp(c, [0, 0.5, 1], [0, 0.2, 1]),
    ),
    "function": (dict(icc=profile(curve(0, 1.5, kind="para"))), lambda code: code**1.5),
}
ORDINARY = {
    "nothing": {},
    "sRGB": dict(encoding=(SRGB_CHUNK, gama(45455))),
    "sRGB wins": dict(encoding=(SRGB_CHUNK, gama(100000))),
    "gAMA 2.2": dict(encoding=(gama(45455),)),
    "cICP of sRGB wins": dict(encoding=(cicp(13), gama(100000)), icc=LINEAR),
    "cICP of video": dict(encoding=(cicp(1), gama(100000))),
    "profile of sRGB": dict(icc=icc.srgb()),
    "Adobe RGB": dict(icc=profile(curve(563 / 256))),
    "eciRGB": dict(icc=profile(curve(*(((n / 1023 + 0.16) / 1.16) ** 3 for n in range(1024))))),
    "gAMA of 0": dict(encoding=(gama(0),)),
    "gAMA without sense": dict(encoding=(gama(1000),)),
    "gAMA cut off": dict(encoding=((b"gAMA", b"\1"),)),
    "unknown cICP": dict(encoding=(cicp(2),)),
    "damaged profile": dict(icc=LINEAR[:150]),
    "profile of a negative": dict(icc=profile(curve(1, 0))),
    "profile of tables": dict(icc=icc.pack(b"RGB ", {b"A2B0": b"mft2" + bytes(60)})),
}


def every_code(dtype, channels=3):
    codes = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 16, 1)
    return np.concatenate([np.roll(codes, 7 * n) for n in range(channels)], axis=-1)


def srgb(light):
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("fields, light", ENCODED.values(), ids=ENCODED)
def test_a_photo_is_seen_as_it_is_meant_to_look(fields, light, dtype):
    pixels = every_code(dtype)[:: 1 if dtype == np.uint8 else 11]
    seen = encoding.view(PhotoFile(pixels, **fields))
    expected = srgb(light(pixels / np.iinfo(dtype).max))
    assert seen.dtype == np.uint16
    np.testing.assert_allclose(seen / 65535, expected, atol=2e-5)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("fields", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_photos_are_seen_as_they_are(fields, dtype):
    photo = PhotoFile(every_code(np.uint8).astype(dtype), **fields)
    seen = encoding.view(photo)
    assert seen is photo.pixels and encoding.shown(photo, seen) is photo
    rows = np.zeros_like(seen)
    assert encoding.returned(photo, seen, rows) == (photo, rows)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("transfer", [1, 4, 5, 8, 16, 17, 18])
def test_what_has_not_changed_comes_back_bit_for_bit(transfer, dtype):
    photo = PhotoFile(every_code(dtype), encoding=(cicp(transfer),))
    seen = encoding.view(photo)
    same, rows = encoding.returned(photo, seen, seen.copy())
    assert same is photo and rows.dtype == dtype and rows.shape == photo.pixels.shape
    np.testing.assert_array_equal(rows[:], photo.pixels)
    assert encoding.returned(photo, seen, seen)[1] is photo.pixels


@pytest.mark.parametrize("fields, light", ENCODED.values(), ids=ENCODED)
def test_there_and_back_is_exact_for_every_code_of_8_bits(fields, light):
    photo = PhotoFile(every_code(np.uint8), **fields)
    made = encoding.curve_of(photo)
    seen = encoding.view(photo)
    alone = seen > made.seen.min()  # of an exponent of 2.8 the two darkest codes look alike
    back = encoding.Returned(made.codes, seen)[:]
    np.testing.assert_array_equal(back[alone], photo.pixels[alone])
    assert (photo.pixels[~alone] <= 1).all() and (back[~alone] <= 1).all()


@pytest.mark.parametrize("fields, light", ENCODED.values(), ids=ENCODED)
def test_what_is_made_is_written_by_the_nearest_code_of_16_bits(fields, light):
    photo = PhotoFile(every_code(np.uint16), **fields)
    made = encoding.curve_of(photo)
    wanted = every_code(np.uint16)
    found = encoding.Returned(made.codes, wanted)[:]
    looks = encoding.view(dataclasses.replace(photo, pixels=found)).astype(int)
    for lower, upper in ((-1, 0), (0, 1)):
        near = np.clip(found.astype(int) + lower + upper, 0, 65535).astype(np.uint16)
        other = encoding.view(dataclasses.replace(photo, pixels=near)).astype(int)
        assert (np.abs(looks - wanted) <= np.abs(other - wanted) + 1).all()


def test_the_light_of_high_dynamic_range():
    """White paper is 58 % of PQ and 75 % of HLG; at 38 % of both there are 26 cd/m2 (BT.2408)."""
    for transfer, white in ((16, 0.5806), (18, 0.7499)):
        codes = np.rint(65535 * np.array([[[white], [0.38]]])).astype(np.uint16)
        seen = encoding.view(PhotoFile(codes, encoding=(cicp(transfer),)))[0, :, 0] / 65535
        assert seen[0] == pytest.approx(1, abs=0.005)
        assert seen[1] == pytest.approx(srgb(np.array(26 / 203)), abs=0.005)


def test_narrow_range_of_video():
    codes = np.array([[[16], [235], [0], [255]]], np.uint8)
    seen = encoding.view(PhotoFile(codes, encoding=(cicp(8, full=0),)))
    assert seen.ravel().tolist() == [0, 65535, 0, 65535]


def test_channels_with_curves_of_their_own():
    photo = PhotoFile(every_code(np.uint8), icc=profile(curve(1), curve(1.75), curve(1.5)))
    seen = encoding.view(photo) / 65535
    for n, exponent in enumerate((1, 1.75, 1.5)):
        expected = srgb((photo.pixels[..., n] / 255) ** exponent)
        np.testing.assert_allclose(seen[..., n], expected, atol=2e-5)


def test_a_gray_profile_whose_curve_is_of_lightness():
    made = bytearray(profile(curve(1), space=b"GRAY"))
    made[20:24] = b"Lab "
    photo = PhotoFile(every_code(np.uint8, 1), icc=bytes(made))
    light = icc.light(photo.icc, 256)[0]
    lab = color.rgb_to_lab(np.repeat(srgb(light)[:, None], 3, axis=1))[:, 0]
    np.testing.assert_allclose(lab, np.linspace(0, 100, 256), atol=0.05)


@pytest.mark.parametrize("dtype", DEPTHS)
def test_rows_in_colour_keep_the_encoding_but_for_a_gray_profile(dtype):
    seen_rows = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), np.uint16)
    top = np.iinfo(dtype).max
    gray = every_code(np.uint8, 1).astype(dtype)
    photo = PhotoFile(gray, encoding=(gama(100000),))
    same, rows = encoding.returned(photo, encoding.view(photo), seen_rows)
    assert same is photo
    np.testing.assert_allclose(srgb(rows[:] / top), seen_rows / 65535, atol=7 / top)
    photo = PhotoFile(gray, icc=LINEAR_GRAY, encoding=(gama(100000),))
    bare, rows = encoding.returned(photo, encoding.view(photo), seen_rows)
    assert bare.encoding == () and rows.dtype == dtype
    np.testing.assert_allclose(rows[:] / top, seen_rows / 65535, atol=0.51 / top)


def test_what_is_shown_says_nothing_of_its_old_encoding():
    photo = PhotoFile(every_code(np.uint8), icc=LINEAR, encoding=(gama(100000),))
    shown = encoding.shown(photo, encoding.view(photo))
    assert shown.icc is None and shown.encoding == () and encoding.curve_of(shown) is None


def test_the_files_themselves(tmp_path):
    """gAMA in a PNG file and a linear profile in a TIFF file, written, read and seen alike."""
    pixels = every_code(np.uint16)[:64]
    files.write(tmp_path / "a.png", PhotoFile(pixels, encoding=(gama(100000),)))
    files.write(tmp_path / "a.tif", PhotoFile(pixels, icc=LINEAR))
    views = [encoding.view(files.read(tmp_path / name)) for name in ("a.png", "a.tif")]
    np.testing.assert_array_equal(*views)
    assert views[0].dtype == np.uint16 and views[0].mean() > pixels.mean()


def test_tone_is_judged_by_the_view():
    """Linear numbers of a toned photo have more chroma, and darker cells, than it looks like."""
    ramp = np.linspace(0.2, 0.9, 4096).reshape(64, 64, 1)
    toned = np.uint8(np.rint(255 * (ramp + [0.02, 0, -0.03])))
    light = encoding._from_srgb(toned / 255)
    linear = PhotoFile(np.uint16(np.rint(65535 * light)), icc=LINEAR)
    expected, found = tone.measure(toned), tone.measure(encoding.view(linear))
    assert found.kind == expected.kind
    assert found.chroma == pytest.approx(expected.chroma, abs=0.05)
    assert tone.measure(linear.pixels).chroma != pytest.approx(expected.chroma, abs=0.5)


def test_the_light_of_a_scanners_raw_file_is_linear(tmp_path):
    pixels = every_code(np.uint16)[:64]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", metadata=None)
    rgb, raw = (struct.pack("<HHIH", 262, 3, 1, number) for number in (2, 34892))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes().replace(rgb, raw, 1))
    photo = files.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.icc == icc.linear(3) and "linear" in photo.notes[0]
    np.testing.assert_array_equal(
        encoding.view(photo), encoding.view(PhotoFile(pixels, icc=LINEAR))
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_formats_without_gamma_get_a_profile_that_says_it(tmp_path, channels):
    pixels = every_code(np.uint16, channels)[:64]
    photo = PhotoFile(pixels, encoding=(gama(62500),))
    assert encode.left_out(".tif", photo) == []
    files.write(tmp_path / "a.tif", photo)
    again = files.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(again.pixels, pixels)
    views = [encoding.view(one).astype(int) for one in (again, photo)]
    assert np.abs(np.subtract(*views)).max() <= 1
    files.write(tmp_path / "a.png", photo)
    assert files.read(tmp_path / "a.png").icc is None


@pytest.mark.parametrize("more", [(SRGB_CHUNK,), (cicp(8),), ((b"cHRM", bytes(32)),)])
def test_a_profile_is_made_of_gamma_alone(more):
    pixels = every_code(np.uint8)
    assert encoding.gamma_profile(PhotoFile(pixels, encoding=(gama(100000), *more))) is None
    assert encoding.gamma_profile(PhotoFile(pixels, encoding=(gama(45455),))) is None
    chroma = (b"cHRM", encoding.SRGB)
    made = encoding.gamma_profile(PhotoFile(pixels, encoding=(gama(100000), chroma)))
    assert icc.light(made, 256) == pytest.approx(np.tile(np.linspace(0, 1, 256), (3, 1)))
