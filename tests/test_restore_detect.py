import tracemalloc
import types
from concurrent import futures

import cv2
import jax
import numpy as np
import pytest

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import ahead, detect, holes
from tests.stages import Bright, Rise
from tests.tiled import run

RNG = np.random.default_rng(0)
STEP = 1 / 65535  # of a map


def noise(height, width, channels=3):
    return RNG.random((height, width, channels), np.float32)


@pytest.mark.parametrize("size", [(1, 1), (50, 300), (257, 90)])
def test_the_map_has_the_size_of_the_photo(size):
    photo = noise(*size)
    found = detect.probability(Rise(), photo, tile=128, overlap=16)
    assert found.shape == size and found.dtype == np.uint16
    left = np.pad(photo, ((0, 0), (1, 0), (0, 0)), mode="edge")[:, :-1]
    wanted = np.clip(photo - left, 0, 1)[..., 0]
    np.testing.assert_allclose(found / 65535, wanted, atol=1e-6 + STEP / 2)


@pytest.mark.parametrize("size", [(256, 256), (100, 60)])
def test_tta_is_the_mean_over_mirror_images(size):
    photo = noise(*size)
    plain = [
        np.flip(detect.probability(Rise(), np.flip(photo, axes)) / 65535, axes)
        for axes in ((), 0, 1, (0, 1))
    ]
    inside = np.s_[: size[0] - 1, : size[1] - 1]  # at the mirrored edge the padding comes in
    tta = detect.probability(Rise(), photo, tta=True) / 65535
    np.testing.assert_allclose(tta[inside], (sum(plain) / 4)[inside], atol=1e-6 + STEP)


def test_with_tta_mirrored_photos_have_mirrored_maps():
    photo = noise(512, 512)  # a tile: what is padded is padded on one side
    found = detect.probability(Rise(), photo, tta=True) / 65535
    for axes in (0, 1, (0, 1)):
        mirrored = detect.probability(Rise(), np.flip(photo, axes), tta=True) / 65535
        np.testing.assert_allclose(np.flip(mirrored, axes), found, atol=1e-6 + STEP)


def test_depth_and_gray_make_no_difference():
    gray = RNG.integers(0, 256, (70, 90, 1), dtype=np.uint8)
    deep = gray.astype(np.uint16) * 257
    found = detect.probability(Rise(), gray) / 65535
    assert found.max() > 0.5
    for same in (deep, files.rgb(gray), np.repeat(gray, 3, axis=2)):
        again = detect.probability(Rise(), same) / 65535
        np.testing.assert_allclose(again, found, atol=1e-6 + STEP)


def test_tiles_at_once_change_nothing():
    photo, one, four = noise(300, 400), Rise(), Rise()
    options = dict(tile=128, overlap=32)
    found = detect.probability(one, photo, **options)
    assert np.array_equal(detect.probability(four, photo, **options, tiles_at_once=4), found)
    assert {photo.shape[0] for photo in one.photos} == {1}
    assert {photo.shape[0] for photo in four.photos} == {4}


def test_short_specks_are_left_out_and_long_scratches_stay():
    probability = np.zeros((40, 40), np.float32)
    probability[5, 2:30] = 0.9  # one pixel thin, 28 long
    probability[20:23, 20:23] = 0.9
    probability[30, 30] = probability[31, 31] = 0.9  # touch at a corner: one speck
    assert detect.cut(probability, 0.5).sum() == 28 + 9 + 2
    assert detect.cut(probability, 0.5, min_size=2).sum() == 28 + 9 + 2
    assert detect.cut(probability, 0.5, min_size=3).sum() == 28 + 9
    assert detect.cut(probability, 0.5, min_size=4).sum() == 28
    assert detect.cut(probability, 0.9).sum() == 28 + 9 + 2  # the threshold itself is marked
    assert detect.cut(probability, 0.95).sum() == 0


@pytest.mark.parametrize("thickness", [1, 3, 7, 20])
def test_thickness_is_that_of_the_thickest_defect(thickness):
    mask = np.zeros((60, 200), np.uint8)
    mask[30, 10:190] = 1
    mask[5 : 5 + thickness, 20:180] = 1
    assert abs(holes.thickest(mask) - thickness) <= 1
    assert holes.thickest(np.zeros_like(mask)) == 0


def test_the_overlay_reddens_only_the_defects():
    photo = RNG.integers(0, 256, (9, 9, 1), dtype=np.uint8)
    mask = np.zeros((9, 9), np.uint8)
    mask[4] = 1
    shown = detect.overlay(photo, mask)
    good = mask == 0
    assert np.array_equal(shown[good], np.repeat(photo, 3, axis=2)[good])
    assert (shown[4, :, 0] > shown[4, :, 1]).all()


