"""What is written is what was there: by our own reader, and by Pillow, OpenCV and tifffile."""

import dataclasses
import io
import pathlib
import tracemalloc

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import encode, encode_tiff, rows
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile

HEIGHT, WIDTH = 5, 7
TAKEN, SCANNED = "1923:05:17 11:30:00", "2024:01:02 03:04:05"
ICC = {1: bytes(16) + b"GRAY" + bytes(range(200)), 3: bytes(16) + b"RGB " + bytes(range(200))}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1"/></x:xmpmeta>'
MATRIX = [
    *((suffix, dtype, channels) for suffix in (".png", ".tif", ".TIFF")
      for dtype in ("uint8", "uint16") for channels in (1, 2, 3, 4)),
    (".webp", "uint8", 3), (".webp", "uint8", 4), (".bmp", "uint8", 1), (".bmp", "uint8", 3),
]  # fmt: skip
HOLDS = [case for case in MATRIX if case[0] != ".bmp"]  # all that lies beside the pixels


def block(orientation=1, dots=None):
    """An EXIF block as a camera or a scanner program writes it."""
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = "Agfa", "Billy"
    tags[ExifTags.Base.DateTime] = SCANNED
    tags[ExifTags.Base.Artist] = "Großvater".encode().decode("latin-1")
    if dots:
        tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = dots
        tags[ExifTags.Base.ResolutionUnit] = 2
    tags.get_ifd(ExifTags.IFD.Exif).update({
        ExifTags.Base.DateTimeOriginal: TAKEN, ExifTags.Base.FocalLength: 10.5,
    })  # fmt: skip
    tags.get_ifd(ExifTags.IFD.GPSInfo).update({
        ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (52.0, 30.0, 59.5),
    })  # fmt: skip
    return tags.tobytes().removeprefix(exif.PREFIX)


def dates(tags):
    """(of the file, of the photo) as Pillow reads them."""
    return tags[ExifTags.Base.DateTime], tags.get_ifd(ExifTags.IFD.Exif)[36867]


def draw(channels, dtype="uint8", height=HEIGHT, width=WIDTH, **beside):
    rng = np.random.default_rng(channels)
    samples = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)
    colors = 1 if channels < 3 else 3
    alpha = None if channels == colors else samples[..., -1].copy()
    if alpha is not None:
        alpha[0] = 0  # the colour under it must survive
    return PhotoFile(samples[..., :colors].copy(), alpha, **beside)


def draw_all(channels, dtype="uint8"):
    beside = dict(exif=block(dots=(300, 150)), xmp=XMP, resolution=(300.0, 150.0))
    return draw(channels, dtype, icc=ICC[1 if channels < 3 else 3], **beside)


def samples(photo):
    """[H,W] or [H,W,S], as other programs return it."""
    parts = [photo.pixels, *([] if photo.alpha is None else [photo.alpha[..., None]])]
    return np.concatenate(parts, axis=-1).squeeze()


