"""Every configuration of every task: it reads back, can run, and trains when shrunk."""

import contextlib
import dataclasses
import functools
import importlib.util
import pathlib
import re

import jax
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful, lite_unet, partial_unet, unet
from oldphoto_jax.predictors import metadata
from oldphoto_jax.restore import stage
from oldphoto_jax.task import MEASURED
from oldphoto_jax.tasks import colorize, inpaint
from oldphoto_jax.train import config as configs
from oldphoto_jax.train import loop
from oldphoto_jax.train import state as states
from oldphoto_jax.train import step as steps
from oldphoto_jax.weights import catalogue, names, store
from tests import memory, scene, toy
from tests.test_train_loop import interrupt, saved

FOLDER = pathlib.Path(__file__).parent.parent / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")

# What makes a task of each kind small; its other fields stay as the configuration has them.
SHRUNK = {
    "Segment": {},
    "Inpaint": {},
    "Colorize": dict(critic_width=2, critic_levels=1, attention=(1,)),
    "Sagan": dict(size=8, noise=8, width=2, critic_width=2, attention=(1,)),
    "TwoHeads": {},
}
NARROW = {  # likewise of a network, by its blueprint and the task
    (unet.Blueprint, "Segment"): dict(width=4, decoder_width=2),
    (unet.Blueprint, "Colorize"): dict(width=4, depth=18, stages=3, decoder_width=2),
    (partial_unet.Blueprint, "Inpaint"): dict(width=4, levels=3),
    (lite_unet.Blueprint, "Colorize"): dict(widths=(8, 8, 8)),
    (colorful.ECCV16Blueprint, "Colorize"): dict(widths=(4,) * 8),
    (colorful.SIGGRAPH17Blueprint, "TwoHeads"): dict(widths=(4,) * 10),
}


