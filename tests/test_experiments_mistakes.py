"""The picture of mistakes shows what a network marks, in the colours that its text names."""

import cv2
import numpy as np
import pytest

from experiments import segment_mistakes as mistakes
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import stage
from tests import untrained
from tests.stages import Ready

GRAY = 90


@pytest.fixture(autouse=True)
def the_cache_of_the_user_stays_untouched(monkeypatch):
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def photos(tmp_path):
    """Two plain gray photos; the second has a white square."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, square in (("a.png", 0), ("b.png", 16)):
        pixels = np.full((64, 64, 3), GRAY, np.uint8)
        pixels[:square, :square] = 255
        files.write_png(folder / name, pixels)
    return folder


class Bright(Ready, stage.Stage):
    """Calls all that is brighter than the gray a defect."""

    def __init__(self):
        self.predictor = untrained.finder(threshold=0.9)

    def __call__(self, photo, **_):
        return {"mask": photo.max(-1, keepdims=True).astype(np.float32)}


def test_false_marks_are_red_and_the_worst_comes_first(photos, tmp_path):
    row = mistakes.false_marks(Bright(), mistakes.sources.open_photos(photos))
    assert [share for share, _ in row] == [0, pytest.approx(1 / 16)]
    picture = mistakes.draw([row], count=2)
    first, second = np.split(picture, 2, axis=1)
    photo, marked = np.split(first, 2, axis=1)
    assert (photo[:8, :8] == 255).all() and (marked[:8, :8, 0] > 200).all()
    assert (marked[:8, :8, 1:] < 100).all()
    assert np.array_equal(*np.split(second, 2, axis=1))  # nothing was marked


@pytest.mark.parametrize(("answer", "ink"), [(1.0, 1), (0.0, 0)])
def test_what_is_found_is_green_and_what_is_missed_is_red(photos, answer, ink):
    """One that marks everything has found everything, one that marks nothing has missed it."""

    class Same(Bright):
        def __call__(self, photo, **_):
            return {"mask": np.full((*photo.shape[:-1], 1), answer, np.float32)}

    row = mistakes.misses(Same(), mistakes.sources.open_photos(photos), size=64)
    assert row and all(0 <= lost <= 1 for lost, _ in row)
    before, shown = np.split(np.concatenate([pair for _, pair in row]), 2, axis=1)
    channels = (shown - before).max(axis=(0, 1))
    assert channels[ink] > 0.3 and channels[1 - ink] < 0.2


def test_a_photo_without_a_fault_still_has_its_picture():
    whole = np.full((4, 8, 3), 0.5, np.float32)
    assert mistakes.draw([[(0.0, whole)], []], count=2).shape == (4, 8, 3)
    with pytest.raises(ValueError, match="anything to show"):
        mistakes.draw([[], []], count=2)


def test_the_command_writes_the_picture(photos, tmp_path, capsys):
    weights = untrained.save(tmp_path / "w.safetensors", untrained.finder(threshold=0.5))
    out = tmp_path / "mistakes.jpg"
    mistakes.main([f"--weights={weights}", f"--photos={photos}", "--count=1", f"--out={out}"])
    assert str(out) in capsys.readouterr().out
    assert cv2.imread(str(out)).shape == (2 * mistakes.CELL, 2 * mistakes.CELL, 3)


def test_weights_of_another_task_are_told(photos, tmp_path):
    weights = untrained.save(tmp_path / "w.safetensors", untrained.filler(levels=3))
    with pytest.raises(SystemExit, match="segment_mistakes: .*weights fill holes"):
        mistakes.main([f"--weights={weights}", f"--photos={photos}", f"--out={tmp_path}/m.jpg"])


def test_a_place_that_cannot_be_written_is_told(photos, tmp_path):
    weights = untrained.save(tmp_path / "w.safetensors", untrained.finder(threshold=0.5))
    with pytest.raises(SystemExit, match="can't be written"):
        mistakes.main([f"--weights={weights}", f"--photos={photos}", f"--out={tmp_path}/no/m.jpg"])