def check_pixels(photo, expected):
    assert photo.pixels.dtype == expected.pixels.dtype
    np.testing.assert_array_equal(photo.pixels, expected.pixels)
    assert (photo.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        assert photo.alpha.dtype == expected.alpha.dtype
        np.testing.assert_array_equal(photo.alpha, expected.alpha)


def check_beside(photo, expected):
    assert (photo.icc, photo.xmp) == (expected.icc, expected.xmp)
    per_metre = np.array([photo.resolution, expected.resolution]) / exif.INCH
    assert np.abs(per_metre[0] - per_metre[1]).max() <= 0.5 + 1e-6  # PNG counts whole ones
    if photo.format == "TIFF":
        described = exif.describing(exif.parse(expected.exif))
        assert exif.parse(photo.exif) == described
        assert {exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY, ExifTags.Base.DateTime} < set(described)
    else:
        assert photo.exif == expected.exif


def lossless_suffix(path, photo):
    """The source's own suffix where such a file can hold the photo, or ".png"."""
    suffix = pathlib.Path(path).suffix
    return ".png" if encode.refusal(suffix, photo) else suffix


@pytest.mark.parametrize("suffix, dtype, channels", MATRIX)
def test_there_and_back_is_the_identity(tmp_path, suffix, dtype, channels):
    photo, path = draw(channels, dtype), tmp_path / f"a{suffix}"
    files.write(path, photo)
    back = files.read(path)
    check_pixels(back, photo)
    assert (back.icc, back.exif, back.xmp, back.resolution) == (None,) * 4
    assert lossless_suffix(path, back) == suffix
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix, dtype, channels", HOLDS)
def test_nothing_beside_the_pixels_is_lost(tmp_path, suffix, dtype, channels):
    photo, path = draw_all(channels, dtype), tmp_path / f"a{suffix}"
    files.write(str(path), photo)
    back = files.read(path)
    check_pixels(back, photo)
    check_beside(back, photo)
    again = tmp_path / f"b{suffix}"
    files.write(again, back)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_all_of_8_bits(tmp_path, channels):
    photo = draw_all(channels)
    for suffix in (".png", ".tif") if channels < 3 else (".png", ".tif", ".webp"):
        files.write(tmp_path / f"a{suffix}", photo)
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert dates(image.getexif()) == (SCANNED, TAKEN)
            assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 30.0, 59.5)
            assert image.info["icc_profile"] == photo.icc and image.info["xmp"] == XMP
            if suffix != ".webp":
                assert image.info["dpi"] == pytest.approx((300, 150), abs=exif.INCH)
            np.testing.assert_array_equal(np.array(image), samples(photo))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opencv_reads_all_of_16_bits(tmp_path, suffix, channels):
    photo = draw_all(channels, "uint16")
    files.write(tmp_path / f"a{suffix}", photo)
    read = cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(
        read.reshape(HEIGHT, WIDTH, -1)[..., order].squeeze(), samples(photo)
    )


@pytest.mark.parametrize("mark", [b"II", b"MM"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tifffile_reads_tiff(tmp_path, channels, dtype, mark):
    photo = draw_all(channels, dtype)
    order = exif.order(photo.exif)
    if mark != photo.exif[:2]:  # the file takes the byte order of the EXIF block
        order, small = {"<": ">", ">": "<"}[order], exif.Value(2, b"Agfa\0")
        photo.exif = exif.pack_block({271: small}, order)
    files.write(tmp_path / "a.tif", photo)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages.first.tags
        assert file.byteorder == order
        np.testing.assert_array_equal(file.asarray(), samples(photo))
        assert tags["Make"].value == "Agfa" and tags["Orientation"].value == 1
        assert tags["XResolution"].value == (300, 1) and tags["YResolution"].value == (150, 1)
        assert ("ExtraSamples" in tags) == (channels in (2, 4))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 4])
def test_bands_leave_no_mark(tmp_path, monkeypatch, suffix, channels):
    photo = draw(channels, "uint16", height=23)
    for size in (1, 100, 150):  # one row at a time, some and a rest
        monkeypatch.setattr(rows, "BAND", size)
        files.write(tmp_path / f"a{suffix}", photo)
        check_pixels(files.read(tmp_path / f"a{suffix}"), photo)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
def test_views_are_written_as_they_look(tmp_path, suffix):
    pixels = draw(3).pixels.swapaxes(0, 1)[::-1]
    files.write(tmp_path / f"a{suffix}", PhotoFile(pixels))
    np.testing.assert_array_equal(files.read(tmp_path / f"a{suffix}").pixels, pixels)


