"""Photo files through one part of the chain, which sees them as they are meant to look."""

import cv2
import numpy as np
import pytest

from oldphoto_jax.folder import single
from oldphoto_jax.folder.jobs import Job, lossless
from oldphoto_jax.photo import encoding, scratch, tone
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import colorize, detect, holes, painted
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from tests import painter
from tests.painter import scene
from tests.stages import Bright, Rise, Tint, colourful, luma_of, ramp, sepia

RNG = np.random.default_rng(0)
LINEAR = (b"gAMA", (100000).to_bytes(4, "big"))
ICC = {1: bytes(16) + b"GRAY" + bytes(99), 3: bytes(16) + b"RGB " + bytes(99)}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def noise(height, width, channels=3, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


@pytest.fixture
def linear(tmp_path):
    """A dark photo of linear numbers, a.png."""
    pixels = np.random.default_rng(0).integers(4000, 20000, (40, 48, 1), np.uint16)
    files.write(tmp_path / "a.png", PhotoFile(pixels, encoding=(LINEAR,)))
    return files.read(tmp_path / "a.png")


def of_linear(tmp_path, kind, **inputs):
    return Job(tmp_path / "a.png", "a.png", {kind: tmp_path / f"a_{kind}.png"}, inputs)


def test_finding_in_linear_numbers(tmp_path, linear, monkeypatch):
    seen = []
    nothing = np.zeros((40, 48), np.uint16)
    monkeypatch.setattr(
        detect, "probability", lambda _, pixels, *__, **___: seen.append(pixels) or nothing
    )
    told = single.Finding(Detector(stage=Rise()))(of_linear(tmp_path, "overlay"))
    assert told == {"size": [40, 48], "marked": 0, "thickest": 0, "beyond_training": False}
    np.testing.assert_array_equal(seen[0], encoding.view(linear))
    shown = files.read(tmp_path / "a_overlay.png").pixels
    assert np.abs(shown.astype(int) * 257 - encoding.view(linear)).max() <= 129


def test_filling_in_linear_numbers(tmp_path, linear):
    mask = np.zeros((40, 48, 1), np.uint8)
    mask[10:13, 5:30] = 255
    files.write_png(tmp_path / "mask.png", mask)
    filler = Inpainter(method="biharmonic")
    single.Filling(filler)(of_linear(tmp_path, "restored", mask=tmp_path / "mask.png"))
    made = files.read(tmp_path / "a_restored.png")
    assert made.encoding == (LINEAR,)
    np.testing.assert_array_equal(made.pixels[mask == 0], linear.pixels[mask == 0])
    expected, _ = filler.mend(encoding.view(linear), (mask[..., 0] > 0).astype(np.uint8))
    assert np.abs(encoding.view(made).astype(int) - expected).max() <= 2


def test_colouring_in_linear_numbers(tmp_path, linear, monkeypatch):
    seen = []
    found = np.full((20, 24, 1), 0.4, np.float32), np.full((20, 24, 2), 0.55, np.float32)
    monkeypatch.setattr(colorize, "guess", lambda _, pixels, *__: seen.append(pixels) or found)
    told = single.Coloring(Colorizer(stage=Tint()))(of_linear(tmp_path, "color"))
    np.testing.assert_array_equal(seen[0], encoding.view(linear))
    made = files.read(tmp_path / "a_color.png")
    expected = painted.paint(seen[0], *found)
    assert made.encoding == (LINEAR,) and made.pixels.shape == (40, 48, 3)
    assert np.abs(encoding.view(made).astype(int) - expected).max() <= 8
    assert told["colorfulness"] == colorize.colorfulness(expected)


def to_find(photo, out):
    kinds = ("mask", "prob", "overlay")
    return Job(photo, photo.name, {kind: out / f"x_{kind}.png" for kind in kinds})


def png(path):
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_files_of_any_kind_get_mask_and_map(tmp_path, dtype, channels):
    photo = tmp_path / "Fotoğraf ü.png"
    photo.write_bytes(cv2.imencode(".png", noise(30, 41, channels, dtype))[1].tobytes())
    entry = single.Finding(Detector(stage=Rise()))(to_find(photo, tmp_path))
    mask, probability = png(tmp_path / "x_mask.png"), png(tmp_path / "x_prob.png")
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    assert probability.dtype == np.uint16 and probability.shape == mask.shape == (30, 41)
    expected = detect.probability(Rise(), files.read(photo).pixels)
    assert np.array_equal(probability, expected)
    assert np.array_equal(mask > 0, expected / 65535 >= 0.25)
    assert png(tmp_path / "x_overlay.png").shape == (30, 41, 3)
    assert entry["size"] == [30, 41]
    assert entry["marked"] == pytest.approx((mask > 0).mean(), abs=1e-6)


@pytest.mark.parametrize("min_size", [0, 3])
def test_a_stored_map_makes_the_same_mask_again(tmp_path, min_size):
    detector = Detector(stage=Rise(), min_size=min_size)
    files.write_png(tmp_path / "p.png", noise(90, 70))
    entry = single.Finding(detector)(to_find(tmp_path / "p.png", tmp_path))
    stored = files.read(tmp_path / "x_prob.png").pixels[..., 0]
    mask = detect.cut(stored, detector.level, min_size)
    assert np.array_equal(mask * np.uint8(255), png(tmp_path / "x_mask.png")) and mask.any()
    thickest = holes.thickest(mask)
    told = {"thickest": thickest, "beyond_training": thickest > Rise.predictor.max_size}
    assert entry == {"size": [90, 70], "marked": round(mask.mean(), 6)} | told


def test_scratch_space_and_bands_change_nothing(tmp_path, monkeypatch):
    files.write_png(tmp_path / "p.png", noise(230, 170))
    finding = single.Finding(Detector(stage=Rise(), min_size=4, tile=64, overlap=16))
    kept = []
    for small, band in ((1 << 30, 1 << 30), (1, 1000)):
        monkeypatch.setattr(scratch, "SMALL", small)
        monkeypatch.setattr(scratch, "BAND", band)
        entry = finding(to_find(tmp_path / "p.png", tmp_path))
        pictures = [path.read_bytes() for path in sorted(tmp_path.glob("x_*.png"))]
        kept.append((entry, pictures))
    assert kept[0] == kept[1] and len(kept[0][1]) == 3


def test_defects_beyond_training_are_told(tmp_path):
    for width, beyond in (2, False), (9, True):
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[:, 10 : 10 + width] = 255
        files.write_png(tmp_path / "p.png", pixels)
        told = single.Finding(Detector(stage=Bright()))(to_find(tmp_path / "p.png", tmp_path))
        assert told["beyond_training"] is beyond


@pytest.fixture(scope="module")
def small():
    return painter.stage_of(painter.Paint())


def to_fill(folder, pixels, mask, name="p.tif", **beside):
    files.write(folder / name, PhotoFile(pixels, **beside))
    files.write_png(folder / "m.png", mask[..., None] * np.uint8(255))
    out = folder / "out" / f"p_restored{lossless(folder / name)}"
    return Job(folder / name, name, {"restored": out}, {"mask": folder / "m.png"})


def fill(job, **options):
    """What is told of a job, and the pixels of its file."""
    told = single.Filling(Inpainter(**options))(job)
    return told, files.read(job.outputs["restored"]).pixels


@pytest.mark.parametrize("name", ["p.tif", "p.TIFF", "p.png"])
def test_depth_alpha_and_resolution_are_carried(tmp_path, name):
    pixels, mask = scene(np.uint16, 1, (60, 90))
    alpha = RNG.integers(0, 65536, (60, 90), np.uint16)
    job = to_fill(tmp_path, pixels, mask, name, alpha=alpha, resolution=(300.0, 300.0))
    fill(job, method="telea")
    assert job.outputs["restored"].suffix == name[1:]
    restored = files.read(job.outputs["restored"])
    assert restored.pixels.dtype == np.uint16 and restored.pixels.shape == pixels.shape
    assert np.array_equal(restored.alpha, alpha)
    assert np.array_equal(restored.pixels[mask == 0], pixels[mask == 0])
    assert restored.resolution == pytest.approx((300, 300), abs=0.1)


def test_pixels_are_mended_as_files_are(tmp_path, small):
    pixels, mask = scene(np.uint16)
    options = dict(stage=small, method="auto", tile=128, overlap=32, grow=1)
    mended, told = Inpainter(**options).mend(pixels, mask)
    found, filled = fill(to_fill(tmp_path, pixels, mask), **options)
    assert found.pop("untouched")["identical"]
    assert found == {"size": [*mask.shape]} | told and set(told["holes"]) > {"network"}
    assert np.array_equal(filled, mended)


def test_an_empty_mask_copies_the_photo_and_says_so(tmp_path, small):
    pixels, mask = scene()
    told, filled = fill(to_fill(tmp_path, pixels, mask * 0), stage=small)
    assert told["status"] == "nothing_to_do" and "nothing to fill" in told["reason"]
    assert np.array_equal(filled, pixels)


def test_at_no_strength_nothing_is_done_and_told(tmp_path):
    class Silent:
        predictor, checksum = painter.Paint(), "silent"

        def __call__(self, photo, mask):
            raise AssertionError("asked for nothing")

    pixels, mask = scene()
    told, filled = fill(to_fill(tmp_path, pixels, mask), stage=Silent(), strength=0)
    assert told["status"] == "nothing_to_do" and told["reason"] == "strength 0: left as it is"
    assert told["holes"] == {} and told["left"] > 0 and told["filled"] == 0
    assert np.array_equal(filled, pixels)


def test_masks_may_be_grown(tmp_path):
    pixels, mask = scene()
    _, filled = fill(to_fill(tmp_path, pixels, mask), method="telea", grow=2)
    changed = (filled != pixels).any(axis=-1)
    assert changed[mask == 0].any() and not changed[holes.grow(mask, 2) == 0].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(grow=90), "grown by 90 pixels, leaves nothing"),
        (dict(feather=90), "feathered over 90 pixels, leaves nothing"),
    ],
)
def test_a_mask_that_reaches_over_the_whole_photo_is_told(tmp_path, small, options, words):
    job = to_fill(tmp_path, *scene(size=(40, 60)))
    with pytest.raises(ValueError, match=words):
        fill(job, stage=small, **options)
    assert not job.outputs["restored"].exists()


