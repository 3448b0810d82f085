"""What a directory of a TIFF file says of its pixels, understood even where it is careless.

A `Layout` is complete and consistent: what a directory leaves out or gets wrong is filled in by
what TIFF 6.0 has as the default, by what the other tags say, or by the number of bytes there are,
and told in `notes`. What stays without sense is refused here, before a pixel is unpacked.
"""

from __future__ import annotations

import dataclasses
import math

from tifffile import PHOTOMETRIC, SAMPLEFORMAT, TIFF

from oldphoto_jax.photo import content, exif
from oldphoto_jax.photo.codecs import tiff_codecs, tiff_parts
from oldphoto_jax.photo.codecs.tiff_directory import WHOLE, Directory
from oldphoto_jax.photo.content import PhotoError

COLOR_CHANNELS: dict[int, int] = {
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.MASK: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
    PHOTOMETRIC.CIELAB: 3,
    PHOTOMETRIC.ICCLAB: 3,
    PHOTOMETRIC.ITULAB: 3,
    PHOTOMETRIC.LINEAR_RAW: 3,
}
WIDTH, HEIGHT, BITS, CODEC, COLORS, FILL = 256, 257, 258, 259, 262, 266
SAMPLES, PLANAR, PREDICTOR, EXTRAS, FORMAT = 277, 284, 317, 338, 339
COLOR_MAP, JPEG_TABLES, SUBSAMPLING, LUMA = 320, 347, 530, 529
INKS, INK_CLUES = 332, (332, 333, 334, 336)  # of tags that only pictures of inks have
BASIC = (WIDTH, HEIGHT, BITS, CODEC, COLORS, FILL, *tiff_parts.TAGS, SAMPLES, PLANAR, PREDICTOR)
MOSAIC = (
    "a camera's raw mosaic (CFA), no picture yet; develop it first, with darktable, RawTherapee or "
    "the maker's program, and save it as TIFF"
)
MOST_SAMPLES = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the pixels of a page are stored.

    width, height  as stored, before they are turned upright
    bits           of every sample: 1, 2, 4, 8 or 16
    samples        of every pixel
    photometric    TIFF's number: what the first of them, the colours, mean
    extras         TIFF's ExtraSamples number of each of the others
    codec          TIFF's Compression number
    planar         whether every channel lies by itself
    differences    whether each sample is told by its difference to that on its left
    mirrored       whether the first pixel is in the lowest bit of a byte (FillOrder 2)
    parts          where the strips or tiles lie
    notes          what had to be guessed, a sentence each
    faulty         whether anything of that breaks the standard
    """

    directory: Directory
    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    extras: tuple[int, ...]
    codec: int
    planar: bool
    differences: bool
    mirrored: bool
    parts: tiff_parts.Parts = tiff_parts.NOWHERE
    notes: tuple[str, ...] = ()
    faulty: bool = False

    @property
    def colors(self) -> int:
        """How many of the samples are colours."""
        return self.samples - len(self.extras)

    @property
    def subsampling(self) -> tuple[int, int]:
        """How many times smaller the two colours of YCbCr are, across and down."""
        found = self.directory.numbers(SUBSAMPLING, 2)
        if len(found) == 2:
            return found
        bytes_there = sum(self.directory.numbers(tiff_parts.STRIP_COUNTS, 1 << 16))
        full = self.codec == tiff_codecs.NONE and bytes_there >= self.stored_full
        full |= self.planar and self.codec == tiff_codecs.JPEG
        return (1, 1) if full else (2, 2)

    @property
    def stored_full(self) -> int:
        """Bytes of all samples, if none were left out."""
        return self.width * self.height * self.samples * self.bits // 8

    @property
    def shrunk(self) -> tuple[int, int]:
        """The same, for colours that lie there so when they are unpacked; else (1, 1)."""
        luma = self.photometric == PHOTOMETRIC.YCBCR and self.codec in tiff_codecs.OF_BYTES
        return self.subsampling if luma else (1, 1)

    def stored(self, rows: int, columns: int) -> int:
        """Bytes of so many rows and columns, unpacked, of one plane where they are planar."""
        across, down = self.shrunk
        if (across, down) != (1, 1):
            units = -(-rows // down) * -(-columns // across)
            return units * (across * down + self.samples - 1)
        return rows * -(-columns * (1 if self.planar else self.samples) * self.bits // 8)


def size(page: Directory) -> tuple[int, int]:
    """Width and height as stored; raises ValueError for a directory without them."""
    width, height = page.number(WIDTH), page.number(HEIGHT)
    if width is None or height is None:
        raise ValueError("a directory without width or height")
    return width, height


def orientation(page: Directory) -> int:
    """EXIF's number of a page, or of that which it lies below; 1 where there is none."""
    own = page.number(exif.ORIENTATION)
    if own is None and page.parent:
        return orientation(page.parent)
    return 1 if own is None else own


