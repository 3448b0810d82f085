"""Single steps see photos as they are meant to look, and write them in their own numbers."""

import numpy as np
import pytest

from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.photo import encoding
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import colorize, detect, inpaint

LINEAR = (b"gAMA", (100000).to_bytes(4, "big"))


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(4000, 20000, (40, 48, 1), np.uint16)
    files.write(tmp_path / "a.png", PhotoFile(pixels, encoding=(LINEAR,)))
    return files.read(tmp_path / "a.png")


def job(tmp_path, kind, **inputs):
    return Job(tmp_path / "a.png", "a.png", {kind: tmp_path / f"a_{kind}.png"}, inputs)


def test_filling(tmp_path, photo):
    mask = np.zeros((40, 48, 1), np.uint8)
    mask[10:13, 5:30] = 255
    files.write_png(tmp_path / "mask.png", mask)
    filler = inpaint.Inpainter(method="biharmonic")
    filler(job(tmp_path, "restored", mask=tmp_path / "mask.png"))
    made = files.read(tmp_path / "a_restored.png")
    assert made.encoding == (LINEAR,)
    np.testing.assert_array_equal(made.pixels[mask == 0], photo.pixels[mask == 0])
    expected, _ = filler.mend(encoding.view(photo), (mask[..., 0] > 0).astype(np.uint8))
    assert np.abs(encoding.view(made).astype(int) - expected).max() <= 2


def test_colouring(tmp_path, photo, monkeypatch):
    seen = []
    found = np.full((20, 24, 1), 0.4, np.float32), np.full((20, 24, 2), 0.55, np.float32)
    monkeypatch.setattr(colorize, "guess", lambda _, pixels, size: seen.append(pixels) or found)
    painter = colorize.Colorizer(stage=None)
    told = painter(job(tmp_path, "color"))
    np.testing.assert_array_equal(seen[0], encoding.view(photo))
    made = files.read(tmp_path / "a_color.png")
    expected = colorize.paint(seen[0], *found)
    assert made.encoding == (LINEAR,) and made.pixels.shape == (40, 48, 3)
    assert np.abs(encoding.view(made).astype(int) - expected).max() <= 8
    assert told["colorfulness"] == colorize.colorfulness(expected)


def test_detecting(tmp_path, photo, monkeypatch):
    seen = []
    nothing = np.zeros((40, 48), np.uint16)
    monkeypatch.setattr(
        detect, "probability", lambda _, pixels, *__, **___: seen.append(pixels) or nothing
    )
    finder = object.__new__(detect.Detector)
    finder.__dict__.update(stage=None, tta=False, tile=64, overlap=8, tiles_at_once=1, coarse=True)
    monkeypatch.setattr(detect.Detector, "mark", lambda *_: (np.zeros((40, 48), np.uint8), {}))
    finder(job(tmp_path, "overlay"))
    np.testing.assert_array_equal(seen[0], encoding.view(photo))
    shown = files.read(tmp_path / "a_overlay.png").pixels
    assert np.abs(shown.astype(int) * 257 - encoding.view(photo)).max() <= 129
