import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.photo.codecs import rows
from oldphoto_jax.photo.disk import files, reread
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile


def picture(channels, alpha, dtype, size=(37, 23)):
    draw = np.random.default_rng(0).integers
    top = np.iinfo(dtype).max
    pixels = draw(0, top, (*size, channels), dtype, endpoint=True)
    return PhotoFile(pixels, draw(0, top, size, dtype, endpoint=True) if alpha else None)


DEEP = [
    (ending, dtype, channels, alpha)
    for ending in (".png", ".tif")
    for dtype in (np.uint8, np.uint16)
    for channels in (1, 3)
    for alpha in (False, True)
]
SHALLOW = [(".webp", np.uint8, 3, False), (".webp", np.uint8, 3, True)]


@pytest.mark.parametrize(("ending", "dtype", "channels", "alpha"), DEEP + SHALLOW)
def test_what_was_written_is_read_again(tmp_path, monkeypatch, ending, dtype, channels, alpha):
    monkeypatch.setattr(rows, "BAND", 300)  # some rows
    photo, path = picture(channels, alpha, dtype), tmp_path / f"a{ending}"
    files.write(path, photo)
    bands = [*reread.bands(path)]
    assert np.array_equal(np.concatenate(bands), rows.whole(photo)) and bands[0].dtype == dtype
    assert len(bands) > 1


def test_grainless_and_flat_rows_are_read_again(tmp_path):
    pixels = np.zeros((40, 30, 3), np.uint8)
    pixels[:20] += np.arange(30, dtype=np.uint8)[:, None] * 7
    pixels[30:] = 255
    files.write(tmp_path / "a.png", PhotoFile(pixels))
    assert np.array_equal(np.concatenate([*reread.bands(tmp_path / "a.png")]), pixels)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_a_file_that_the_disk_has_changed_is_refused(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    files.write(path, picture(3, False, np.uint8))
    whole = path.read_bytes()
    for size in (0, 2, 60, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(PhotoError, match=f"a{ending}"):
            [*reread.bands(path)]
    if ending == ".png":
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(PhotoError, match="chunk b'IDAT' is damaged"):
            [*reread.bands(path)]


def test_png_files_of_others_are_not_taken_for_ours(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8)).save(path)
    with pytest.raises(PhotoError, match="cannot be read again"):
        [*reread.bands(path)]