def module(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def variants(name):
    """Those that the error of a wrong one speaks of; () if there is just one configuration."""
    try:
        module(name).get_config("no such variant")
    except TypeError:
        return [()]
    except ValueError as error:
        return [(variant,) for variant in re.findall(r"'(\w+)'", str(error))]
    raise AssertionError(f"configs/{name}.py accepts any variant")


CASES = [(name, *variant) for name in NAMES for variant in variants(name)]
# They have nothing that other cases do not have: what they weigh (distances, a critic, AlexNet) is
# weighed by others beside more, and filled holes change no program.
COVERED = {
    ("colorize", "l1"),
    # "lite_hints" has its network, losses and figure, and hints.
    ("colorize", "lite"),
    ("colorize", "critic"),
    ("colorize", "lite_critic"),
    # "siggraph" is as deep as its first stage and "eccv16", whose losses have tests of their own;
    # "lite" has the network of "lite_hints".
    ("colorful", "eccv16"),
    ("colorful", "siggraph_classes"),
    ("colorful", "lite"),
    ("colorize", "lite_filled"),
    # The network of "lite" beside the critic and the loss of "perceptual".
    ("colorize", "lite_perceptual"),
    ("inpaint", "lite_perceptual"),
    # All its norms stand still also beside the critic; "lite" has its network and its figure.
    ("inpaint", "lite_frozen"),
    # "lite_broad" has its network and losses, and differs by damage and by a number, as does
    # "lite_seeing". The optimizer of "lite_scratch" holds nothing still, as that of "article".
    ("segment", "lite"),
    ("segment", "lite_seeing"),
    ("segment", "lite_scratch"),
}
TRAINED = [
    pytest.param(case, marks=[pytest.mark.slow] if case in COVERED else [], id=":".join(case))
    for case in CASES
]


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture
def narrow(monkeypatch):
    scene.shallow(monkeypatch)
    for task in (colorize, inpaint):
        scene.narrow(monkeypatch, task)
    yield
    memory.release()  # no case runs the programs of another


def build(name, *variant):
    return module(name).get_config(*variant)


def shrunk(config):
    """The same configuration, small enough to run in seconds and without weights from elsewhere."""
    kind = type(config.task).__name__
    small = dict(size=32) | SHRUNK[kind]
    if network := getattr(config.task, "network", None):
        narrow = NARROW.get((type(network), kind), {})
        small["network"] = dataclasses.replace(network, **narrow)
    return dataclasses.replace(
        config,
        task=dataclasses.replace(config.task, **small),
        judge=config.judge and dataclasses.replace(config.judge, **small),
        weights={},
        batch_size=4,
        validation_batch=4,
        steps=2,
        workers=0,
    )


@pytest.mark.parametrize("case", CASES, ids=":".join)
def test_a_configuration_can_run_and_comes_back_from_its_text(case):
    config = build(*case)
    config.check()
    text = configs.to_text(config)
    back = configs.from_text(text)
    assert configs.to_text(back) == text and back.task == config.task
    assert configs.differences(text, text) == []


@pytest.mark.parametrize("case", CASES, ids=":".join)
def test_a_configuration_tells_how_to_run_it(case):
    name, *variant = case
    document = module(name).__doc__
    assert f"python -m oldphoto_jax.main --config=configs/{name}.py" in document
    assert "Cost:" in document and "Expected:" in document
    assert not variant or variant == ["article"] or f"{name}.py:{variant[0]}" in document


def test_each_phase_of_colouring_goes_on_from_one_that_there_is():
    before = module("colorize").BEFORE
    for phase, file in before.items():
        config = build("colorize", phase)
        assert config.weights["generator"] == file
        started = re.fullmatch(r"runs/colorize-(\w+)/weights/(best|last).safetensors", file)[1]
        earlier = build("colorize", started)
        for field in ("network", "palette", "filled", "temperature"):
            if (phase, field) != ("lite_filled", "filled"):  # what is new in that phase
                assert getattr(config.task, field) == getattr(earlier.task, field)


def test_the_packaged_colours_are_all_that_hints_are_learned_beside():
    config = build("colorful", "lite_hints")
    arrays, kept = store.load(catalogue.packaged("colorize-lite"))
    before = metadata.read(kept)
    assert dataclasses.replace(before, gain=config.task.gain) == config.task.predictor()
    nets = nnx.eval_shape(lambda: config.task.networks(nnx.Rngs(0)))
    own = ("inner.kernel", "inner.bias", "outer.kernel")
    new = {f"generator.more.{i}.{part}" for i in range(3) for part in own}
    assert names.flatten(nets["generator"], "generator").keys() == arrays.keys() >= new
    parts = tuple(f"{part}." for part in config.weights)
    assert all(name.startswith(parts) for name in arrays.keys() - new)
    assert set(config.weights.values()) == {"colorize-lite"}


@pytest.mark.parametrize(("variant", "megabytes"), [("perceptual", 60), ("lite", 15)])
def test_weights_that_colour_are_small_enough_to_be_sent_around(variant, megabytes):
    task = build("colorize", variant).task
    nets = nnx.eval_shape(lambda: task.networks(nnx.Rngs(0)))
    counts = [x.size for x in jax.tree.leaves(nnx.state(nets["generator"]))]
    assert 2 * sum(counts) <= 1e6 * megabytes  # in 16 bits


@pytest.mark.parametrize("name", NAMES)
def test_without_a_variant_one_of_them_is_meant(name):
    texts = [configs.to_text(build(*case)) for case in CASES if case[0] == name]
    assert configs.to_text(build(name)) in texts


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("case", TRAINED)
def test_a_configuration_trains_and_its_weights_predict_what_the_run_did(case, tmp_path):
    small = shrunk(build(*case))
    with contextlib.ExitStack() as closing:
        run = loop._Run(small, str(tmp_path), jax.devices()[:1], closing)
        figures = run.go()
        state = run.state
    assert not small.best or small.best in figures
    rng = np.random.default_rng(0)
    side = small.task.size
    batch = {"photo": rng.random((4, side, side, 3), np.float32)}
    batch["mask"] = np.float32(rng.random((4, side, side, 1)) < 0.3)
    if "noise" in small.task.example(scene.record(), rng):
        batch["noise"] = rng.standard_normal((4, small.task.noise), np.float32)
    answer = jax.device_get(run.predict(state, batch))
    expected = {name: one for name, one in answer.items() if not name.startswith(MEASURED)}
    loaded = stage.load(tmp_path)
    found = loaded(**batch)
    assert found.keys() == expected.keys()
    tolerance = 1e-5 if small.precision == "float32" else 0.03  # a stage computes in float32
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=tolerance)
    assert loaded.predictor == small.task.predictor(figures)
    assert (tmp_path / "sheets" / "00000002.png").exists()
    arrays, kept = store.load(tmp_path / "weights" / "last.safetensors")
    assert kept["step"] == "2" and all(np.isfinite(a).all() for a in arrays.values())


