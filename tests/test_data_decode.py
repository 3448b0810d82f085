"""Decoding: the same pixels from every format, upright, and nothing from half a file."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.data.decode import decode


def picture(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A photo that tells its number: uint8 [H,W,3], of this one colour."""
    return np.full((height, width, 3), (number, 100, 200 - number), np.uint8)


def encode(photo: np.ndarray, suffix: str = ".png") -> bytes:
    order = photo if photo.ndim == 2 else photo[..., [2, 1, 0, 3][: photo.shape[-1]]]
    return cv2.imencode(suffix, order)[1].tobytes()


def with_pillow(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".bmp", ".jpg"])
def test_decode_gives_the_pixels_whatever_the_format(suffix):
    photo = picture(50)
    decoded = decode(encode(photo, suffix)).astype(int)
    np.testing.assert_allclose(decoded, photo, atol=3 if suffix in (".jpg", ".webp") else 0)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_decode_makes_16_bits_and_gray_into_8_bit_rgb(suffix):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    np.testing.assert_array_equal(
        decode(encode(ramp * 257, suffix)), np.repeat(ramp[..., None], 3, -1)
    )
    deep = np.stack([ramp * 257, ramp[::-1] * 257, ramp.T * 257], -1)
    np.testing.assert_array_equal(decode(encode(deep, suffix)), deep // 257)
    np.testing.assert_array_equal(
        decode(encode(ramp.astype(np.uint8), suffix)), np.repeat(ramp[..., None], 3, -1)
    )


def test_decode_takes_palettes_alpha_and_cmyk():
    photo = picture(50)
    image = Image.fromarray(photo)
    palette = with_pillow(image.quantize(16), "PNG")
    np.testing.assert_array_equal(decode(palette), photo)
    alpha = np.dstack([photo, np.full(photo.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(decode(encode(alpha)), photo)
    cmyk = decode(with_pillow(image.convert("CMYK"), "JPEG", quality=100))
    np.testing.assert_allclose(cmyk.astype(int), photo, atol=3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_decode_turns_photos_upright(form):
    photo = picture(50)
    photo[:, :16] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # was stored turned: rotate by 90 degrees clockwise to see it upright
    options = {} if form in ("PNG", "TIFF") else {"quality": 100}
    data = with_pillow(Image.fromarray(photo), form, exif=exif, **options)
    upright = np.rot90(photo, -1)
    assert np.abs(decode(data).astype(int) - upright).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow, of the cut-off TIFF
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".bmp", ".jpg"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_decode_refuses_what_was_cut_off(suffix, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(noise, suffix)
    with pytest.raises(ValueError, match="empty|not a whole photo"):
        decode(data[: int(len(data) * part)])
