import dataclasses

import jax
import numpy as np
import pytest

from oldphoto_jax.photo import scratch
from oldphoto_jax.restore import inpaint
from oldphoto_jax.restore.classical import METHODS
from oldphoto_jax.restore.holes import Hole
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


def test_a_network_that_fills_nothing_is_told():
    class Finder:
        predictor, checksum = painter.Paint(), "finder"

        def __call__(self, photo, mask):
            return {"mask": mask}

    with pytest.raises(ValueError, match="make mask of a photo and fill no holes"):
        inpaint.Inpainter(stage=Finder(), max_hole=50).mend(*scene())


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
def test_each_hole_is_filled_by_what_is_able_to_or_left_and_told(small, options, painted, left):
    pixels = RNG.integers(0, 65536, (120, 160, 3), np.uint16)
    mask = three_holes()
    inpainter = inpaint.Inpainter(stage=small, tile=128, overlap=32, **options)
    filled, told = inpainter.mend(pixels, mask)
    assert told["thickest"] == 21 and told["holes"] == painted and told["left"] == left
    changed = (filled != pixels).any(axis=-1)
    assert told["filled"] == pytest.approx(changed.mean(), abs=1e-4)
    assert not changed[mask == 0].any()
    asked = options["method"] in inpaint.TRAINED and options.get("thin") != 30
    assert told["beyond_training"] is asked
    assert told.get("status") == ("beyond_training" if asked else None)
    if asked or left:
        thick = told["thick"][0]
        assert thick == {"box": [70, 70, 91, 110], "thickness": 21, "filled": left == 0}
        assert changed[70:91, 70:110].all() == thick["filled"] == changed[70:91, 70:110].any()


def test_every_value_but_0_marks_and_an_empty_mask_gives_the_pixels_back(small):
    pixels, mask = scene(np.uint16)
    pixels.flags.writeable = mask.flags.writeable = False
    inpainter = inpaint.Inpainter(stage=small, method="auto", tile=128, overlap=32, grow=1)
    mended, told = inpainter.mend(pixels, mask)
    assert set(told["holes"]) > {"network"}
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


def test_a_hole_wider_than_a_tile_gets_a_larger_tile():
    pixels = np.full((300, 300, 1), 90, np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[50:200, 60:210] = 1
    damaged = np.where(mask[..., None], np.uint8(255), pixels)
    filled, _ = inpaint.Inpainter(method="telea", tile=64, overlap=16).mend(damaged, mask)
    assert np.array_equal(filled, pixels)


class Level:
    """Fills with the mean of what is good in its tile, and remembers what it was shown."""

    predictor, checksum = painter.Paint(), "level"

    def __init__(self):
        self.seen = []

    def __call__(self, photo, mask):
        self.seen.append(photo.shape)
        level = (photo * (1 - mask)).sum((1, 2), keepdims=True) / (1 - mask).sum()
        return {"photo": np.where(mask, level, photo)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("spread", [False, True])
def test_the_network_sees_thick_holes_from_further_away_in_tiles_of_one_size(
    dtype, spread, monkeypatch, tmp_path
):
    if spread:
        monkeypatch.setattr(scratch, "SMALL", 1)
        monkeypatch.setattr(scratch, "BAND", 1000)
    stage, mask = Level(), np.zeros((303, 401), np.uint8)
    mask[50:200, 60:211] = mask[250, 10:380] = 1
    mask[:, 390:] = 1  # thick enough to be halved once, and at the border
    pixels = np.full((303, 401, 3), 90, dtype)
    damaged = np.where(mask[..., None], np.iinfo(dtype).max, pixels)
    inpainter = inpaint.Inpainter(stage=stage, tile=64, overlap=16, feather=1)
    assert [inpainter.halvings(n, 401) for n in (1, 32, 33, 64, 65, 150)] == [0, 0, 1, 1, 2, 3]
    filled, told = inpainter.mend(damaged, mask, tmp_path)
    assert told["thickest"] == 149 and told["holes"] == {"network": 3}
    # Nothing of the damage is seen at any size; float32 has hardly more steps than 16 bits.
    assert np.abs(filled.astype(int) - pixels).max() <= (dtype == np.uint16)
    assert {*stage.seen} == {(1, 64, 64, 3)}


def test_a_hole_from_side_to_side_gets_a_tile_that_is_longer():
    pixels = np.full((30, 400, 1), 90, np.uint8)
    mask = np.zeros((30, 400), np.uint8)
    mask[:, 100:290] = 1
    damaged = np.where(mask[..., None], np.uint8(255), pixels)
    filled, told = inpaint.Inpainter(method="telea", tile=64, overlap=16).mend(damaged, mask)
    assert told["thickest"] == 189 and np.array_equal(filled, pixels)


def test_when_the_device_has_no_memory_tiles_shrink(small, capsys):
    class Short:
        predictor, checksum = small.predictor, "short"

        def __call__(self, photo, mask):
            if photo.shape[1] > 64:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return small(photo, mask=mask)

    pixels, mask = scene()
    short = inpaint.Inpainter(stage=Short(), tile=256, overlap=64, max_hole=50)
    filled, _ = short.mend(pixels, mask)
    assert "tile 256 becomes 128" in capsys.readouterr().err
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


def test_the_choices_are_what_there_is():
    assert (*inpaint.TRAINED, *METHODS) == inpaint.CHOICES
