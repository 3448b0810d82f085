"""AlexNet's layers; their numbers are golden ones, through LPIPS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import alexnet
from oldphoto_jax.weights import names, store
from oldphoto_jax.weights.readers import torch
from tests.nets import drawn


@pytest.fixture(scope="module")
def net():
    return drawn(lambda: alexnet.AlexNet(width=4, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize(
    ("side", "sides"), [(31, (7, 3, 1)), (64, (15, 7, 3)), (224, (55, 27, 13))]
)
def test_strides_and_channels_are_those_of_torchvision(side, sides):
    net = nnx.eval_shape(lambda: alexnet.AlexNet(rngs=nnx.Rngs(0)))
    photo = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    maps = nnx.eval_shape(lambda net, x: net.taps(x), net, photo)
    sides = (*sides, sides[-1], sides[-1])
    expected = [(2, s, s, c) for s, c in zip(sides, (64, 192, 384, 256, 256), strict=True)]
    assert [tap.shape for tap in maps] == expected


def test_taps_come_as_asked_and_cost_no_more(net):
    x = jax.random.normal(jax.random.key(0), (1, 40, 40, 3))
    third, first = net.taps(x, ("relu3", "relu1"))
    np.testing.assert_array_equal(first, net.taps(x, ("relu1",))[0])
    assert third.shape == (1, 1, 1, 24) and (first >= 0).all() and (first > 0).any()
    program = str(jax.make_jaxpr(lambda x: net.taps(x, ("relu2", "relu1")))(x))
    assert program.count("conv_general_dilated[") == 2
    np.testing.assert_array_equal(net(x), net.taps(x)[-1])


def test_what_it_lacks_is_refused(net):
    with pytest.raises(ValueError, match="no relu6"):
        net.taps(jnp.zeros((1, 64, 64, 3)), ["relu1", "relu6"])
    with pytest.raises(ValueError, match=r"31 x 31, got \(1, 64, 30, 3\)"):
        net(jnp.zeros((1, 64, 30, 3)))


def test_a_published_file_fills_it():
    arrays = names.flatten(drawn(lambda: alexnet.AlexNet(rngs=nnx.Rngs(0))))
    state = {"classifier.1.weight": np.zeros((2, 2))}
    for i, place in enumerate((0, 3, 6, 8, 10)):
        kernel = np.asarray(arrays[f"convs.{i}.kernel"])
        state[f"features.{place}.weight"] = kernel.transpose(3, 2, 0, 1)
        state[f"features.{place}.bias"] = np.asarray(arrays[f"convs.{i}.bias"])
    ours = torch.alexnet(state)
    assert ours.keys() == arrays.keys()
    assert all(np.array_equal(ours[name], arrays[name]) for name in ours)
    del state["features.8.bias"]
    with pytest.raises(store.WeightsError, match="missing: features.8.bias"):
        torch.alexnet(state)
