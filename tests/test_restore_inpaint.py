import dataclasses

import cv2
import jax
import numpy as np
import pytest

from oldphoto_jax import cli
from oldphoto_jax.folder import sample
from oldphoto_jax.folder.jobs import Job, lossless
from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import inpaint, stage
from oldphoto_jax.restore.classical import METHODS
from oldphoto_jax.restore.holes import Hole, grow
from tests import painter
from tests.painter import scene

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def small():
    return painter.stage_of(painter.Paint())


def test_gray_photos_are_shown_three_times_and_come_back_as_the_mean():
    class Tinted:
        predictor = painter.Paint()

        def __call__(self, photo, mask):
            assert photo.shape[-1] == 3 and np.ptp(photo, axis=-1).max() == 0
            return {"photo": np.broadcast_to(np.float32([0.1, 0.2, 0.6]), photo.shape)}

    gray = RNG.random((50, 70, 1), np.float32)
    filled = inpaint.network(Tinted())(gray, np.ones((50, 70), np.uint8))
    assert filled.shape == gray.shape and filled == pytest.approx(0.3)


def test_a_network_that_fills_nothing_is_told(tmp_path):
    class Finder:
        predictor, checksum = painter.Paint(), "finder"

        def __call__(self, photo, mask):
            return {"mask": mask}

    with pytest.raises(ValueError, match="make mask of a photo and fill no holes"):
        inpaint.Inpainter(stage=Finder(), max_hole=50)(save(tmp_path, *scene()))


def save(folder, pixels, mask, name="p.tif", **beside):
    files.write(folder / name, files.PhotoFile(pixels, **beside))
    files.write_png(folder / "m.png", mask[..., None] * np.uint8(255))
    out = folder / "out" / f"p_restored{lossless(folder / name)}"
    return Job(folder / name, name, {"restored": out}, {"mask": folder / "m.png"})


def three_holes():
    """A thin scratch, a hole of 7 and one of 21 pixels."""
    mask = np.zeros((120, 160), np.uint8)
    mask[10, 10:150] = mask[40:47, 40:60] = mask[70:91, 70:110] = 1
    return mask


@pytest.mark.parametrize(
    ("options", "painted", "left"),
    [
        (dict(method="network"), {"network": 3}, 0),
        (dict(method="network", max_hole=9), {"network": 2}, 1),
        (dict(method="network", max_hole=3), {"network": 1}, 2),
        (dict(method="auto"), {"biharmonic": 1, "network": 2}, 0),
        (dict(method="auto", thin=8, max_hole=20), {"biharmonic": 2}, 1),
        (dict(method="auto", thin=30), {"biharmonic": 3}, 0),
        (dict(method="auto", max_hole=0), {}, 3),
        (dict(method="telea"), {"telea": 3}, 0),
        (dict(method="telea", max_hole=9), {"telea": 2}, 1),
    ],
)
def test_each_hole_is_filled_by_what_is_able_to_or_left_and_told(
    tmp_path, small, options, painted, left
):
    pixels = RNG.integers(0, 65536, (120, 160, 3), np.uint16)
    mask = three_holes()
    job = save(tmp_path, pixels, mask)
    inpainter = inpaint.Inpainter(stage=small, tile=128, overlap=32, **options)
    entry = inpainter(job)
    assert entry["size"] == [120, 160] and entry["thickest"] == 21
    assert entry["holes"] == painted and entry["left"] == left
    filled = files.read(job.outputs["restored"]).pixels
    changed = (filled != pixels).any(axis=-1)
    assert entry["filled"] == pytest.approx(changed.mean(), abs=1e-4)
    assert not changed[mask == 0].any()
    asked = options["method"] in inpaint.TRAINED and options.get("thin") != 30
    assert entry["beyond_training"] is asked
    assert entry.get("status") == ("beyond_training" if asked else None)
    if asked or left:
        thick = entry["thick"][0]
        assert thick == {"box": [70, 70, 91, 110], "thickness": 21, "filled": left == 0}
        assert changed[70:91, 70:110].all() == thick["filled"] == changed[70:91, 70:110].any()


@pytest.mark.parametrize("name", ["p.tif", "p.TIFF", "p.png"])
def test_depth_alpha_and_resolution_are_carried(tmp_path, name):
    pixels, mask = scene(np.uint16, 1, (60, 90))
    alpha = RNG.integers(0, 65536, (60, 90), np.uint16)
    job = save(tmp_path, pixels, mask, name, alpha=alpha, resolution=(300.0, 300.0))
    inpaint.Inpainter(method="telea")(job)
    assert job.outputs["restored"].suffix == name[1:]
    restored = files.read(job.outputs["restored"])
    assert restored.pixels.dtype == np.uint16 and restored.pixels.shape == pixels.shape
    assert np.array_equal(restored.alpha, alpha)
    assert np.array_equal(restored.pixels[mask == 0], pixels[mask == 0])
    assert restored.resolution == pytest.approx((300, 300), abs=0.1)


