"""Photo files through the chain. Its networks here are rules, so that what they do is known."""

import ast
import dataclasses
import errno
import functools
import hashlib
import json
import os
import pathlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from oldphoto_jax.folder import batch, browse, chain, masks, outputs, page, written
from oldphoto_jax.folder.jobs import LOSSLESS, plan
from oldphoto_jax.folder.report import Report
from oldphoto_jax.photo import encoding, icc
from oldphoto_jax.photo.codecs import kinds
from oldphoto_jax.photo.disk import contained, files
from oldphoto_jax.photo.disk.files import PhotoFile
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import detect, stage
from oldphoto_jax.restore.restorer import Restorer

SIZE = (30, 44)
FILL = 51  # of 255
PICTURES = ("restored", "restored_color", "color")


class Plain:
    """A predictor without networks."""

    multiple = 16

    def networks(self, rngs):
        return {}


@dataclasses.dataclass(kw_only=True)
class Bright(Plain, DefectPredictor):
    """The brighter, the likelier a defect."""

    def __call__(self, nets, batch):
        return {"mask": batch["photo"].mean(axis=-1, keepdims=True)}


@dataclasses.dataclass(kw_only=True)
class Flat(Plain, FillingPredictor):
    """Fills with one tone."""

    max_size: int = 9

    def __call__(self, nets, batch):
        return {"photo": 0 * batch["photo"] + FILL / 255}


@dataclasses.dataclass(kw_only=True)
class Warm(Plain, ColorPredictor):
    """Makes photos reddish."""

    def __call__(self, nets, batch):
        return {"photo": batch["photo"] * np.float32([1, 0.8, 0.6])}


RULES = {"segment-lite": Bright, "inpaint-lite": Flat, "colorize-lite": Warm}


@functools.cache
def load(path=None, default="", kind=None):
    """Stands in for `stage.load`: always the same stages, so that they are compiled once."""
    return stage.Stage(RULES[default](), {}, f"rule {default} {path or ''}".strip())


def scratched(channels=1, dtype=np.uint8, size=SIZE, seed=0):
    """Dark noise, with a white scratch and a gray one that is less likely a defect."""
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, top // 3, (*size, channels), dtype)
    pixels[:, 8:10] = top
    pixels[:, 30:32] = top * 0.7
    return pixels


