"""Flows: run on the record of one photo of any size, and as one function of equal photos."""

import inspect
import textwrap
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.models import partial_unet, unet
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import (
    color_steps,
    colorize,
    detect,
    flow,
    holes,
    inpaint,
    octaves,
    stage,
    steps,
    tiles,
    traced,
)
from oldphoto_jax.restore.restorer import Request, Restorer
from tests import toy, untrained
from tests.tiled import run

RNG = np.random.default_rng(0)
PREDICTORS = [
    DefectPredictor(network=unet.Blueprint(width=4)),
    FillingPredictor(network=partial_unet.Blueprint(levels=2, width=4)),
    ColorPredictor(network=unet.imagenet(depth=18, stages=3, width=4, decoder_width=4)),
]


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with toy.compiled(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def parts():
    return [stage.Stage(one, untrained.networks(one)) for one in PREDICTORS]


def restorer_of(parts, *, threshold=0.8, **finding):
    """Several tiles to a photo; a part of the fill is seen."""
    finder, filler, painter = parts
    return Restorer(
        detect.Detector(stage=finder, threshold=threshold, tile=128, overlap=32, **finding),
        inpaint.Inpainter(stage=filler, feather=2, strength=0.7, tile=64, overlap=16),
        colorize.Colorizer(stage=painter, size=64, recolor=True),
        grow=1,
    )


@pytest.fixture(scope="module")
def restorer(parts):
    """It marks 3 % of a scan, in dust and small pieces."""
    one = detect.Detector(stage=parts[0], tile=128, overlap=32)
    found = one.find(scans(1, count=1)[0])
    return restorer_of(parts, threshold=np.quantile(found, 0.97) / 65535)


def masks(count=3, shape=(23, 31)):
    """Of dust, of lines, and one that is empty."""
    found = (RNG.random((count, *shape)) > 0.99).astype(np.uint8)
    found[0, 5] = 1
    found[-1] = 0
    return found


@pytest.mark.parametrize("radius", range(7))
def test_widening_is_growing_and_fading_opacity(radius):
    given = masks()
    grown, faded = (
        np.asarray(traced.widen(jnp.float32(given[..., None]), radius, fade=fade))[..., 0]
        for fade in (False, True)
    )
    for mask, wide, soft in zip(given, grown, faded, strict=True):
        assert np.array_equal(wide, holes.grow(mask, radius))
        np.testing.assert_allclose(soft, holes.opacity(mask, radius), atol=1e-6, rtol=0)
        assert np.array_equal(soft == 1, mask == 1)


def marking(threshold, grow=0):
    """The step that cuts masks, with a detector of which nothing but its level is asked."""
    weightless = types.SimpleNamespace(predictor=DefectPredictor())
    return steps.Mark(detect.Detector(stage=weightless, threshold=threshold), grow)


THRESHOLDS = [0.0, 1e-9, 1 / 65535, 0.3, 0.5, 32768 / 65535, 0.7000001, 65534 / 65535, 1.0]


@pytest.mark.parametrize("grow", [0, 2])
def test_marking_a_batch_is_cutting_a_stored_map_and_growing(grow):
    stored = RNG.integers(0, 65536, (1, 40, 50), np.uint16)
    stored[0, 0] = [*range(50)]
    stored[0, 1] = [*range(65486, 65536)]
    stored[0, 2] = [*range(32743, 32793)]
    batch = {"probability": image.to_float(stored)[..., None]}
    exact = [k / 65535 for k in RNG.integers(0, 65536, 20)]
    for threshold in [*THRESHOLDS, *exact]:
        step = marking(threshold, grow)
        mask = step.traced({}, batch)["mask"]
        wanted = step({"pixels": stored[0], "probability": stored[0]})["mask"]
        assert np.array_equal(np.asarray(mask)[0, ..., 0], wanted)


@pytest.mark.parametrize("known", ["given", "probability"])
def test_edited_masks_of_a_batch_are_those_of_the_flow(known):
    given, add, remove = (masks(2)[:1] * np.uint8(255) for _ in range(3))
    record = {"given": given[0]} if known == "given" else {"probability": given[0] * np.uint16(257)}
    batch = {known: np.float32(given[..., None]) / 255}
    step = steps.Mark(marking(0.5).detector, grow=1, grow_given=3)
    edits = {"add": add, "remove": remove}
    wanted = step(record | {name: mask[0] for name, mask in edits.items()})["mask"]
    made = step.traced({}, batch | {name: mask[..., None] for name, mask in edits.items()})["mask"]
    assert np.array_equal(np.asarray(made)[0, ..., 0], wanted)
    assert not np.array_equal(wanted, step(record)["mask"])


def test_every_value_of_a_stored_map_is_told_from_the_next():
    stored = np.arange(65536).astype(np.uint16).reshape(1, 256, 256, 1)
    batch = {"probability": image.to_float(stored)}
    for level in (0, 1, 255, 32767, 32768, 65534, 65535):
        mask = jax.jit(marking(level / 65535).traced)({}, batch)["mask"]
        assert np.array_equal(np.asarray(mask), stored >= level)


@pytest.mark.parametrize("shape", [(97, 150), (150, 97), (40, 50), (3, 120), (64, 64)])
def test_the_view_is_what_colorizing_a_file_shrinks_to(shape):
    pixels = RNG.integers(0, 256, (*shape, 1), np.uint8)
    small = colorize.working_size(*shape, 64)
    view = colorize.view(*small, 64, 32)
    found = np.asarray(traced.shrink(image.to_float(pixels)[None], small, view))[0]
    wanted = image.pad_to(colorize.shrink(pixels, *small), *view)
    assert found.shape == wanted.shape == (*view, 1)
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(50, 90), (130, 201), (64, 64)])
def test_tiles_lie_and_fade_as_on_the_host(shape):
    """Each tile answers with its own mean, so that every seam shows."""

    def means(part):
        return jnp.broadcast_to(part.mean(axis=(1, 2), keepdims=True), part.shape)

    photos = RNG.random((2, *shape, 1), np.float32)
    down, across = tiles.plan(*shape, 64, 16, 8)
    found = traced.in_tiles(lambda b: means(b["x"]), {"x": photos}, down, across, 16)
    for one, made in zip(photos, found, strict=True):
        wanted = run(means, one, tile=64, overlap=16, multiple=8)
        np.testing.assert_allclose(made, wanted, atol=1e-6)