def test_tiff_beyond_4_gigabytes_is_bigtiff(tmp_path, monkeypatch):
    photo = draw_all(4, "uint16")
    monkeypatch.setattr(encode_tiff, "CLASSIC", 100)
    files.write(tmp_path / "a.tif", photo)
    back = files.read(tmp_path / "a.tif")
    check_pixels(back, photo)
    check_beside(back, photo)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), samples(photo))
        assert file.pages.first.tags["ExifTag"].value["DateTimeOriginal"] == TAKEN


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_large_scans_are_not_copied_whole(tmp_path, suffix):
    photo = draw(4, "uint16", height=1, width=2000)
    photo.pixels = np.repeat(photo.pixels, 2000, axis=0)
    photo.alpha = np.repeat(photo.alpha, 2000, axis=0)
    tracemalloc.start()
    files.write(tmp_path / f"a{suffix}", photo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < photo.pixels.nbytes


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_profile_of_megabytes(tmp_path, dtype):
    """Pillow gives up on PNG files with profiles of more than a megabyte; we don't."""
    profile = ICC[3] + np.random.default_rng(0).bytes(1_500_000)
    photo = draw(3, dtype, icc=profile)
    for suffix in (".png", ".tif"):
        files.write(tmp_path / f"a{suffix}", photo)
        back = files.read(tmp_path / f"a{suffix}")
        check_pixels(back, photo)
        assert back.icc == profile


def source(suffix, orientation, dtype="uint8"):
    """A file by another program: the upright photo, stored as the orientation says."""
    turn = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
            5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, 1),
            7: lambda x: np.rot90(x, 2).swapaxes(0, 1), 8: lambda x: np.rot90(x, -1)}  # fmt: skip
    smooth = np.add.outer(np.arange(24) * 5, np.arange(32) * 3).astype(np.uint8)
    upright = np.stack([smooth, smooth // 2, 255 - smooth], axis=-1)
    image = Image.fromarray(np.ascontiguousarray(turn[orientation](upright)))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = XMP.replace(b'Orientation="1"', b'Orientation="%d"' % orientation)
    stream = io.BytesIO()
    beside = dict(exif=exif.PREFIX + block(orientation, (300, 150)), icc_profile=icc, xmp=xmp)
    if suffix == ".tif":
        tags = Image.Exif()
        tags.load(beside.pop("exif"))
        tags[exif.XMP] = beside.pop("xmp")
        image.save(stream, "TIFF", exif=tags, **beside)
    else:
        kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix]
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {".jpg": dict(quality=98, subsampling=0), ".webp": dict(lossless=True)}
        options[".png"] = dict(pnginfo=text)
        image.save(stream, kind, dpi=(300, 150), **beside, **options[suffix])
    return stream.getvalue(), upright, icc


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_upright_with_all_that_it_says(tmp_path, suffix, orientation):
    """Read, restored, written: upright once, and no reader turns it again."""
    data, upright, icc = source(suffix, orientation)
    (tmp_path / f"a{suffix}").write_bytes(data)
    photo = files.read(tmp_path / f"a{suffix}")
    dots = (300, 150) if orientation < 5 else (150, 300)
    assert photo.format == {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    assert photo.resolution == pytest.approx(dots, abs=exif.INCH / 2)
    assert photo.icc == icc and photo.xmp == XMP
    restored = dataclasses.replace(photo, pixels=255 - photo.pixels)
    path = tmp_path / f"b{lossless_suffix(tmp_path / f'a{suffix}', restored)}"
    assert path.suffix == (".png" if suffix == ".jpg" else suffix)
    files.write(path, restored)
    check_pixels(files.read(path), restored)
    check_beside(files.read(path), restored)
    with Image.open(path) as image:
        tags = image.getexif()
        assert image.size == (32, 24) and tags.get(ExifTags.Base.Orientation, 1) == 1
        assert dates(tags) == (SCANNED, TAKEN)
        assert np.abs(255 - np.array(image).astype(int) - upright).max() <= 6  # JPEG's loss
        if suffix != ".tif":
            assert (tags[exif.X_RESOLUTION], tags[exif.Y_RESOLUTION]) == dots


@pytest.mark.parametrize("text, known", [("{hex}", True), ("{hex}zz", False), ("", False)])
def test_exif_as_imagemagick_puts_it_in_png(tmp_path, text, known):
    data, info = exif.PREFIX + block(6), PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(data)}\n{text.format(hex=data.hex())}")
    Image.fromarray(draw(3).pixels).save(tmp_path / "a.png", pnginfo=info)
    photo = files.read(tmp_path / "a.png")
    assert photo.exif == (block(1) if known else None)
    assert photo.pixels.shape == ((WIDTH, HEIGHT, 3) if known else (HEIGHT, WIDTH, 3))


def test_jpeg_without_a_resolution_gets_none(tmp_path):
    """Pillow makes up 72 dots per inch where EXIF has none."""
    image = Image.fromarray(draw(3).pixels)
    image.save(tmp_path / "a.jpg", exif=exif.PREFIX + block())
    assert files.read(tmp_path / "a.jpg").resolution is None


def test_the_profile_of_inks_goes_with_the_inks(tmp_path):
    image = Image.fromarray(draw(3).pixels).convert("CMYK")
    for name in ("a.jpg", "a.tif"):
        image.save(tmp_path / name, icc_profile=bytes(16) + b"CMYK" + bytes(200))
        assert files.read(tmp_path / name).icc is None


def test_webp_gets_its_resolution_by_exif(tmp_path):
    for given in (None, block(), block(dots=(72, 72))):
        files.write(tmp_path / "a.webp", draw(3, resolution=(299.72, 600.0), exif=given))
        photo = files.read(tmp_path / "a.webp")
        assert photo.resolution == pytest.approx((299.72, 600), rel=1e-6)
        if given:
            with Image.open(tmp_path / "a.webp") as image:
                assert dates(image.getexif()) == (SCANNED, TAKEN)


def test_bmp_keeps_its_resolution(tmp_path):
    files.write(tmp_path / "a.bmp", draw(3, resolution=(300.0, 150.0)))
    assert files.read(tmp_path / "a.bmp").resolution == pytest.approx((300, 150), abs=0.013)


@pytest.mark.parametrize("name, photo, suffix", [
    ("a.PNG", draw(4, "uint16"), ".PNG"), ("a.tif", draw(1, "uint16"), ".tif"),
    ("a.jpg", draw(3), ".png"), ("a.jpe", draw(1), ".png"), ("a.heic", draw(3), ".png"),
    ("a", draw(3), ".png"), ("a.webp", draw(3), ".webp"), ("a.webp", draw(1), ".png"),
    ("a.webp", draw(3, "uint16"), ".png"), ("a.webp", draw(3, width=16384, height=1), ".png"),
    ("a.bmp", draw(3), ".bmp"), ("a.bmp", draw(4), ".png"), ("a.bmp", draw(1, "uint16"), ".png"),
    ("a.bmp", draw_all(3), ".png"),
])  # fmt: skip
def test_outputs_take_the_format_of_the_source_or_png(tmp_path, name, photo, suffix):
    assert lossless_suffix(name, photo) == suffix
    files.write(tmp_path / f"b{suffix}", photo)
    check_pixels(files.read(tmp_path / f"b{suffix}"), photo)


@pytest.mark.parametrize("name, photo, match", [
    ("a.jpg", draw(3), r"JPEG does not keep.*name it \.png"),
    ("a.gif", draw(3), r"suffix '\.gif'; name it \.png, \.tif"),
    ("a", draw(3), "no format for the suffix ''"),
    ("a.tif", PhotoFile(draw(3).pixels / 255), "float64.*to_uint8 or to_uint16"),
    ("a.tif", PhotoFile(draw(4).alpha), r"\[H,W,1\] or \[H,W,3\], got \(5, 7\)"),
    ("a.png", PhotoFile(draw(3).pixels, draw(4, height=4).alpha), r"alpha is \(4, 7\).*same size"),
    ("a.png", PhotoFile(draw(3).pixels, draw(4, "uint16").alpha), "uint16.*same size and dtype"),
    ("a.webp", draw(1), r"RGB of 8 bits only; name it \.png"),
    ("a.webp", draw(3, width=16384, height=1), "ends at 16383"),
    ("a.bmp", draw(4), "without alpha only"),
    ("a.bmp", draw(3, xmp=XMP), "no ICC profile, EXIF or XMP"),
    ("a.png", draw(3, icc=ICC[1]), "profile is for b'GRAY', the pixels are b'RGB '; convert"),
    ("a.png", draw(3, exif=b"junk"), "EXIF block is damaged.*set exif to None"),
    ("a.tif", draw(3, exif=block()[:20]), "EXIF block is damaged.*cut off"),
    ("a.png", draw(3, resolution=(0, 300)), r"resolution \(0, 300\): give"),
    ("nowhere/a.png", draw(3), r"a\.png: cannot be written \(No such file"),
])  # fmt: skip
def test_refusals_name_the_file_the_value_and_the_mend(tmp_path, name, photo, match):
    with pytest.raises(PhotoError, match=match) as caught:
        files.write(tmp_path / name, photo)
    assert str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error, raised", [
    (OSError(28, "No space left on device"), PhotoError), (KeyboardInterrupt(), KeyboardInterrupt),
    (MemoryError(), MemoryError),
])  # fmt: skip
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_nothing_half_written_stays(tmp_path, monkeypatch, suffix, error, raised):
    path, photo = tmp_path / f"a{suffix}", draw(4)
    files.write(path, photo)

    def bands(photo):
        yield np.zeros((2, WIDTH, 4), np.uint8)
        assert suffix == ".webp" or len(list(tmp_path.iterdir())) == 2  # it stands beside its place
        raise error

    monkeypatch.setattr(rows, "bands", bands)
    with pytest.raises(raised):
        files.write(path, draw_all(4))
    assert list(tmp_path.iterdir()) == [path]
    check_pixels(files.read(path), photo)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".bmp"])
