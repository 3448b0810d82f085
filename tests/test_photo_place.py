"""The place where a photo was taken is gone, to the last byte, and nothing else."""

import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import place
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoError, PhotoFile

NOTES = bytes(range(1, 65))
PLACE = (52.0, 30.0, 59.5)
IPTC = {90: b"Potsdam", 120: b"Grandmother", 101: b"Germany", 80: b"Agfa"}


def by_pillow(gps=True):
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Orientation] = "Agfa", 1
    tags[ExifTags.Base.DateTime] = "2024:01:02 03:04:05"
    tags.get_ifd(ExifTags.IFD.Exif).update({
        ExifTags.Base.DateTimeOriginal: "1923:05:17 11:30:00", ExifTags.Base.MakerNote: NOTES,
    })  # fmt: skip
    if gps:
        tags.get_ifd(ExifTags.IFD.GPSInfo).update({
            ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: PLACE,
            ExifTags.GPS.GPSAreaInformation: b"Sanssouci, the park",
        })  # fmt: skip
    return tags.tobytes().removeprefix(exif.PREFIX)


def with_gps_last(order):
    """A block of which the GPS directory is found behind the one of a thumbnail too."""
    gps = {2: exif.numbers(exif.RATIONAL, order, 52, 1, 30, 1, 119, 2)}
    tags = {0x010F: exif.Value(2, b"Agfa Ansco\0"), exif.GPS_DIRECTORY: gps}
    first = bytearray(exif.pack_block(tags, order))
    struct.pack_into(order + "I", first, 10 + 12 * len(tags), len(first))
    return bytes(first) + exif.pack({0x0103: exif.numbers(3, order, 6)} | tags, len(first), order)


def strip(**beside):
    return files.strip_gps(PhotoFile(np.zeros((1, 1, 1), np.uint8), **beside))


@pytest.mark.parametrize("block", [by_pillow(), with_gps_last("<"), with_gps_last(">")])
def test_no_byte_of_gps_stays_in_exif_and_all_else_does(block):
    told = strip(exif=block).exif
    before, after = exif.parse(block), exif.parse(told)
    assert before.pop(exif.GPS_DIRECTORY) and before == after
    assert len(told) == len(block)
    for number in ((52, 1), (30, 1), (119, 2)):
        assert struct.pack("<II", *number) not in told and struct.pack(">II", *number) not in told
    assert b"Sanssouci" not in told and strip(exif=told).exif == told


def test_pillow_finds_no_place_and_the_makers_notes_where_they_were():
    block = by_pillow()
    told, tags = strip(exif=block).exif, Image.Exif()
    tags.load(exif.PREFIX + told)
    assert tags[ExifTags.Base.Make] == "Agfa" and not tags.get_ifd(ExifTags.IFD.GPSInfo)
    inside = tags.get_ifd(ExifTags.IFD.Exif)
    assert inside[ExifTags.Base.DateTimeOriginal] == "1923:05:17 11:30:00"
    assert inside[ExifTags.Base.MakerNote] == NOTES and told.index(NOTES) == block.index(NOTES)


def test_without_a_place_nothing_changes():
    block, packet = by_pillow(gps=False), b'<x:xmpmeta xmp:Rating="5"><dc:title>A</dc:title></x>'
    photo = strip(exif=block, xmp=packet, icc=b"profile")
    assert (photo.exif, photo.xmp, photo.icc) == (block, packet, b"profile")
    assert (strip().exif, strip().xmp) == (None, None)


def test_names_of_places_go_from_iptc():
    def sets(numbers):
        return b"".join(struct.pack(">BBBH", 28, 2, n, len(IPTC[n])) + IPTC[n] for n in numbers)

    block = exif.pack_block({exif.IPTC: exif.Value(exif.UNDEFINED, sets(IPTC))}, ">")
    told = strip(exif=block).exif
    assert exif.parse(told)[exif.IPTC].data.rstrip(b"\0") == sets([120, 80])
    assert b"Potsdam" not in told and b"Germany" not in told
    assert place.without_iptc(sets(IPTC)[:-1]) == sets([120])  # the last one is cut off


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="52,30.99N"
 exif:GPSLongitude='13,2.3E' exif:DateTimeOriginal="1923-05-17" photoshop:City="Potsdam"
 photoshop:Country = "Germany" Iptc4xmpCore:Location="Sanssouci" drone-dji:GpsLatitude="+52"
 tiff:Orientation="1">