def has_narrow_palette(page: Directory) -> bool:
    """Whether the colours of a palette go up to 255 only, by a mistake that many programs make."""
    return max(page.numbers(COLOR_MAP, 3 << 16), default=256) < 256


def name(kind: type, value: int) -> str:
    """What tifffile calls this value of a tag; of one that it doesn't know, the number."""
    try:
        return kind(value).name
    except ValueError:
        return str(value)


def read(page: Directory, max_pixels: int) -> Layout:
    """The layout of a page; raises PhotoError or ValueError for what cannot be unpacked."""
    faults = _odd_types(page)
    width, height = size(page)
    content.check_size(width, height, max_pixels)
    codec = page.number(CODEC) or 1
    depths = page.numbers(BITS, 1 << 16)
    samples = page.number(SAMPLES) or 0
    photometric = page.number(COLORS)
    if photometric == PHOTOMETRIC.CFA:
        raise PhotoError(MOSAIC)
    if not samples:
        samples = max(len(depths), COLOR_CHANNELS.get(photometric or 0, 1))
        if samples > 1:
            faults.append(f"its directory does not say how many samples a pixel has; {samples} do")
    if photometric is None:
        photometric = _guess_photometric(page, samples, codec)
        called = name(PHOTOMETRIC, photometric)
        faults.append(f"its directory does not say what its colours are; read as {called}")
    if photometric == PHOTOMETRIC.RGB and samples < 3 and not _holds_three(page, codec):
        photometric = PHOTOMETRIC.MINISBLACK
        faults.append(f"its directory says RGB of {samples} samples, not 3; read as gray")
    if samples > MOST_SAMPLES:
        raise PhotoError(f"{samples} channels, more than {MOST_SAMPLES}; save it as RGB")
    extras = _extras(page, photometric, samples)
    if len(page.numbers(EXTRAS)) > len(extras) and photometric != PHOTOMETRIC.LINEAR_RAW:
        faults.append("its directory tells of more samples beside the colours than there are")
    bits = _bits(page, depths, samples, faults)
    layout = Layout(
        directory=page,
        width=width,
        height=height,
        bits=bits,
        samples=samples,
        photometric=photometric,
        extras=extras,
        codec=codec,
        planar=page.number(PLANAR) == 2 and samples > 1,
        differences=page.number(PREDICTOR) == 2 and codec in tiff_codecs.PREDICTED,
        mirrored=page.number(FILL) == 2,
    )
    _refuse(layout)
    if photometric == PHOTOMETRIC.PALETTE and has_narrow_palette(page):
        faults.append("the colours of its palette have 8 bits where TIFF has 16")
    planes = samples if layout.planar else 1
    parts = tiff_parts.read(page, width, height, planes, layout.stored, codec, faults)
    odd = [] if page.ordered else ["the tags of its directory are out of order"]
    told = tuple(f"{note[0].upper()}{note[1:]}." for note in (*odd, *faults))
    return dataclasses.replace(layout, parts=parts, notes=told, faulty=bool(faults))


def _odd_types(page: Directory) -> list[str]:
    """What is told of tags that are numbers by their meaning, but not by their type."""
    odd = [tag for tag in BASIC if tag in page.spots and page.spots[tag].kind not in WHOLE]
    return [f"the tag {TIFF.TAGS.get(tag)} is of a wrong type" for tag in odd]


def _guess_photometric(page: Directory, samples: int, codec: int) -> int:
    """As libtiff and the profile have it, where the file does not say."""
    profile = (page.content(exif.ICC) or b"")[16:20]
    inks = any(tag in page.spots for tag in INK_CLUES) or profile == b"CMYK"
    if samples >= 4 and inks:
        return PHOTOMETRIC.SEPARATED
    if samples >= 3:
        luma = codec in tiff_codecs.OWN_COLORS or SUBSAMPLING in page.spots or LUMA in page.spots
        lab = profile == b"Lab "
        return PHOTOMETRIC.YCBCR if luma else PHOTOMETRIC.ICCLAB if lab else PHOTOMETRIC.RGB
    if COLOR_MAP in page.spots:
        return PHOTOMETRIC.PALETTE
    return PHOTOMETRIC.MINISWHITE if codec in tiff_codecs.FAX else PHOTOMETRIC.MINISBLACK


