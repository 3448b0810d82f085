"""Pages of TIFF files: which is the photo, and several of them written one by one."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import encode_tiff
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile
from tests.test_photo_encode import ICC, XMP, block, dates, draw_all

PHOTO = np.random.default_rng(0).integers(0, 1 << 16, (40, 60, 3)).astype(np.uint16)
SMALL, GRAY = PHOTO[::4, ::4], PHOTO[..., 0]


def write(path, *pages):
    """Pages by tifffile: (pixels, its options)."""
    with tifffile.TiffWriter(path) as writer:
        for pixels, options in pages:
            kind = "rgb" if pixels.ndim == 3 else "minisblack"
            writer.write(pixels, **{"photometric": kind, "metadata": None} | options)


@pytest.mark.parametrize("pages, roles, sizes", [
    ([(PHOTO, {}), (PHOTO[::-1], {}), (PHOTO[:, ::-1], {})], ["photo"] * 3, [(40, 60)] * 3),
    ([(SMALL, {"subfiletype": 1}), (PHOTO, {})], ["photo", "preview"], [(40, 60), (10, 15)]),
    ([(PHOTO, {}), (GRAY > 9, {"subfiletype": 4})], ["photo", "mask"], [(40, 60)] * 2),
    ([(PHOTO, {}), (GRAY, {})], ["photo", "infrared"], [(40, 60)] * 2),
    ([(PHOTO, {}), (SMALL, {"subfiletype": 1}), (GRAY, {})], ["photo", "preview", "infrared"],
     [(40, 60), (10, 15), (40, 60)]),
    ([(PHOTO, {}), (GRAY, {}), (PHOTO, {}), (GRAY, {})], ["photo", "infrared"] * 2, [(40, 60)] * 4),
    # An album in which one photo has no colours, and pages that say that they are pages
    ([(PHOTO, {}), (PHOTO, {}), (GRAY, {})], ["photo"] * 3, [(40, 60)] * 3),
    ([(PHOTO, {}), (GRAY, {"subfiletype": 2})], ["photo"] * 2, [(40, 60)] * 2),
    ([(PHOTO, {}), (GRAY[:30], {})], ["photo"] * 2, [(40, 60), (30, 60)]),
    # A thumbnail that nobody calls so, a page that has another shape
    ([(SMALL, {}), (PHOTO, {})], ["photo", "preview"], [(40, 60), (10, 15)]),
    ([(SMALL[:4], {}), (PHOTO, {})], ["photo", "photo"], [(4, 15), (40, 60)]),
    ([(SMALL, {"subfiletype": 1})], ["photo"], [(10, 15)]),
    ([(PHOTO, {"extratags": [(274, "H", 1, 6, True)]}), (PHOTO, {})], ["photo"] * 2,
     [(60, 40), (40, 60)]),
], ids=range(13))  # fmt: skip
def test_pages_are_what_they_are(tmp_path, pages, roles, sizes):
    write(tmp_path / "a.tif", *pages)
    found = files.pages(tmp_path / "a.tif")
    assert [page.index for page in found] == [*range(len(pages))]
    assert [page.role for page in found] == roles
    assert [(page.height, page.width) for page in found] == sizes
    read = [files.read(tmp_path / "a.tif", page=page.index) for page in found]
    assert [photo.pixels.shape[:2] for photo in read] == sizes
    assert [photo.role for photo in read] == roles
    head = files.header(tmp_path / "a.tif")
    assert (head.height, head.width) == sizes[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_photo_may_lie_below_its_preview(tmp_path, order, bigtiff):
    """As in scanners' DNG: what describes the photo stands beside the preview."""
    path = tmp_path / "scan.dng"
    turned = [(274, "H", 1, 6, True), (271, "s", 0, "Agfa", True)]
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=bigtiff) as writer:
        options = {"photometric": "rgb", "metadata": None}
        writer.write((SMALL >> 8).astype(np.uint8), subfiletype=1, subifds=1, extratags=turned,
                     **options)  # fmt: skip
        writer.write(PHOTO, subfiletype=0, **options)
    assert [(page.role, page.height) for page in files.pages(path)] == [
        ("photo", 60), ("preview", 15),
    ]  # fmt: skip
    photo = files.read(path)
    np.testing.assert_array_equal(photo.pixels, np.rot90(PHOTO, -1))
    assert exif.parse(photo.exif)[271].data == b"Agfa\0"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_scanner_s_linear_picture(tmp_path, channels):
    """LinearRaw of DNG, 16 bits of which not all are used, infra-red as a fourth channel."""
    stored = np.concatenate([PHOTO, GRAY[..., None]], axis=-1)[..., :channels] >> 2
    levels = [(50714, "H", 1, 16, True), (50717, "H", 1, 16383, True)]
    with tifffile.TiffWriter(tmp_path / "scan.dng") as writer:
        writer.write((SMALL >> 8).astype(np.uint8), subfiletype=1, subifds=1, photometric="rgb")
        shown = stored[..., 0] if channels == 1 else stored
        layout = {"planarconfig": "contig"} if channels > 1 else {}
        if channels == 4:
            layout["extrasamples"] = ["unspecified"] * 3  # so tifffile counts
        writer.write(shown, photometric="linear_raw", subfiletype=0, extratags=levels, **layout)
    photo = files.read(tmp_path / "scan.dng")
    expected = (stored[..., :3].astype(float) - 16).clip(0) / (16383 - 16) * 65535
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels - expected).max() <= 0.51
    assert "linear" in photo.notes[0] and not photo.faulty
    assert (photo.extra is None) == (channels < 4)


