import functools
import inspect
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.photo import image
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.restore import colorize, detect, holes, program, recipes, stage
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.restore.restorer import COLOR, RESTORED_COLOR, Request, Restorer
from tests import toy, untrained

RNG = np.random.default_rng(0)
PREDICTORS = {
    "detect": untrained.finder(),
    "inpaint": untrained.filler(),
    "colorize": untrained.painter(),
}


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with toy.compiled(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {n: untrained.save(folder / f"{n}.safetensors", task) for n, task in PREDICTORS.items()}


@pytest.fixture(scope="module")
def parts(files):
    return {name: stage.load(file) for name, file in files.items()}


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
        np.asarray(recipes.widen(jnp.float32(given[..., None]), radius, fade=fade))[..., 0]
        for fade in (False, True)
    )
    for mask, wide, soft in zip(given, grown, faded, strict=True):
        assert np.array_equal(wide, holes.grow(mask, radius))
        np.testing.assert_allclose(soft, holes.opacity(mask, radius), atol=1e-6, rtol=0)
        assert np.array_equal(soft == 1, mask == 1)


THRESHOLDS = [0.0, 1e-9, 1 / 65535, 0.3, 0.5, 32768 / 65535, 0.7000001, 65534 / 65535, 1.0]


@pytest.mark.parametrize("grow", [0, 2])
def test_choosing_is_cutting_a_stored_map_and_growing(grow):
    stored = RNG.integers(0, 65536, (1, 40, 50), np.uint16)
    stored[0, 0] = [*range(50)]
    stored[0, 1] = [*range(65486, 65536)]
    stored[0, 2] = [*range(32743, 32793)]
    batch = {"probability": image.to_float(stored)[..., None]}
    exact = [k / 65535 for k in RNG.integers(0, 65536, 20)]
    for threshold in [*THRESHOLDS, *exact]:
        mask = recipes.Choose(detect.step(threshold), grow)({}, batch)["mask"]
        wanted = holes.grow(detect.cut(stored[0], threshold), grow)
        assert np.array_equal(np.asarray(mask)[0, ..., 0], wanted)


def test_every_step_of_a_stored_map_is_told_from_the_next():
    stored = np.arange(65536).astype(np.uint16).reshape(1, 256, 256, 1)
    batch = {"probability": image.to_float(stored)}
    for step in (0, 1, 255, 32767, 32768, 65534, 65535):
        mask = jax.jit(recipes.Choose(step))({}, batch)["mask"]
        assert np.array_equal(np.asarray(mask), stored >= step)


class Certain:
    """Stands for a detector: its answer is the photo's red."""

    def predict(self, weights, batch):
        return {"mask": batch["photo"][..., :1]}


def test_probabilities_are_those_that_are_stored():
    photo = RNG.random((2, 30, 30, 3), np.float32)
    for tta in (False, True):
        found = recipes.Detect(Certain(), tta)({"detect": None}, {"photo": photo})["probability"]
        stored = image.to_uint16(np.asarray(found))
        assert np.array_equal(stored, image.to_uint16(photo[..., :1]))
        np.testing.assert_allclose(image.to_float(stored), found, atol=1e-7, rtol=0)


@pytest.mark.parametrize("shape", [(97, 150), (150, 97), (40, 50), (3, 120), (64, 64)])
def test_the_view_is_what_colorizing_a_file_shrinks_to(shape):
    pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
    small = colorize.working_size(*shape, 64)
    view, bucket = colorize.view(*small, 64, 32), (160, 192)
    batch = program.frame(pixels, bucket) | program.shrinking(shape, small, bucket, view)
    batch = {name: array[None] for name, array in batch.items()}
    found = np.asarray(recipes.View()({}, batch)["view"])[0]
    wanted = image.pad_to(colorize.shrink(pixels, *small), *view)
    assert found.shape == wanted.shape == (*view, 1)
    if min(shape) >= 64:
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)
    else:  # enlarged: by lines there, by cubics here
        low = image.resize(image.to_float(pixels), *small, growing="bilinear")
        low = image.pad_to(np.asarray(low @ np.float32([[0.299], [0.587], [0.114]])), *view)
        np.testing.assert_allclose(found, low, atol=1e-5, rtol=0)


def batch_of(count=2):
    shape, small, bucket, view = (40, 50), (64, 80), (64, 64), (64, 96)
    frames = [
        program.frame(RNG.integers(0, 256, (*shape, channels), np.uint8), bucket)
        | program.shrinking(shape, small, bucket, view)
        for channels in (1, 3)[:count]
    ]
    return {name: np.stack([one[name] for one in frames]) for name in frames[0]}