<exif:GPSAltitude>35/1</exif:GPSAltitude> <exif:GPSMapDatum/>
<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li Iptc4xmpExt:Sublocation="The park" Iptc4xmpExt:City=
"Potsdam"/></rdf:Bag></Iptc4xmpExt:LocationShown>
<Iptc4xmpExt:LocationCreated rdf:parseType="Resource"><Iptc4xmpExt:CountryName><rdf:Alt>
<rdf:li xml:lang="x-default">Germany</rdf:li></rdf:Alt></Iptc4xmpExt:CountryName>
</Iptc4xmpExt:LocationCreated><dc:description>Grandmother in the park</dc:description>
<Iptc4xmpCore:CreatorContactInfo Iptc4xmpCore:CiAdrCity="Dresden"/>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_no_place_stays_in_xmp_and_all_else_does():
    told = strip(xmp=XMP).xmp
    for gone in (
        b"52",
        b"13,2",
        b"Potsdam",
        b"Germany",
        b"Sanssouci",
        b"The park",
        b"35/1",
        b"GPS",
    ):
        assert gone not in told
    for kept in (b'exif:DateTimeOriginal="1923-05-17"', b'tiff:Orientation="1"', b"Dresden"):
        assert kept in told
    assert b"<dc:description>Grandmother in the park</dc:description>" in told
    import xml.etree.ElementTree as tree

    names = set(place.re.findall(rb"[<\s]([\w-]+):\w", told)) - {b"x", b"rdf", b"xml", b"xmlns"}
    spaces = b"".join(b' xmlns:%s="%s"' % (n, n) for n in sorted(names - {b"exif"}))
    declared = told.replace(b"<rdf:RDF>", b'<rdf:RDF xmlns:rdf="rdf"' + spaces + b">")
    assert tree.fromstring(declared).find(".//{dc}description").text == "Grandmother in the park"


@pytest.mark.parametrize("packet", [
    XMP.decode().encode("utf-16"), b"<exif:GPSLatitude>52", b"<a exif:GPSLatitude=52>",
])  # fmt: skip
def test_a_packet_that_cannot_be_understood_is_left_out(packet):
    assert strip(xmp=packet).xmp is None


def test_damaged_blocks_are_refused_or_remain_blocks():
    whole, rng, stripped = with_gps_last("<"), np.random.default_rng(0), 0
    for _ in range(500):
        noise = bytearray(whole)
        noise[rng.integers(8, len(whole))] = rng.integers(256)
        try:
            told = strip(exif=bytes(noise)).exif
        except PhotoError as error:
            assert "set exif to None" in str(error)
            continue
        stripped += 1
        assert exif.GPS_DIRECTORY not in exif.parse(told) and len(told) == len(whole)
    assert stripped > 300


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_written_photo_says_no_place(tmp_path, suffix):
    image = Image.fromarray(np.zeros((5, 7, 3), np.uint8))
    image.save(tmp_path / "a.jpg", exif=exif.PREFIX + by_pillow(), xmp=XMP)
    photo = files.strip_gps(files.read(tmp_path / "a.jpg"))
    files.write(tmp_path / f"b{suffix}", photo, quality=90)
    data = (tmp_path / f"b{suffix}").read_bytes()
    assert b"Sanssouci" not in data and b"Potsdam" not in data
    with Image.open(tmp_path / f"b{suffix}") as written:
        tags = written.getexif()
        assert not tags.get_ifd(ExifTags.IFD.GPSInfo) and tags[ExifTags.Base.Make] == "Agfa"


def test_no_place_stays_in_what_else_is_carried():
    """IPTC, extended XMP, PNG's text, what follows a JPEG picture; words that people wrote stay."""
    sets = b"".join(struct.pack(">BBBH", 28, 2, n, len(d)) + d for n, d in IPTC.items())
    digest = b'<rdf:Description photoshop:LegacyIPTCDigest="AB" photoshop:Urgency="1"/>'
    texts = (
        (b"tEXt", b"exif:GPSLatitude\x0052/1"), (b"tEXt", b"City\0Potsdam"),
        (b"iTXt", b"Note\0\0\0\0\0<a exif:GPSLatitude='52'/>"),
        (b"zTXt", b"Title\0\0" + zlib.compress(b"In the park")), (b"zTXt", b"Title\0\0broken"),
    )  # fmt: skip
    told = strip(
        iptc=sets, xmp=digest, extended_xmp=XMP, texts=texts, comments=(b"Sanssouci",),
        trailer=b"film", index=b"index",
    )  # fmt: skip
    assert told.iptc == place.without_iptc(sets) and b"Potsdam" not in told.iptc
    assert told.xmp == b'<rdf:Description photoshop:Urgency="1"/>'
    assert told.extended_xmp == place.without_xmp(XMP) != XMP
    assert told.texts == texts[3:4] and told.comments == (b"Sanssouci",)
    assert (told.trailer, told.index) == (None, None) and "may say a place" in told.notes[0]
    assert strip(xmp=digest, iptc=sets[-9:]).xmp == digest  # no place, so the sum is still right


def test_xmp_within_exif_says_no_place():
    block = exif.pack_block({exif.XMP: exif.Value(1, XMP), 0x010F: exif.Value(2, b"Agfa\0")}, "<")
    told = strip(exif=block).exif
    assert len(told) == len(block) and b"Potsdam" not in told and b"Dresden" in told


@pytest.mark.parametrize("name", ["captions_exiftool.jpg", "captions_magick.png"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_files_of_other_programs_say_no_place(tmp_path, name, suffix):
    photo = files.strip_gps(files.read(pathlib.Path(__file__).parent / "files" / name))
    files.write(tmp_path / f"b{suffix}", photo, quality=90)
    data = (tmp_path / f"b{suffix}").read_bytes()
    assert b"Lviv" not in data and b"GPS" not in data and b"Lviv".hex().encode() not in data
    back = files.read(tmp_path / f"b{suffix}")
    assert b"Lviv" not in (back.iptc or b"") and (back.iptc is None) == (suffix == ".webp")
    assert exif.GPS_DIRECTORY not in exif.parse(back.exif)