def mosaic(path, subfiletype, preview):
    with tifffile.TiffWriter(path) as writer:
        kind = {} if subfiletype is None else {"subfiletype": subfiletype}
        writer.write((preview >> 8).astype(np.uint8), subifds=1, photometric="rgb", **kind)
        writer.write(GRAY, photometric="cfa", subfiletype=0, extratags=[
            (33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True),
        ])  # fmt: skip


@pytest.mark.parametrize("subfiletype", [1, None])
@pytest.mark.parametrize("preview", [SMALL, SMALL[:5], PHOTO], ids=["small", "low", "large"])
def test_a_camera_s_mosaic_is_told_by_name(tmp_path, subfiletype, preview):
    """And never its preview, as large as that may be."""
    mosaic(tmp_path / "a.dng", subfiletype, preview)
    canon = bytearray((tmp_path / "a.dng").read_bytes())
    (tmp_path / "b.cr2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + canon[16:])
    for name in ("a.dng", "b.cr2"):
        for use in (files.read, files.header, files.pages):
            with pytest.raises(PhotoError, match="a camera's raw mosaic.*develop it first"):
                use(tmp_path / name)


def test_the_levels_of_a_pyramid_are_previews(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(PHOTO, photometric="rgb", subifds=2, metadata=None)
        writer.write(PHOTO[::2, ::2], photometric="rgb", metadata=None)
        writer.write(SMALL, photometric="rgb", metadata=None)
    found = files.pages(tmp_path / "a.tif")
    assert [page.role for page in found] == ["photo", "preview", "preview"]
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif").pixels, PHOTO)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".heic"])
def test_other_formats_have_one_page(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    files.write(path, PhotoFile((PHOTO >> 8).astype(np.uint8)), quality=90)
    [page] = files.pages(path)
    assert (page.index, page.role, page.height, page.width) == (0, "photo", 40, 60)
    with pytest.raises(PhotoError, match=rf"a\{suffix}.*there is no page 2"):
        files.read(path, page=1)


def test_a_page_that_is_not_there(tmp_path):
    write(tmp_path / "a.tif", (PHOTO, {}), (PHOTO, {}))
    for page in (2, -1):
        with pytest.raises(PhotoError, match=r"a\.tif: it has 2 pages"):
            files.read(tmp_path / "a.tif", page=page)


@pytest.mark.parametrize("limit", [encode_tiff.CLASSIC, 100])
def test_pages_come_back_with_all_that_they_say(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(encode_tiff, "CLASSIC", limit)
    gray = PhotoFile(GRAY[:20, :, None], role="infrared")
    small = PhotoFile((SMALL >> 8).astype(np.uint8), role="preview")
    swapped = exif.in_order(exif.parse(block()), "<", ">")
    other = PhotoFile(PHOTO[:20], exif=exif.pack_block(swapped, ">"), resolution=(72.0, 72.0))
    photos = [draw_all(4, "uint16"), other, small]
    for path, pages in ((tmp_path / "a.tif", photos), (tmp_path / "b.tif", [other, gray])):
        files.write_pages(path, iter(pages))
        assert [page.role for page in files.pages(path)] == [photo.role for photo in pages]
        for number, photo in enumerate(pages):
            back = files.read(path, page=number)
            np.testing.assert_array_equal(back.pixels, photo.pixels)
            assert (back.icc, back.xmp, back.resolution) == (photo.icc, photo.xmp, photo.resolution)
        with tifffile.TiffFile(path) as file:  # by others
            assert file.is_bigtiff == (limit == 100) and len(file.pages) == len(pages)
            for page, photo in zip(file.pages, pages, strict=True):
                np.testing.assert_array_equal(
                    np.atleast_3d(page.asarray())[..., : photo.pixels.shape[-1]], photo.pixels
                )
    assert files.read(tmp_path / "a.tif").icc == ICC[3]
    assert files.read(tmp_path / "a.tif").xmp == XMP
    tags = Image.Exif()
    tags.load(files.read(tmp_path / "a.tif", page=1).exif)
    assert dates(tags) == dates(_tags(block()))


def _tags(data):
    tags = Image.Exif()
    tags.load(data)
    return tags


def test_roles_survive_being_written_again(tmp_path):
    write(tmp_path / "a.tif", (PHOTO, {}), (GRAY, {"subfiletype": 2}))
    pages = files.pages(tmp_path / "a.tif")
    photos = [files.read(tmp_path / "a.tif", page=page.index) for page in pages]
    files.write_pages(tmp_path / "b.tif", photos)
    assert files.pages(tmp_path / "b.tif") == pages


def test_one_page_is_held_at_a_time(tmp_path):
    """The next page is asked for when the last one lies in the file."""
    sizes = []

    def pages():
        for _ in range(3):
            [part] = [path for path in tmp_path.iterdir() if path.suffix == ".part"]
            sizes.append(part.stat().st_size)
            yield PhotoFile(np.repeat(PHOTO, 40, axis=0))

    files.write_pages(tmp_path / "a.tif", pages())
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("name, pages, match", [
    ("a.png", [PhotoFile(PHOTO)], r"a\.png: only TIFF holds several pages; name it \.tif"),
    ("a.tif", [], r"a\.tif: no page"),
    ("a.tif", [PhotoFile(PHOTO), PhotoFile(PHOTO / 2)], r"a\.tif: page 2: float64.*to_uint8"),
])  # fmt: skip
def test_refused_pages_leave_no_file(tmp_path, name, pages, match):
    with pytest.raises(PhotoError, match=match):
        files.write_pages(tmp_path / name, pages)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [0, 1, 30])
def test_a_page_whose_directory_is_cut_off_is_told(tmp_path, left):
    """Another page is read as it is, the file is not to be copied as if it were whole."""
    write(tmp_path / "a.tif", (PHOTO, {}), (PHOTO[::-1], {}))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        last = file.pages[1].offset
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: last + left])
    assert len(files.pages(tmp_path / "a.tif")) == 1
    photo = files.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, PHOTO)
    assert photo.faulty and f"a further page should start at byte {last}" in photo.notes[0].lower()


def test_directories_in_a_circle_end(tmp_path):
    stream = io.BytesIO()
    write(stream, (PHOTO, {}), (PHOTO, {}))
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        first, second = (page.offset for page in file.pages)
        entries = int.from_bytes(data[second : second + 2], "little")
    place = second + 2 + 12 * entries
    data[place : place + 4] = first.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(data)
    assert len(files.pages(tmp_path / "a.tif")) == 2