def scans(channels, count=2, shape=(150, 170)):
    """Of 16 bits, soft, with grain: [N,H,W,C]."""
    made = RNG.random((count, *shape, channels), np.float32) * 0.2
    made += np.linspace(0.1, 0.7, shape[1], dtype=np.float32)[:, None]
    return image.to_uint16(made)


def batch_of(pixels):
    """What `pure` takes."""
    gray = np.array([image.is_gray(one) for one in pixels])
    full = np.full(len(pixels), np.iinfo(pixels.dtype).max, np.float32)
    return {"photo": np.stack([files.rgb(one) for one in pixels]), "gray": gray, "full": full}


@pytest.mark.parametrize(("channels", "bits", "near"), [(1, 8, detect.NEAR), (3, 16, 10_000)])
def test_one_function_fills_and_colours_as_the_flow_that_is_run(
    restorer, channels, bits, near, monkeypatch
):
    monkeypatch.setattr(detect, "NEAR", near)  # larger photos are looked at from further away, too
    pixels = scans(channels)
    if bits == 8:
        pixels = image.to_uint8(image.to_float(pixels))
    go = jax.jit(flow.pure(restorer.flow))
    batch = batch_of(pixels)
    before = jax.tree.map(np.copy, batch)
    made = jax.device_get(go(flow.weights(restorer.flow), batch))
    assert jax.tree.all(jax.tree.map(np.array_equal, batch, before))
    small = colorize.working_size(*pixels.shape[1:3], 64)
    for n, one in enumerate(pixels):
        record = flow.run(restorer.flow, Request(pixels=one).record)
        mine = {name: array[n] for name, array in made.items()}
        stored = image.to_uint16(mine["probability"][..., 0]).astype(int)
        assert np.abs(stored - record["probability"]).max() <= 1
        assert np.array_equal(mine["mask"][..., 0], record["mask"])
        assert 0 < record["mask"].mean() < 0.9
        restored = np.rint(mine["restored"][..., :channels] * np.iinfo(one.dtype).max)
        assert np.abs(restored - record["restored"]).max() <= (bits == 16)
        assert (restored != one).any()
        for source in ("pixels", "restored"):
            _, chroma = color_steps.crop_view(mine, source, small)
            np.testing.assert_allclose(chroma, record[f"{source} view"][1], atol=1 / 65535)
            assert np.ptp(chroma) > 0.01


