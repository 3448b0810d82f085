"""Colouring: luma is a contract, honest examples, each phase's terms, and who learns from what."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.losses import adversarial, balance, feature, pixel
from oldphoto_jax.models import lite_unet, resnet, unet
from oldphoto_jax.photo import color, prior
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.tasks import colorize
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.tasks.hints import Hints
from oldphoto_jax.train import state as states
from oldphoto_jax.train.optimizer import Adam
from oldphoto_jax.train.step import Rules, train_step
from tests import critics, scene, toy, untrained

NETWORK = unet.imagenet(depth=18, width=4, decoder_width=2, stages=3, out_stride=4)
SMALL = dict(size=64, network=NETWORK)
CRITIC = dict(critic_width=4, critic_levels=2, attention=(2,))
PHASES = {
    "l1": {"pixel": 2.0},
    "critic": {"pixel": 2.0, "fool": 0.5, "match": 0.7},
    "perceptual": {"perceptual": 3.0, "fool": 0.5},
    "bins": {"bins": 1.5, "pixel": 2.0, "fool": 0.5},
}
GRID = Grid(side=5)


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    scene.shallow(monkeypatch)
    scene.narrow(monkeypatch, colorize)


@pytest.fixture(scope="module")
def record():
    return scene.record()


@pytest.fixture(scope="module")
def batch(record):
    examples = [Colorize(**SMALL).example(record, np.random.default_rng(i)) for i in range(2)]
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def small(phase="l1", **options):
    colors = dict(palette=GRID, temperature=0.4) if phase == "bins" else {}
    return Colorize(**SMALL | CRITIC | colors | {"weight": PHASES[phase]} | options)


def trained(task):
    """Random networks that let signals through, in evaluation mode."""
    nets = untrained.networks(task)
    if "critic" in nets:  # its singular vectors can't be just any numbers
        nets["critic"] = critics.drawn(lambda: task.networks(nnx.Rngs(0))["critic"])
    for net in nets.values():
        net.eval()
    return nets


# --- examples ---


def test_same_record_and_generator_give_the_same_bytes(record):
    task = Colorize(size=64)
    first, again, other = (task.example(record, np.random.default_rng(i)) for i in (3, 3, 4))
    assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in again.items()}
    assert first["photo"].tobytes() != other["photo"].tobytes()


@pytest.mark.parametrize("age", [0.0, 1.0])
def test_holes_are_filled_in_the_gray_photo_and_keep_their_true_colours(record, age):
    seen, filled = (
        Colorize(size=64, age=age, filled=share).example(record, np.random.default_rng(5))
        for share in (0.0, 1.0)
    )
    changed = np.abs(filled["photo"] - seen["photo"]).max(-1) > 1e-4
    assert 0.005 < changed.mean() < 0.5  # the same photo but for holes
    assert np.ptp(filled["photo"][changed]) < np.ptp(seen["photo"])  # nothing marks them
    luma = filled["photo"][..., :1]
    np.testing.assert_allclose(color.rgb_to_gray(filled["target"]), luma, atol=1e-5)
    inside = ((luma > 0.2) & (luma < 0.8))[..., 0] & changed  # elsewhere the gamut may take part
    assert inside.any()
    chroma = (color.rgb_to_ycbcr(example["target"])[inside][:, 1:] for example in (seen, filled))
    np.testing.assert_allclose(*chroma, atol=1e-5)


@pytest.mark.parametrize("age", [0.0, 1.0])
def test_photo_and_target_share_their_luma_and_photo_is_gray(record, age):
    task = Colorize(size=64, age=age)
    for seed in range(8):
        example = task.example(record, np.random.default_rng(seed))
        photo, target = example["photo"], example["target"]
        assert photo.shape == target.shape == (64, 64, 3)
        assert photo.dtype == target.dtype == np.float32
        assert min(photo.min(), target.min()) > -1e-6 and max(photo.max(), target.max()) < 1 + 1e-6
        np.testing.assert_array_equal(photo, photo[..., :1].repeat(3, -1))
        np.testing.assert_allclose(color.rgb_to_gray(target), photo[..., :1], atol=1e-5)
        assert np.abs(target - photo).max() > 0.05


def test_what_is_not_aged_shows_the_photo_s_own_colours(record):
    example = Colorize(size=100, age=0.0, share=(1.0, 1.0)).example(
        record, np.random.default_rng(0)
    )
    own = record["photo"].reshape(-1, 3).astype(float).mean(0) / 255
    np.testing.assert_allclose(example["target"].mean((0, 1)), own, atol=0.15)


def test_the_crop_shows_the_share_that_was_asked_for():
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[:, None, None], 200, 1)
    record = {"photo": np.repeat(ramp, 3, 2), "name": "ramp"}
    for low, high in ((1.0, 1.0), (0.5, 0.5)):
        photo = Colorize(size=64, age=0.0, share=(low, high)).example(
            record, np.random.default_rng(1)
        )["photo"]
        assert abs(np.ptp(photo) - low) < 0.05


# --- networks ---


@pytest.mark.parametrize(
    ("phase", "players"),
    [
        ("l1", {"generator"}),
        ("critic", {"generator", "critic"}),
        ("perceptual", {"generator", "critic"}),
        ("bins", {"generator", "critic"}),
    ],
)
def test_a_network_exists_where_a_term_asks_for_it(phase, players):
    task = small(phase)
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    assert set(task.losses()) == players
    assert set(nets) == players | ({"vgg"} if phase == "perceptual" else set())
    assert states.asked(task) == ("generator",)


def test_settings_that_make_no_sense_are_refused():
    for wrong, told in (
        (dict(weight={"pixl": 1.0}), r"weight names \['pixl'\]"),
        (dict(rivalry="duel"), "rivalry 'duel' is unknown"),
        (dict(palette=Grid(side=4)), "a palette of 4 colours a side: give an odd number"),
        (dict(prior="packaged"), "there is no palette, but prior='packaged'"),
        (dict(plane="uv"), "plane 'uv' is unknown"),
        (dict(weight={"bins": 1.0}), "there is no palette, but the weight of bins is 1.0"),
        (dict(temperature=0.5), "there is no palette, but the temperature 0.5: give a palette"),
        (dict(temperature=0.0, palette=GRID), "temperature 0.0: give a number of 0.001 or more"),
    ):
        with pytest.raises(ValueError, match=told):
            Colorize(**SMALL, **wrong).networks(nnx.Rngs(0))


def test_the_light_network_answers_at_a_quarter_of_the_sides():
    network = lite_unet.Blueprint(widths=(8, 8, 8), out_stride=4)
    task = Colorize(network=network, palette=GRID)
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    x = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    answer = nnx.eval_shape(lambda net, x: net(x), nets["generator"], x)
    assert answer.shape == (1, 16, 24, len(GRID)) and task.predictor().multiple == 32
    with pytest.raises(ValueError, match="out_stride is 2"):
        Colorize(network=lite_unet.Blueprint(out_stride=2)).networks(nnx.Rngs(0))


# --- predictions ---


@pytest.mark.parametrize("phase", ["l1", "bins"])
def test_the_first_answer_is_gray(batch, phase):
    task = small(phase)
    part = states.create(task, {}, 0).parts["generator"]
    photo = jax.jit(lambda: task.predictor()({"generator": part.wake(train=False)}, batch))()[
        "photo"
    ]
    np.testing.assert_allclose(photo, batch["photo"], atol=1e-5)


@pytest.mark.parametrize("stride", [1, 4])
def test_the_answer_has_the_photo_s_luma_is_in_gamut_and_in_colour(batch, stride):
    task = small(network=dataclasses.replace(NETWORK, out_stride=stride))
    nets = trained(task)
    kernel = nets["generator"].final.kernel
    kernel[...] = 20 * kernel[...]  # far beyond the gamut
    photo = np.asarray(jax.jit(lambda: task.predictor()(nets, batch))()["photo"])
    assert photo.shape == batch["photo"].shape and photo.dtype == np.float32
    assert photo.min() > -1e-5 and photo.max() < 1 + 1e-5
    np.testing.assert_allclose(color.rgb_to_gray(photo), batch["photo"][..., :1], atol=1e-5)
    assert np.ptp(photo, axis=-1).mean() > 0.05


def test_a_cold_palette_is_more_colourful(batch):
    nets = trained(small("bins"))
    kernel = nets["generator"].final.kernel
    kernel[...] = 0.05 * kernel[...]  # undecided, as real answers are
    spread = [
        np.ptp(small("bins", temperature=t).predictor()(nets, batch)["photo"], axis=-1).mean()
        for t in (1.0, 0.5, 0.25)
    ]
    assert spread[0] < spread[1] < spread[2]


def test_only_the_luma_of_the_photo_is_looked_at(batch):
    task = small()
    nets = trained(task)
    predict = jax.jit(lambda photo: task.predictor()(nets, {"photo": photo})["photo"])
    np.testing.assert_allclose(predict(batch["photo"]), predict(batch["target"]), atol=1e-4)


@pytest.mark.parametrize("network", [NETWORK, lite_unet.Blueprint(widths=(8, 8, 8), out_stride=4)])
def test_hints_are_unheard_at_first_and_then_move_the_colours_around_them(batch, network):
    task = small(network=network, hints=Hints(none=0.0))
    told = task.example(scene.record(), np.random.default_rng(0))
    assert told["hints"].shape == (64, 64, 3)
    hints = np.zeros((2, 64, 64, 3), np.float32)
    hints[0, 30:34, 30:34] = 60, 40, 1
    nets = trained(task)
    predict = jax.jit(lambda hints: task.predictor()(nets, batch | {"hints": hints})["photo"])
    without, marked = (np.asarray(predict(x)) for x in (np.zeros_like(hints), hints))
    moved = np.abs(marked - without).max(-1)
    assert moved[0, 20:44, 20:44].mean() > 1e-3 and moved[1].max() < 1e-6
    silent = jax.jit(
        lambda: [told.outer.kernel[...] for told in task.networks(nnx.Rngs(0))["generator"].more]
    )()
    assert len(silent) == 3 and not any(kernel.any() for kernel in silent)


def test_bins_of_a_and_b_colour_as_a_grid_does(batch):
    """Luma stays, all is in gamut; decoding ends where the colours of the palette are."""
    task = small(palette=AbBins(), temperature=0.4, weight={"bins": 1.0, "pixel": 2.0})
    nets = trained(task)
    photo = np.asarray(jax.jit(lambda: task.predictor()(nets, batch))()["photo"])
    assert photo.min() > -1e-5 and photo.max() < 1 + 1e-5 and np.ptp(photo, axis=-1).mean() > 0.05
    np.testing.assert_allclose(color.rgb_to_gray(photo), batch["photo"][..., :1], atol=1e-5)


# --- losses ---


@pytest.mark.parametrize("phase", PHASES)
def test_the_terms_are_the_published_ones_times_their_weights(batch, phase):
    task, weight = small(phase), PHASES[phase]
    nets = trained(task)
    terms = jax.jit(lambda: task.losses()["generator"](nets, batch))()
    assert terms.keys() == weight.keys()
    luma = color.rgb_to_gray(batch["photo"])
    real = color.rgb_to_ycbcr(batch["target"]).reshape(2, 16, 4, 16, 4, 3).mean((2, 4))
    answer = nets["generator"](resnet.normalize(color.gray_to_rgb(luma), "keras"))
    chroma = shown = 0.5 + 0.5 * jnp.tanh(answer)
    if phase == "bins":
        chroma, shown = GRID.decode(answer), GRID.decode(answer, 0.4)
    fake = jnp.concatenate([real[..., :1], shown], -1)
    wanted = {"pixel": pixel.l1(chroma, real[..., 1:])}
    if "bins" in weight:
        shares = GRID.encode(real[..., 1:])
        wanted["bins"] = -(shares * jax.nn.log_softmax(answer)).sum(-1).mean()
    if "fool" in weight:
        seen = (fake - 0.5) * jnp.array([2.0, 5.0, 5.0])
        maps = nets["critic"].taps(seen)
        wanted["fool"] = adversarial.fool_hinge(maps[-1])
    if "match" in weight:
        theirs = nets["critic"].taps((real - 0.5) * jnp.array([2.0, 5.0, 5.0]))
        wanted["match"] = feature.feature_matching([maps], [theirs])
    if "perceptual" in weight:
        maps = [
            nets["vgg"].taps(resnet.normalize(color.ycbcr_to_rgb(x)), feature.COLOR_LAYERS)
            for x in (fake, real)
        ]
        wanted["perceptual"] = sum(pixel.mse(*pair) for pair in zip(*maps, strict=True))
    for name, value in terms.items():
        assert float(value) == pytest.approx(weight[name] * float(wanted[name]), rel=1e-3), name


def test_a_prior_weighs_by_its_table_and_photos_without_colour_not_at_all(batch, tmp_path):
    bins = AbBins(neighbours=1)
    options = dict(palette=bins, balance=0.5, picked=True, weight={"bins": 1.0})
    task = small(**options, prior="packaged", colourless=5.0)
    like = np.zeros((2, 16, 16, 313))
    colours = task._colours(batch, like)
    lab = color.rgb_to_lab(batch["target"])[:, ::4, ::4, 1:]
    np.testing.assert_allclose(colours, lab, atol=1e-3)
    shares = bins.smoothed(prior.read("packaged", bins))
    table = balance.rebalanced(shares, 0.5)
    expected = table[np.asarray(bins.nearest(lab))]
    np.testing.assert_allclose(task._weight(batch, colours)[..., 0], expected, rtol=1e-5)
    half = {"photo": batch["photo"], "target": batch["target"].copy()}
    half["target"][1] = batch["photo"][1]
    weight = task._weight(half, task._colours(half, like))
    assert weight[0].min() > 0 and not weight[1].any()
    task.ready()
    prior.write(tmp_path / "p.csv", GRID, np.ones(len(GRID)))
    for file, told in ((tmp_path / "p.csv", "a prior of this palette"), ("no", "No such file")):
        with pytest.raises(ValueError, match=told):
            small(**options, prior=str(file)).ready()


def test_figures_are_of_photos_without_hints_but_for_the_one_that_is_not(batch):
    task = small(hints=Hints())
    prediction = {"photo": batch["target"], "measured/unhinted": batch["photo"]}
    figures = task.metrics(batch, prediction)
    np.testing.assert_allclose(figures["hinted ab"], 0, atol=1e-6)
    plain = small().metrics(batch, {"photo": batch["photo"]})
    for name, value in plain.items():
        np.testing.assert_array_equal(figures[name], value)


def test_rare_colours_may_count_for_more(batch):
    nets = trained(small("bins"))
    plain, balanced = (small("bins", balance=b).paint(nets, batch) for b in (1.0, 0.5))
    for term in ("pixel", "bins"):
        assert balanced[term] > 1.2 * plain[term]  # the test's scene is vivid
    np.testing.assert_allclose(balanced["fool"], plain["fool"])


@pytest.mark.parametrize(
    ("rivalry", "judge"),
    [
        ("hinge", adversarial.judge_hinge),
        ("least squares", adversarial.judge_least_squares),
    ],
)
def test_the_critic_judges_the_truth_against_the_generator(batch, rivalry, judge):
    task = small("critic", rivalry=rivalry)
    nets = trained(task)
    real = task._real(batch)
    fake = task._beside_luma(task.predictor().answer(nets, batch), real)
    scores = [nets["critic"](colorize._signed(ycbcr)) for ycbcr in (real, fake)]
    assert float(task.judge(nets, batch)["judge"]) == pytest.approx(float(judge(*scores)), rel=1e-4)
    assert fake.shape == real.shape == (2, 16, 16, 3)


def test_both_players_learn_and_the_encoder_stays_where_it_is_told_to(batch):
    task = small("critic")
    optimizers = {
        "generator": Adam(
            rate=1e-2,
            freeze_weights_in="encoder",
            freeze_norm_from=0,
            freeze_norm_in="encoder",
        ),
        "critic": Adam(rate=1e-2, betas=(0.0, 0.9)),
    }
    transforms = {name: o.transform(9) for name, o in optimizers.items()}
    state = states.create(task, transforms, 0)
    step = jax.jit(
        functools.partial(
            train_step, Rules(task, optimizers, transforms), (("generator", "encoder"),)
        )
    )
    first, logs = step(state, batch)
    second, later = step(first, batch)
    assert all(np.isfinite(float(value)) for value in (logs | later).values())

    def moved(one, other, *path):
        trees = [functools.reduce(lambda tree, key: tree[key], path, x) for x in (one, other)]
        pairs = zip(*map(jax.tree.leaves, trees), strict=True)
        return [not np.array_equal(a, b) for a, b in pairs]

    old, new = first.parts["generator"], second.parts["generator"]
    assert not any(moved(old.params, new.params, "encoder"))
    assert not any(moved(old.rest, new.rest, "encoder"))
    assert all(moved(old.params, new.params, "final"))
    old, new = first.parts["critic"], second.parts["critic"]
    assert np.mean(moved(old.params, new.params)) > 0.5
    assert np.mean(moved(old.rest, new.rest)) > 0.5  # the vectors of spectral norm follow


class Reddest(nnx.Module):
    """A classifier of two classes: what is more red than blue is a tench, else a goldfish."""

    def __init__(self, name, *, rngs):
        self.network = nnx.Linear(1, 1, rngs=rngs)

    def __call__(self, photo):
        return photo[..., ::2].mean((1, 2))


def test_a_classifier_stands_by_and_tells_what_photos_show(record, batch, monkeypatch):
    monkeypatch.setattr(colorize.classifier, "Classifier", Reddest)
    task = small(classifier="resnet50")
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    assert set(nets) == {"generator", "classifier"} and set(task.losses()) == {"generator"}
    assert states.asked(task) == ("generator",)
    assert task.published() == {"classifier.network": "resnet50-classifier"}
    assert small().published() == {}
    labels = [
        task.example(record | named, np.random.default_rng(0))["label"]
        for named in ({"class": "n01443537"}, {"class": "my aunt"}, {})
    ]
    assert labels == [1, -1, -1]
    red = batch["photo"] + np.float32([0.01, 0, -0.01])
    blue = batch["photo"] + np.float32([-0.01, 0, 0.01])
    asked = {"photo": batch["photo"], "target": np.stack([red[0], blue[1]]), "label": [1, 1]}
    given = {"photo": red}
    told = task.measure({"classifier": Reddest("", rngs=nnx.Rngs(0))}, asked, given)
    measured = {f"{colorize.MEASURED}{name}": value for name, value in told.items()}
    figures = task.metrics(asked, given | measured)
    assert figures["top-1"].compute() == 0
    assert figures["top-1 of the truth"].compute() == figures["agreement"].compute() == 0.5
    assert "top-1" not in task.metrics(asked, given)  # as the judge of a task that asks nobody


def test_gray_has_an_error_and_no_colours_and_the_truth_the_opposite(batch):
    task = small()
    gray = task.metrics(batch, {"photo": batch["photo"]})
    truth = task.metrics(batch, {"photo": batch["target"]})
    assert (gray["ab"] > 5).all() and (gray["colorfulness"] < 0.1).all()
    np.testing.assert_allclose(truth["ab"], 0, atol=1e-6)
    np.testing.assert_array_equal(truth["colorfulness"], truth["colorfulness of the truth"])


@pytest.mark.parametrize(
    ("own", "gain"), [(20.0, 1.24), (10.0, colorize.MOST), (39.0, 1.0), (0.0, 1.0)]
)
def test_pale_colours_get_a_gain_within_reason(own, gain):
    figures = {"colorfulness": own, "colorfulness of the truth": 40.0}
    assert small().predictor(figures) == small(gain=gain).predictor()
    assert small(gain=1.3).predictor().gain == 1.3
