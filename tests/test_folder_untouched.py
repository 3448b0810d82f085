"""What was not touched, computed here in another way: from whole files, by OpenCV and Pillow."""

import hashlib

import cv2
import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.folder import untouched
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoFile

SIZE = (40, 50)
MOST = dict(max_pixels=10_000)


def photo(channels=3, dtype=np.uint8, alpha=False):
    draw = np.random.default_rng(0).integers
    top = np.iinfo(dtype).max
    pixels = draw(0, top, (*SIZE, channels), dtype)
    return PhotoFile(pixels, draw(0, top, SIZE, dtype) if alpha else None)


def holes():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:9, 10:30] = mask[20:, 40] = 1
    return mask


def restored(came, mask, feather):
    """Other pixels in all that may be filled, and where that is."""
    reach = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= feather
    pixels = came.pixels.copy()
    pixels[reach] = ~pixels[reach]
    return PhotoFile(pixels, came.alpha), reach


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize(
    ("channels", "dtype", "alpha"),
    [(3, np.uint8, False), (1, np.uint8, False), (3, np.uint16, True), (1, np.uint16, False)],
)
@pytest.mark.parametrize("feather", [0, 1, 3])
def test_others_find_the_same_numbers(tmp_path, ending, channels, dtype, alpha, feather):
    came, mask, path = photo(channels, dtype, alpha), holes(), tmp_path / f"a{ending}"
    made, reach = restored(came, mask, feather)
    files.write(path, made)
    seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).reshape(*SIZE, -1)
    seen = seen[..., [2, 1, 0, 3][: seen.shape[-1]]] if channels == 3 else seen
    assert seen.dtype == dtype and seen.shape[-1] == channels + alpha
    digest = hashlib.sha256(seen[~reach].tobytes()).hexdigest()
    assert untouched.compare(came, path, mask, feather, **MOST) == {
        "share": round(1 - reach.mean(), 6),
        "identical": True,
        "sha256": [digest, digest],
    }


def test_one_pixel_too_many_is_no_untouched_photo(tmp_path):
    came, mask = photo(), holes()
    made, reach = restored(came, mask, 1)
    made.pixels[39, 0, 2] ^= 1
    assert not reach[39, 0]
    files.write(tmp_path / "a.png", made)
    with pytest.raises(ValueError, match="outside mask and feather are not those of the photo"):
        untouched.compare(came, tmp_path / "a.png", mask, 1, **MOST)
    files.write(tmp_path / "a.png", PhotoFile(came.pixels[1:]))
    with pytest.raises(ValueError, match="holds 39 of 40 rows"):
        untouched.compare(came, tmp_path / "a.png", None, **MOST)
    files.write(tmp_path / "a.png", PhotoFile(came.pixels.astype(np.uint16)))
    with pytest.raises(ValueError, match="uint8 and are read again as .* uint16"):
        untouched.compare(came, tmp_path / "a.png", None, **MOST)


def test_alpha_is_no_less_untouched(tmp_path):
    came = photo(alpha=True)
    other = PhotoFile(came.pixels, came.alpha ^ np.uint8(1))
    files.write(tmp_path / "a.tif", other)
    with pytest.raises(ValueError, match="are not those of the photo"):
        untouched.compare(came, tmp_path / "a.tif", holes(), **MOST)


def test_webp_that_is_opaque_all_over_keeps_its_alpha_unsaid(tmp_path):
    came = photo()
    came.alpha = np.full(SIZE, 255, np.uint8)
    files.write(tmp_path / "a.webp", came)
    assert files.read(tmp_path / "a.webp").alpha is None
    found = untouched.compare(came, tmp_path / "a.webp", None, **MOST)
    whole = hashlib.sha256(np.dstack([came.pixels, came.alpha]).tobytes()).hexdigest()
    assert found == {"share": 1.0, "identical": True, "sha256": [whole, whole]}


def test_a_copy_is_untouched_and_a_copy_of_something_else_is_none(tmp_path):
    came = photo(dtype=np.uint16, alpha=True)
    files.write(tmp_path / "a.tif", came)
    files.copy(tmp_path / "a.tif", tmp_path / "b.tif")
    untouched.check_copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert untouched.copied(came) == untouched.compare(came, tmp_path / "b.tif", None, **MOST)
    files.write(tmp_path / "b.tif", PhotoFile(came.pixels))
    with pytest.raises(ValueError, match="no true copy"):
        untouched.check_copy(tmp_path / "a.tif", tmp_path / "b.tif")


def test_all_in_a_hole_leaves_nothing_untouched(tmp_path):
    came = photo()
    files.write(tmp_path / "a.png", PhotoFile(255 - came.pixels))
    found = untouched.compare(came, tmp_path / "a.png", np.ones(SIZE, np.uint8), **MOST)
    assert found["share"] == 0 and found["sha256"] == [hashlib.sha256().hexdigest()] * 2


def test_a_palette_and_a_gray_photo_are_compared_as_they_were_read(tmp_path):
    Image.fromarray(photo().pixels).quantize(16).save(tmp_path / "a.png")
    came = files.read(tmp_path / "a.png")
    files.write(tmp_path / "b.png", came)
    assert untouched.compare(came, tmp_path / "b.png", None, **MOST)["share"] == 1
