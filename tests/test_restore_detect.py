import types

import cv2
import numpy as np
import pytest

from oldphoto_jax.photo import files
from oldphoto_jax.restore import batch, detect

RNG = np.random.default_rng(0)


class Fake:
    """A stage without a network: what is brighter than its left neighbour is damaged."""

    checksum = "fake"
    task = types.SimpleNamespace(multiple=16, threshold=0.25, max_size=5)

    def __init__(self):
        self.photos = []

    def __call__(self, photo):
        assert photo.dtype == np.float32 and photo.shape[-1] == 3
        assert not any(side % self.task.multiple for side in photo.shape[1:3])
        self.photos.append(photo)
        left = np.pad(photo, ((0, 0), (0, 0), (1, 0), (0, 0)), mode="edge")[:, :, :-1]
        return {"mask": np.clip(photo - left, 0, 1)[..., :1]}


class Bright(Fake):
    """A stage that calls brightness damage."""

    def __call__(self, photo):
        return {"mask": photo[..., :1]}


def noise(height, width, channels=3):
    return RNG.random((height, width, channels), np.float32)


@pytest.mark.parametrize("size", [(1, 1), (50, 300), (257, 90)])
def test_the_map_has_the_size_of_the_photo(size):
    photo = noise(*size)
    found = detect.detect(Fake(), photo, tile=128, overlap=16)
    assert found.shape == size and found.dtype == np.float32
    left = np.pad(photo, ((0, 0), (1, 0), (0, 0)), mode="edge")[:, :-1]
    np.testing.assert_allclose(found, np.clip(photo - left, 0, 1)[..., 0], atol=1e-6)


@pytest.mark.parametrize("size", [(256, 256), (100, 60)])
def test_tta_is_the_mean_over_mirror_images(size):
    photo = noise(*size)
    plain = [np.flip(detect.detect(Fake(), np.flip(photo, axes)), axes) for axes in (0, 1, (0, 1))]
    mean = (detect.detect(Fake(), photo) + sum(plain)) / 4
    inside = np.s_[: size[0] - 1, : size[1] - 1]  # at the mirrored edge the padding comes in
    tta = detect.detect(Fake(), photo, tta=True)
    np.testing.assert_allclose(tta[inside], mean[inside], atol=1e-6)


def test_with_tta_mirrored_photos_have_mirrored_maps():
    photo = noise(256, 256)
    found = detect.detect(Fake(), photo, tta=True)
    for axes in (0, 1, (0, 1)):
        mirrored = detect.detect(Fake(), np.flip(photo, axes), tta=True)
        np.testing.assert_allclose(np.flip(mirrored, axes), found, atol=1e-6)


def test_depth_and_gray_make_no_difference():
    gray = RNG.integers(0, 256, (70, 90, 1), dtype=np.uint8)
    deep = gray.astype(np.uint16) * 257
    found = detect.detect(Fake(), gray)
    assert found.max() > 0.5
    for same in (deep, files.rgb(gray), np.repeat(gray, 3, axis=2)):
        np.testing.assert_allclose(detect.detect(Fake(), same), found, atol=1e-6)


def test_tiles_at_once_change_nothing():
    photo, one, four = noise(300, 400), Fake(), Fake()
    found = detect.detect(one, photo, tile=128, overlap=32)
    assert np.array_equal(detect.detect(four, photo, tile=128, overlap=32, tiles_at_once=4), found)
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
    assert abs(detect.thickest(mask) - thickness) <= 1
    assert detect.thickest(np.zeros_like(mask)) == 0


def test_the_overlay_reddens_only_the_defects():
    photo = RNG.integers(0, 256, (9, 9, 1), dtype=np.uint8)
    mask = np.zeros((9, 9), np.uint8)
    mask[4] = 1
    shown = detect.overlay(photo, mask)
    good = mask == 0
    assert np.array_equal(shown[good], np.repeat(photo, 3, axis=2)[good])
    assert (shown[4, :, 0] > shown[4, :, 1]).all()


def job(photo, out):
    kinds = ("mask", "prob", "overlay")
    return batch.Job(photo, photo.name, {kind: out / f"x_{kind}.png" for kind in kinds})


def png(path):
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_files_of_any_kind_get_mask_and_map(tmp_path, dtype, channels):
    pixels = RNG.integers(0, np.iinfo(dtype).max, (30, 41, channels), dtype=dtype)
    photo = tmp_path / "Fotoğraf ü.png"
    photo.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    detector = detect.Detector(stage=Fake())
    entry = detector(job(photo, tmp_path))
    mask, probability = png(tmp_path / "x_mask.png"), png(tmp_path / "x_prob.png")
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    assert probability.dtype == np.uint16 and probability.shape == mask.shape == (30, 41)
    expected = detect.detect(Fake(), files.read(photo).pixels)
    np.testing.assert_allclose(probability / 65535, expected, atol=1e-5)
    assert np.array_equal(mask > 0, expected >= 0.25)
    assert png(tmp_path / "x_overlay.png").shape == (30, 41, 3)
    assert entry["size"] == [30, 41]
    assert entry["marked"] == pytest.approx((expected >= 0.25).mean(), abs=1e-5)


def test_defects_beyond_training_are_told(tmp_path):
    for width, beyond in (2, False), (9, True):
        detector = detect.Detector(stage=Bright())
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[:, 10 : 10 + width] = 255
        files.write_png(tmp_path / "p.png", pixels)
        assert detector(job(tmp_path / "p.png", tmp_path))["beyond_training"] is beyond


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(threshold=1.5), "threshold 1.5"),
        (dict(min_size=-1), "min size -1"),
        (dict(tile=100), "say 96"),
        (dict(tile=256, overlap=200), "0..128"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_photo(options, words):
    with pytest.raises(ValueError, match=words):
        detect.Detector(stage=Fake(), **options)


def test_settings_name_everything_that_changes_a_mask():
    settings = detect.Detector(stage=Fake(), tta=True).settings
    assert settings == {
        "weights": "fake",
        "threshold": 0.25,
        "tta": True,
        "tile": 1024,
        "overlap": 64,
        "min_size": 0,
    }