def test_an_empty_mask_copies_the_photo_and_says_so(tmp_path, small):
    pixels, mask = scene()
    job = save(tmp_path, pixels, mask * 0)
    entry = inpaint.Inpainter(stage=small)(job)
    assert entry["status"] == "nothing_to_do" and "nothing to fill" in entry["reason"]
    assert np.array_equal(files.read(job.outputs["restored"]).pixels, pixels)


def test_pixels_are_mended_as_files_are(tmp_path, small):
    pixels, mask = scene(np.uint16)
    job = save(tmp_path, pixels, mask)
    pixels.flags.writeable = mask.flags.writeable = False
    inpainter = inpaint.Inpainter(stage=small, method="auto", tile=128, overlap=32, grow=1)
    mended, told = inpainter.mend(pixels, mask)
    found = inpainter(job)
    assert found.pop("untouched")["identical"]
    assert found == {"size": [*mask.shape]} | told and set(told["holes"]) > {"network"}
    assert np.array_equal(files.read(job.outputs["restored"]).pixels, mended)
    assert np.array_equal(inpainter.mend(pixels, mask * 255)[0], mended)
    assert inpainter.mend(pixels, mask * 0)[0] is pixels
    with pytest.raises(ValueError, match=r"the mask has \(300, 449\)"):
        inpainter.mend(pixels, mask[:, 1:])


def test_scratch_space_and_bands_change_nothing(small, monkeypatch, tmp_path):
    pixels, mask = scene()
    inpainter = inpaint.Inpainter(
        stage=small, method="auto", tile=128, overlap=32, grow=2, feather=2, max_hole=9
    )
    expected, told = inpainter.mend(pixels, mask)
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 1000)
    mended, same = inpainter.mend(pixels, mask, tmp_path)
    assert same == told and np.array_equal(mended, expected) and not [*tmp_path.iterdir()]


def test_strength_goes_from_the_photo_to_the_restored_one(small):
    pixels, mask = scene()
    options = dict(stage=small, method="auto", tile=128, overlap=32, feather=2)
    steps = np.stack(
        [
            inpaint.Inpainter(**options, strength=s).mend(pixels, mask)[0].astype(int)
            for s in (0, 0.2, 0.4, 0.6, 0.8, 1)
        ]
    )
    assert np.array_equal(steps[0], pixels)
    assert np.array_equal(steps[-1], inpaint.Inpainter(**options).mend(pixels, mask)[0])
    assert (np.diff(steps, axis=0) * np.sign(steps[-1] - steps[0]) >= 0).all()
    assert (steps[1:] != steps[:-1]).any(axis=(1, 2, 3)).all()


def test_at_no_strength_nothing_is_done_and_told(tmp_path):
    class Silent:
        predictor, checksum = painter.Paint(), "silent"

        def __call__(self, photo, mask):
            raise AssertionError("asked for nothing")

    pixels, mask = scene()
    job = save(tmp_path, pixels, mask)
    told = inpaint.Inpainter(stage=Silent(), strength=0)(job)
    assert told["status"] == "nothing_to_do" and told["reason"] == "strength 0: left as it is"
    assert told["holes"] == {} and told["left"] > 0 and told["filled"] == 0
    assert np.array_equal(files.read(job.outputs["restored"]).pixels, pixels)


def test_masks_may_be_grown(tmp_path):
    pixels, mask = scene()
    job = save(tmp_path, pixels, mask)
    inpaint.Inpainter(method="telea", grow=2)(job)
    changed = (files.read(job.outputs["restored"]).pixels != pixels).any(axis=-1)
    assert changed[mask == 0].any() and not changed[grow(mask, 2) == 0].any()


