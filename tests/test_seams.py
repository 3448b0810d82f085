"""Laws of the packaged filler: on flat sky and skin nobody sees where a hole was.

A seam is a step of the mean at the rim, in any channel. Where a photo is flat or shaded evenly the
eye finds steps that other photos would hide. Nothing is drawn at random but grain, by fixed seeds.
"""

import cv2
import numpy as np
import pytest

from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import holes, inpaint, stage
from tests import toy

SIZE, RIM = 192, 3  # pixels; the fill is looked at where the photo is at most RIM away
STEP, GRAINY_STEP, OFF = 1.5, 3.0, 6  # code values of 255: of a rim's mean, and of any pixel
GRAIN = 0.02  # standard deviation, of 1

FLAT = {
    "black": (0.08, 0.08, 0.08),
    "gray": (0.5, 0.5, 0.5),
    "white": (0.93, 0.93, 0.93),
    "sky": (0.55, 0.7, 0.9),
    "skin": (0.87, 0.68, 0.56),
}
SHADED = {  # from the upper left to the lower right; far enough from white for grain
    "shaded sky": ((0.45, 0.6, 0.82), (0.78, 0.85, 0.93)),
    "shaded skin": ((0.62, 0.42, 0.33), (0.93, 0.77, 0.66)),
}
PHOTOS = [*FLAT, *SHADED]


def disc(y, x, diameter):
    """Its centre is the corner between four pixels, so that the diameter is exact."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    return np.uint8(np.hypot(rows - y, columns - x) <= diameter / 2)


def line(start, end, thickness):
    return cv2.line(np.zeros((SIZE, SIZE), np.uint8), start, end, 1, thickness)


def bar(height):
    """At the lower border, over the whole width."""
    return np.repeat(np.uint8(np.arange(SIZE) >= SIZE - height)[:, None], SIZE, axis=1)


HOLES = {
    "line of 3 px": line((8, 12), (90, 104), 3),
    "line of 8 px": line((100, 160), (182, 92), 8),
    "disc of 20 px": disc(140, 36, 20),
    "disc of 48 px": disc(44, 136, 48),
    "bar at the border": bar(10),
}
MASK = sum(HOLES.values())


def truth(name):
    """The photo of this name in 8 bits, without grain or holes."""
    first, last = SHADED.get(name) or 2 * (FLAT[name],)
    rows, columns = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    along = (0.6 * rows + 0.4 * columns)[..., None]
    return np.uint8(np.rint(255 * (np.array(first) + along * np.subtract(last, first))))


@pytest.fixture(scope="module")
def inpainter(tmp_path_factory):
    """What fills holes in `oldphoto restore`; all photos have one size, so one program is made."""
    loaded = stage.load(None, "inpaint-lite", FillingPredictor)
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield inpaint.Inpainter(stage=loaded, method=inpaint.NETWORK, feather=1)
        assert len(loaded.compiled) == 1


def errors(inpainter, name, grain):
    """How far each filled pixel is from the photo without grain: [H,W,3] code values."""
    true = truth(name)
    noise = np.random.default_rng(PHOTOS.index(name)).normal(0, 255 * grain, (SIZE, SIZE, 1))
    photo = np.uint8(np.rint(np.clip(true + noise, 0, 255)))
    hidden = np.where(MASK[..., None] > 0, photo ^ 128, photo)  # far off whatever the colour
    filled, _ = inpainter.mend(hidden, MASK)
    return filled.astype(float) - true


def steps(found):
    """The step at the rim of each hole, in the channel where it is largest."""
    rims = {
        name: (hole > 0) & (cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= RIM)
        for name, hole in HOLES.items()
    }
    return {name: np.abs(found[rim].mean(axis=0)).max() for name, rim in rims.items()}


def test_the_holes_are_what_they_are_called():
    found, _ = holes.find(MASK)
    thickness = sorted(hole.thickness for hole in found)
    assert thickness == pytest.approx([3, 8, 19, 20, 48], abs=2)  # at the border half is enough
    assert MASK.max() == 1


@pytest.mark.parametrize("name", PHOTOS)
def test_no_seam_where_there_is_no_grain(name, inpainter):
    found = errors(inpainter, name, 0)
    seen = steps(found)
    assert max(seen.values()) < STEP, seen
    off = {hole: np.abs(found[mask > 0]).max() for hole, mask in HOLES.items()}
    assert max(off.values()) <= OFF, off


@pytest.mark.parametrize("name", PHOTOS)
def test_no_seam_in_grain(name, inpainter):
    seen = steps(errors(inpainter, name, GRAIN))
    assert max(seen.values()) < GRAINY_STEP, seen