def equations(jaxpr):
    """Of a traced program and all those within."""
    for equation in jaxpr.eqns:
        yield equation
        inner = jax.tree.leaves([*equation.params.values()], is_leaf=lambda x: hasattr(x, "jaxpr"))
        for program in inner:
            program = getattr(program, "jaxpr", program)
            if hasattr(program, "eqns"):
                yield from equations(program)


SUMMED = [("segment",), ("inpaint",), ("colorize", "critic")]  # these have layers of every kind


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[] if case in SUMMED else [pytest.mark.slow], id=":".join(case))
        for case in sorted({*SUMMED, *CASES})
    ],
)
def test_no_sum_over_places_or_examples_is_taken_in_low_precision(case):
    """Neither forward nor backward. (Products and convolutions sum in float32 by themselves.)"""
    small = shrunk(build(*case))
    optimizers = small.optimizers
    transforms = {name: o.transform(small.steps) for name, o in optimizers.items()}
    state = jax.eval_shape(functools.partial(states.create, small.task, transforms, 0))
    example = small.task.example(scene.record(), np.random.default_rng(0))
    batch = {k: jax.ShapeDtypeStruct((2, *v.shape), v.dtype) for k, v in example.items()}
    rules = steps.Rules(small.task, optimizers, transforms, "bfloat16")
    program = jax.make_jaxpr(functools.partial(steps.train_step, rules, ()))(state, batch)
    made = {}  # the types in which each operation is made
    for equation in equations(program.jaxpr):
        kinds = made.setdefault(equation.primitive.name, set())
        kinds |= {str(x.aval.dtype) for x in equation.invars if hasattr(x.aval, "dtype")}
    assert "bfloat16" in made["conv_general_dilated"] and "float32" in made["reduce_sum"]
    sums = ("reduce_sum", "reduce_window_sum", "cumsum", "scatter-add", "psum")
    assert not {name for name in sums if "bfloat16" in made.get(name, ())}


@pytest.mark.slow
@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("case", CASES, ids=":".join)
def test_a_configuration_resumes_bit_for_bit_in_fully_optimized_programs(
    case, tmp_path, monkeypatch
):
    config = dataclasses.replace(shrunk(build(*case)), steps=6, evaluate_every=2)
    jax.config.update("jax_disable_most_optimizations", False)
    loop.train(config, str(tmp_path / "whole"))
    with monkeypatch.context() as patch, pytest.raises(loop.Interrupted):
        interrupt(patch, 3)
        loop.train(config, str(tmp_path / "parted"))
    loop.train(config, str(tmp_path / "parted"))
    jax.config.update("jax_disable_most_optimizations", True)
    (mine, my_place), (theirs, their_place) = (saved(tmp_path / n) for n in ("whole", "parted"))
    assert my_place == their_place
    assert not [name for name in mine if not np.array_equal(mine[name], theirs[name])]