def test_a_recipe_may_be_compiled_by_whoever_wants(parts):
    recipe = (
        recipes.Detect(parts["detect"]),
        recipes.Choose(detect.step(0.9), 1),
        recipes.Inpaint(parts["inpaint"], feather=1, strength=0.7),
        recipes.View("restored"),
        recipes.Colorize(parts["colorize"]),
    )
    weights = {name: part.params for name, part in parts.items()}
    batch = batch_of()
    before = jax.tree.map(np.copy, batch)
    go = jax.jit(functools.partial(recipes.run, recipe))
    compiled, again = go(weights, batch), go(weights, batch)
    assert {*compiled} - {*batch} == {"probability", "mask", "fill", "restored", "view", "chroma"}
    for name, array in batch.items():
        assert np.array_equal(array, before[name]) and np.array_equal(compiled[name], array)
    for name, array in compiled.items():
        assert np.array_equal(array, again[name])
    assert 0 < compiled["mask"].mean() < 1
    good = np.asarray(recipes.widen(compiled["mask"], 1))[..., 0] == 0
    assert good.any() and np.array_equal(compiled["restored"][good], batch["photo"][good])
    assert np.ptp(np.asarray(compiled["fill"][0]), axis=-1).max() == 0  # gray stays gray
    assert np.ptp(np.asarray(compiled["fill"][1]), axis=-1).max() > 0


WEIGHTS = ("detector", "inpainter", "colorizer")
GROW = 1
SETTINGS = {"threshold": 0.8, "grow": GROW, "feather": 2}
SIZE, STRENGTH = 64, 0.7  # of views; of the fill


@pytest.fixture(scope="module")
def separate(files):
    """Photos of one bucket, the restorer that has a program for each part, and its answers."""
    strength = {"inpaint": STRENGTH}
    restorer = Restorer.from_weights(
        **{name: files[part] for name, part in zip(WEIGHTS, PREDICTORS, strict=True)},
        **SETTINGS,
        **dict(strength=strength, size=SIZE, tile=128, recolor=True, count=2),
    )
    requests = [
        Request(pixels=RNG.integers(0, 256, (*shape, channels), np.uint8))
        for shape, channels in (((97, 120), 1), ((101, 127), 3))
    ]
    assert len({restorer.key(request) for request in requests}) == 1
    return restorer, requests, restorer.answer(requests)


def batch_for(requests):
    """What a recipe is to be told of photos that fit into 128 pixels, and the sizes to crop to."""
    frames, sizes = [], []
    for request in requests:
        sides, shape = request.pixels.shape[:2], (128, 128)
        small = colorize.working_size(*sides, SIZE)
        view = colorize.view(*small, SIZE, PREDICTORS["colorize"].multiple)
        shrinking = program.shrinking(sides, small, shape, view)
        frames.append(program.frame(request.pixels, shape) | shrinking)
        sizes.append((sides, small))
    return {name: np.stack([one[name] for one in frames]) for name in frames[0]}, sizes


@pytest.mark.parametrize("name", [RESTORED_COLOR, COLOR])
def test_one_program_says_what_separate_programs_say(parts, separate, name):
    restorer, requests, answers = separate
    recipe = recipes.color(parts["colorize"])
    if name == RESTORED_COLOR:
        recipe = recipes.full(*parts.values(), **SETTINGS, strength=STRENGTH)
    batch, sizes = batch_for(requests)
    weights = {name: part.params for name, part in parts.items()}
    made = jax.device_get(jax.jit(functools.partial(recipes.run, recipe))(weights, batch))
    for n, ((height, width), small) in enumerate(sizes):
        answer, one = answers[n], {key: array[n] for key, array in made.items()}
        luma, chroma = answer[name]
        np.testing.assert_allclose(image.crop(one["view"], 0, 0, *small), luma, atol=1e-5, rtol=0)
        found = image.crop(one["chroma"], 0, 0, *small)
        np.testing.assert_allclose(found, chroma, atol=1e-4, rtol=0)
        assert np.ptp(chroma) > 0.01
        if name == RESTORED_COLOR:
            probability = restorer.probability(requests[n], answer, None)
            mask = restorer.mask(requests[n], probability, None)
            assert 0 < mask.mean() < 1
            whole = one["mask"][:height, :width, 0]
            inside = np.s_[: height - GROW, : width - GROW]
            assert np.array_equal(whole[inside], mask[inside])
            assert (whole >= mask).all()  # what is found beyond the photo grows into it
            stored = image.to_uint16(one["probability"])[:height, :width, 0]
            assert np.abs(np.int32(stored) - probability).max() <= 1
            np.testing.assert_allclose(one["fill"], answer["fill"], atol=1e-5, rtol=0)