@pytest.mark.parametrize("shape", [(40, 60), (41, 61), (300, 50), (513, 31)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_halves_and_doubles_are_those_of_files(shape, dtype):
    most = np.iinfo(dtype).max
    pixels = RNG.integers(0, most + 1, (*shape, 3), dtype)
    photo, full = image.to_float(pixels)[None], np.full((1, 1, 1, 1), most, np.float32)
    wanted = octaves.halve(pixels)
    half = np.rint(np.asarray(traced.halve(photo, full))[0] * most)
    off = np.abs(half - wanted)  # OpenCV rounds the two ways of odd sides otherwise
    assert off.max() <= 1 and off.mean() < 0.02
    assert not off.any() or shape[0] % 2 or shape[1] % 2
    found = image.to_uint16(image.to_float(wanted[..., 0]))  # as maps of probability are
    doubled = np.concatenate([rows for _, rows in octaves.double(found, *shape)])
    made = np.asarray(traced.double(np.float32(found[None, ..., None]), *shape))[0, ..., 0]
    assert made.shape == shape and np.abs(made - doubled).max() <= 0.5


def test_all_devices_say_what_one_says(restorer):
    count = len(jax.local_devices())
    assert count > 1
    pixels = scans(3, count=count, shape=(70, 90))
    chain = restorer.flow[:3]
    go, own = jax.jit(flow.pure(chain)), flow.weights(chain)
    mesh = jax.make_mesh((count,), ("photos",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("photos"))
    batch = batch_of(pixels)
    one = go(own, batch)["restored"]
    several = go(own, jax.device_put(batch, spread))["restored"]
    assert len(several.sharding.device_set) == count
    np.testing.assert_allclose(several, one, atol=1 / 65535)


def test_what_no_program_can_do_is_refused(restorer, parts):
    batch = batch_of(scans(1, count=1, shape=(64, 64)))
    own = flow.weights(restorer.flow)
    with pytest.raises(ValueError, match="min_size"):
        jax.eval_shape(flow.pure(restorer_of(parts, min_size=5).flow), own, batch)
    with pytest.raises(ValueError, match="Twice runs on the host alone"):
        jax.eval_shape(flow.pure((Twice(),)), {}, batch)


class Twice(flow.Step):
    """A step of somebody's own."""

    needs, makes = ("pixels",), ("twice",)

    def __call__(self, record, folder=None):
        return {"twice": 2 * record["pixels"], "told": {"twice": True}}


def test_steps_do_what_is_left_to_do():
    record = {"pixels": np.arange(3), "told": {"before": 1}}
    made = flow.run((Twice(),), record)
    assert made["twice"].tolist() == [0, 2, 4] and made["told"] == {"before": 1, "twice": True}
    assert {*record} == {"pixels", "told"} and record["told"] == {"before": 1}
    assert flow.run((Twice(),), made | {"twice": 7})["twice"] == 7
    with pytest.raises(ValueError, match="Twice needs pixels: give it, or put a step before"):
        flow.run((Twice(),), {})
    painter = colorize.Colorizer(stage=None)
    record = {"pixels": np.zeros((9, 9, 1), np.uint8)}
    with pytest.raises(ValueError, match="Guess needs kind: give it"):
        flow.run((color_steps.Guess(painter),), record)
    with pytest.raises(ValueError, match="no colours for pixels: put a Guess of it before"):
        flow.run((color_steps.Paint(painter, "pixels", "color"),), record | {"kind": "gray"})


@pytest.mark.parametrize("shown", [flow, flow.pure], ids=["flow", "pure"])
def test_what_the_docstrings_show_runs(parts, monkeypatch, shown):
    kinds = [type(one) for one in PREDICTORS]
    monkeypatch.setattr(stage, "load", lambda path, name, kind: parts[kinds.index(kind)])
    text = inspect.getdoc(shown).split("of others:")[-1]
    example = "\n".join(line for line in text.splitlines() if line.startswith("    ") or not line)
    places = {"flow": flow, "np": np, "jax": jax, "Restorer": Restorer, "Step": flow.Step}
    exec(textwrap.dedent(example), places)
    if shown is flow:
        wanted = np.uint8(0.8 * np.asarray(places["record"]["restored"]) + 40)
        assert np.array_equal(places["faded"], wanted)
    else:
        assert np.isfinite(places["restored"]).all() and np.isfinite(places["chroma"]).all()
        assert (places["restored"] != places["photos"]).any()
