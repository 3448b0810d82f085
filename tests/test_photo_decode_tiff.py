"""Large TIFF files: in memory once, or left where they are."""

import os
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo import samples
from oldphoto_jax.photo.codecs import tiff_strips, upright
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError

LARGE = np.random.default_rng(0).integers(0, 256, (600, 500, 3)).astype(np.uint8)


def draw(channels, dtype):
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max + 1, (40, 48, channels)).astype(dtype)


def base(array):
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array


@pytest.mark.parametrize("options, mapped", [
    ({}, True), ({"rowsperstrip": 8}, True), ({"bigtiff": True}, True),
    ({"byteorder": ">"}, False), ({"compression": "zlib"}, False), ({"tile": (16, 16)}, False),
    ({"planarconfig": "separate"}, False), ({"orientation": 3}, False),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_mapped_is_what_is_read(tmp_path, monkeypatch, options, mapped, channels, dtype):
    """The pixels are the same whether they lie in the file or in memory."""
    path, stored, options = tmp_path / "a.tif", draw(channels, dtype), dict(options)
    orientation = options.pop("orientation", 1)
    given = {"photometric": "minisblack" if channels < 3 else "rgb", "metadata": None}
    given |= {} if channels in (1, 3) else {"extrasamples": ["unassalpha"]}
    given |= {"planarconfig": "contig"} | options
    shown = stored.squeeze()
    if given["planarconfig"] == "separate":
        shown = np.moveaxis(stored, -1, 0) if channels > 1 else shown
    if channels == 1:
        del given["planarconfig"]
    tifffile.imwrite(path, shown, extratags=[(274, "H", 1, orientation, True)], **given)
    plain = files.read(path)
    monkeypatch.setattr(tiff_strips, "MAPPED", 1)
    photo = files.read(path)
    np.testing.assert_array_equal(photo.pixels, plain.pixels)
    assert photo.pixels.dtype == plain.pixels.dtype == np.dtype(dtype)
    assert photo.pixels.flags.c_contiguous
    if channels in (2, 4):
        np.testing.assert_array_equal(photo.alpha, plain.alpha)
    foreign = dtype == "uint16" and options.get("byteorder") == ">"
    whole = channels in (1, 3) and orientation == 1
    same = mapped or options.get("planarconfig") == "separate" and channels == 1
    same |= options.get("byteorder") == ">" and not foreign
    assert isinstance(base(photo.pixels), np.memmap) == (whole and same)


def test_mapped_pixels_outlive_the_file_s_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_strips, "MAPPED", 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, draw(3, "uint8"), photometric="rgb")
    photo = files.read(path)
    files.write(tmp_path / "b.tif", photo)
    if os.name == "posix":  # Windows keeps files that are in use
        files.write(path, photo)
    for name in ("a.tif", "b.tif"):
        np.testing.assert_array_equal(files.read(tmp_path / name).pixels, draw(3, "uint8"))
    np.testing.assert_array_equal(photo.pixels, draw(3, "uint8"))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp"])
def test_pixels_that_were_read_are_read_only(tmp_path, suffix):
    Image.fromarray(draw(3, "uint8")).save(tmp_path / f"a{suffix}")
    with pytest.raises(ValueError, match="read-only"):
        files.read(tmp_path / f"a{suffix}").pixels[0, 0] = 0


def save(path, kind):
    if kind == "plain":
        tifffile.imwrite(path, LARGE, photometric="rgb", rowsperstrip=10, metadata=None)
    elif kind == "deflate":
        options = dict(compression="zlib", predictor=True, rowsperstrip=16, metadata=None)
        tifffile.imwrite(path, LARGE, photometric="rgb", **options)
    elif kind == "lzw16":
        cv2.imwrite(str(path), LARGE.astype(np.uint16) * 257)
    else:
        Image.fromarray(LARGE).save(path, {"lzw": "TIFF"}.get(kind, kind), **(
            {"compression": "tiff_lzw"} if kind == "lzw" else {}
        ))  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "deflate", "lzw", "lzw16", "PNG", "JPEG", "BMP"])
def test_neither_the_file_nor_a_copy_lies_beside_the_pixels(tmp_path, monkeypatch, kind):
    """Of what NumPy and Python hold; Pillow's own picture is outside of their books."""
    save(tmp_path / "a.tif", kind)
    monkeypatch.setattr(tiff_strips, "READ_AHEAD", 1 << 16)
    monkeypatch.setattr(samples, "BAND", 1 << 14)
    tracemalloc.start()
    photo = files.read(tmp_path / "a.tif")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert photo.pixels.shape == LARGE.shape
    assert peak < 1.6 * photo.pixels.nbytes


def test_upright_pixels_are_not_copied():
    assert upright.turned(PhotoFile(LARGE), 1).pixels is LARGE


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_missing_strip_is_no_black_strip(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, draw(3, "uint8"), photometric="rgb", rowsperstrip=8, metadata=None,
                     compression=compression)  # fmt: skip
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages.first.tags
        tags["ImageLength"].overwrite(80)
    with pytest.raises(PhotoError, match="parts are missing: 5 of"):
        files.read(path)


def test_values_that_tifffile_has_no_name_for_are_told_by_number(tmp_path):
    path = tmp_path / "a.tif"
    for tag, channels, told in (
        ("PhotometricInterpretation", 1, "colours of kind 60000; save it as RGB"),
        ("Compression", 2, r"packed with 60000 \(16 bits\).*; save it without compression"),
    ):
        layout = {"planarconfig": "contig"} if channels > 1 else {}
        photo = draw(channels, "uint16")
        tifffile.imwrite(path, photo, photometric="minisblack", metadata=None, **layout)
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages.first.tags[tag].overwrite(60000)
        with pytest.raises(PhotoError, match=told):
            files.read(path)


@pytest.mark.skipif(os.name != "posix", reason="counts open files as Linux and macOS list them")
@pytest.mark.parametrize("damage", [False, True])
def test_no_file_stays_open(tmp_path, damage):
    opened = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for kind in ("plain", "deflate", "lzw", "lzw16", "PNG", "JPEG", "BMP"):
        path = tmp_path / f"{kind}.tif"
        save(path, kind)
        if damage:
            path.write_bytes(path.read_bytes()[:-50_000])
        before = len(os.listdir(opened))
        if damage:
            with pytest.raises(PhotoError, match="damaged or cut off"):
                files.read(path)
        else:
            files.read(path)
        assert len(os.listdir(opened)) == before
