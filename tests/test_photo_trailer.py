"""What follows the picture of a JPEG file stays findable, and nothing of it is stale."""

import dataclasses
import io
import struct

import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.photo import exif
from oldphoto_jax.photo.codecs import encode, trailer
from oldphoto_jax.photo.disk import files

RAMP = np.add.outer(np.arange(48) * 2, np.arange(64) * 2).astype(np.uint8)
FILM = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + b"\0\0\0\x08mdat" + bytes(range(1, 40))


def jpeg(shift=0, size=64, **options):
    stream = io.BytesIO()
    Image.fromarray(RAMP[:, :size] + shift).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def segment(mark, content):
    return struct.pack(">BBH", 255, mark, len(content) + 2) + content


def stereo(path, count=2):
    """An MPO file by Pillow."""
    pictures = [Image.fromarray(RAMP + 9 * n) for n in range(count)]
    pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:], quality=80)


def indexed(path, pictures, way="<"):
    """A file with an index of further pictures, (kind, bytes) each, in either byte order."""
    entries = struct.pack(way + "IIIHH", 0x030000, 0, 0, 2, 0)
    tags = {
        0xB000: exif.Value(7, b"0100"),
        0xB001: exif.numbers(exif.LONG, way, 1 + len(pictures)),
        0xB002: exif.Value(7, entries + bytes(16 * len(pictures))),
    }
    plain = jpeg()
    for _ in range(2):
        head = plain[:2] + segment(0xE2, trailer.MPF + exif.pack_block(tags, way))
        size = len(head) + len(plain) - 2
        table, at = struct.pack(way + "IIIHH", 0x030000, size, 0, 2, 0), size - 10
        for kind, data in pictures:
            table += struct.pack(way + "IIIHH", kind, len(data), at, 0, 0)
            at += len(data)
        tags[0xB002] = exif.Value(7, table)
    path.write_bytes(head + plain[2:] + b"".join(data for _, data in pictures))


def rewritten(path, photo, **options):
    files.write(path, photo, quality=options.pop("quality", 60))
    return path


def frames(path):
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            yield np.array(image)


@pytest.mark.parametrize("count", [2, 3])
def test_every_picture_of_an_mpo_file_is_found_again(tmp_path, count):
    stereo(tmp_path / "a.mpo", count)
    photo = files.read(tmp_path / "a.mpo")
    assert photo.left_behind == () and photo.format == "JPEG"
    path = tmp_path / "b.jpg"
    for comments in ((), (b"x" * 5000,)):  # what stands in front changes the offsets
        photo = dataclasses.replace(photo, comments=comments)
        before, after = [*frames(tmp_path / "a.mpo")], [*frames(rewritten(path, photo))]
        assert len(after) == count
        for one, other in zip(before[1:], after[1:], strict=True):
            np.testing.assert_array_equal(one, other)
        photo = files.read(path)
    assert encode.left_out(".png", photo) == ["pictures behind the picture"]


@pytest.mark.parametrize("way", ["<", ">"])
def test_previews_of_the_picture_as_it_was_go_from_the_index(tmp_path, way):
    preview, other = jpeg(3, 32), jpeg(40)
    gain = jpeg(7, 16, extra=segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(9)))
    given = [(0x010002, preview), (0x020003, other), (0, gain), (0x020003, jpeg(80))]
    indexed(tmp_path / "a.jpg", given, way)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.trailer == other + jpeg(80)
    told = ("previews of the picture as it was", "a gain map, which is of the picture as it was")
    assert photo.left_behind == told
    found = [*frames(rewritten(tmp_path / "b.jpg", photo))]
    assert len(found) == 3
    for shown, data in zip(found[1:], (other, jpeg(80)), strict=True):
        np.testing.assert_array_equal(shown, np.array(Image.open(io.BytesIO(data))))
    indexed(tmp_path / "c.jpg", given[:1], way)
    alone = files.read(tmp_path / "c.jpg")
    assert (alone.trailer, alone.index) == (None, None)


def test_an_index_that_leads_nowhere_is_left_out(tmp_path):
    indexed(tmp_path / "a.jpg", [(0x020003, jpeg(40))])
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: -len(jpeg(40))])
    photo = files.read(tmp_path / "a.jpg")
    assert photo.left_behind == ("an index of further pictures that is damaged",)
    assert b"MPF" not in rewritten(tmp_path / "b.jpg", photo).read_bytes()


def container(*items, more=b""):
    listed = b"".join(
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="%s" Item:Mime="a/b"%s/>'
        b"</rdf:li>" % (name, b' Item:Length="%d"' % size if size else b"")
        for name, size in items
    )
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:Rating="4" %s>'
        b"<Container:Directory><rdf:Seq>%s</rdf:Seq></Container:Directory></rdf:Description>"
        b"</rdf:RDF></x:xmpmeta>" % (more, listed)
    )


def test_a_film_is_carried_and_what_leads_to_it(tmp_path):
    told = b'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="%d"' % len(FILM)
    packet = container((b"Primary", 0), (b"MotionPhoto", len(FILM)), more=told)
    (tmp_path / "a.jpg").write_bytes(jpeg(xmp=packet) + FILM)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.notes == () and photo.left_behind == () and not photo.faulty
    data = rewritten(tmp_path / "b.jpg", photo).read_bytes()
    assert data[-len(FILM) :] == FILM and data[: -len(FILM)].endswith(b"\xff\xd9")
    assert packet in data
    assert encode.left_out(".png", photo) == ["film behind the picture"]
    gone = files.read(rewritten(tmp_path / "b.png", photo)).xmp
    assert b"MicroVideo" not in gone and b"Container" not in gone and b'Rating="4"' in gone
    safe = files.strip_gps(photo)
    assert safe.trailer is None and "may say a place" in safe.notes[0]
    assert b"MicroVideo" not in rewritten(tmp_path / "c.jpg", safe).read_bytes()


@pytest.mark.parametrize("film", [b"", FILM])
def test_a_gain_map_goes_and_a_film_behind_it_stays(tmp_path, film):
    gain = jpeg(7, 16, xmp=b'<a xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"/>')
    items = [
        (b"Primary", 0),
        (b"GainMap", len(gain)),
        *([(b"MotionPhoto", len(film))] * bool(film)),
    ]
    packet = container(*items, more=b'hdrgm:Version="1.0"')
    (tmp_path / "a.jpg").write_bytes(jpeg(xmp=packet) + gain + film)
    photo = files.read(tmp_path / "a.jpg")
    assert photo.left_behind == ("a gain map, which is of the picture as it was",)
    assert (photo.trailer or b"") == film
    assert b"GainMap" not in photo.xmp and b"hdrgm" not in photo.xmp
    assert (b"MotionPhoto" in photo.xmp) == bool(film) and b'Rating="4"' in photo.xmp
    assert photo.xmp.count(b"<rdf:li") == photo.xmp.count(b"</rdf:li") == 2 * bool(film)


def test_other_bytes_behind_are_carried_but_zeros(tmp_path):
    for behind, kept in ((b"SEFH\1\2", b"SEFH\1\2"), (bytes(64), None), (b"", None)):
        (tmp_path / "a.jpg").write_bytes(jpeg() + behind)
        photo = files.read(tmp_path / "a.jpg")
        assert photo.trailer == kept and not photo.faulty
