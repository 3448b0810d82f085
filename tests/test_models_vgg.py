"""VGG: its layers by name, nothing beyond the deepest of them; its numbers are golden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import vgg
from oldphoto_jax.weights import convert, names, store
from oldphoto_jax.weights.readers import torch
from tests import toy
from tests.nets import drawn


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(scope="module")
def net():
    return drawn(lambda: vgg.VGG(16, width=2, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (2, 33, 40, 3))


@nnx.jit(static_argnames="layers")
def taps(net, x, layers):
    return net.taps(x, layers)


def convolutions(net, layers, size=32):
    """How many of them tapping the layers costs."""
    graph, state = nnx.split(net)
    photo = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    program = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state).taps(x, layers))(state, photo)
    return str(program).count("conv_general_dilated[")


@pytest.mark.parametrize(("depth", "count"), [(16, 13 + 5), (19, 16 + 5)])
def test_every_layer_has_its_name_its_stride_and_its_channels(depth, count):
    layers = vgg.layer_names(depth)
    assert len(layers) == count
    net = nnx.eval_shape(lambda: vgg.VGG(depth, rngs=nnx.Rngs(0)))
    photo = jax.ShapeDtypeStruct((1, 70, 64, 3), jnp.float32)
    maps = nnx.eval_shape(lambda net, x: net.taps(x, layers), net, photo)
    for name, tap in zip(layers, maps, strict=True):
        stage = int(name[4])
        halvings = stage if name.startswith("pool") else stage - 1
        c = (64, 128, 256, 512, 512)[stage - 1]
        assert tap.shape == (1, 70 >> halvings, 64 >> halvings, c), name


def test_taps_come_in_the_order_they_were_asked_for(net, x):
    deep, shallow, again = taps(net, x, ("pool2", "relu1_1", "pool2"))
    assert deep.shape == (2, 8, 10, 4) and shallow.shape == (2, 33, 40, 2)
    np.testing.assert_array_equal(deep, again)
    assert (shallow >= 0).all() and (shallow == 0).any()
    assert net.taps(x, ()) == []


def test_pooling_keeps_the_largest_of_four(net, x):
    before, after = taps(net, x, ("relu1_2", "pool1"))
    groups = np.asarray(before)[:, :32].reshape(2, 16, 2, 20, 2, 2)
    np.testing.assert_array_equal(after, groups.max(axis=(2, 4)))


def test_the_whole_is_its_last_layer(net, x):
    np.testing.assert_array_equal(nnx.jit(lambda net: net(x))(net), taps(net, x, ("pool5",))[0])


@pytest.mark.parametrize(
    ("layers", "count"),
    [(("relu1_1",), 1), (("pool1",), 2), (("pool3", "relu1_2"), 7), (("relu5_1",), 11)],
)
def test_nothing_is_computed_beyond_the_deepest_tap(net, layers, count):
    assert convolutions(net, layers) == count


def test_what_lies_beyond_until_takes_no_memory_and_changes_nothing(net, x):
    short = nnx.eval_shape(lambda: vgg.VGG(16, until="pool3", width=2, rngs=nnx.Rngs(0)))
    arrays = names.flatten(net)
    kept = {
        k: v for k, v in arrays.items() if k.startswith(("stages.0.", "stages.1.", "stages.2."))
    }
    names.fill(short, kept)  # exactly these: it would raise otherwise
    layers = ("pool1", "pool2", "pool3")
    for ours, theirs in zip(taps(short, x, layers), taps(net, x, layers), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(store.WeightsError, match="stages.4.2.kernel"):
        names.fill(short, arrays)
    with pytest.raises(ValueError, match="no relu4_1; it has relu1_1 to pool3"):
        short.taps(x, ["pool1", "relu4_1"])


def test_a_network_may_end_within_a_stage():
    short = nnx.eval_shape(lambda: vgg.VGG(19, until="relu5_1", rngs=nnx.Rngs(0)))
    assert [len(stage) for stage in short.stages] == [2, 2, 4, 4, 1]


def published(depth):
    """Keys of torchvision's file; every array holds the place of its layer in `features`."""
    state = {"classifier.0.weight": np.zeros((3, 4)), "classifier.0.bias": np.zeros(3)}
    place = 0
    for name in vgg.layer_names(depth):
        if name.startswith("relu"):
            state[f"features.{place}.weight"] = np.full((4, 2, 3, 3), place)
            state[f"features.{place}.bias"] = np.full(4, place)
        place += 2 if name.startswith("relu") else 1
    return state