def save(path, pixels, **beside):
    """Writes a photo as `files` does, JPEG with quality 95."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, PhotoFile(pixels, **beside), quality=95)
    return path


def lines(out):
    text = (out / "report.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def last(out):
    """The last line of each photo, by its name."""
    return {entry["photo"]: entry for entry in lines(out)}


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    monkeypatch.setattr(stage, "load", load)


@functools.cache
def restorer(options):
    """One for all tests that want such a one, so that it is compiled once."""
    return Restorer.from_weights(**ast.literal_eval(options))


def go(
    photos, out, *, force=False, kinds=None, given=None, form="same", most=1, pair=None, **options
):
    """As the command does it; returns how the photos ended."""
    wanted = kinds or ["prob", "mask", *PICTURES]
    endings = functools.partial(outputs.suffix, form=form)
    copied = [kind for kind in wanted if kind in PICTURES and form == "same"]
    jobs = plan(photos, out, wanted, endings, written.pages, copied)
    jobs = [dataclasses.replace(job, inputs=given or {}) for job in jobs]
    jobs = masks.pair(jobs, pair) if pair else jobs
    names = ("quality", "strip_gps", "page", "margin", "infrared")
    filing = {name: options.pop(name) for name in names if name in options}
    named = [kind for kind in wanted if kind in PICTURES]
    restoring = {"tile": 128, "outputs": named, "count": most} | options
    work = chain.Chain(restorer=restorer(repr(restoring)), out=out, **filing)
    report = Report(out, outputs.STAGE)
    work.maps = outputs.stored(jobs, report, work.settings)
    return batch.run_groups(jobs, report, work, work.settings, force, work.key, most)


# What is made


def test_endings_are_those_of_the_photo_unless_told():
    told = {
        "a.jpg": ".jpg",
        "a.JPG": ".JPG",
        "a.jpeg": ".jpeg",
        "a.tiff": ".tiff",
        "a.webp": ".webp",
        "a.heic": ".heic",
        "a.hif": ".hif",
        "a.bmp": ".png",
    }
    for name, ending in told.items():
        photo = pathlib.Path(name)
        assert outputs.suffix(photo, "color") == ending
        lossless = ending if ending in LOSSLESS else ".png"
        assert outputs.suffix(photo, "color", "lossless") == lossless
        assert outputs.suffix(photo, "color", "tif") == ".tif"
        assert outputs.suffix(photo, "mask", "tif") == outputs.suffix(photo, "prob") == ".png"


def test_formats_that_are_written_are_kept_and_the_others_become_png():
    kept = {end for ends in kinds.WRITTEN.values() for end in ends} - {".bmp"}
    for ending in kinds.EXTENSIONS:
        found = outputs.suffix(pathlib.Path(f"a{ending}"), "color")
        assert found == (ending if ending in kept else ".png")


@pytest.mark.parametrize("asked", [["restord"], ["restored", "mask"], []])
def test_only_pictures_can_be_asked_for(asked):
    with pytest.raises(ValueError, match="choose some of restored,restored_color,color"):
        outputs.kinds(asked)


@pytest.mark.parametrize(
    ("channels", "dtype", "ending"),
    [(1, np.uint8, ".png"), (1, np.uint16, ".png"), (3, np.uint16, ".tif"), (3, np.uint8, ".webp")],
)
def test_three_pictures_of_one_photo(tmp_path, channels, dtype, ending):
    photo = save(tmp_path / f"a{ending}", scratched(1, dtype).repeat(channels, axis=-1))
    assert go(photo, tmp_path / "out") == {"ok": 1}
    made = {kind: files.read(tmp_path / "out" / f"a_{kind}{ending}").pixels for kind in PICTURES}
    before, mask = files.read(photo).pixels, files.read(tmp_path / "out" / "a_mask.png").pixels
    hidden = mask[..., 0] > 0
    assert set(np.flatnonzero(hidden.any(axis=0))) == {*range(6, 12), *range(28, 34)}  # grown by 2
    around = np.pad(hidden, 1, mode="edge")
    far = ~(around[1:-1, :-2] | around[1:-1, 1:-1] | around[1:-1, 2:])
    assert np.array_equal(made["restored"][far], before[far])
    assert made["restored"].dtype == dtype and made["restored"].shape == before.shape
    tone = FILL * (np.iinfo(dtype).max // 255)
    assert (made["restored"][hidden] == tone).all()
    for kind in ("restored_color", "color"):
        red, _, blue = np.moveaxis(made[kind].astype(int), -1, 0)
        assert made[kind].dtype == dtype and (red >= blue).all() and (red > blue).any()
    assert not np.array_equal(made["color"], made["restored_color"])
    [entry] = lines(tmp_path / "out")
    assert entry["status"] == "ok" and entry["marked"] == pytest.approx(hidden.mean(), abs=1e-6)
    assert entry["files"] == {
        "prob": "a_prob.png",
        "mask": "a_mask.png",
        **{kind: f"a_{kind}{ending}" for kind in PICTURES},
    }
    weights = {
        name: entry["settings"][name]["weights"] for name in ("detect", "inpaint", "colorize")
    }
    assert weights == {
        "detect": "rule segment-lite",
        "inpaint": "rule inpaint-lite",
        "colorize": "rule colorize-lite",
    }


def test_a_batch_and_one_by_one_are_the_same(tmp_path):
    for n in range(5):
        save(tmp_path / "in" / f"{n}.png", scratched(seed=n))
    save(tmp_path / "in" / "large.png", scratched(size=(40, 60)))
    options = {"feather": 2}  # at half opacity, as with 1, values lie right between two others
    for most in (1, 4):
        ended = go(tmp_path / "in", tmp_path / f"out{most}", most=most, **options)
        assert ended == {"ok": 6}
    one, four = ({p.name: p for p in (tmp_path / f"out{m}").glob("*.png")} for m in (1, 4))
    assert one.keys() == four.keys() and len(one) == 30
    for name, path in one.items():
        first, second = (files.read(p).pixels.astype(int) for p in (path, four[name]))
        assert np.abs(first - second).max() <= (1 if "prob" not in name else 257), name


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 2)])
def test_tiny_photos_are_done(tmp_path, size):
    photo = save(tmp_path / "a.png", np.full((*size, 1), 40, np.uint8))
    counts = go(photo, tmp_path / "out")
    assert counts["failed"] == 0
    assert files.read(tmp_path / "out" / "a_color.png").pixels.shape == (*size, 3)


# What lies beside the pixels


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = PROFILE[:16] + b"GRAY" + PROFILE[20:]


def tags(orientation=1):
    """An EXIF block that tells when, by what and where a photo was taken."""
    block = Image.Exif()
    block[0x0110], block[0x0132], block[0x0112] = "Box", "1987:01:02 03:04:05", orientation
    block.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    return block


def read_tags(path):
    """The tags of a file, and those of the place where it was taken."""
    with Image.open(path) as picture:
        found = picture.getexif()
        return found, found.get_ifd(0x8825)


@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("strip", [False, True])
def test_what_lies_beside_the_pixels_comes_along(tmp_path, ending, strip):
    photo = tmp_path / f"a{ending}"
    beside = {"icc": PROFILE, "exif": tags().tobytes().removeprefix(b"Exif\0\0")}
    alpha = None if ending == ".jpg" else np.full(SIZE, 99, np.uint8)
    save(photo, scratched(1).repeat(3, axis=-1), **beside, alpha=alpha, resolution=(300, 300))
    go(photo, tmp_path / "out", strip_gps=strip)
    for kind in PICTURES:
        path = tmp_path / "out" / f"a_{kind}{ending}"
        (found, place), made = read_tags(path), files.read(path)
        assert found[0x0110] == "Box" and found[0x0132] == "1987:01:02 03:04:05"
        assert bool(place) == (not strip)
        assert made.icc == PROFILE and made.resolution == pytest.approx((300, 300), rel=1e-3)
        assert alpha is None or np.array_equal(made.alpha, alpha)


def test_photos_are_upright_in_all_pictures(tmp_path):
    pixels = scratched()
    photo = tmp_path / "a.png"
    Image.fromarray(np.rot90(pixels[..., 0])).save(photo, exif=tags(6))
    go(photo, tmp_path / "out")
    for kind in (*PICTURES, "mask", "prob"):
        path = tmp_path / "out" / f"a_{kind}.png"
        assert files.read(path).pixels.shape[:2] == SIZE
        assert read_tags(path)[0].get(0x0112, 1) == 1


def test_a_gray_profile_stays_with_gray_pictures_and_is_told(tmp_path):
    photo = save(tmp_path / "a.png", scratched(), icc=GRAY_PROFILE)
    go(photo, tmp_path / "out")
    profiles = {kind: files.read(tmp_path / "out" / f"a_{kind}.png").icc for kind in PICTURES}
    assert profiles == {"restored": GRAY_PROFILE, "restored_color": None, "color": None}
    assert "gray ICC profile left out" in lines(tmp_path / "out")[0]["profile"]


# What has not changed


def clean(path, **more):
    """A photo where nothing is to be done: dark, and in colour."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:15], pixels[15:] = (120, 10, 10), (10, 60, 110)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)
    return path