def test_the_picture_of_a_mask_is_white_where_it_marks():
    mask = np.uint8([[0, 1, 255], [1, 0, 0]])
    picture = detect.white(mask)
    assert picture.dtype == np.uint8 and picture.shape == (2, 3, 1)
    assert picture[..., 0].tolist() == [[0, 255, 255], [255, 0, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_map_is_what_is_found_at_full_scale(dtype):
    photo = noise(300, 210)
    photo = photo if dtype == np.float32 else (photo * np.iinfo(dtype).max).astype(dtype)
    options = dict(tile=128, overlap=32)
    found = detect.probability(Rise(), photo, tta=True, tiles_at_once=2, **options)
    assert found.dtype == np.uint16
    seen = photo if dtype == np.float32 else image.to_float(photo)
    options |= dict(multiple=16, batch=2)
    wanted = run(lambda tiles: detect.ask(Rise(), tiles, tta=True), seen, **options)
    assert np.array_equal(found, image.to_uint16(wanted[..., 0]))


def test_when_the_device_has_no_memory_the_map_is_begun_again(capsys):
    class Short(Rise):
        def __call__(self, photo):
            if photo.shape[1] > 64 and len(self.photos) > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return super().__call__(photo)

    photo = noise(300, 200)
    found = detect.probability(Short(), photo, tile=128, overlap=32)
    assert np.array_equal(found, detect.probability(Rise(), photo, tile=64, overlap=32))
    assert "tile 128 becomes 64" in capsys.readouterr().err


def test_broken_weights_are_told():
    class Broken(Rise):
        def __call__(self, photo):
            return {"mask": photo[..., :1] * np.nan}

    with pytest.raises(ValueError, match="NaN"):
        detect.probability(Broken(), noise(20, 20))


THRESHOLDS = [0.0, 1e-6, 0.1, 0.25, 1 / 3, 0.5, 40000 / 65535, 0.7, 1.0]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_first_step_that_counts_reaches_the_threshold_and_the_one_before_does_not(threshold):
    step = detect.step(threshold)
    assert step / 65535 >= threshold
    assert step == 0 or (step - 1) / 65535 < threshold


class Inline(futures.Executor):
    """Computes where it is asked: as many results wait as ever may, whoever is the faster."""

    def __init__(self, _workers):
        pass

    def submit(self, function, *args):
        done = futures.Future()
        done.set_result(function(*args))
        return done


def test_memory_does_not_grow_with_the_height(monkeypatch):
    monkeypatch.setattr(ahead.futures, "ThreadPoolExecutor", Inline)
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 10_000)
    peaks = []
    for height in (600, 2400):
        photo = np.zeros((height, 200, 3), np.uint8)
        photo[::50, 10:60] = 255
        tracemalloc.start()
        detect.cut(detect.probability(Bright(), photo, tile=128, overlap=32), 0.5, min_size=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(threshold=1.5), "threshold 1.5"),
        (dict(threshold=0.5, careful=True), "careful is a threshold of its own; leave out 0.5"),
        (dict(min_size=-1), "min size -1"),
        (dict(tiles_at_once=0), "tiles at once 0"),
        (dict(tile=100), "say 96"),
        (dict(tile=256, overlap=200), "0..128"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_photo(options, words):
    with pytest.raises(ValueError, match=words):
        detect.Detector(stage=Rise(), **options)


def test_careful_is_the_higher_threshold_of_the_weights():
    assert detect.Detector(stage=Rise(), careful=True).settings["threshold"] == 0.9


def test_careful_never_marks_more_with_weights_that_had_one_threshold_alone():
    old = Rise()
    old.predictor = types.SimpleNamespace(multiple=16, threshold=0.95, careful=0.8, max_size=5)
    assert detect.Detector(stage=old, careful=True).settings["threshold"] == 0.95


def test_settings_name_everything_that_changes_a_mask():
    settings = detect.Detector(stage=Rise(), tta=True, tiles_at_once=3).settings
    assert settings == {
        "weights": "rise",
        "threshold": 0.25,
        "tta": True,
        "tile": 1024,
        "overlap": 32,
        "min_size": 0,
        "coarse": True,
    }


def test_broad_defects_of_large_scans_are_found_from_further_away(monkeypatch):
    """A network that knows bright things of 8 pixels at most, and a thing that is 24 wide."""

    class Small(Rise):
        def __call__(self, photo):
            bright = photo[..., 0] > 0.5
            wide = [cv2.erode(np.uint8(one), np.ones((9, 9), np.uint8)).any() for one in bright]
            found = bright & ~np.array(wide)[:, None, None]
            return {"mask": np.float32(found)[..., None]}

    photo = np.zeros((96, 96, 3), np.uint8)
    photo[30:54, 30:54] = 255
    options = dict(tile=96, overlap=0)
    assert not detect.probability(Small(), photo, **options).any()  # few pixels: near by alone
    monkeypatch.setattr(detect, "NEAR", 24 * 24)
    assert not detect.probability(Small(), photo, coarse=False, **options).any()
    found = detect.probability(Small(), photo, **options)
    assert (found[32:52, 32:52] > 0.8 * 65535).all()
    assert not found[:24].any() and not found[60:].any()


def test_looking_from_further_away_takes_nothing_back(monkeypatch):
    photo = noise(130, 90)
    near = detect.probability(Rise(), photo, tile=64, overlap=16, coarse=False)
    monkeypatch.setattr(detect, "NEAR", 40 * 40)
    assert (detect.probability(Rise(), photo, tile=64, overlap=16) >= near).all()
