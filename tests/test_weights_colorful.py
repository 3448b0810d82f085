"""Tables of Zhang et al.'s published networks: they cover every key, and know the colours."""

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful as networks
from oldphoto_jax.photo import ab_bins
from oldphoto_jax.weights import convert, store
from oldphoto_jax.weights.readers import colorful
from oldphoto_jax.weights.store import WeightsError
from tests.test_weights_torch import abstract, keys_of

COLOURS = ab_bins.AbBins().centres


def published(colours):
    """The names of ECCV16's file, and these colours."""
    return keys_of("eccv16") | {"model_out.weight": np.float32(colours.T[..., None, None] / 110)}


@pytest.mark.parametrize(
    ("name", "network"),
    [("eccv16", networks.ECCV16Blueprint), ("siggraph17", networks.SIGGRAPH17Blueprint)],
)
def test_every_key_has_its_place(name, network):
    state, read = keys_of(name), getattr(colorful, name)
    assert read(state).keys() == abstract(lambda: network().build(rngs=nnx.Rngs(0)))
    with pytest.raises(WeightsError, match="unknown: model11.0.weight"):
        read(state | {"model11.0.weight": np.zeros(1)})
    with pytest.raises(WeightsError, match="missing: model7.6.running_var"):
        read({key: array for key, array in state.items() if key != "model7.6.running_var"})


def test_the_published_colours_are_known(tmp_path):
    file = tmp_path / "eccv16.safetensors"
    store.save(file, published(COLOURS), {})
    found = convert.arrays("eccv16", file)["centres"]
    np.testing.assert_allclose(found, COLOURS, atol=1e-4)


@pytest.mark.parametrize(
    "colours",
    [COLOURS[::-1], -COLOURS, COLOURS[:, ::-1], COLOURS / 110, COLOURS + 0.2, COLOURS[1:]],
    ids=["order", "sign", "b before a", "scale", "place", "number"],
)
def test_other_colours_are_refused(colours):
    with pytest.raises(WeightsError, match="model_out.weight times 110 is .*313 colours"):
        colorful.published_eccv16(published(colours))
