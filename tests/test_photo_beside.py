"""What JPEG and PNG files hold beside pixels is carried: made by others, read again by others."""

import dataclasses
import hashlib
import io
import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, PngImagePlugin

from oldphoto_jax.photo import exif, xmp_packet
from oldphoto_jax.photo.codecs import encode, photoshop, png_text
from oldphoto_jax.photo.disk import files

FILES = pathlib.Path(__file__).parent / "files"
PICTURE = Image.fromarray(np.add.outer(np.arange(9) * 9, np.arange(12) * 7).astype(np.uint8))
KEYWORDS, CAPTION = [b"family", b"wedding"], "Anna, Lwów 1921".encode()


def iptc_by_pillow(path):
    """IPTC of a JPEG file, by (record, data set)."""
    with Image.open(path) as image:
        return IptcImagePlugin.getiptcinfo(image)


def rewritten(tmp_path, source, suffix, **changed):
    photo = dataclasses.replace(files.read(source), **changed)
    files.write(tmp_path / f"again{suffix}", photo, quality=90)
    return tmp_path / f"again{suffix}"


def sets(*pairs):
    return b"".join(struct.pack(">BBBH", 28, 2, number, len(d)) + d for number, d in pairs)


@pytest.mark.parametrize("name", ["captions_exiftool.jpg", "captions_magick.png"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_iptc_of_other_programs_is_written_back(tmp_path, name, suffix):
    """Through JPEG and PNG; no thumbnail of the photo as it was comes with it."""
    path = rewritten(tmp_path, FILES / name, suffix)
    back = files.read(path)
    assert back.iptc == files.read(FILES / name).iptc
    files.write(tmp_path / "a.jpg", back, quality=90)
    told = iptc_by_pillow(tmp_path / "a.jpg")
    assert told[2, 25] == KEYWORDS and told[2, 120] == CAPTION and told[2, 80] == b"J. Studio"
    with Image.open(tmp_path / "a.jpg") as image:
        assert 0x040B in image.info["photoshop"]  # its URL
        assert not {0x040C, 0x0409, 0x0425} & {*image.info["photoshop"]}
    comment = [text for _, text in back.texts if b"Box 7" in text] or back.comments
    assert not [text for _, text in back.texts if text.startswith(b"exif:")]
    assert len(comment) == 1 and comment[0].endswith(b"Box 7, back: Anna")
    assert encode.left_out(suffix, back) == []


def test_thumbnails_are_gone_to_the_last_byte(tmp_path):
    source = FILES / "captions_exiftool.jpg"
    assert source.read_bytes().count(b"\xff\xd8\xff") == 3
    path = rewritten(tmp_path, source, ".jpg")
    assert path.read_bytes().count(b"\xff\xd8\xff") == 1
    with Image.open(path) as image:
        tags = image.getexif()
        assert tags[0x0112] == 1 and tags[0x013B] == "Studio" and not tags.get_ifd(1)


@pytest.mark.parametrize("split", [1, 2, 5])
@pytest.mark.parametrize("filled", [True, False])
def test_iptc_in_several_segments(tmp_path, split, filled):
    """Photoshop's resources go on from segment to segment; not all programs fill them up."""
    data = sets((25, b"one"), (120, b"x" * 301))
    parts = [b"8BIM\x04\x0b\0\0" + struct.pack(">I", 3) + b"url", photoshop.pack(data)]
    whole = b"".join(part + bytes(len(part) % 2 * filled) for part in parts)
    step = -(-len(whole) // split)
    extra = b"".join(
        struct.pack(">BBH", 255, 0xED, len(part) + 16) + photoshop.HEAD + part
        for part in (whole[at : at + step] for at in range(0, len(whole), step))
    )
    PICTURE.save(tmp_path / "a.jpg", extra=extra)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.iptc == data and photo.resources[:12] == parts[0][:12]
    files.write(tmp_path / "b.jpg", photo, quality=90)
    assert iptc_by_pillow(tmp_path / "b.jpg")[2, 120] == b"x" * 301


def test_long_iptc_goes_on_in_a_second_segment(tmp_path):
    data = sets(*[(120, bytes([65 + n]) * 30000) for n in range(5)])
    files.write(tmp_path / "a.jpg", files.PhotoFile(np.zeros((8, 8, 3), np.uint8), iptc=data), 90)
    assert files.read(tmp_path / "a.jpg").iptc == data
    with Image.open(tmp_path / "a.jpg") as image:
        assert len(image.applist) == 4  # JFIF and three of these


def test_iptc_in_exif_moves_to_its_own_place(tmp_path):
    """Whether EXIF alone has it, or has another that is older."""
    tags = {0x010F: exif.Value(2, b"Agfa Ansco\0"), 0x83BB: exif.Value(7, sets((25, b"old")))}
    block = exif.PREFIX + exif.pack_block(tags, ">")
    packed = photoshop.HEAD + photoshop.pack(sets((25, b"new")))
    extra = struct.pack(">BBH", 255, 0xED, len(packed) + 2) + packed
    for segments, expected in ((b"", b"old"), (extra, b"new")):
        PICTURE.save(tmp_path / "a.jpg", exif=block, extra=segments)
        photo = files.read(tmp_path / "a.jpg")
        assert photo.iptc == sets((25, expected))
        assert exif.parse(photo.exif) == {0x010F: tags[0x010F]} and b"old" not in photo.exif


@pytest.mark.parametrize("comment, kind", [
    (b"Box 7", "tEXt"), ("Großmutter".encode(), "iTXt"), ("Großmutter".encode("latin-1"), "tEXt"),
])  # fmt: skip
def test_comments_cross_between_jpeg_and_png(tmp_path, comment, kind):
    PICTURE.save(tmp_path / "a.jpg", comment=comment)
    path = rewritten(tmp_path, tmp_path / "a.jpg", ".png")
    with Image.open(path) as image:
        assert image.text["Comment"] in ("Box 7", "Großmutter")
    assert files.read(path).texts[0][0] == kind.encode()
    with Image.open(rewritten(tmp_path, path, ".jpg")) as image:
        assert image.info["comment"] in (comment, "Großmutter".encode())
    PICTURE.save(tmp_path / "c.jpg", comment=comment)
    with Image.open(rewritten(tmp_path, tmp_path / "c.jpg", ".jpg")) as image:
        assert image.info["comment"] == comment


def test_text_of_png_comes_back_as_it_was_packed(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Wedding 1921")
    info.add_text("Description", "Großmutter " * 40, zip=True)
    info.add_itxt("Author", "Jürgen", lang="de", tkey="Autor")
    PICTURE.save(tmp_path / "a.png", pnginfo=info)
    path = rewritten(tmp_path, tmp_path / "a.png", ".png")
    with Image.open(path) as image, Image.open(tmp_path / "a.png") as before:
        assert image.text == before.text and image.text["Author"].lang == "de"
    photo = files.read(path)
    assert photo.texts == files.read(tmp_path / "a.png").texts
    assert encode.left_out(".jpg", photo) == ["PNG text Title, Description, Author"]


MAIN = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="uuid:1" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5" '
    b'xmpNote:HasExtendedXMP="%s"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
MORE = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">'
    b"<dc:source>" + b"The farm " * 12000 + b"</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>"
)
NAME = hashlib.md5(MORE).hexdigest().upper().encode()


def extended(parts, name=NAME):
    """Segments of (start, bytes) of an extended packet."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + name
    contents = [head + struct.pack(">II", len(MORE), start) + part for start, part in parts]
    return b"".join(struct.pack(">BBH", 255, 0xE1, len(c) + 2) + c for c in contents)


PARTS = [(at, MORE[at : at + 40000]) for at in range(0, len(MORE), 40000)]


def test_extended_xmp_is_written_back_or_merged(tmp_path):
    """Out of order in the file; and the packet never points at what is not there."""
    PICTURE.save(tmp_path / "a.jpg", xmp=MAIN % NAME, extra=extended(PARTS[::-1]))
    photo = files.read(tmp_path / "a.jpg")
    assert photo.extended_xmp == MORE and photo.notes == ()
    back = files.read(rewritten(tmp_path, tmp_path / "a.jpg", ".jpg"))
    assert (back.xmp, back.extended_xmp) == (MAIN % NAME, MORE)
    for suffix in (".png", ".webp"):
        path = rewritten(tmp_path, tmp_path / "a.jpg", suffix, pixels=np.zeros((8, 8, 3), np.uint8))
        assert encode.left_out(suffix, photo) == []
        with Image.open(path) as image:
            image.load()
            packet = image.info["xmp"]
        assert b"HasExtendedXMP" not in packet and packet.count(b"The farm ") == 12000
        assert packet.count(b'rdf:about="uuid:1"') == 2 and b'xmp:Rating="5"' in packet
    lost = dataclasses.replace(photo, extended_xmp=b"<no/>")
    assert encode.left_out(".png", lost) == ["extended XMP"]
    files.write(tmp_path / "c.png", lost)
    assert files.read(tmp_path / "c.png").xmp == MAIN.replace(b' xmpNote:HasExtendedXMP="%s"', b"")


@pytest.mark.parametrize("segments, name, told", [
    (extended(PARTS[1:]), NAME, "parts of its extended XMP packet are missing"),
    (b"", NAME, "parts of its extended XMP packet are missing"),
    (extended(PARTS, b"0" * 32), b"0" * 32, "the checksum of its extended XMP packet is wrong"),
    (extended(PARTS, b"0" * 32), NAME, "that the main one does not name was left out"),
])  # fmt: skip
def test_faults_of_extended_xmp_are_noted(tmp_path, segments, name, told):
    PICTURE.save(tmp_path / "a.jpg", xmp=MAIN % name, extra=segments)
    photo = files.read(tmp_path / "a.jpg")
    assert told in photo.notes[0]
    assert (b"HasExtendedXMP" in photo.xmp) == (photo.extended_xmp == MORE)
    back = files.read(rewritten(tmp_path, tmp_path / "a.jpg", ".jpg"))
    assert back.extended_xmp == photo.extended_xmp and back.notes == ()


def test_turned_pixels_turn_what_xmp_says(tmp_path):
    packet = (
        b'<rdf:Description tiff:Orientation="6" tiff:ImageWidth="12" tiff:ImageLength="9" '
        b'tiff:NativeDigest="256,257;ABC"><exif:PixelXDimension>12</exif:PixelXDimension>'
        b"<exif:PixelYDimension>9</exif:PixelYDimension><xmp:Thumbnails><rdf:Alt><rdf:li>"
        b"AAAA</rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description>"
    )
    PICTURE.save(tmp_path / "a.jpg", xmp=packet)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.pixels.shape == (12, 9, 1)
    assert photo.xmp == (
        b'<rdf:Description tiff:Orientation="1" tiff:ImageWidth="9" tiff:ImageLength="12">'
        b"<exif:PixelXDimension>9</exif:PixelXDimension>"
        b"<exif:PixelYDimension>12</exif:PixelYDimension></rdf:Description>"
    )
    assert xmp_packet.upright(packet.replace(b'"6"', b'"1"'), False, False).count(b"Thumb") == 0


def with_chunks(path, *chunks):
    """A PNG file of Pillow's with chunks behind its header."""
    data = path.read_bytes()
    packed = b"".join(
        struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d))
        for name, d in chunks
    )
    path.write_bytes(data[:33] + packed + data[33:])


LIGHT = ((b"cICP", bytes([12, 13, 0, 1])), (b"gAMA", struct.pack(">I", 100000)),
         (b"cHRM", bytes(range(32))))  # fmt: skip


def test_how_png_is_encoded_comes_back(tmp_path):
    PICTURE.save(tmp_path / "a.png")
    with_chunks(tmp_path / "a.png", *LIGHT[1:], LIGHT[0], (b"tIME", bytes(7)), (b"neWx", b"?"))
    photo = files.read(tmp_path / "a.png")
    assert sorted(photo.encoding) == sorted(LIGHT)
    assert encode.left_out(".png", photo) == ["PNG chunk neWx"]
    assert encode.left_out(".heic", photo)[1:] == ["PNG's cHRM, gAMA"]
    back = rewritten(tmp_path, tmp_path / "a.png", ".png").read_bytes()
    order = [back.index(name) for name in (b"IHDR", b"cICP", b"gAMA", b"cHRM", b"IDAT")]
    assert order == sorted(order) and files.read(tmp_path / "again.png").encoding == photo.encoding
    srgb = dataclasses.replace(photo, encoding=((b"sRGB", b"\0"), *LIGHT[1:]))
    assert encode.left_out(".jpg", srgb) == ["PNG chunk neWx"]
    srgb.icc = bytes(16) + b"GRAY" + bytes(100)
    files.write(tmp_path / "c.png", srgb)
    assert b"sRGB" not in (tmp_path / "c.png").read_bytes()


def test_primaries_of_heic_are_those_of_png_and_back(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    codes = {"color_primaries": 12, "transfer_characteristics": 13}
    pillow_heif.encode("RGB", (16, 16), bytes(768), str(tmp_path / "a.heic"), quality=90, **codes)
    photo = files.read(tmp_path / "a.heic")
    assert photo.encoding == LIGHT[:1] and encode.left_out(".heic", photo) == []
    back = files.read(rewritten(tmp_path, tmp_path / "a.heic", ".heic"))
    assert back.encoding == photo.encoding
    pillow_heif.encode("RGB", (16, 16), bytes(768), str(tmp_path / "b.heic"), quality=90)
    assert files.read(tmp_path / "b.heic").encoding == ()


def test_a_raw_profile_is_hex_as_imagemagick_reads_it():
    text = png_text.raw_profile(b"iptc", bytes(range(100)))
    assert png_text.profile(text) == bytes(range(100))
    lines = png_text.unpacked(text).split(b"\n")
    assert lines[:3] == [b"", b"iptc", b"     100"] and len(lines[3]) == 72
    assert png_text.profile(png_text.Text(b"tEXt", b"Raw profile type x\0\nx\n1\nzz")) is None


def test_what_no_field_is_for_is_named(tmp_path):
    def app(number, content):
        return struct.pack(">BBH", 255, 0xE0 + number, len(content) + 2) + content

    extra = app(11, b"JP\0\1c2pa") + app(3, b"Meta\0\0") + app(12, b"Ducky\0") + app(2, b"FPXR\0")
    PICTURE.save(tmp_path / "a.jpg", extra=extra)
    photo = files.read(tmp_path / "a.jpg")
    seal = "content credentials (C2PA), which are of the file as it was"
    assert photo.left_behind == (seal, "segment APP3 Meta", "segment APP2 FPXR")
    assert photo.notes == () and not photo.faulty
    frames = io.BytesIO()
    PICTURE.save(frames, "WEBP", save_all=True, append_images=[PICTURE.rotate(180)])
    (tmp_path / "a.webp").write_bytes(frames.getvalue())
    told = encode.left_out(".webp", files.read(tmp_path / "a.webp"))
    assert told == ["the other pictures of the animation"]


REGIONS = (
    b'<mwg-rs:AppliedToDimensions stDim:w="12" stDim:h="9" stDim:unit="pixel"/><rdf:li>'
    b'<mwg-rs:Area stArea:x="0.25" stArea:y="0.1" stArea:w="0.5" stArea:h="0.2"/></rdf:li><rdf:li>'
    b"<mwg-rs:Area><stArea:x>0.25</stArea:x><stArea:y>0.1</stArea:y><stArea:w>0.5</stArea:w>"
    b'<stArea:h>0.2</stArea:h></mwg-rs:Area></rdf:li><a MPReg:Rectangle="0, 0, 0.5, 0.2"/>'
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_show_the_same_faces_when_the_pixels_are_turned(tmp_path, orientation):
    """A face that is painted where the region says is there in the turned photo, too."""
    face = np.zeros((180, 240), np.uint8)
    face[0:36, 0:120] = 255  # the centre .25, .1 and the size .5, .2
    packet = b'<x tiff:Orientation="%d">%s</x>' % (orientation, REGIONS)
    Image.fromarray(face).save(tmp_path / "a.jpg", xmp=packet, quality=95)
    photo = files.read(tmp_path / "a.jpg")
    height, width, _ = photo.pixels.shape
    white = np.argwhere(photo.pixels[..., 0] > 128) / [height, width]
    (top, left), (bottom, right) = white.min(axis=0), white.max(axis=0)
    center = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    found = xmp_packet.patterns(b"mwg-rs:Area")[1].findall(photo.xmp)
    assert len(found) == 2
    for name, value in zip("xywh", center, strict=True):
        said = xmp_packet.re.findall(b'stArea:%s(?:="|>)([^"<]+)' % name.encode(), photo.xmp)
        assert len(said) == 2 and np.allclose([float(one) for one in said], value, atol=0.01)
    corner = xmp_packet.value(photo.xmp, b"MPReg:Rectangle")[1].split(b", ")
    assert np.allclose([float(n) for n in corner], [left, top, *center[2:]], atol=0.01)
    sides = (b"12", b"9") if orientation < 5 else (b"9", b"12")
    assert b'stDim:w="%s" stDim:h="%s"' % sides in photo.xmp


def test_photoshop_s_paths_go_when_the_pixels_are_turned(tmp_path):
    parts = [struct.pack(">4sHHI", b"8BIM", number, 0, 4) + b"abcd" for number in (0x07D0, 0x040B)]
    data = photoshop.HEAD + b"".join(parts)
    for orientation, kept in ((1, parts), (6, parts[1:])):
        tags = Image.Exif()
        tags[0x0112] = orientation
        extra = struct.pack(">BBH", 255, 0xED, len(data) + 2) + data
        PICTURE.save(tmp_path / "a.jpg", exif=tags, extra=extra)
        assert files.read(tmp_path / "a.jpg").resources == b"".join(kept)
