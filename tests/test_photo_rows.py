"""Rows that are made while they are written: in order, each once, and never whole."""

import tracemalloc

import numpy as np
import pytest

from oldphoto_jax.photo.codecs import rows
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile
from tests.test_photo_encode import draw_all


class Lazy:
    """Rows of an array; asked out of order, twice or one too many it fails."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, 3
        self.at, self.asked = 0, 0

    def __getitem__(self, key):
        assert isinstance(key, slice) and key.step is None
        assert (key.start, key.stop > self.at) == (self.at, True) and key.stop <= len(self.array)
        self.at, self.asked = key.stop, self.asked + 1
        return self.array[key].copy()


CASES = [
    *((suffix, dtype, n) for suffix in (".png", ".tif") for dtype in ("uint8", "uint16")
      for n in (1, 2, 3, 4)),
    (".webp", "uint8", 3), (".webp", "uint8", 4), (".jpg", "uint8", 1), (".jpg", "uint8", 3),
    (".bmp", "uint8", 3),
]  # fmt: skip


@pytest.mark.parametrize("suffix, dtype, channels", CASES)
def test_rows_are_written_as_the_array_is(tmp_path, monkeypatch, suffix, dtype, channels):
    monkeypatch.setattr(rows, "BAND", 30)
    photo = draw_all(channels, dtype)
    if suffix == ".bmp":
        photo = PhotoFile(photo.pixels)
    files.write(tmp_path / f"a{suffix}", photo, quality=95)
    lazy = Lazy(photo.pixels)
    photo.pixels = lazy
    files.write(tmp_path / f"b{suffix}", photo, quality=95)
    assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"a{suffix}").read_bytes()
    assert lazy.at == lazy.shape[0] and lazy.asked > 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_large_scan_never_lies_whole(tmp_path, suffix):
    class Endless:
        shape, dtype, ndim = (10_000, 1000, 3), np.dtype(np.uint8), 3

        def __getitem__(self, key):
            return np.full((key.stop - key.start, 1000, 3), key.start % 251, np.uint8)

    tracemalloc.start()
    files.write(tmp_path / f"a{suffix}", PhotoFile(Endless()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15_000_000  # of 30 million
    assert files.header(tmp_path / f"a{suffix}").height == 10_000


@pytest.mark.parametrize("wrong", [
    lambda band: band[:1], lambda band: band.astype(np.uint16), lambda band: band[..., :1],
])  # fmt: skip
def test_rows_that_are_not_what_they_promised_are_refused(tmp_path, wrong):
    class Wrong(Lazy):
        def __getitem__(self, key):
            return wrong(super().__getitem__(key))

    with pytest.raises(ValueError, match=r"rows 0:5 are .* that say they are \(5, 7, 3\) uint8"):
        files.write(tmp_path / "a.png", PhotoFile(Wrong(draw_all(3).pixels)))
    with pytest.raises(PhotoError, match="float64 pixels"):
        files.write(tmp_path / "a.png", PhotoFile(Lazy(np.zeros((5, 7, 3)))))
    assert list(tmp_path.iterdir()) == []
