"""Codecs of TIFF that few programs read, and JPEG as it was before 1995."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo.codecs import tiff_codecs
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError
from tests import tiff_maker
from tests.tiff_maker import LONG, RGB, SHORT

ROWS, COLUMNS = np.mgrid[:48, :64]
SMOOTH = np.stack([COLUMNS * 3, ROWS * 5, 200 - COLUMNS * 2], axis=-1).astype(np.uint8)
DEEP = SMOOTH.astype(np.uint16) * 257


@pytest.mark.parametrize("codec, bits, loss", [
    ("jpeg2000", 8, 0), ("jpeg2000", 16, 0), ("jpegxl", 8, 0), ("jpegxl", 16, 0), ("lerc", 8, 0),
    ("lerc", 16, 0), ("png", 8, 0), ("png", 16, 0), ("jpegxr", 8, 4), ("webp", 8, 0),
])  # fmt: skip
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_codecs_of_the_extra(tmp_path, codec, bits, loss, tile):
    """By tifffile with imagecodecs, in gray and in colour, in planes and with alpha."""
    pytest.importorskip("imagecodecs")
    photo = SMOOTH if bits == 8 else DEEP
    four = np.concatenate([photo, photo[..., :1]], axis=-1)
    for samples, options in (
        (photo, {"photometric": "rgb"}), (photo[..., 0], {"photometric": "minisblack"}),
        (np.moveaxis(photo, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (four, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    ):  # fmt: skip
        if codec == "webp" and samples.shape[-1] not in (3, 4):
            continue
        rows = {} if tile else {"rowsperstrip": 16}
        tifffile.imwrite(tmp_path / "a.tif", samples, compression=codec, tile=tile, **rows,
                         **options)  # fmt: skip
        read = files.read(tmp_path / "a.tif")
        expected = photo if options["photometric"] == "rgb" else photo[..., :1]
        assert np.abs(read.pixels.astype(int) - expected).max() <= loss
        assert (read.alpha is None) == ("extrasamples" not in options)


@pytest.mark.parametrize("codec", ["zstd", "lzma"])
def test_another_library_steps_in(tmp_path, monkeypatch, codec):
    pytest.importorskip("imagecodecs")
    monkeypatch.setattr(tiff_codecs, "_has_libtiff", lambda codec: False)
    (tmp_path / "a.tif").write_bytes(tiff_maker.tiff(DEEP, RGB, 16, codec=codec, rows=7))
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif").pixels, DEEP)


def test_deep_jpeg_is_told_by_name(tmp_path, monkeypatch):
    """DNG's lossless JPEG of 16 bits."""
    imagecodecs = pytest.importorskip("imagecodecs")
    data = imagecodecs.ljpeg_encode(DEEP[..., 0], bitspersample=16)
    tags = {
        256: (SHORT, [64]), 257: (SHORT, [48]), 258: (SHORT, [16]), 259: (SHORT, [7]),
        262: (SHORT, [1]), 277: (SHORT, [1]), 278: (SHORT, [48]),
    }  # fmt: skip
    (tmp_path / "a.tif").write_bytes(tiff_maker.assemble([data], tags))
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif").pixels, DEEP[..., :1])
    monkeypatch.setattr(tiff_codecs, "_imagecodecs", lambda: None)
    with pytest.raises(PhotoError, match=r"JPEG of other than 8 bits \(16 bits\).*\[codecs\]"):
        files.read(tmp_path / "a.tif")


def pieces(data):
    """Quantisation and Huffman tables by their numbers, and what follows the header of JPEG."""
    tables, at = {}, 2
    while True:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        content, at = data[at + 4 : at + 2 + size], at + 2 + size
        while content and marker in (0xDB, 0xC4):
            length = 64 if marker == 0xDB else 16 + sum(content[1:17])
            tables[marker, content[0]] = content[1 : 1 + length]
            content = content[1 + length :]
        if marker == 0xDA:
            return tables, data[at:-2]


@pytest.mark.parametrize("smaller", [1, 2])
@pytest.mark.parametrize("kind", ["file", "file and strip", "pieces"])
def test_jpeg_as_before_1995(tmp_path, kind, smaller):
    """TIFF 6.0, section 22: a whole file of JPEG, a strip inside it, or tables one by one."""
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, "JPEG", quality=95, subsampling={1: 0, 2: 2}[smaller])
    data = stream.getvalue()
    tables, packed = pieces(data)
    parts, tags = [data], {
        256: (SHORT, [64]), 257: (SHORT, [48]), 258: (SHORT, [8, 8, 8]), 259: (SHORT, [6]),
        262: (SHORT, [6]), 277: (SHORT, [3]), 278: (SHORT, [48]), 512: (SHORT, [1]),
        513: (LONG, [8]), 514: (LONG, [len(data)]), 530: (SHORT, [smaller, smaller]),
    }  # fmt: skip
    if kind == "file and strip":
        tags |= {273: (LONG, [8 + data.index(packed)]), 279: (LONG, [len(packed)])}
    if kind == "pieces":
        del tags[513], tags[514]
        numbers = [(0xDB, 0), (0xDB, 1), (0xC4, 0), (0xC4, 1), (0xC4, 16), (0xC4, 17)]
        parts, places, at = [packed], [], 8 + len(packed) + len(packed) % 2
        for number in numbers:
            parts.append(tables[number])
            places.append(at)
            at += len(parts[-1]) + len(parts[-1]) % 2
        tags |= {273: (LONG, [8]), 279: (LONG, [len(packed)])}
        for tag, (first, second) in zip((519, 520, 521), np.reshape(places, (3, 2)), strict=True):
            tags[tag] = (LONG, [first, second, second])
    (tmp_path / "a.tif").write_bytes(tiff_maker.assemble(parts, tags))
    read = files.read(tmp_path / "a.tif").pixels
    assert np.abs(read.astype(int) - SMOOTH).max() <= 6


@pytest.mark.parametrize("cut, whole", [(0, True), (1, True), (2, True), (20, False), (60, False)])
def test_strips_of_jpeg_may_lack_their_end_alone(tmp_path, cut, whole):
    """libtiff reads on in silence, and what is missing becomes gray."""
    ramp = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, "JPEG", quality=90)
    data = stream.getvalue()
    tags = {256: (SHORT, [64]), 257: (SHORT, [48]), 258: (SHORT, [8]), 259: (SHORT, [7])}
    tags |= {262: (SHORT, [1]), 277: (SHORT, [1]), 278: (SHORT, [48])}
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_maker.assemble([data[: len(data) - cut]], tags))
    if whole:
        np.testing.assert_array_equal(files.read(path).pixels[..., 0], Image.open(stream))
    else:
        with pytest.raises(PhotoError, match=r"damaged.*JPEG\) is missing, and samples with it"):
            files.read(path)