def test_recipes_that_have_a_name_are_those_of_the_restorer(parts):
    """With the defaults of both; so does one without the other's stages."""
    finder, filler, painter = parts.values()
    clean, full = recipes.clean(finder, filler), recipes.full(finder, filler, painter)
    restorer = Restorer(*_settled(finder, filler, painter))
    assert clean == restorer._recipe(("probability", "mask", "fill"))
    assert full == restorer._recipe(("probability", "mask", "fill", "view", "chroma"))
    assert recipes.color(painter) == (recipes.View("photo"), *restorer._recipe(("chroma",)))


def _settled(finder, filler, painter):
    yield detect.Detector(stage=finder)
    yield Inpainter(stage=filler, feather=recipes.FEATHER)
    yield Colorizer(stage=painter)


@pytest.mark.parametrize("name", ["clean", "color", "full"])
def test_what_the_docstrings_show_runs(parts, monkeypatch, name):
    small = {"segment-lite": "detect", "inpaint-lite": "inpaint", "colorize-lite": "colorize"}
    monkeypatch.setattr(stage, "load", lambda name: parts[small[name]])
    text = inspect.getdoc(getattr(recipes, name))
    example = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    places = {one.__name__.split(".")[-1]: one for one in (colorize, image, program, recipes)}
    places |= {"functools": functools, "jax": jax, "np": np, "stage": stage}
    exec(textwrap.dedent(example), places)
    if name == "color":
        assert places["colored"].shape == (90, 120, 3) and np.ptp(places["colored"], -1).max() > 5
    else:
        changed = places["restored"] != places["batch"]["photo"]
        assert np.isfinite(places["restored"]).all() and changed.any()


def test_a_recipe_says_the_same_compiled_or_not():
    recipe = (
        recipes.Detect(Certain(), tta=True),
        recipes.Choose(detect.step(0.9), 1),
        recipes.Inpaint(White(), feather=2, strength=0.7),
        recipes.View("restored"),
    )
    weights = {"detect": None, "inpaint": None}
    batch = batch_of()
    compiled = jax.jit(functools.partial(recipes.run, recipe))(weights, batch)
    plain = recipes.run(recipe, weights, batch)
    assert {*plain} == {*compiled} and 0 < plain["mask"].mean() < 1
    for name, array in plain.items():
        np.testing.assert_allclose(compiled[name], array, atol=1e-6)


class White:
    """Stands for an inpainter that paints white."""

    def predict(self, weights, batch):
        return {"photo": jnp.ones_like(batch["photo"])}


def test_strength_and_feather_say_how_much_of_the_fill_is_seen():
    photo = np.full((1, 20, 20, 3), 0.2, np.float32)
    mask = np.zeros((1, 20, 20, 1), np.float32)
    mask[0, 8:12, 8:12] = 1
    batch = {"photo": photo, "mask": mask, "gray": np.ones(1, bool)}
    for strength in (0, 0.25, 1):
        made = recipes.Inpaint(White(), feather=1, strength=strength)({"inpaint": None}, batch)
        moved = (np.asarray(made["restored"]) - photo)[0, ..., 0]
        np.testing.assert_allclose(moved[9, 9], strength * 0.8, atol=1e-6)
        np.testing.assert_allclose(moved[9, 7], strength * 0.4, atol=1e-6)
        assert not moved[9, :7].any() and not moved[7, 7]


def test_the_gain_of_the_weights_makes_colours_stronger():
    class Painter:
        def __init__(self, gain):
            self.predictor = ColorPredictor(gain=gain)

        def predict(self, weights, batch):
            return {"photo": batch["photo"] * jnp.float32([0.9, 1, 0.8])}

    view = RNG.random((1, 8, 8, 1), np.float32)
    pale, vivid = (
        recipes.Colorize(Painter(gain))({"colorize": None}, {"view": view})["chroma"] - 0.5
        for gain in (1.0, 1.5)
    )
    assert np.abs(pale).max() > 0.01
    np.testing.assert_allclose(vivid, 1.5 * pale, atol=1e-6)
