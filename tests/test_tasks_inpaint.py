"""Filling holes: honest examples, an answer that keeps to its mask, the published loss."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.damage.blend import VISIBLE, thickness
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.losses import feature, pixel
from oldphoto_jax.models import biharmonic, grain, lite_unet, partial_unet, resnet
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.tasks import inpaint
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.train import state as states
from oldphoto_jax.train.optimizer import Adam
from oldphoto_jax.train.step import Rules, train_step
from tests import scene, toy, untrained

NETWORK = partial_unet.Blueprint(levels=3, width=4)
SMALL = dict(size=32, network=NETWORK)
LITE = dict(network=lite_unet.Blueprint(widths=(8, 8, 8, 8)), draft=True)
JUDGED = dict(critic_width=4, critic_layers=2)
CHEAP = {"valid": 1.0, "hole": 6.0, "perceptual": 0.0, "style": 0.0, "variation": 0.1}


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    scene.shallow(monkeypatch)
    scene.narrow(monkeypatch, inpaint)


@pytest.fixture(scope="module")
def record():
    return scene.record()


@pytest.fixture(scope="module")
def batch(record):
    examples = [Inpaint(**SMALL).example(record, np.random.default_rng(i)) for i in range(2)]
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def small(**options):
    """A task; options of the network are those of a PartialUNet."""
    own = {field.name for field in dataclasses.fields(NETWORK)} & options.keys()
    if own:
        options["network"] = dataclasses.replace(NETWORK, **{n: options.pop(n) for n in own})
    return Inpaint(**SMALL | {"weight": CHEAP} | options)


def trained(task):
    """Random networks that let signals through, in evaluation mode."""
    nets = untrained.networks(task)
    for net in nets.values():
        net.eval()
    return nets


def fresh(task):
    """The networks as a training run draws them, in evaluation mode."""
    parts = states.create(task, {}, 0).parts
    return {name: part.wake(train=False) for name, part in parts.items()}


# --- examples ---


def test_same_record_and_generator_give_the_same_bytes(record):
    task = Inpaint(size=64)
    first, again, other = (task.example(record, np.random.default_rng(i)) for i in (3, 3, 4))
    assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in again.items()}
    assert first["photo"].tobytes() != other["photo"].tobytes()


def test_shapes_types_and_ranges(record):
    task = Inpaint(size=64)
    for seed in range(15):
        example = task.example(record, np.random.default_rng(seed))
        assert {key: value.shape[-1] for key, value in example.items()} == {
            "photo": 3,
            "mask": 1,
            "target": 3,
        }
        assert all(v.shape[:2] == (64, 64) and v.dtype == np.float32 for v in example.values())
        assert all(v.min() >= 0 and v.max() <= 1 for v in example.values())
        assert set(np.unique(example["mask"])) <= {0.0, 1.0}


@pytest.mark.parametrize("sizes", [(12, 20), (20, 12)])
def test_no_hole_is_thicker_than_max_size(record, sizes):
    damage = Damage(max_size=sizes[0], amount=3.0, clean=0.0)
    holes = Holes(max_size=sizes[1], strokes=1.0, large=1.0)
    task = Inpaint(size=96, damage=damage, holes=holes)
    assert task.predictor().max_size == 20
    masks = [task.example(record, np.random.default_rng(i))["mask"][..., 0] for i in range(15)]
    assert 10 < max(thickness(mask > 0) for mask in masks) <= 20


def test_photo_equals_target_outside_the_mask(record):
    task = Inpaint(size=64)
    for seed in range(25):
        example = task.example(record, np.random.default_rng(seed))
        change = np.abs(example["photo"] - example["target"]).max(-1, keepdims=True)
        assert (change * (1 - example["mask"])).max() <= VISIBLE + 1e-6


def test_masks_hold_the_damage_and_more(record):
    bare = Inpaint(size=64, grow=0, holes=Holes(strokes=0.0, large=0.0))
    wide = Inpaint(size=64, grow=3, holes=Holes(strokes=1.0, large=0.0))
    grown = 0
    for seed in range(10):
        tight, loose = (task.example(record, np.random.default_rng(seed)) for task in (bare, wide))
        np.testing.assert_array_equal(tight["photo"], loose["photo"])
        assert (tight["mask"] <= loose["mask"]).all()
        grown += (tight["mask"] < loose["mask"]).any()
    assert grown >= 8


# --- networks ---


def test_a_loss_that_does_not_look_through_vgg_has_none():
    for weight in CHEAP, {"hole": 6.0}:
        assert set(untrained.networks(small(weight=weight))) == {"filler"}
    for weight in {"style": 1.0}, {"perceptual": 0.1}, inpaint.WEIGHT:
        task = small(weight=weight)
        assert set(untrained.networks(task)) == {"filler", "vgg"}
        assert {*task.losses()} == {*states.asked(task)} == {"filler"}


def test_who_else_plays_along_is_there_where_it_is_asked_for():
    judged = small(**JUDGED, weight=CHEAP | {"fool": 0.1})
    assert set(untrained.networks(judged)) == set(judged.losses()) == {"filler", "critic"}
    for task, other in ((small(weight={"lpips": 1.0}), "lpips"), (small(found=0.5), "segmenter")):
        assert set(untrained.networks(task)) == {"filler", other}
        assert {*task.losses()} == {*states.asked(task)} == {"filler"}


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"space": "lab"}, "space 'lab' is unknown; choose one of"),
        (LITE | {"draft": False}, "a LiteUNet fills holes by correcting a draft: set draft=True"),
        ({"convolution": "dilated"}, "convolution 'dilated' is unknown; choose one of"),
        ({"weight": {"l2": 1.0}}, r"weight names \['l2'\]; the loss has"),
    ],
)
def test_settings_that_no_network_has_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        untrained.networks(small(**wrong))


# --- answers ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"draft": True},
        {"convolution": "plain"},
        {"convolution": "gated", "draft": True},
        {"form": "sum"},
        {"space": "signed"},
        LITE,
    ],
    ids=["partial", "draft", "plain", "gated", "sum", "signed", "lite"],
)
def test_outside_the_mask_the_answer_is_what_came_in_and_junk_inside_is_not_seen(options, batch):
    task = small(**options)
    nets = trained(task)
    predict = jax.jit(lambda batch: task.predictor()(nets, batch)["photo"])
    photo, mask = batch["photo"], batch["mask"]
    answer = np.asarray(predict({"photo": photo, "mask": mask}))
    outside = np.broadcast_to(mask == 0, photo.shape)
    np.testing.assert_array_equal(answer[outside], photo[outside])
    assert answer.min() >= 0 and answer.max() <= 1 and answer.dtype == np.float32
    assert (answer != photo)[~outside].mean() > 0.9
    junk = np.where(mask > 0, np.float32(0.77), photo)
    np.testing.assert_array_equal(predict({"photo": junk, "mask": mask}), answer)
    np.testing.assert_array_equal(predict({"photo": photo, "mask": 0 * mask}), photo)
    nothing = predict({"photo": photo, "mask": np.ones_like(mask)})
    assert np.isfinite(nothing).all()


@pytest.mark.parametrize(
    "options, levels",
    [
        ({"draft": True}, 3),
        ({"draft": True, "space": "signed"}, 3),
        ({"draft": True, "convolution": "gated"}, 3),
        (LITE, 5),
    ],
    ids=["imagenet", "signed", "gated", "lite"],
)
def test_with_a_draft_training_starts_from_the_smooth_filling(options, levels, batch):
    task = small(**options)
    assert task.predictor().multiple == 2**levels
    nets = fresh(task)
    answer = jax.jit(lambda: task.predictor()(nets, batch)["photo"])()
    draft = jax.jit(lambda: biharmonic.fill(batch["photo"], batch["mask"], levels=levels))()
    np.testing.assert_allclose(answer, np.clip(draft, 0, 1), atol=1e-6)


def test_grain_is_lent_to_the_filling_and_judged_with_it():
    noise = np.random.default_rng(0).normal(0.5, 0.05, (2, 64, 64, 3)).astype(np.float32)
    mask = np.zeros((2, 64, 64, 1), np.float32)
    mask[:, 20:44, 20:44] = 1
    batch = {"photo": noise * (1 - mask), "target": noise, "mask": mask}
    smooth = small(size=64, draft=True, weight={"lpips": 1.0})
    task = dataclasses.replace(smooth, grain=True)
    nets = fresh(task)  # whose filling is smooth

    @jax.jit
    def both():
        filled = smooth.predictor()(nets, batch)["photo"]
        lent = grain.lend(filled, batch["photo"], batch["mask"])
        mixed = pixel.composite(lent, batch["target"], batch["mask"])
        distance = nets["lpips"](mixed, batch["target"]).mean()
        return (
            filled,
            lent,
            task.predictor()(nets, batch)["photo"],
            task.fill(nets, batch),
            distance,
        )

    filled, lent, answer, terms, distance = both()
    # Rounding decides between places that are equally calm, here and there.
    assert (np.abs(answer - lent) < 1e-5).mean() > 0.98
    assert (np.abs(answer - filled) > 1e-3).mean() > 0.05
    np.testing.assert_allclose(terms["lpips"], distance, rtol=0.02)


# --- losses ---


def test_terms_are_those_of_the_paper_times_their_weights(batch):
    task = small(weight=inpaint.WEIGHT)
    nets = trained(task)

    @jax.jit
    def both():
        mask, target = batch["mask"], resnet.normalize(batch["target"])
        filled = nets["filler"](resnet.normalize(batch["photo"]), mask)[0]
        mixed = pixel.composite(filled, target, mask)
        ours, theirs, wanted = (
            nets["vgg"].taps(x, ("pool1", "pool2", "pool3")) for x in (filled, mixed, target)
        )
        pairs = [*zip(ours, wanted, strict=True), *zip(theirs, wanted, strict=True)]
        return task.fill(nets, batch), {
            "valid": 1 * pixel.l1_valid(filled, target, mask),
            "hole": 6 * pixel.l1_hole(filled, target, mask),
            "perceptual": 0.05 * sum(pixel.l1(*pair) for pair in pairs),
            "style": 120 * sum(feature.style(*pair) for pair in pairs),
            "variation": 0.1 * pixel.total_variation(mixed, mask),
        }

    terms, expected = both()
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert value > 0
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)


def test_terms_without_weight_are_left_out(batch):
    task = small(weight={"hole": 2.0, "valid": 0.0, "style": 0.0})
    nets = trained(task)
    whole = small(weight={"hole": 1.0, "variation": 1.0})
    terms, more = jax.jit(lambda: (task.fill(nets, batch), whole.fill(nets, batch)))()
    assert set(terms) == {"hole"} and set(more) == {"hole", "variation"}
    np.testing.assert_allclose(terms["hole"], 2 * more["hole"], rtol=1e-6)


def test_lpips_judges_the_target_with_its_holes_filled(batch):
    batch = {key: array.repeat(2, 1).repeat(2, 2) for key, array in batch.items()}
    task = small(size=64, weight={"lpips": 2.0})
    nets = trained(task)

    @jax.jit
    def both():
        filled = resnet.denormalize(
            nets["filler"](resnet.normalize(batch["photo"]), batch["mask"])[0]
        )
        mixed = pixel.composite(filled, batch["target"], batch["mask"])
        return task.fill(nets, batch), 2 * nets["lpips"](mixed, batch["target"]).mean()

    terms, expected = both()
    assert set(terms) == {"lpips"} and abs(expected) > 0
    np.testing.assert_allclose(terms["lpips"], expected, rtol=1e-4)


def test_the_critic_sees_filled_photos_and_the_mask_and_moves_nobody_else(batch):
    task = small(**JUDGED, weight={"fool": 0.5})
    nets = trained(task)

    @jax.jit
    def both():
        filled = resnet.denormalize(
            nets["filler"](resnet.normalize(batch["photo"]), batch["mask"])[0]
        )
        mixed = pixel.composite(filled, batch["target"], batch["mask"])
        fake, real = (
            nets["critic"](jnp.concatenate([2 * photo - 1, batch["mask"]], -1))
            for photo in (mixed, batch["target"])
        )
        return task.fill(nets, batch), task.judge(nets, batch), fake, real

    terms, judged, fake, real = both()
    assert set(terms) == {"fool"}
    np.testing.assert_allclose(terms["fool"], -0.5 * fake.mean(), rtol=1e-4, atol=1e-6)
    expected = np.maximum(1 - real, 0).mean() + np.maximum(1 + fake, 0).mean()
    np.testing.assert_allclose(judged["judge"], expected, rtol=1e-4)

    graph, params, rest = nnx.split(nets["filler"], nnx.Param, ...)

    def cost(params):
        return task.judge({**nets, "filler": nnx.merge(graph, params, rest)}, batch)["judge"]

    assert all(not np.any(leaf) for leaf in jax.tree.leaves(jax.jit(jax.grad(cost))(params)))


@pytest.mark.parametrize("threshold, marked", [(2.0, 0), (0.0, 1)], ids=["nothing", "everything"])
def test_masks_of_some_examples_are_what_the_segmenter_finds(threshold, marked, record):
    finder = DefectPredictor(network=LITE["network"], threshold=threshold)
    task = small(found=0.5, finder=finder, holes=Holes(strokes=1.0, large=0.0))
    plain = dataclasses.replace(task, found=0.0)
    examples = [task.example(record, np.random.default_rng(i)) for i in range(12)]
    for i, example in enumerate(examples):
        for key, array in plain.example(record, np.random.default_rng(i)).items():
            np.testing.assert_array_equal(array, example[key])
    told = [float(example["found"].item()) for example in examples]
    assert set(told) == {0.0, 1.0}
    chosen = [told.index(0.0), told.index(1.0)]
    batch = {key: np.stack([examples[i][key] for i in chosen]) for key in examples[0]}
    nets = trained(task)
    expected = batch["mask"].copy()
    expected[1] = np.maximum(batch["free"][1], marked)
    with_finder, without = jax.jit(
        lambda: (task.fill(nets, batch), plain.fill(nets, batch | {"mask": expected}))
    )()
    assert with_finder.keys() == without.keys()
    for name, value in without.items():
        np.testing.assert_allclose(with_finder[name], value, rtol=1e-5, err_msg=name)


def test_found_masks_grow_on_all_sides(batch, monkeypatch):
    task = small(found=1.0, found_grow=2)
    found = np.zeros((2, 32, 32, 1), np.float32)
    found[0, 10, 20] = found[1, 0, 31] = 1
    monkeypatch.setattr(DefectPredictor, "__call__", lambda *_: {"mask": jnp.asarray(found)})
    seen = []
    monkeypatch.setattr(
        FillingPredictor,
        "paint",
        lambda self, nets, batch: seen.append(batch["mask"]) or batch["photo"],
    )
    more = {"found": np.ones((2, 1, 1, 1), np.float32), "free": np.zeros_like(found)}
    task.fill({}, batch | more)
    expected = np.zeros_like(found)
    expected[0, 8:13, 18:23] = expected[1, :3, 29:] = 1
    np.testing.assert_array_equal(seen[0], expected)


@pytest.mark.parametrize(
    "options",
    [
        {"draft": True},
        {"weight": inpaint.WEIGHT},
        {"convolution": "gated", **JUDGED, "weight": CHEAP | {"fool": 0.3}},
        LITE,
    ],
    ids=["draft", "paper", "gated-critic", "lite"],
)
def test_a_few_steps_learn_and_stay_finite(options, batch):
    task = small(**options)
    optimizers = {player: Adam(rate=3e-3) for player in task.losses()}
    transforms = {name: optimizer.transform(8) for name, optimizer in optimizers.items()}
    rules = Rules(task, optimizers, transforms)
    state = states.create(task, transforms, 0)
    before = state.parts
    step = jax.jit(functools.partial(train_step, rules, ()))
    totals = []
    for _ in range(8):
        state, terms = step(state, batch)
        assert all(np.isfinite(value) for value in terms.values())
        totals.append(terms["filler/hole"])
    assert min(totals[-2:]) < totals[0]
    for name, part in state.parts.items():
        old, new = jax.tree.leaves(before[name].params), jax.tree.leaves(part.params)
        assert all(np.isfinite(leaf).all() for leaf in new)
        changed = [not np.array_equal(*pair) for pair in zip(old, new, strict=True)]
        assert all(changed) if name in optimizers else not any(changed)


def test_metrics_look_into_the_hole_and_at_the_whole(batch):
    task = small()
    perfect = task.metrics(batch, {"photo": batch["target"]})
    assert set(perfect) == {"hole", "psnr", "ssim"}
    assert perfect["hole"].compute()["psnr"] == np.inf
    gray = np.where(batch["mask"] > 0, batch["target"] * 0.5 + 0.1, batch["target"])
    figures = task.metrics(batch, {"photo": np.float32(gray)})
    assert figures["hole"].compute()["psnr"] < figures["psnr"].compute()


def test_photos_without_a_hole_have_no_part_in_the_figures():
    photo = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    mask = np.zeros((2, 16, 16, 1), np.float32)
    mask[0, 4:8] = 1
    wrong = photo + 0.1 * mask
    both = {"mask": mask, "target": photo}
    one = {"mask": mask[:1], "target": photo[:1]}
    task = Inpaint()
    found, alone = task.metrics(both, {"photo": wrong}), task.metrics(one, {"photo": wrong[:1]})
    for name, figure in found.items():
        np.testing.assert_equal(figure.compute(), alone[name].compute())
    assert np.isfinite(found["psnr"].compute())