def test_names_of_the_world(tmp_path, suffix):
    path = tmp_path / "Fotos älter – тётя" / f"家 族 1923{suffix}"
    path.parent.mkdir()
    files.write(path, draw(3))
    check_pixels(files.read(path), draw(3))


def test_an_opaque_alpha_may_go_in_webp(tmp_path):
    photo = draw(3)
    photo.alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    files.write(tmp_path / "a.webp", photo)
    back = files.read(tmp_path / "a.webp")
    np.testing.assert_array_equal(back.pixels, photo.pixels)
    assert back.alpha is None


KEPT = PhotoFile(
    np.zeros((2, 2, 3), np.uint8), extra=np.zeros((2, 2, 1), np.uint8), extra_kinds=(0,),
    iptc=b"\x1c\x02\x50\0\x01A", comments=(b"Box 7",), trailer=b"\0\0\0\x08ftypmp42",
    texts=((b"tEXt", b"Title\0A"), (b"iTXt", b"Author\0\0\0\0\0B"), (b"tEXt", b"Title\0B")),
    encoding=((b"gAMA", bytes(4)), (b"cHRM", bytes(32))), resources=b"8BIM\x04\x0a\0\0\0\0\0\1\1\0",
    left_behind=("a gain map",),
)  # fmt: skip
TEXT, LIGHT, FILM = "PNG text Title, Author", "PNG's cHRM, gAMA", "film behind the picture"
BIM, MORE, COMMENTS = "Photoshop's image resources", "1 further channel", "JPEG comments"


@pytest.mark.parametrize("suffix, told", [
    (".jpg", [MORE, TEXT, LIGHT]), (".PNG", [MORE, FILM]),
    (".tif", [COMMENTS, TEXT, FILM, LIGHT]),
    (".webp", [MORE, "IPTC", COMMENTS, TEXT, FILM, BIM, LIGHT]),
    (".bmp", [MORE, "IPTC", COMMENTS, TEXT, FILM, BIM, LIGHT]),
])  # fmt: skip
def test_what_a_format_cannot_hold_is_named(suffix, told):
    assert encode.left_out(suffix, KEPT) == ["a gain map", *told]
    assert encode.left_out(suffix, draw_all(3)) == []
    srgb = (*KEPT.encoding, (b"sRGB", b"\0"))
    assert LIGHT not in encode.left_out(suffix, dataclasses.replace(KEPT, encoding=srgb))
