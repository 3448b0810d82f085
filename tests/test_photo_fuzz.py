"""Files that are no longer what they were: read, or refused in words, and nothing else.

No decoder crashes or hangs, no error is none of those meant; what was read in spite of a change
can be written again, or is refused in words. Every mutant comes from its number alone.
"""

import io
import pathlib
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from oldphoto_jax.photo.codecs import kinds
from oldphoto_jax.photo.disk import contained, files

LARGEST = 1 << 24  # pixels; what claims more is refused without being looked at
FIELDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' exif:GPSLatitude='48,0N'/>"


def seeds():
    """Small whole files of every format and coding that is read, by name."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (18, 24, 3), np.uint8)
    deep = rng.integers(0, 65536, (18, 24, 3), np.uint16)
    image, found = Image.fromarray(pixels), {}

    def save(name, form, image=image, **options):
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        found[name] = buffer.getvalue()

    beside = dict(exif=EXIF, icc_profile=bytes(128), xmp=XMP)
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a title", zip=True)
    text.add_itxt("Author", "Ä")
    frames = dict(save_all=True, append_images=[image.rotate(180)])
    save("plain.jpg", "JPEG", **beside, comment=b"a comment")
    save("progressive.jpg", "JPEG", progressive=True, subsampling=2)
    save("inks.jpg", "JPEG", image.convert("CMYK"))
    save("gray.jpg", "JPEG", image.convert("L"))
    save("plain.png", "PNG", pnginfo=text, exif=EXIF, icc_profile=bytes(128))
    save("palette.png", "PNG", image.convert("P"), transparency=3)
    save("alpha.png", "PNG", image.convert("RGBA"))
    save("animated.png", "PNG", **frames)
    save("plain.webp", "WEBP", **beside)
    save("lossless.webp", "WEBP", image.convert("RGBA"), lossless=True)
    save("animated.webp", "WEBP", **frames)
    save("plain.bmp", "BMP")
    save("animated.gif", "GIF", **frames)
    save("plain.jp2", "JPEG2000")
    save("packed.tga", "TGA", compression="tga_rle")
    save("plain.ppm", "PPM")
    save("plain.pcx", "PCX")
    save("palette.bmp", "BMP", image.convert("P"))
    for coding in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        save(f"{coding}.tif", "TIFF", compression=coding)
    save("group4.tif", "TIFF", image.convert("1"), compression="group4")
    for name, options in {
        "plain": {},
        "deflate": dict(compression="zlib", predictor=True),
        "tiles": dict(tile=(16, 16)),
        "planar": dict(planarconfig="separate", byteorder=">"),
        "big": dict(bigtiff=True, compression="packbits"),
    }.items():
        buffer = io.BytesIO()
        array = np.moveaxis(deep, -1, 0) if name == "planar" else deep
        tifffile.imwrite(buffer, array, photometric="rgb", metadata=None, **options)
        found[f"{name}.tif"] = buffer.getvalue()
    found["deep.png"] = cv2.imencode(".png", deep)[1].tobytes()
    found["deep_alpha.png"] = cv2.imencode(".png", np.dstack([deep, deep[..., 0]]))[1].tobytes()
    found["deep_animated.png"] = animated(found["deep_alpha.png"])
    found["deep_lzw.tif"] = cv2.imencode(".tif", deep)[1].tobytes()
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image.resize((64, 64))).save(buffer, quality=50, exif=EXIF)
    found["plain.heic"] = buffer.getvalue()
    return found


def animated(png):
    """A PNG file with an animation behind its picture that shows it twice."""
    at = png.index(b"IDAT") - 4
    size = int.from_bytes(png[at : at + 4], "big")
    head, stream, end = png[:at], png[at + 8 : at + 8 + size], png[-12:]
    parts = [(b"acTL", struct.pack(">2I", 2, 0)), (b"IDAT", stream)]
    for n in (0, 2):
        parts += [(b"fcTL", struct.pack(">5I2H2B", n, 24, 18, 0, 0, 1, 10, 0, 0))]
        parts += [(b"fdAT", struct.pack(">I", n + 1) + stream)]
    chunks = [struct.pack(">I", len(data)) + name + data + bytes(4) for name, data in parts]
    return bytes(with_checksums(bytearray(head + b"".join(chunks) + end)))


def mutant(seed, others, rng):
    """A changed copy of a file."""
    data = bytearray(seed)
    for _ in range(1 + max(0, rng.integers(-4, 3))):
        how, size = rng.integers(7), len(data)
        # Headers say more than pixels do, and little changes are seen less
        at = int(rng.integers(0, size if rng.random() < 0.5 else min(size, 200)))
        to = min(size, at + 1 + int(rng.integers(size if rng.random() < 0.2 else 24)))
        if how == 0:
            for spot in rng.integers(0, size, 1 + rng.integers(8)):
                data[spot] ^= 1 << rng.integers(8)
        elif how == 1:
            form = rng.choice(["<H", ">H", "<I", ">I"])
            most = (1 << 8 * struct.calcsize(form)) - 1
            field = struct.pack(form, FIELDS[rng.integers(len(FIELDS))] & most)
            data[at : at + len(field)] = field
        elif how == 2 and size > 40:
            del data[max(at, 20) :]
        elif how == 3:
            data[at:at] = data[at:to] * int(rng.integers(1, 4))
        elif how == 4:
            third = min(2 * to - at, size)
            data[at:third] = data[to:third] + data[at:to]
        elif how == 5:
            data[at:to] = rng.bytes(1) * (to - at)
        else:
            other = others[rng.integers(len(others))]
            data[at:to] = other[at:to]
    whole = data.startswith(b"\x89PNG") and rng.random() < 0.7
    return bytes(with_checksums(data) if whole else data)


def with_checksums(data):
    """A PNG file whose chunks all have the right checksum, as those of ill will have."""
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return data


def look(path, number):
    """What is wrong with the way in which a file is read, and written again, or None."""
    try:
        if kinds.of(path) == "TIFF":
            files.pages(path, LARGEST)
        photo = files.strip_gps(contained.read(path, LARGEST))
        ending = (".png", ".tif", ".jpg", ".webp")[number % 4]
        files.write(path.with_name(f"out{ending}"), photo, 90)
    except files.PhotoError as error:
        return error if isinstance(error.__cause__, (ChildProcessError, TimeoutError)) else None
    except Exception as error:  # none was meant
        return error
    return None


def hunt(folder, numbers):
    """The mutants with which something is wrong, and what."""
    whole, found = seeds(), {}
    for name, data in whole.items():
        path = save(folder, name, data)
        assert look(path, 0) is None, name
        assert kinds.of(path) not in kinds.WRITTEN or contained.read(path).pixels.any()
    names, others = [*whole], [*whole.values()]
    for number in numbers:
        name = names[number % len(names)]
        data = mutant(whole[name], others, np.random.default_rng(number))
        wrong = look(save(folder, name, data), number)
        if wrong:
            save(folder / "wrong", f"{number}_{name}", data)
            found[number, name] = wrong
    return found


def save(folder, name, data):
    folder.mkdir(exist_ok=True)
    path = pathlib.Path(folder / name)
    path.write_bytes(data)
    return path


def test_a_hundred_mutants(tmp_path):
    assert not hunt(tmp_path, range(100))


@pytest.mark.slow
def test_twenty_thousand_mutants(tmp_path):
    assert not hunt(tmp_path, range(100, 20_100))
