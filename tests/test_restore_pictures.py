import io
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageCms

from oldphoto_jax.photo.codecs import upright
from oldphoto_jax.restore import pictures

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_arrays_come_back_as_they_came(shape, dtype):
    given = noise(*shape, dtype=dtype)
    came = pictures.open_picture(given)
    assert came.pixels.shape == (*shape[:2], 3 if shape[2:] in ((3,), (4,)) else 1)
    assert (came.alpha is None) == (shape[2:] not in ((2,), (4,)))
    back = pictures.close_picture(came, came.pixels)
    assert isinstance(back, np.ndarray) and back.dtype == dtype and np.array_equal(back, given)
    colored = pictures.close_picture(came, noise(*shape[:2], 3, dtype=dtype))
    assert colored.shape == (*shape[:2], 3 if came.alpha is None else 4)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_images_come_back_as_they_came(mode):
    channels = {"L": (), "I;16": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}[mode]
    given = Image.fromarray(noise(5, 7, *channels, dtype=np.uint16 if mode == "I;16" else np.uint8))
    assert given.mode == mode
    came = pictures.open_picture(given)
    back = pictures.close_picture(came, came.pixels)
    assert back.mode == mode and np.array_equal(np.asarray(back), np.asarray(given))


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB"), ("PA", "RGBA")],
)
def test_other_pil_images_become_plain_ones(mode, becomes):
    colors = Image.fromarray(noise(5, 7, 3))
    given = colors.convert("P").convert("PA") if mode == "PA" else colors.convert(mode)
    came = pictures.open_picture(given)
    back = pictures.close_picture(came, came.pixels)
    assert back.mode == becomes
    assert np.array_equal(np.asarray(back), np.asarray(given.convert(becomes)))


def test_transparent_palettes_keep_their_alpha():
    given = Image.fromarray(noise(5, 7) % 4).convert("P")
    given.info["transparency"] = 0
    came = pictures.open_picture(given)
    assert came.alpha is not None and np.array_equal(came.alpha == 0, np.asarray(given) == 0)


def test_deep_pictures_in_colour_are_arrays_since_pil_has_none():
    came = pictures.open_picture(Image.fromarray(noise(5, 7, dtype=np.uint16)))
    colored = pictures.close_picture(came, noise(5, 7, 3, dtype=np.uint16))
    assert isinstance(colored, np.ndarray) and colored.shape == (5, 7, 3)


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (np.zeros((5, 7), np.float32), "uint8 or uint16 at full scale, got float32"),
        (np.zeros((5, 7), bool), "got bool"),
        (np.zeros((5, 7, 3), np.int64), "got int64"),
        (np.zeros((5, 7, 5), np.uint8), r"\[H,W\] or \[H,W,1..4\] and not empty, got \(5, 7, 5\)"),
        (np.zeros((0, 7, 3), np.uint8), r"not empty, got \(0, 7, 3\)"),
        (np.zeros(7, np.uint8), r"got \(7,"),
        (Image.new("I", (7, 5)), "mode I has values of no known scale"),
        (Image.new("F", (7, 5)), "mode F"),
    ],
)
def test_what_is_no_photo_is_refused(photo, words):
    with pytest.raises(ValueError, match=words):
        pictures.open_picture(photo)


@pytest.mark.parametrize("path", ["a.jpg", pathlib.Path("a.jpg")])
def test_paths_are_to_be_opened_first(path):
    assert not pictures.several(path)
    for opener in (pictures.open_picture, pictures.open_mask):
        with pytest.raises(ValueError, match=r"^a\.jpg: is a path, .* PIL.Image.open.*`oldphoto"):
            opener(path)