def test_a_photo_whose_holes_are_all_left_is_not_called_restored(tmp_path):
    pixels, mask = scene()
    told, filled = fill(to_fill(tmp_path, pixels, mask), method="telea", max_hole=0)
    assert told["status"] == "nothing_to_do" and "thicker than 0 pixels" in told["reason"]
    assert told["left"] > 0 and np.array_equal(filled, pixels)


@pytest.fixture
def tint():
    return Tint()


def to_color(folder, photo, name="p.tif"):
    files.write(folder / name, photo)
    out = folder / "out" / f"p_color{lossless(folder / name)}"
    return Job(folder / name, name, {"color": out})


@pytest.mark.parametrize("name", ["p.tif", "p.png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_goes_in_comes_out_but_for_a_gray_profile(tmp_path, tint, name, channels):
    pixels = ramp(np.uint16) if channels == 1 else sepia(np.uint16)
    alpha = noise(*pixels.shape[:2], 1, np.uint16)[..., 0]
    beside = dict(alpha=alpha, resolution=(300.0, 300.0), xmp=XMP, icc=ICC[channels])
    job = to_color(tmp_path, PhotoFile(pixels, **beside), name)
    told = single.Coloring(Colorizer(stage=tint, size=64))(job)
    assert told["size"] == [40, 90] and told["working"] == [43, 96]
    assert told["kind"] == (tone.GRAY if channels == 1 else tone.TONED)
    assert told["colorfulness"] > 10 and "status" not in told
    result = files.read(job.outputs["color"])
    assert result.pixels.dtype == np.uint16 and result.pixels.shape[-1] == 3
    assert np.abs(luma_of(result.pixels) - luma_of(pixels)).max() <= 1
    assert np.array_equal(result.alpha, alpha) and result.xmp == XMP
    assert result.resolution == pytest.approx((300, 300), abs=0.1)
    assert result.icc == (None if channels == 1 else ICC[3])
    assert ("gray ICC profile" in told.get("profile", "")) == (channels == 1)


@pytest.mark.parametrize(("ending", "made"), [(".jpg", ".png"), (".bmp", ".png"), (".webp",) * 2])
def test_every_format_becomes_one_without_loss(tmp_path, tint, ending, made):
    path = tmp_path / f"p{ending}"
    path.write_bytes(cv2.imencode(ending, ramp(np.uint8))[1].tobytes())
    job = Job(path, "p", {"color": tmp_path / f"p_color{lossless(path)}"})
    told = single.Coloring(Colorizer(stage=tint, size=64))(job)
    [result] = tmp_path.glob("p_color.*")
    assert told["kind"] == tone.GRAY and result.suffix == made
    before, after = files.read(path).pixels, files.read(result).pixels
    assert np.abs(luma_of(after) - luma_of(before)).max() <= 1 and np.ptp(after, axis=-1).max() > 20


def test_a_colour_photo_is_left_as_it_is_unless_asked(tmp_path, tint):
    job = to_color(tmp_path, PhotoFile(colourful(), icc=ICC[3]))
    told = single.Coloring(Colorizer(stage=tint))(job)
    assert told["status"] == "nothing_to_do" and "--force" in told["reason"]
    assert told["kind"] in tone.COLORED and told["colorfulness"] > 10 and not tint.seen
    result = files.read(job.outputs["color"])
    assert np.array_equal(result.pixels, colourful()) and result.icc == ICC[3]
    told = single.Coloring(Colorizer(stage=tint, recolor=True))(job)
    assert told["kind"] in tone.COLORED and "status" not in told
    result = files.read(job.outputs["color"]).pixels
    assert not np.array_equal(result, colourful())
    assert np.abs(luma_of(result) - luma_of(colourful())).max() <= 1


@pytest.mark.parametrize("pixels", [ramp(np.uint16), sepia(np.uint8), colourful()])
def test_strength_0_copies_every_photo(tmp_path, tint, pixels):
    profile = ICC[pixels.shape[-1]]
    job = to_color(tmp_path, PhotoFile(pixels, icc=profile))
    told = single.Coloring(Colorizer(stage=tint, strength=0, recolor=True))(job)
    assert told["status"] == "nothing_to_do" and "strength 0" in told["reason"]
    result = files.read(job.outputs["color"])
    assert result.icc == profile and np.array_equal(result.pixels, pixels)
    assert (told["colorfulness"] == 0) == (pixels.shape[-1] == 1)
