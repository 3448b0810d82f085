import dataclasses
import itertools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from oldphoto_jax.photo import color, image, tone
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import (
    colorize,
    detect,
    flow,
    holes,
    inpaint,
    program,
    restorer,
    stage,
    tiles,
)
from oldphoto_jax.restore.restorer import PICTURES, Request, Restorer
from tests import painter, toy, untrained

TILE = 192


class Near(nnx.Module):
    """A network that sees one pixel far."""

    def __init__(self, c_out, rngs):
        self.conv = nnx.Conv(3, c_out, (3, 3), rngs=rngs)

    def __call__(self, x):
        return jnp.tanh(self.conv(x))


@dataclasses.dataclass
class Find(Predictor):
    """What is nearly white is a defect."""

    multiple: int = 16
    threshold: float = 0.5
    max_size: int = 9

    def networks(self, rngs):
        return {"segmenter": Near(1, rngs)}

    def __call__(self, nets, batch):
        light = batch["photo"].mean(axis=-1, keepdims=True)
        return {"mask": nnx.sigmoid(40 * (light - 0.9) + 0.3 * nets["segmenter"](batch["photo"]))}


@dataclasses.dataclass
class Tint(Predictor):
    """Colours photos by what is near."""

    multiple: int = 32
    gain: float = 1.1

    def networks(self, rngs):
        return {"generator": Near(2, rngs)}

    def __call__(self, nets, batch):
        luma = color.rgb_to_gray(batch["photo"])
        chroma = 0.5 + 0.2 * nets["generator"](batch["photo"])
        return {"photo": color.ycbcr_to_rgb(jnp.concatenate([luma, chroma], axis=-1))}


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with toy.compiled(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def parts():
    return [painter.stage_of(one) for one in (Find(), painter.Paint(), Tint())]


def make(parts, *, devices=1, **more):
    """A restorer; options go to its parts by their names."""
    kinds = (detect.Detector, inpaint.Inpainter, colorize.Colorizer)
    given = [{"tile": TILE, "overlap": 32}, {"feather": 1, "tile": TILE, "overlap": 32}]
    given.append({"size": 64})
    for options, name in zip(given, ("find", "fill", "paint"), strict=True):
        options |= more.pop(name, {})
    made = [k(stage=one, **o) for k, one, o in zip(kinds, parts, given, strict=True)]
    return Restorer(*made, devices=jax.local_devices()[:devices], **more)


@pytest.fixture(scope="module")
def shared(parts):
    """A restorer whose programs many tests use."""
    return make(parts)


def photo(height=90, width=120, channels=1, dtype=np.uint8, seed=0):
    """Soft gray or sepia with white scratches."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.random((height, width), np.float32), (0, 0), 5)
    soft = 0.15 + 0.6 * (soft - soft.min()) / np.ptp(soft)
    for _ in range(4):
        ends = rng.integers(0, (width, height), (2, 2))
        soft = cv2.line(soft, *(tuple(map(int, end)) for end in ends), 0.97, 2)
    tint = np.float32([1.02, 1, 0.9]) if channels == 3 else np.float32([1])
    return np.rint(soft[..., None] * tint * np.iinfo(dtype).max).astype(dtype)


def luma(pixels):
    if pixels.ndim == 2 or pixels.shape[-1] == 1:
        return pixels.reshape(pixels.shape[:2]).astype(float)
    return pixels.astype(np.float64) @ [color.RED, color.GREEN, color.BLUE]


def distance(one, other):
    return np.abs(np.asarray(one).astype(int) - np.asarray(other)).max()


@pytest.fixture
def asked(monkeypatch):
    """What was wanted of programs, and the predictors that were asked outside of programs."""
    told = []
    init, call = program.Program.__init__, stage.Stage.__call__

    def asking(self, flow, wanted, *more):
        told.append(tuple(wanted))
        init(self, flow, wanted, *more)

    def calling(self, *args, **more):
        told.append(type(self.predictor).__name__)
        return call(self, *args, **more)

    monkeypatch.setattr(program.Program, "__init__", asking)
    monkeypatch.setattr(stage.Stage, "__call__", calling)
    return told


def test_one_call_gives_three_pictures_and_detects_once(shared, asked):
    given = photo()
    made = shared(given)
    down, across = tiles.plan(90, 120, TILE, 32, 16)
    assert asked.count("Find") == len(down.starts) * len(across.starts)
    assert asked.count("Tint") == 2 and "Paint" in asked
    assert made.restored.shape == given.shape and made.restored.dtype == np.uint8
    assert made.color.shape == made.restored_color.shape == (90, 120, 3)
    assert made.mask.shape == made.probability.shape == (90, 120)
    assert 0 < made.mask.mean() < 0.3 and 0 <= made.probability.min() < made.probability.max() <= 1
    assert made.report["status"] == "ok" and made.report["kind"] == "gray"
    assert made.report["marked"] == pytest.approx(made.mask.mean(), abs=1e-6)
    assert made.report["filled"] > 0 and made.report["size"] == [90, 120]


SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(PICTURES, n)]


def test_pictures_do_not_depend_on_what_else_is_asked_for(parts):
    given = photo(91, 123, 3)
    full = make(parts)(given)
    for outputs in SUBSETS:
        made = make(parts, outputs=outputs)(given)
        for name in PICTURES:
            wanted = getattr(full, name) if name in outputs else None
            assert np.array_equal(getattr(made, name), wanted), (name, outputs)
        if outputs == ("color",):
            assert made.mask is None and made.probability is None and "marked" not in made.report
        else:
            assert np.array_equal(made.mask, full.mask)


def test_color_is_the_same_without_the_detector_in_real_networks():
    kept = (untrained.finder(threshold=0.9), untrained.filler(), untrained.painter())
    parts = [painter.stage_of(one) for one in kept]
    given = [photo(88, 121), photo(88, 121, seed=1)]
    mask = [(one > 240).astype(np.uint8) for one in given]
    everything = make(parts, count=2)(given, mask=mask)
    alone = make(parts, count=2, outputs=("color",))(given)
    for one, two in zip(everything, alone, strict=True):
        assert np.array_equal(one.color, two.color)
        assert np.ptp(one.color.astype(int), axis=-1).max() > 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("feather", [0, 2])
def test_outside_of_the_mask_nothing_changes(parts, dtype, channels, feather):
    given = photo(70, 100, channels, dtype)
    restored = make(parts, outputs=("restored",), fill={"feather": feather})
    made = restored(given)
    changed = (made.restored != given).any(axis=-1)
    assert made.restored.dtype == dtype and made.restored.shape == given.shape
    assert not changed[holes.grow(made.mask, feather) == 0].any()
    assert changed[made.mask > 0].mean() > 0.9


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_stays_gray_and_luma_stays(shared, dtype):
    flat = photo(dtype=dtype)
    for given in (flat, flat[..., 0], np.repeat(flat, 3, axis=-1), photo(channels=3, dtype=dtype)):
        made = shared(given)
        assert made.restored.shape == given.shape
        if given.ndim == 3 and given.shape[-1] == 3 and not np.ptp(given, axis=-1).any():
            assert not np.ptp(made.restored, axis=-1).any()
        assert np.abs(luma(made.color) - luma(given)).max() <= 1
        assert np.abs(luma(made.restored_color) - luma(made.restored)).max() <= 1
        assert np.ptp(made.color.astype(float), axis=-1).max() > np.iinfo(dtype).max / 30


def sizes(count, seed=0, most=130):
    return np.random.default_rng(seed).integers(30, most, (count, 2)).tolist()


def test_batches_of_any_count_say_the_same(parts):
    """Masks are equal because no probability lies within rounding of the threshold: one that did
    could flip when photos are computed together, for sums are then added in another order."""
    given = [photo(100, 90 + 30 * (n % 2), seed=n) for n in range(8)]
    given += [np.full((100, 90, 1), value, np.uint8) for value in (90, 238)]  # none, all is damaged
    one = make(parts, count=1)(given)
    assert [one[n].report["marked"] for n in (8, 9)] == [0, 1]
    for count in (3, 8):
        several = make(parts, count=count)
        made, again = several(given), several(given)
        for a, b, c in zip(one, made, again, strict=True):
            assert np.abs(a.probability - b.probability).max() <= 1.5 / 65535
            assert np.array_equal(a.mask, b.mask)
            for name in PICTURES:
                assert distance(getattr(a, name), getattr(b, name)) <= 1
                assert np.array_equal(getattr(b, name), getattr(c, name))
        assert np.array_equal(made[8].color, made[8].restored_color)  # nothing was filled
    for option in ({"method": "telea"}, {"grow": 1}):  # which no program knows
        single, several = (
            make(parts, count=count, outputs=("restored",), fill=option) for count in (1, 2)
        )
        [made, _] = several([given[0], given[2]])
        assert np.array_equal(made.restored, single(given[0]).restored)
    assert several.place(100, 90) == (100, 90) and several.place(1, 1 << 20) is None


def test_tiles_and_the_whole_agree(parts):
    """Networks that see no further than the tiles overlap: masks then agree but for rounding.

    Those that see further differ near the edges of tiles. Colours of the photo as it came are the
    same in any case.
    """
    given = photo(150, 140, 3)
    whole = make(parts)(given)
    tiled = make(parts, find={"tile": 96, "overlap": 32}, fill={"tile": 96, "overlap": 32})(given)
    assert np.array_equal(tiled.color, whole.color) and np.array_equal(tiled.mask, whole.mask)
    assert distance(tiled.restored, whole.restored) <= 1
    assert distance(tiled.restored_color, whole.restored_color) <= 2
    assert np.abs(tiled.probability - whole.probability).max() < 1e-4


def exhausted(monkeypatch, fits, words="RESOURCE_EXHAUSTED: out of memory"):
    """Programs take at most so many photos."""
    call = program.Program.__call__

    def short(self, frames, count):
        if count > fits:
            raise jax.errors.JaxRuntimeError(words)
        return call(self, frames, count)

    monkeypatch.setattr(program.Program, "__call__", short)


def test_short_of_memory_fewer_photos_are_taken(parts, monkeypatch, capsys):
    given = [photo(100, 90, seed=n) for n in range(5)]
    wanted = make(parts)(given)
    exhausted(monkeypatch, 1)
    short = make(parts, count=4)
    for one, two in zip(short(given), wanted, strict=True):
        assert all(np.array_equal(getattr(one, n), getattr(two, n)) for n in (*PICTURES, "mask"))
    assert short.together.count == 1
    assert capsys.readouterr().err.splitlines() == [
        "out of device memory: 2 photos at once",
        "out of device memory: 1 photos at once",
    ]


def test_with_hardly_any_memory_photos_go_tile_by_tile(parts, monkeypatch, capsys, asked):
    exhausted(monkeypatch, 0)
    given = photo()
    made, _ = make(parts, count=2, devices=2)([given, given])
    assert "one by one, in tiles" in capsys.readouterr().err
    tiled = [one for one in asked if isinstance(one, str)]
    assert [*dict.fromkeys(tiled)] == ["Find", "Paint", "Tint"] and tiled.count("Tint") == 4
    assert (made.restored != given).any() and made.report["status"] == "ok"


def test_other_errors_of_the_device_are_not_hidden(parts, monkeypatch):
    exhausted(monkeypatch, 0, "INTERNAL: something broke")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something broke"):
        make(parts, count=2)([photo(), photo()])


def finish(one, **given):
    request = Request(**given)
    [answer] = one.answer([request])
    return one.finish(request, answer)


def rows(pictures):
    return [np.asarray(getattr(pictures, name)[0:999]) for name in PICTURES]


def test_another_threshold_takes_the_stored_map_and_asks_no_detector(parts, asked):
    pixels = photo()
    stored = finish(make(parts), pixels=pixels).probability
    assert stored.dtype == np.uint16
    for threshold, min_size in [(0.2, 0), (0.8, 0), (0.8, 4)]:
        options = {"threshold": threshold, "min_size": min_size}
        anew = finish(make(parts, find=options), pixels=pixels)
        asked.clear()
        found = finish(make(parts, find=options), pixels=pixels, probability=stored)
        assert "Find" not in asked
        assert np.array_equal(found.mask, anew.mask) and found.probability is stored
        assert all(map(np.array_equal, rows(found), rows(anew)))


def test_a_given_mask_is_the_mask_that_is_used(parts, asked):
    pixels, mask = photo(), np.zeros((90, 120), np.uint8)
    mask[20:24, 30:90] = 255
    made = finish(make(parts), pixels=pixels, mask=mask)
    assert np.array_equal(made.mask, mask > 0) and made.probability is None
    assert "Find" not in asked
    grown = finish(make(parts, grow_given=2), pixels=pixels, mask=mask)
    assert np.array_equal(grown.mask, holes.grow((mask > 0).astype(np.uint8), 2))
    called = make(parts)(pixels, mask=mask[..., None] > 0)
    assert all(map(np.array_equal, rows(called), rows(made)))


def test_what_users_add_and_remove_is_what_changes(parts):
    pixels = photo()
    add, remove = np.zeros((2, 90, 120), np.uint8)
    add[3, 5:9] = 1
    remove[40:60] = 255
    plain = finish(make(parts), pixels=pixels)
    for given in (plain.mask, plain.probability, add, remove):
        given.flags.writeable = False  # masks are the user's
    for known in ({}, {"mask": plain.mask}, {"probability": plain.probability}):
        edited = finish(make(parts), pixels=pixels, add=add, remove=remove, **known)
        assert np.array_equal(edited.mask, (plain.mask | add) & (remove == 0))
        assert np.array_equal(edited.restored[42:58], pixels[42:58])


@pytest.mark.parametrize("name", ["mask", "probability", "add", "remove"])
def test_what_does_not_fit_the_photo_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} has \(9, 8\) pixels, the photo \(9, 9\)"):
        Request(pixels=np.zeros((9, 9, 1), np.uint8), **{name: np.zeros((9, 8), np.uint16)})
    with pytest.raises(ValueError, match="probability is uint16 at full scale, got float32"):
        Request(pixels=np.zeros((9, 9, 1), np.uint8), probability=np.zeros((9, 9), np.float32))


def test_strength_0_changes_no_bit_and_asks_no_network(parts, asked):
    pixels = photo(channels=3, dtype=np.uint16)
    none = make(parts, fill={"strength": 0.0}, paint={"strength": 0.0})(pixels)
    assert not {"Paint", "Tint"} & {*asked}
    assert all(np.array_equal(getattr(none, name), pixels) for name in PICTURES)
    assert none.mask.any() and none.report["status"] == "nothing_to_do"
    assert none.report["reason"].count("strength 0") == 2
    half = make(parts, fill={"strength": 0.0})(pixels)
    assert np.array_equal(half.restored, pixels) and half.report["status"] == "ok"
    assert np.array_equal(half.restored_color, half.color) and (half.color != pixels).any()


@pytest.mark.parametrize("part", ["fill", "paint"])
def test_strength_moves_every_pixel_steadily(parts, part):
    pixels = photo(dtype=np.uint16, channels=3)
    name = "restored" if part == "fill" else "color"
    steps = [
        getattr(make(parts, outputs=(name,), **{part: {"strength": s}})(pixels), name).astype(int)
        for s in (0.0, 0.3, 0.6, 1.0)
    ]
    way = np.sign(steps[-1] - steps[0])
    assert way.any() and np.array_equal(steps[0], pixels)
    for before, after in itertools.pairwise(steps):
        assert ((after - before) * way >= -(part == "paint")).all()


def test_photos_of_all_sizes_make_few_programs(parts):
    many = make(parts, find={"tile": 128}, fill={"tile": 128})
    start = many.made  # what other tests asked the same networks for
    for number, size in enumerate(sizes(40, most=190)):
        many(photo(*size, seed=number))
    assert many.made - start <= 2 + 1 + 5  # of tiles to find, to fill, of views
    before = many.made
    many([photo(*size) for size in sizes(5, seed=1, most=190)])
    assert many.made == before


def test_devices_share_the_photos(parts, monkeypatch):
    shares, put = [], jax.device_put

    def putting(batch, sharding):
        placed = put(batch, sharding)
        if "photo" in batch:
            shares.append([one.data.shape for one in placed["photo"].addressable_shards])
        return placed

    monkeypatch.setattr(program.jax, "device_put", putting)
    given = [photo(100, 90, seed=n) for n in range(6)]
    one, four = make(parts, count=1), make(parts, count=8, devices=4)
    for a, b in zip(one(given), four(given), strict=True):
        assert np.array_equal(a.mask, b.mask)
        assert all(distance(getattr(a, n), getattr(b, n)) <= 1 for n in PICTURES)
    assert shares == [[(2, 100, 90, 3)] * 4] * 2  # damage, and colours as they came
    few = make(parts, count=3, devices=4)(given[:3])  # no multiple of the devices
    assert shares[-1] == [(1, 100, 90, 3)] * 4
    assert distance(few[0].restored, one(given[0]).restored) <= 1


def test_what_comes_in_goes_out(shared):
    alpha = np.random.default_rng(0).integers(0, 256, (90, 120, 1), np.uint8)
    gray, sepia = photo(), photo(channels=3)
    kinds = {
        "L": Image.fromarray(gray[..., 0]),
        "LA": Image.fromarray(np.concatenate([gray, alpha], axis=-1)),
        "RGB": Image.fromarray(sepia),
        "RGBA": Image.fromarray(np.concatenate([sepia, alpha], axis=-1)),
    }
    for mode, given in kinds.items():
        made = shared(given)
        assert made.restored.mode == mode and made.restored.size == given.size
        colored = "RGBA" if "A" in mode else "RGB"
        assert made.color.mode == made.restored_color.mode == colored
        if "A" in mode:
            assert all(
                np.array_equal(np.asarray(getattr(made, n))[..., -1:], alpha) for n in PICTURES
            )
    both = np.concatenate([gray, alpha], axis=-1)
    made = shared(both)
    assert made.restored.shape == both.shape and made.color.shape == (90, 120, 4)
    assert np.array_equal(made.restored[..., 1:], alpha)
    deep = shared(Image.fromarray(photo(dtype=np.uint16)[..., 0]))
    assert deep.restored.mode == "I;16" and deep.color.dtype == np.uint16


def test_sequences_come_back_in_order(parts, shared):
    given = [photo(*size, seed=n) for n, size in enumerate([(90, 120), (60, 40), (91, 119)])]
    wide = photo(200, 400)
    mixed = [given[0], wide, given[1], Image.fromarray(given[2][..., 0])]
    made = shared(mixed)
    assert [one.mask.shape for one in made] == [(90, 120), (200, 400), (60, 40), (91, 119)]
    for one, pixels in zip(made, mixed, strict=True):
        assert np.array_equal(np.asarray(one.restored), np.asarray(shared(pixels).restored))
    stacked = shared(np.stack([given[0], given[0][::-1]]))
    assert isinstance(stacked, list) and stacked[1].restored.shape == (90, 120, 1)
    assert shared([]) == [] and shared(np.zeros((0, 9, 9, 3), np.uint8)) == []


def test_what_cannot_be_restored_is_told(shared):
    given = photo()
    made = shared(given, mask=np.ones((90, 120), np.uint8))
    assert made.report["status"] == "beyond_training" and "all of it" in made.report["reason"]
    assert np.array_equal(made.restored, given) and made.color.shape == (90, 120, 3)
    with pytest.raises(ValueError, match="uint8 or uint16 at full scale, got float32"):
        shared(image.to_float(given))
    with pytest.raises(ValueError, match="1 masks for 2 photos"):
        shared([given, given], mask=[given[..., 0]])
    with pytest.raises(ValueError, match=r"mask has \(90, 119\) pixels"):
        shared(given, mask=given[:, 1:, 0])


def test_a_photo_without_defects_and_one_in_colour_are_told(shared, asked):
    clean = np.full((80, 100, 1), 90, np.uint8) + np.arange(100, dtype=np.uint8)[:, None] % 60
    made = shared(clean)
    assert made.report["status"] == "ok" and "nothing to fill" in made.report["reason"]
    assert np.array_equal(made.restored, clean) and not made.mask.any()
    assert np.array_equal(made.color, made.restored_color)
    hues = cv2.cvtColor(
        np.dstack(
            [np.indices((80, 100))[1] % 180, np.full((2, 80, 100), 150)[0], clean[..., 0]]
        ).astype(np.uint8),
        cv2.COLOR_HSV2RGB,
    )
    asked.clear()
    vivid = shared(hues)
    assert vivid.report["kind"] in tone.COLORED and vivid.report["status"] == "nothing_to_do"
    assert all(np.array_equal(getattr(vivid, name), hues) for name in PICTURES)
    assert "Tint" not in asked


def test_holes_beyond_training_are_reported_and_left_on_request(parts):
    pixels = photo()
    pixels[30:60, 40:80] = 255
    made = make(parts)(pixels)
    assert made.report["status"] == "beyond_training" and made.report["guessed"] == 1
    assert made.report["thick"][0]["filled"]
    left = make(parts, fill={"max_hole": 15})(pixels)
    assert left.report["left"] == 1 and np.array_equal(
        left.restored[32:58, 42:78], pixels[32:58, 42:78]
    )
    assert np.abs(luma(left.restored_color) - luma(left.restored)).max() <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(outputs=()), r"outputs \(\): choose some of"),
        (dict(outputs=("colour",)), "colour.*choose some of"),
        (dict(grow=-1), "^grow -1: give 0 or more pixels$"),
        (dict(grow_given=-2), "^grow -2: give 0 or more pixels$"),
        (dict(count=0), "^batch 0: give at least one photo$"),
        (dict(outputs=("color",)), "need a colorizer"),
        (dict(outputs=("restored",)), "need the networks of a detector and an inpainter"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Restorer(**options)


def test_weights_are_those_that_are_named(parts, monkeypatch):
    loaded = []

    def load(path, default, kind):
        loaded.append((path, default, kind))
        return parts[[DefectPredictor, FillingPredictor, ColorPredictor].index(kind)]

    monkeypatch.setattr(restorer.stages, "load", load)
    made = Restorer.from_weights(
        "a", None, "c", threshold=0.7, feather=3, strength={"colorize": 0.5}, max_hole=7, grow=4
    )
    assert loaded == [
        ("a", "segment-lite", DefectPredictor),
        (None, "inpaint-lite", FillingPredictor),
        ("c", "colorize-lite", ColorPredictor),
    ]
    told = made.settings
    assert told["detect"]["threshold"] == 0.7 and told["grow"] == [4, 0]
    assert told["inpaint"]["strength"] == 1 and told["inpaint"]["max_hole"] == 7
    assert told["colorize"]["strength"] == 0.5 and told["inpaint"]["feather"] == 3
    loaded.clear()
    alone = Restorer.from_weights(outputs=(restorer.COLOR,))
    assert {*alone.settings} == {"colorize", "recolor"} and [kind for *_, kind in loaded] == [
        ColorPredictor
    ]
    with pytest.raises(ValueError, match="strength of detect: there is inpaint and colorize"):
        Restorer.from_weights(strength={"detect": 1.0})
    with pytest.raises(
        TypeError, match="there is no option colour; there are candidates, careful, coarse"
    ):
        Restorer.from_weights(colour=1)


def test_hints_and_candidates_from_python():
    one = untrained.painter(palette=Grid(side=5), temperature=8.0)
    known = stage.Stage(one, untrained.networks(one))
    painter_of = colorize.Colorizer(stage=known, size=64, candidates=3)
    whole = Restorer(colorizer=painter_of, outputs=(restorer.COLOR,))
    pixels = np.random.default_rng(0).integers(90, 110, (64, 64, 1), np.uint8)
    told = {"hints": [{"points": [[0.25, 0.5]], "color": "#b04030", "radius": 0.1}]}
    drawn = np.zeros((64, 64, 4), np.uint8)
    drawn[29:36, 13:19] = 176, 64, 48, 255
    wanted = color.rgb_to_lab(np.float32([176, 64, 48]) / 255)[1:]
    for hints in (told, drawn, Image.fromarray(drawn)):
        made = whole(pixels, hints=hints)
        assert [*made.candidates] == ["color_2", "color_3"] and made.restored is None
        for picture in (made.color, *made.candidates.values()):
            assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
            lab = color.rgb_to_lab(image.to_float(picture))
            assert np.linalg.norm(lab[32, 16, 1:] - wanted) < 5
    several = whole([pixels, pixels], hints=[None, told])
    assert np.array_equal(several[1].color, whole(pixels, hints=told).color)
    assert not np.array_equal(several[0].color, several[1].color)
    colored = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    assert all(np.array_equal(one, colored) for one in whole(colored).candidates.values())
    with pytest.raises(ValueError, match="1 hints for 2 photos"):
        whole([pixels, pixels], hints=[told])
    with pytest.raises(ValueError, match="no transparency"):
        whole(pixels, hints=drawn[..., :3])
    with pytest.raises(ValueError, match="found by the host"):
        jax.eval_shape(
            flow.pure(whole.flow), flow.weights(whole.flow), {"photo": np.ones((1, 64, 64, 3))}
        )