def _holds_three(page: Directory, codec: int) -> bool:
    """Whether a page of fewer samples has as many bytes as one of three."""
    bits = math.prod(size(page)) * 3 * (page.number(BITS) or 1)
    return codec == tiff_codecs.NONE and 8 * sum(page.numbers(tiff_parts.STRIP_COUNTS)) >= bits


def _extras(page: Directory, photometric: int, samples: int) -> tuple[int, ...]:
    """The kinds of the samples that are no colours; those without a name are unspecified (0)."""
    if photometric not in COLOR_CHANNELS:
        raise PhotoError(f"colours of kind {name(PHOTOMETRIC, photometric)}; save it as RGB")
    colors = COLOR_CHANNELS[photometric]
    named = page.numbers(EXTRAS, 1 << 16)
    if photometric == PHOTOMETRIC.SEPARATED and page.number(INKS) == 2:
        raise PhotoError(f"{samples} channels of inks that are not CMYK; save it as RGB")
    if photometric in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB):
        colors = colors if samples - len(named) >= colors else 1  # lightness alone
    if photometric == PHOTOMETRIC.LINEAR_RAW:  # tifffile calls two of its colours something else
        colors = min(samples, colors) if samples != 2 else 1
        named = named[max(0, len(named) - samples + colors) :]
    if samples < colors:
        called = name(PHOTOMETRIC, photometric)
        raise ValueError(f"{samples} channels, but {called} has {colors}")
    return (*named, *[0] * samples)[: samples - colors]


def _bits(page: Directory, depths: tuple[int, ...], samples: int, faults: list[str]) -> int:
    if not depths:
        pixels = math.prod(size(page)) * samples
        bits = 8 if samples >= 3 or sum(page.numbers(tiff_parts.STRIP_COUNTS)) == pixels else 1
        if bits != 1:  # which TIFF has as the default, and programs leave out for black and white
            faults.append(f"its directory does not say how many bits a sample has; {bits} it is")
        return bits
    if len(set(depths[:samples])) > 1:
        told = ", ".join(map(str, depths[:8]))
        raise PhotoError(f"channels of {told} bits; save it with 8 or 16 bits a channel")
    if 1 < len(depths) < samples:
        faults.append(f"the bits of {len(depths)} samples are told, {samples} are there")
    return depths[0]


def _refuse(layout: Layout) -> None:
    """Raises PhotoError for what nobody here can unpack, however sound it is."""
    formats = set(layout.directory.numbers(FORMAT)) or {1}
    if layout.bits not in (1, 2, 4, 8, 16) or formats - {1, 4}:
        told = ", ".join(name(SAMPLEFORMAT, value) for value in sorted(formats))
        raise PhotoError(
            f"{layout.bits}-bit samples of format {told}; save it with 8 or 16 bits a channel"
        )
    predictor = layout.directory.number(PREDICTOR) or 1
    if predictor not in (1, 2) and layout.codec in tiff_codecs.PREDICTED:
        raise PhotoError(f"whole numbers by predictor {predictor}; save it without compression")
    if layout.differences and layout.bits < 8:
        raise PhotoError(f"differences of {layout.bits}-bit samples; save it with 8 bits")
    if layout.photometric == PHOTOMETRIC.YCBCR:
        across, down = layout.subsampling
        if layout.shrunk != (1, 1) and not {across, down} <= {1, 2, 4}:
            raise ValueError(f"colours {across} x {down} times smaller than the lightness")
        if layout.bits != 8 or layout.planar and (across, down) != (1, 1):
            told = "in planes of two sizes" if layout.planar else f"of {layout.bits} bits"
            raise PhotoError(f"YCbCr {told}; save it as RGB")
    if layout.photometric == PHOTOMETRIC.PALETTE and COLOR_MAP not in layout.directory.spots:
        raise ValueError("a palette picture without a palette")
    if reason := tiff_codecs.refusal(layout.codec, layout.bits):
        raise PhotoError(reason)