ENDINGS = [".JPG", ".png", ".tif", ".TIFF", ".webp"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_does_not_change_is_copied_byte_for_byte(tmp_path, ending):
    photo = clean(tmp_path / f"a{ending}", quality=70)
    with photo.open("ab") as file:
        file.write(b"of the maker, known to no reader")
    assert go(photo, tmp_path / "out") == {"nothing_to_do": 1}
    for kind in PICTURES:
        assert (tmp_path / "out" / f"a_{kind}{ending}").read_bytes() == photo.read_bytes()
    [entry] = lines(tmp_path / "out")
    assert entry["copied"] == [*PICTURES] and "coded_anew" not in entry
    whole = files.read(photo).pixels
    digest = hashlib.sha256(whole.tobytes()).hexdigest()
    same = {"share": 1.0, "identical": True, "sha256": [digest, digest]}
    assert entry["untouched"] == dict.fromkeys(PICTURES, same)


@pytest.mark.parametrize("case", ["turned", "no place", "other format", "fault"])
@pytest.mark.parametrize("ending", [".jpeg", ".png", ".tif"])
def test_what_else_is_written_anew(tmp_path, monkeypatch, case, ending):
    photo = clean(tmp_path / f"a{ending}", exif=tags(3 if case == "turned" else 1))
    if case == "fault":
        real = contained.read

        def read(*more, **others):
            return dataclasses.replace(real(*more, **others), faulty=True, notes=("cut",))

        monkeypatch.setattr(contained, "read", read)
    form = "same" if case != "other format" else "tif" if ending == ".png" else "png"
    other = ending if form == "same" else f".{form}"
    go(photo, tmp_path / "out", strip_gps=case == "no place", form=form, kinds=["restored"])
    made = tmp_path / "out" / f"a_restored{other}"
    assert made.read_bytes() != photo.read_bytes()
    [entry] = lines(tmp_path / "out")
    assert "copied" not in entry and entry.get("notes", []) == (["cut"] if case == "fault" else [])
    assert entry.get("coded_anew", False) == (other == ".jpeg")
    if other == ".jpeg":
        assert entry["untouched"] == {"share": 0.0, "coded_anew": True}
    else:
        assert entry["untouched"]["share"] == 1 and entry["untouched"]["identical"]
        assert np.array_equal(files.read(made).pixels, files.read(photo).pixels)
    assert read_tags(made)[0].get(0x0112, 1) == 1


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
def test_a_copy_ends_as_its_content_is(tmp_path, form):
    photo = clean(tmp_path / "a.png")
    Image.open(photo).save(photo, form)
    go(photo, tmp_path / "out", kinds=["restored"])
    [made] = [*(tmp_path / "out").glob("a_restored.*")]
    assert made.suffix == {"WEBP": ".webp", "JPEG": ".jpg"}[form]
    assert made.read_bytes() == photo.read_bytes()


@pytest.mark.parametrize("ending", [".bmp", ".jfif"])
def test_a_copy_of_what_is_not_written_keeps_its_ending(tmp_path, ending):
    photo, out = clean(tmp_path / f"a{ending}"), tmp_path / "out"
    other = {".bmp": ".png", ".jfif": ".jpg"}[ending]
    wanted = dict(kinds=["mask", "restored"], page=True)
    assert go(photo, out, **wanted) == {"nothing_to_do": 1}
    assert (out / f"a_restored{ending}").read_bytes() == photo.read_bytes()
    assert not (out / f"a_restored{other}").exists()
    assert lines(out)[0]["files"]["restored"] == f"a_restored{ending}"
    assert go(photo, out, **wanted) == {"nothing_to_do": 1} and len(lines(out)) == 2
    assert go(photo, out, **wanted, threshold=0.2) == {"failed": 1}
    assert go(photo, out, **wanted, threshold=0.2, force=True) == {"beyond_training": 1}
    assert {path.name for path in out.glob("a_r*")} == {f"a_restored{other}"}
    assert go(photo, out, **wanted, force=True) == {"nothing_to_do": 1}
    assert {path.name for path in out.glob("a_r*")} == {f"a_restored{ending}"}
    go(photo, tmp_path / "png", form="png", kinds=["restored"])
    assert (tmp_path / "png" / "a_restored.png").exists()


def test_a_jpeg_of_another_ending_is_coded_anew(tmp_path):
    photo = clean(tmp_path / "a.jpeg")
    go(photo, tmp_path / "out", form="jpg")
    assert (tmp_path / "out" / "a_restored.jpg").read_bytes() != photo.read_bytes()
    assert lines(tmp_path / "out")[0]["coded_anew"] is True


@pytest.mark.parametrize("most", [1, 2])
def test_the_report_says_what_was_not_touched(tmp_path, most):
    photo, out = save(tmp_path / "a.png", scratched(dtype=np.uint16)), tmp_path / "out"
    go(photo, out, most=most)
    said = lines(out)[0]["untouched"]
    mask = files.read(out / "a_mask.png").pixels[..., 0] > 0
    near = cv2.dilate(mask.astype(np.uint8), np.uint8([[0, 1, 0], [1, 1, 1], [0, 1, 0]])) > 0
    came, made = (cv2.imread(str(p), -1) for p in (photo, out / "a_restored.png"))
    digest = [hashlib.sha256(pixels[~near].tobytes()).hexdigest() for pixels in (came, made)]
    share = pytest.approx(1 - near.mean(), abs=1e-6)
    assert said["restored"] == {"share": share, "identical": True, "sha256": digest}
    assert 0.6 < said["restored"]["share"] < 0.7
    coloured = {"share": 0.0, "coloured": True}
    assert said["color"] == said["restored_color"] == coloured
    (out / "a_color.png").unlink()  # and the one picture that is made again tells of itself
    go(photo, out, most=most)
    assert lines(out)[-1]["untouched"] == coloured


def test_a_file_that_holds_other_pixels_fails_its_photo(tmp_path, monkeypatch):
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", scratched())
    real = files.write

    def write(path, photo, **more):
        if path.name == "b_restored.png":
            photo.pixels[0, 0] ^= 1
        real(path, photo, **more)

    monkeypatch.setattr(files, "write", write)
    assert go(tmp_path / "in", tmp_path / "out") == {"ok": 1, "failed": 1}
    reason = last(tmp_path / "out")["b.png"]["reason"]
    assert "b_restored.png: pixels outside mask and feather are not those of the photo" in reason
    assert not [*(tmp_path / "out").glob("b_*")]


def test_what_a_format_cannot_hold_is_told_by_picture(tmp_path):
    texts = ((b"tEXt", b"Title\0Summer"),)
    photo, out = save(tmp_path / "a.png", scratched(), texts=texts), tmp_path / "out"
    go(photo, out, form="jpg", kinds=["restored", "color"])
    told = lines(out)[0]["left_out"]
    assert told.keys() == {"restored", "color"} and "Title" in str(told["color"])
    go(photo, tmp_path / "kept", kinds=["restored"])
    assert "left_out" not in lines(tmp_path / "kept")[0]


# JPEG


def test_what_jpeg_cannot_hold_fails_with_words_and_leaves_nothing(tmp_path):
    save(tmp_path / "in" / "deep.png", scratched(dtype=np.uint16))
    save(tmp_path / "in" / "clear.png", scratched(3), alpha=np.full(SIZE, 9, np.uint8))
    save(tmp_path / "in" / "fine.png", scratched())
    assert go(tmp_path / "in", tmp_path / "out", form="jpg") == {"ok": 1, "failed": 2}
    told = last(tmp_path / "out")
    assert "8 bits only" in told["deep.png"]["reason"]
    assert "no alpha" in told["clear.png"]["reason"]
    assert {path.name.split("_")[0] for path in (tmp_path / "out").glob("*.*g")} == {"fine"}
    words = "--format jpg: JPEG holds 8 bits only; choose --format png or tif"
    assert words in told["deep.png"]["reason"] and "choose --format" in told["clear.png"]["reason"]


@pytest.mark.parametrize(
    ("name", "form", "kinds", "words"),
    [
        ("a.jpg", "jpg", PICTURES, "--format jpg: JPEG holds 8 bits only; choose --format png"),
        ("a.png", "webp", PICTURES, "--format webp: WebP holds RGB of 8 bits only; choose --forma"),
        ("a.png", "webp", ["color"], "--format webp: WebP holds"),
    ],
)
def test_formats_that_cannot_hold_a_photo_are_refused_before_networks_work(
    tmp_path, monkeypatch, name, form, kinds, words
):
    deep = save(tmp_path / "deep.png", scratched(dtype=np.uint16)).rename(tmp_path / name)
    monkeypatch.setattr(Restorer, "answer", lambda *_: pytest.fail("the networks were asked"))
    assert go(deep, tmp_path / "out", form=form, kinds=[*kinds]) == {"failed": 1}
    assert words in lines(tmp_path / "out")[0]["reason"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_file_that_is_called_jpeg_comes_out_as_png(tmp_path, dtype):
    photo = save(tmp_path / "a.png", scratched(dtype=dtype)).rename(tmp_path / "a.jpg")
    assert go(photo, tmp_path / "out") == {"ok": 1}
    made = lines(tmp_path / "out")[0]["files"]
    assert made.keys() >= {*PICTURES} and all(path.endswith(".png") for path in made.values())
    assert all(kinds.of(tmp_path / "out" / path) == "PNG" for path in made.values())


def test_webp_holds_gray_photos_in_colour(tmp_path):
    photo = save(tmp_path / "a.png", scratched())
    assert go(photo, tmp_path / "gray", form="webp", kinds=["restored"]) == {"failed": 1}
    assert go(photo, tmp_path / "out", form="webp", kinds=["color"]) == {"ok": 1}


# What is known of the damage


def count_questions(monkeypatch):
    """A list that gets an entry whenever the detector is asked for a photo."""
    asked = []
    real = detect.Detector.find

    def note(self, *arguments):
        asked.append(arguments)
        return real(self, *arguments)

    monkeypatch.setattr(detect.Detector, "find", note)
    return asked


def test_another_threshold_asks_no_network_and_equals_detecting_anew(tmp_path, monkeypatch):
    photo = save(tmp_path / "a.png", scratched())
    out, anew = tmp_path / "out", tmp_path / "anew"
    go(photo, out)
    go(photo, anew, threshold=0.9)
    asked = count_questions(monkeypatch)
    assert go(photo, out, threshold=0.9, force=True) == {"ok": 1} and not asked
    for kind in ("prob", "mask", *PICTURES):
        one, two = ((folder / f"a_{kind}.png").read_bytes() for folder in (out, anew))
        assert one == two, kind
    assert go(photo, out, force=True, tile=256) == {"ok": 1} and asked


def maps(photo, out, given=None, **settings):
    """The stored maps that a run with these settings would use."""
    [job] = plan(photo, out, ["prob", "mask", "restored"])
    report = Report(out, outputs.STAGE)
    before = report.done["a.png"]["settings"]
    told = before | {"detect": before["detect"] | settings}
    return outputs.stored([dataclasses.replace(job, inputs=given or {})], report, told)


def test_maps_are_used_again_only_where_detecting_would_repeat_them(tmp_path):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    go(photo, out)
    assert maps(photo, out) == {"a.png": out / "a_prob.png"} == maps(photo, out, threshold=0.1)
    for other in ({"weights": "others"}, {"tile": 256}, {"tta": True}, {"overlap": 16}):
        assert maps(photo, out, **other) == {}
    Report(out, outputs.STAGE).begin(["a.png"])  # and then killed
    assert maps(photo, out) == {}
    (out / ".doing-restore").unlink()
    save(photo, scratched(seed=1))
    assert maps(photo, out) == {}


def test_maps_that_were_given_are_not_taken_for_what_was_found(tmp_path):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    own = save(tmp_path / "own.png", np.full((*SIZE, 1), 20000, np.uint16))
    assert go(photo, out, given={"probability": own}) == {"ok": 1}
    assert np.array_equal(files.read(out / "a_prob.png").pixels, files.read(own).pixels)
    assert maps(photo, out) == {}
    assert go(photo, out, force=True) == {"ok": 1}
    assert not np.array_equal(files.read(out / "a_prob.png").pixels, files.read(own).pixels)


def test_a_mask_is_used_and_written_as_it_is(tmp_path):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    mask = np.zeros((*SIZE, 1), np.uint8)
    mask[3:7, 15:25] = 255
    given = save(tmp_path / "mine.png", mask)
    kinds = ["mask", *PICTURES]
    assert go(photo, out, given={"mask": given}, kinds=kinds) == {"ok": 1}
    assert np.array_equal(files.read(out / "a_mask.png").pixels, mask)
    restored = files.read(out / "a_restored.png").pixels
    assert (restored[3:7, 15:25] == FILL).all() and (restored[:, 8:10] == 255).all()
    again = tmp_path / "again"
    assert go(photo, again, given={"mask": out / "a_mask.png"}, kinds=kinds) == {"ok": 1}
    for path in again.glob("*.png"):
        assert path.read_bytes() == (out / path.name).read_bytes()


def test_pixels_are_added_to_the_mask_and_taken_from_it(tmp_path):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    more, less = np.zeros((2, *SIZE, 1), np.uint8)
    more[:5, 16:20], less[:, 28:] = 255, 255
    given = {"add": save(tmp_path / "more.png", more), "remove": save(tmp_path / "less.png", less)}
    go(photo, out, given=given)
    mask = files.read(out / "a_mask.png").pixels[..., 0]
    assert (mask[:5, 16:20] == 255).all() and not mask[:, 28:].any() and (mask[:, 8:10]).all()
    assert not mask[5:, 16:20].any()


def test_a_mask_of_another_size_fails_its_photo_only(tmp_path):
    photo = save(tmp_path / "a.png", scratched())
    small = save(tmp_path / "m.png", np.zeros((8, 9, 1), np.uint8))
    assert go(photo, tmp_path / "out", given={"mask": small}, kinds=["mask", "restored"])["failed"]
    assert "9 x 8 pixels, the photo 44 x 30" in lines(tmp_path / "out")[0]["reason"]


def test_no_strength_changes_no_bit(tmp_path):
    photo, out = save(tmp_path / "a.png", scratched(dtype=np.uint16)), tmp_path / "out"
    assert go(photo, out, strength={"inpaint": 0, "colorize": 0})["failed"] == 0
    for kind in PICTURES:
        made = files.read(out / f"a_{kind}.png").pixels
        assert np.array_equal(made, files.read(photo).pixels)


# Runs that go on, and runs in which something goes wrong


def test_a_missing_file_is_made_again_and_nothing_else(tmp_path, monkeypatch):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", scratched(seed=ord(name)))
    out = tmp_path / "out"
    go(tmp_path / "in", out)
    before = {path: path.read_bytes() for path in out.glob("*.png")}
    (out / "b_color.png").unlink()
    written = []
    real = files.write
    monkeypatch.setattr(
        files, "write", lambda path, *a, **b: (written.append(path), real(path, *a, **b))
    )
    assert go(tmp_path / "in", out) == {"nothing_to_do": 2, "ok": 1}
    assert written == [out / "b_color.png"]
    assert {path: path.read_bytes() for path in before} == before


def full_disk(monkeypatch, victim):
    """From now on, files whose name holds `victim` find no space."""
    real = files.write

    def write(path, *arguments, **options):
        if victim in pathlib.Path(path).name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, *arguments, **options)

    monkeypatch.setattr(files, "write", write)


@pytest.mark.parametrize("victim", ["b_prob", "b_mask", "b_restored.", "b_color"])
@pytest.mark.parametrize("most", [1, 4])
def test_a_full_disk_fails_one_photo_and_leaves_nothing_of_it(tmp_path, monkeypatch, victim, most):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", scratched(seed=ord(name)))
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        full_disk(patch, victim)
        assert go(tmp_path / "in", out, most=most) == {"ok": 2, "failed": 1}
    assert "No space left" in last(out)["b.png"]["reason"]
    assert not [*out.glob("b_*")] and len([*out.glob("*.png")]) == 10
    assert go(tmp_path / "in", out, most=most) == {"nothing_to_do": 2, "ok": 1}


def test_what_is_made_anew_is_never_mixed_with_what_was_there(tmp_path, monkeypatch):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    go(photo, out)
    first = {path: path.read_bytes() for path in out.glob("*.png")}
    with monkeypatch.context() as patch:
        full_disk(patch, "a_restored_color")
        assert go(photo, out, threshold=0.9, force=True) == {"failed": 1}
    left = {path.name for path in out.glob("*.png")}
    assert left == {"a_restored_color.png"}  # that of before
    assert go(photo, out, threshold=0.9) == {"failed": 1}
    assert "with other settings" in lines(out)[-1]["reason"]
    assert go(photo, out) == {"ok": 1}
    assert {path: path.read_bytes() for path in out.glob("*.png")} == first


def test_a_bug_ends_the_run_with_its_trace_and_it_goes_on(tmp_path, monkeypatch):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", scratched(seed=ord(name)))
    real = chain.Chain._finish

    def finish(self, ready, answer):
        if ready[0].name == "b.png":
            raise TypeError("a bug")
        return real(self, ready, answer)

    with monkeypatch.context() as patch:
        patch.setattr(chain.Chain, "_finish", finish)
        with pytest.raises(TypeError, match="a bug"):
            go(tmp_path / "in", tmp_path / "out")
    assert [*last(tmp_path / "out")] == ["a.png"]
    assert go(tmp_path / "in", tmp_path / "out") == {"ok": 2, "nothing_to_do": 1}


# The page


def thumbnails(out):
    home = out / page.THUMBNAILS
    return {path.relative_to(home).as_posix() for path in home.rglob("*.jpg")}


def test_a_page_asked_for_later_shows_the_same(tmp_path):
    save(tmp_path / "in" / "a.png", scratched())
    save(tmp_path / "in" / "box" / "b.tif", scratched(3, np.uint16))
    made = {}
    for name, early in {"early": True, "late": False}.items():
        out = tmp_path / name
        go(tmp_path / "in", out, page=early)
        jobs = plan(tmp_path / "in", out, PICTURES)
        browse.write_page(out, jobs)
        made[name] = thumbnails(out)
        for path in made[name]:
            there = [cv2.imread(str(tmp_path / n / page.THUMBNAILS / path)) for n in made]
            assert np.abs(there[0].astype(int) - there[-1]).max() <= 2
        assert "a.png" in (out / "index.html").read_text("utf-8")
    assert made["early"] == made["late"] and len(made["late"]) == 10


def test_old_thumbnails_are_made_again_and_lost_files_are_told(tmp_path, capsys):
    photo, out = save(tmp_path / "a.png", scratched()), tmp_path / "out"
    go(photo, out, page=True)
    jobs = plan(photo, out, PICTURES)
    small = out / page.THUMBNAILS / "restored" / "a.png.jpg"
    before = small.read_bytes()
    save(out / "a_restored.png", 255 - scratched())
    later = small.stat().st_mtime + 10
    os.utime(out / "a_restored.png", (later, later))
    browse.write_page(out, jobs)
    assert small.read_bytes() != before and not capsys.readouterr().err
    (out / "a_restored.png").write_bytes(b"broken")
    os.utime(out / "a_restored.png", (later + 10, later + 10))
    browse.write_page(out, jobs)
    assert "no thumbnails of a.png" in capsys.readouterr().err
    assert (out / "index.html").exists()


# As it is meant to look


LINEAR = (b"gAMA", (100000).to_bytes(4, "big"))


def twins(folder, channels, **beside):
    """A photo in 16 bits of sRGB, and the same in linear light."""
    pixels = np.uint16(scratched(channels)) * 257
    light = np.where(pixels > 2650, ((pixels / 65535 + 0.055) / 1.055) ** 2.4, pixels / 846729)
    linear = np.rint(65535 * light).astype(np.uint16)
    save(folder / "a.png", pixels)
    return save(folder / "b.png", linear, **beside)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_linear_photo_is_restored_as_it_looks_and_written_as_it_is(tmp_path, channels):
    linear = twins(tmp_path / "in", channels, encoding=(LINEAR,))
    assert go(tmp_path / "in", tmp_path / "out", recolor=True, page=True) == {"ok": 2}
    out, before = tmp_path / "out", files.read(linear)
    for kind in PICTURES:
        twin, made = (files.read(out / f"{name}_{kind}.png") for name in "ab")
        seen = encoding.view(made).astype(int)
        assert np.abs(seen - twin.pixels).max() <= 257
        assert made.encoding == (LINEAR,) and made.pixels.dtype == np.uint16
        assert made.pixels.mean() < 0.8 * twin.pixels.mean()
    masks = [files.read(out / f"{name}_mask.png").pixels for name in "ab"]
    np.testing.assert_array_equal(*masks)
    far = cv2.dilate(masks[0], np.ones((3, 3), np.uint8)) == 0
    np.testing.assert_array_equal(
        files.read(out / "b_restored.png").pixels[far], before.pixels[far]
    )
    for kind in ("original", "found", *PICTURES):
        small = [Image.open(out / page.THUMBNAILS / kind / f"{name}.png.jpg") for name in "ab"]
        assert np.abs(np.subtract(*(np.asarray(one, int) for one in small))).mean() < 1.5


def test_a_linear_gray_photo_with_a_profile_is_srgb_when_it_is_coloured(tmp_path):
    profile = icc.linear(1)
    twins(tmp_path / "in", 1, icc=profile)
    assert go(tmp_path / "in", tmp_path / "out") == {"ok": 2}
    for kind in PICTURES:
        twin, made = (files.read(tmp_path / "out" / f"{name}_{kind}.png") for name in "ab")
        assert made.icc == (profile if kind == "restored" else None)
        assert np.abs(encoding.view(made).astype(int) - twin.pixels).max() <= 257


def test_pil_images_are_seen_as_their_profile_says(tmp_path):
    light = np.arange(256) ** 2 // 255
    profile = icc.linear(1)
    image = Image.fromarray(np.uint8(light[scratched()[..., 0]]))
    image.info["icc_profile"] = profile
    made = restorer(repr({"tile": 128, "outputs": ["restored"]}))(image)
    assert made.restored.mode == "L" and made.restored.info["icc_profile"] == profile
    fill = np.asarray(made.restored)[made.mask > 0]
    assert abs(int(fill[0]) - round(255 * ((FILL / 255 + 0.055) / 1.055) ** 2.4)) <= 1
    far = cv2.dilate(made.mask, np.ones((3, 3), np.uint8)) == 0
    np.testing.assert_array_equal(np.asarray(made.restored)[far], np.asarray(image)[far])