def test_a_hole_wider_than_a_tile_gets_a_larger_tile(tmp_path):
    pixels = np.full((300, 300, 1), 90, np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[50:200, 60:210] = 1
    damaged = np.where(mask[..., None], np.uint8(255), pixels)
    job = save(tmp_path, damaged, mask)
    inpaint.Inpainter(method="telea", tile=64, overlap=16)(job)
    assert np.array_equal(files.read(job.outputs["restored"]).pixels, pixels)


def test_a_hole_from_side_to_side_gets_a_tile_that_is_longer(tmp_path):
    pixels = np.full((30, 400, 1), 90, np.uint8)
    mask = np.zeros((30, 400), np.uint8)
    mask[:, 100:290] = 1
    job = save(tmp_path, np.where(mask[..., None], np.uint8(255), pixels), mask)
    told = inpaint.Inpainter(method="telea", tile=64, overlap=16)(job)
    assert told["thickest"] == 189
    assert np.array_equal(files.read(job.outputs["restored"]).pixels, pixels)


def test_a_mask_that_grows_over_the_whole_photo_is_told(tmp_path, small):
    pixels, mask = scene(size=(40, 60))
    with pytest.raises(ValueError, match="grown by 90 pixels, leaves nothing"):
        inpaint.Inpainter(stage=small, grow=90)(save(tmp_path, pixels, mask))


def test_a_photo_whose_holes_are_all_left_is_not_called_restored(tmp_path):
    pixels, mask = scene()
    job = save(tmp_path, pixels, mask)
    told = inpaint.Inpainter(method="telea", max_hole=0)(job)
    assert told["status"] == "nothing_to_do" and "thicker than 0 pixels" in told["reason"]
    assert told["left"] > 0 and np.array_equal(files.read(job.outputs["restored"]).pixels, pixels)


def test_when_the_device_has_no_memory_tiles_shrink(tmp_path, small, capsys):
    class Short:
        predictor, checksum = small.predictor, "short"

        def __call__(self, photo, mask):
            if photo.shape[1] > 64:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return small(photo, mask=mask)

    pixels, mask = scene()
    job = save(tmp_path, pixels, mask)
    inpaint.Inpainter(stage=Short(), tile=256, overlap=64, max_hole=50)(job)
    assert "tile 256 becomes 128" in capsys.readouterr().err
    filled = files.read(job.outputs["restored"]).pixels
    assert np.array_equal(filled[mask == 0], pixels[mask == 0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(method="magic"), "choose one of network, auto, telea"),
        (dict(method="network", stage=None), "needs the weights"),
        (dict(max_hole=-1), "max hole -1"),
        (dict(grow=-2), "grow -2"),
        (dict(feather=-3), "feather -3"),
        (dict(strength=1.1), "strength 1.1"),
        (dict(strength=-0.1), "strength -0.1"),
        (dict(strength=float("nan")), "strength nan"),
        (dict(tile=100), "say 96"),
        (dict(tile=64), r"0\.\.32"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_photo(small, options, words):
    with pytest.raises(ValueError, match=words):
        inpaint.Inpainter(**{"stage": small, **options})


def test_settings_name_everything_that_changes_a_photo(small):
    own = {f.name for f in dataclasses.fields(inpaint.Inpainter)} - {"stage"}
    assert set(inpaint.Inpainter(stage=small).settings) == own | {"weights"}
    assert set(inpaint.Inpainter(method="telea").settings) == own


def test_the_rule_can_be_asked_hole_by_hole(small):
    auto = inpaint.Inpainter(stage=small, method="auto", thin=4)
    holes = [Hole((0, 0, t, t), t) for t in (1, 4, 5, 9, 10)]
    assert [auto.choose(h) for h in holes] == ["biharmonic"] * 2 + ["network"] * 3
    assert [auto.beyond(h) for h in holes] == [False] * 4 + [True]


@pytest.fixture
def quick(monkeypatch, small):
    monkeypatch.setattr(stage, "load", lambda path, default, kind: small)
    monkeypatch.setattr(stage, "keep_compiled", lambda: None)


@pytest.fixture
def scans(tmp_path):
    """Photos of several kinds, and masks as `oldphoto detect` writes them."""
    kinds = {
        "a.jpg": ("a.jpg_mask.png", 3, np.uint8),
        "a.png": ("a.png_mask.png", 1, np.uint8),
        "box/é ☀.tif": ("box/é ☀_mask.png", 3, np.uint16),
    }
    for name, (mask, channels, dtype) in kinds.items():
        pixels, holes = scene(dtype, channels, (60, 90))
        for path, drawn in (tmp_path / "scans" / name, pixels), (tmp_path / "masks" / mask, holes):
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = drawn * 255 if drawn is holes else drawn
            path.write_bytes(cv2.imencode(path.suffix, drawn)[1].tobytes())
    return tmp_path / "scans"


def run(scans, out, *options, mask=None):
    mask = mask or scans.parent / "masks"
    return cli.main(["inpaint", str(scans), "--mask", str(mask), "--out", str(out), *options])


@pytest.mark.parametrize("method", ["network", "auto", *METHODS])
def test_a_folder_is_restored(scans, tmp_path, quick, method, capsys):
    out = tmp_path / "out"
    assert run(scans, out, "--method", method) == 0
    names = {"a.jpg": "a.jpg_restored.png", "a.png": "a.png_restored.png"}
    for name, made in (names | {"box/é ☀.tif": "box/é ☀_restored.tif"}).items():
        photo, restored = files.read(scans / name).pixels, files.read(out / made).pixels
        mask = tmp_path / "masks" / f"{made.rpartition('_')[0]}_mask.png"
        mask = files.read(mask).pixels[..., 0] > 0
        assert restored.dtype == photo.dtype and restored.shape == photo.shape
        assert np.array_equal(restored[~mask], photo[~mask])
        assert not np.array_equal(restored, photo)
    assert len(list(out.rglob("*.*"))) == 4
    assert "3 ok" in capsys.readouterr().err
    assert run(scans, out, "--method", method) == 0
    assert "3 nothing_to_do" in capsys.readouterr().err


def test_an_edited_mask_is_noticed(scans, tmp_path, capsys):
    out, mask = tmp_path / "out", tmp_path / "masks" / "a.png_mask.png"
    options = ("--method", "telea")
    assert run(scans, out, *options) == 0
    files.write_png(mask, np.zeros((60, 90, 1), np.uint8))
    assert run(scans, out, *options) == 1
    assert "--force" in capsys.readouterr().err
    assert run(scans, out, *options, "--force") == 0
    told = capsys.readouterr().err
    assert "2 ok" in told and "1 nothing_to_do" in told


def test_photos_that_cannot_be_done_are_told_and_the_rest_is_done(scans, tmp_path, capsys):
    masks = tmp_path / "masks"
    (masks / "a.png_mask.png").unlink()
    files.write_png(masks / "a.jpg_mask.png", np.zeros((90, 60, 1), np.uint8))
    assert run(scans, tmp_path / "out", "--method", "telea") == 1
    told = capsys.readouterr().err
    assert "a.png: has no mask" in told
    assert "the mask has 60 x 90 pixels, the photo 90 x 60" in told
    assert "1 ok" in told and "2 failed" in told
    assert {p.name for p in (tmp_path / "out").rglob("*_restored*")} == {"é ☀_restored.tif"}


def test_holes_beyond_training_are_told_and_may_be_left(scans, tmp_path, quick, capsys):
    mask = np.zeros((60, 90, 1), np.uint8)
    mask[10:40, 20:60] = mask[50:52, 10:80] = 255
    files.write_png(tmp_path / "m.png", mask)
    photo = files.read(scans / "a.jpg").pixels
    assert run(scans / "a.jpg", tmp_path / "out", mask=tmp_path / "m.png") == 0
    told = capsys.readouterr().err
    assert "1 beyond_training" in told and "left" not in told
    assert "thicker than 9 pixels: 1 in 1 photos" in told
    restored = files.read(tmp_path / "out" / "a_restored.png").pixels
    assert (restored[10:40, 20:60] != photo[10:40, 20:60]).any(axis=-1).mean() > 0.9
    options = ("--max-hole", "9", "--force")
    assert run(scans / "a.jpg", tmp_path / "out", *options, mask=tmp_path / "m.png") == 0
    told = capsys.readouterr().err
    assert "1 beyond_training" in told and "left as they are: 1 in 1 photos" in told
    restored = files.read(tmp_path / "out" / "a_restored.png").pixels
    assert np.array_equal(restored[10:40], photo[10:40])


def test_the_sample_brings_its_own_mask(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["inpaint", "--sample", "--out", str(out), "--method", "telea"]) == 0
    old, mask = sample.aged()["photo"], files.read(out / sample.TRUTH).pixels[..., 0] > 0
    restored = files.read(out / "sample_restored.png").pixels
    assert restored.shape == old.shape
    assert np.array_equal(restored[~mask], files.read(out / sample.NAME).pixels[~mask])
    assert "1 ok" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["{scans}"], "--mask: name the photo's mask"),
        (["--sample", "--mask", "{scans}"], "the sample brings its own"),
        (["{scans}", "--mask", "nowhere"], "nowhere: there is no such file or folder"),
        (["{scans}", "--mask", "{scans}/a.png"], "one mask for 3 photos"),
        (["{scans}", "--mask", "{scans}", "--weights", "w"], "telea takes none"),
        (["{scans}", "--mask", "{scans}", "--overlap", "300"], "overlap 300"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(scans, tmp_path, capsys, options, words):
    options = [option.format(scans=scans) for option in options]
    assert cli.main(["inpaint", *options, "--out", str(tmp_path / "o"), "--method", "telea"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line


def test_the_command_offers_what_there_is():
    assert (*inpaint.TRAINED, *METHODS) == inpaint.CHOICES
