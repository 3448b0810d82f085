"""What weights files keep of a training, and how older ones are understood."""

import dataclasses
import json

import pytest
from flax import nnx

from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.models import lite_unet, partial_unet, unet
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.predictors import metadata, older
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import stage
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.tasks.hints import Hints
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.weights import catalogue, store
from tests import untrained

TASKS = (
    Segment(network=lite_unet.Blueprint(widths=(8, 8, 8, 8)), damage=Damage(exclude=("tear",))),
    Inpaint(space="signed", draft=True, network=partial_unet.Blueprint(levels=3, form="sum")),
    Colorize(network=lite_unet.Blueprint(), palette=AbBins(neighbours=10), hints=Hints()),
    Colorize(network=unet.imagenet(depth=18), palette=Grid(side=5), temperature=0.5, gain=1.3),
)


def test_a_bare_predictor_answers_no_question():
    predictor = Predictor()
    calls = (
        lambda: predictor.networks(None),
        lambda: predictor.multiple,
        lambda: predictor({}, {}),
    )
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_a_predictor_comes_back_from_metadata_whatever_else_they_say(task):
    predictor = task.predictor()
    config = json.dumps({"task": {"class": "tasks.yet:Unknown", "field": [1]}, "steps": "many"})
    assert metadata.read(predictor.metadata() | {"config": config}) == predictor
    assert metadata.read({"config": config}) is None
    asked = nnx.eval_shape(lambda: predictor.networks(nnx.Rngs(0))).keys()
    assert asked <= nnx.eval_shape(lambda: task.networks(nnx.Rngs(0))).keys() and len(asked) == 1


def test_weights_whose_configuration_nobody_can_read_are_used(tmp_path):
    finder = untrained.finder(threshold=0.3)
    for config in ("no JSON", json.dumps({"task": {"class": "x.y:Z", "new": 1}})):
        written = finder.metadata() | {"config": config}
        file = untrained.save(tmp_path / "w.safetensors", finder, written)
        assert stage.load(file).predictor == finder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"class": "oldphoto_jax.damage.recipe:Damage"}', "a Damage, not a predictor"),
        ("[1]", "a tuple, not a predictor"),
        ('{"class": "os:system"}', "not part of oldphoto_jax"),
    ],
)
def test_metadata_of_anything_else_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        metadata.read({"predictor": text})


def test_sides_are_multiples_of_what_the_networks_take():
    lite, wide = lite_unet.Blueprint(), unet.imagenet(stages=3)
    partial = partial_unet.Blueprint(levels=3)
    assert [DefectPredictor(network=n).multiple for n in (lite, unet.Blueprint())] == [32, 16]
    assert [ColorPredictor(network=n).multiple for n in (lite, wide, unet.imagenet())] == [
        32,
        32,
        64,
    ]
    assert [FillingPredictor(network=n).multiple for n in (lite, partial)] == [32, 8]


# --- files from before there were predictors, which described a task ---

# The metadata of the packaged files as they were then, without what predicting does not need: the
# other fields are there by these names, and stay unread.
TRAINING = {"size": 192, "weight": {"hole": 6.0}, "enlarge": [0.7, 2.0], "no field": [{}]}
DAMAGE = {
    "class": "oldphoto_jax.damage.recipe:Damage",
    "exclude": ["flakes", "crackforest-masks"],
    "only": [],
    "max_size": 64,
}
HOLES = {"class": "oldphoto_jax.damage.strokes:Holes", "max_size": 64, "strokes": 0.9}
ALBUNET = {"depth": 18, "width": 64, "decoder_width": 0, "norm": "batch", "pool": False}
STEM = {"stem_kernel": 3, "stem_stride": 1}
OLD = {
    "segment": {"threshold": 0.40467689021133746, "damage": DAMAGE, "widths": [96, 64, 48, 32]}
    | ALBUNET
    | STEM,
    "inpaint": {"widths": [128, 96, 64, 48], "draft": False, "grain": True, "space": "imagenet"}
    | {"damage": DAMAGE, "holes": HOLES, "finder": {"network": "albunet"}, "found": 0.0}
    | {"levels": 8, "width": 64, "form": "ratio", "stem_bias": False, "convolution": "partial"},
    "colorize": {"widths": [160, 128, 96], "palette": 19, "temperature": 0.7, "gain": 1.2}
    | {"stride": 4, "depth": 50, "stages": 4, "variant": "keras", "squeeze": False},
}

SINCE = {"colorize": {"hints": False, "gain": 1.2}}  # it has learned to hear hints, later


def old(verb, **fields):
    kind = f"oldphoto_jax.tasks.{verb}:{verb.title()}"
    return {"task": json.dumps(TRAINING | {"class": kind} | fields)}


@pytest.mark.parametrize("verb", OLD)
def test_the_packaged_files_as_they_were_would_say_the_same(verb):
    _, now = store.load(catalogue.packaged(f"{verb}-lite"))
    assert "task" not in now and {"config", "step", "figures", "version"} <= now.keys()
    as_it_was = dataclasses.replace(metadata.read(now), **SINCE.get(verb, {}))
    assert metadata.read(old(verb, network="lite", **OLD[verb])) == as_it_was


def test_other_networks_of_older_files_are_understood_and_their_defaults_known():
    stem = {"stem_kernel": 7, "stem_stride": 2, "pool": True}
    segment = old("segment", width=8, norm="inplace", remat=True, threshold=0.2, **stem)
    network = unet.Blueprint(
        width=8, norm="inplace", remat=True, stem_kernel=7, stem_stride=2, pool="max2"
    )
    assert metadata.read(segment) == DefectPredictor(network=network, threshold=0.2)
    damage = {"max_size": 24, "only": ["tear"], "exclude": ["paper"]}
    unseen = metadata.read(old("segment", damage=damage)).unseen
    assert "tear" not in unseen and {"paper", "crack"} < {*unseen}
    inpaint = old("inpaint", levels=7, stem_bias=True, space="signed", holes={"max_size": 96})
    network = partial_unet.Blueprint(levels=7, stem_bias=True)
    assert metadata.read(inpaint) == FillingPredictor(network=network, space="signed", max_size=96)
    assert metadata.read(old("colorize", filled=0.3)) == Colorize().predictor()
    lite = metadata.read(old("colorize", network="lite", stride=4))
    assert lite.network == lite_unet.Blueprint(widths=lite_unet.WIDTHS[:3], out_stride=4)


@pytest.mark.parametrize(("side", "palette"), [(19, Grid(side=19)), (0, None)])
def test_a_palette_that_was_a_number_is_a_grid_of_so_many_a_side(side, palette):
    text = json.loads(ColorPredictor(palette=palette).metadata()["predictor"])
    for new in ("hints", "plane"):
        del text[new]
    found = metadata.read({"predictor": json.dumps(text | {"palette": side})})
    assert found == ColorPredictor(palette=palette)


def test_older_files_of_somebody_else_are_refused():
    with pytest.raises(ValueError, match="'mine:Task', which is no task of oldphoto_jax"):
        older.read('{"class": "mine:Task"}')