def opened(form, array, **beside):
    """An image as PIL opens it from a file of this format."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **beside)
    return Image.open(file)


def tags(orientation):
    block = Image.Exif()
    block[0x0112], block[0x010E] = orientation, "Grandmother"
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_pil_photos_are_turned_upright_once(form, orientation):
    expected = noise(5, 7, 3)
    swap, rows, columns = upright.TURNS[orientation]
    stored = expected[:: -1 if rows else 1, :: -1 if columns else 1]
    stored = np.ascontiguousarray(stored.swapaxes(0, 1) if swap else stored)
    for given in (opened(form, stored, exif=tags(orientation)) for _ in range(2)):
        came = pictures.open_picture(given)
        back = pictures.close_picture(came, came.pixels)
        assert np.array_equal(came.pixels, expected) and back.size == (7, 5)
        assert np.array_equal(pictures.open_picture(back).pixels, expected)
    mask = opened(form, stored[..., 0], exif=tags(orientation))
    assert np.array_equal(pictures.open_mask(mask), expected[..., 0] != 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_lies_beside_pil_photos_comes_back_for_upright_pixels(form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    beside = dict(exif=tags(6), icc_profile=profile, dpi=(300, 200), quality=90)
    came = pictures.open_picture(opened(form, noise(5, 7, 3), **beside))
    back = pictures.close_picture(came, came.pixels)
    assert back.info["icc_profile"] == profile and back.getexif()[0x010E] == "Grandmother"
    assert back.getexif().get(0x0112) == 1
    if form != "WEBP":  # PIL writes none there
        assert np.allclose(back.info["dpi"], (200, 300), atol=0.1)
    file = io.BytesIO()
    back.save(file, "JPEG", **back.info)
    again = Image.open(file)
    assert again.size == (5, 7) and again.info["icc_profile"] == profile
    assert again.getexif()[0x010E] == "Grandmother" and again.getexif()[0x0112] == 1


def test_profiles_stay_with_their_channels():
    gray = bytes(16) + b"GRAY" + bytes(108)
    came = pictures.open_picture(opened("PNG", noise(5, 7), icc_profile=gray, dpi=(96, 96)))
    assert pictures.close_picture(came, came.pixels).info["icc_profile"] == gray
    colored = pictures.close_picture(came, noise(5, 7, 3))
    assert colored.info.keys() == {"dpi"}
    assert pictures.close_picture(came, came.pixels).info.keys() == {"dpi", "icc_profile"}
    inks = opened("TIFF", noise(5, 7, 4)).convert("CMYK")
    inks.info["icc_profile"] = bytes(16) + b"CMYK" + bytes(108)
    came = pictures.open_picture(inks)
    assert "icc_profile" not in pictures.close_picture(came, came.pixels).info


@pytest.mark.parametrize("block", [b"Exif\0\0dear diary", b"Exif\0\0II*\0", b"x"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_says_nothing_and_is_left_out(block):
    given = Image.fromarray(noise(5, 7, 3))
    given.info["exif"] = block
    came = pictures.open_picture(given)
    assert np.array_equal(came.pixels, np.asarray(given))
    assert not pictures.close_picture(came, came.pixels).info


def test_one_is_told_from_several():
    for one in (noise(5, 7), noise(5, 7, 3), Image.new("L", (7, 5)), jnp.zeros((5, 7, 3))):
        assert not pictures.several(one)
    for many in ([], [noise(5, 7)], (noise(5, 7),), noise(2, 5, 7, 3), jnp.zeros((2, 5, 7, 3))):
        assert pictures.several(many)


def test_masks_are_what_is_not_black():
    spots = RNG.random((5, 7)) > 0.5
    palette = Image.fromarray(spots.astype(np.uint8)).convert("P")
    palette.putpalette([255, 255, 255, 0, 0, 0])  # number 0 is white
    for mask in (
        spots,
        spots[..., None] * np.uint8(255),
        spots * np.float32(0.2),
        Image.fromarray(spots),
        Image.fromarray(spots * np.uint8(255)),
    ):
        found = pictures.open_mask(mask)
        assert found.dtype == np.uint8 and np.array_equal(found, spots)
    assert np.array_equal(pictures.open_mask(palette), ~spots)
    with pytest.raises(ValueError, match=r"a mask is \[H,W\] or \[H,W,1\], got \(5, 7, 3\)"):
        pictures.open_mask(noise(5, 7, 3))


def test_rows_are_asked_for_once():
    class Made:
        shape, dtype, ndim = (5, 7, 3), np.dtype(np.uint8), 3
        asked = 0

        def __getitem__(self, rows):
            self.asked += 1
            return np.zeros((5, 7, 3), np.uint8)[rows]

    made = Made()
    assert pictures.close_picture(pictures.open_picture(noise(5, 7)), made).shape == (5, 7, 3)
    assert made.asked == 1
