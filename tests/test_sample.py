import functools

import cv2
import numpy as np
import pytest

from oldphoto_jax import cli, sample
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import tophat
from oldphoto_jax.metrics.mask import Ranking
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import detect, stage
from oldphoto_jax.restore.options import DETECTOR
from tests import untrained


@pytest.fixture(scope="module")
def old():
    return sample.aged()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)
    monkeypatch.setattr(stage, "load", functools.cache(stage.load))
    return untrained.save(tmp_path / "w.safetensors", untrained.finder(threshold=0.5))


def test_the_sample_is_old_damaged_and_always_the_same(old):
    photo, mask = old["photo"], old["mask"]
    height, width = (2 * side for side in Samples("train")[0]["photo"].shape[:2])
    assert photo.shape == (height, width, 3) and mask.shape == (height, width, 1)
    assert 0.005 < mask.mean() < 0.1
    again = sample.aged()
    assert all(np.array_equal(old[name], again[name]) for name in old)


def test_writing_twice_changes_nothing_and_foreign_pictures_stay(old, tmp_path):
    out = tmp_path / "new" / "out"
    path = sample.write(out)
    assert path == out / "sample.png" and files.read(path).pixels.shape == old["photo"].shape
    truth = files.read(out / "sample_truth.png").pixels
    assert np.array_equal(truth == 255, old["mask"] == 1)
    before = path.stat().st_mtime_ns
    assert sample.write(out) == path and path.stat().st_mtime_ns == before
    own = np.full((8, 8, 3), 7, np.uint8)
    files.write_png(path, own)
    with pytest.raises(ValueError, match="another picture; choose another --out"):
        sample.write(out)
    assert np.array_equal(files.read(path).pixels, own)


def test_detect_writes_the_sample_and_what_it_finds_and_goes_on(tmp_path, weights, capsys):
    out = tmp_path / "detected"
    arguments = ["detect", "--sample", "--overlay", "--out", str(out), "--weights", str(weights)]
    arguments += ["--tile", "160", "--overlap", "16"]
    assert cli.main(arguments) == 0
    names = {f"sample{end}.png" for end in ("", "_truth", "_mask", "_prob", "_overlay")}
    assert {path.name for path in out.glob("*.png")} == names
    assert len({cv2.imread(str(path)).shape for path in out.glob("*.png")}) == 1
    assert cli.main(arguments) == 0
    assert "1 nothing_to_do" in capsys.readouterr().err


@pytest.mark.parametrize("photos", [[], ["scans", "--sample"]])
def test_either_photos_or_the_sample(photos, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["detect", *photos, "--out", "detected"])
    assert "--sample" in capsys.readouterr().err


def test_the_packaged_weights_beat_the_top_hat_on_the_sample(old):
    found = image.to_float(detect.probability(stage.load(default=DETECTOR), old["photo"]))
    figures = [
        Ranking.of(old["mask"][None], score[None, ..., None]).compute()["average_precision"]
        for score in (found, tophat.tophat(old["photo"]))
    ]
    assert figures[0] > figures[1]