@pytest.mark.parametrize(("depth", "place"), [(16, 14), (19, 16)])
def test_a_published_file_fills_it_whole_or_in_part(depth, place):
    arrays = torch.vgg(published(depth), depth)
    net = nnx.eval_shape(lambda: vgg.VGG(depth, rngs=nnx.Rngs(0)))
    assert arrays.keys() == names.flatten(net).keys()
    last = f"stages.2.{vgg.DEPTHS[depth][2] - 1}"
    assert arrays[f"{last}.kernel"].shape == (3, 3, 2, 4)
    assert (arrays[f"{last}.bias"] == place).all()
    for until in ("relu1_1", "pool1", "relu3_2", "pool3", "relu5_1"):
        short = nnx.eval_shape(lambda until=until: vgg.VGG(depth, until=until, rngs=nnx.Rngs(0)))
        assert torch.vgg(published(depth), depth, until=until).keys() == names.flatten(short).keys()
    # the whole file serves a part of the network too
    assert len(names.within(arrays, "judge.stages.1")) == len(names.flatten(net.stages[1]))


def test_another_file_is_no_vgg():
    with pytest.raises(store.WeightsError, match="unknown: features.34.bias"):
        torch.vgg(published(19), 16)
    with pytest.raises(store.WeightsError, match="missing: features.34.bias"):
        torch.vgg(published(16), 19)
    with pytest.raises(store.WeightsError, match=r"no VGG-11 here; choose from \[16, 19\]"):
        torch.vgg(published(16), 11)
    with pytest.raises(store.WeightsError, match="no layer 'relu3_4'"):
        torch.vgg(published(16), 16, until="relu3_4")


def test_a_perceptual_loss_needs_only_a_part_of_a_file(tmp_path):
    store.save(tmp_path / "published.safetensors", published(16), {})
    target = tmp_path / "pool3.safetensors"
    convert.convert("vgg16-pool3", tmp_path / "published.safetensors", target)
    short = nnx.eval_shape(lambda: vgg.VGG(16, until="pool3", rngs=nnx.Rngs(0)))
    assert store.load(target)[0].keys() == names.flatten(short).keys()


def test_it_computes_in_the_type_of_its_kernels(net, x):
    half = nnx.clone(net)
    nnx.update(half, jax.tree.map(lambda p: p.astype(jnp.bfloat16), nnx.state(half)))
    assert nnx.eval_shape(lambda net: net(x), half).dtype == jnp.bfloat16


def test_the_photo_feels_the_loss(net, x):
    pull = nnx.jit(lambda net, x: jax.grad(lambda x: net.taps(x, ["pool3"])[0].sum())(x))(net, x)
    assert np.isfinite(pull).all() and (np.abs(pull).max(axis=(1, 2, 3)) > 0).all()


def test_what_does_not_exist_is_refused(net):
    with pytest.raises(ValueError, match=r"no VGG-11 here; choose from \[16, 19\]"):
        vgg.VGG(11, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="VGG-16 has no layer 'relu3_4'"):
        vgg.VGG(16, until="relu3_4", rngs=nnx.Rngs(0))
    assert net.taps(jnp.zeros((1, 16, 16, 3)), ["relu5_1"])[0].shape == (1, 1, 1, 16)
    with pytest.raises(ValueError, match=r"too small for pool5, which is given \(1, 1, 1, 16\)"):
        net(jnp.zeros((1, 16, 16, 3)))
