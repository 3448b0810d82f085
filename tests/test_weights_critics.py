"""Tables of published critics: they cover every key, and say so when they don't."""

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import discriminators
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import critics
from oldphoto_jax.weights.store import WeightsError


def sagan(levels=2, width=8):
    """A state dict as heykeetae's code would save it, with one attention."""
    rng, state, c_in = np.random.default_rng(0), {}, 3
    for i in range(levels):
        c = width * 2**i
        state |= {
            f"l{i + 1}.0.module.weight_bar": rng.normal(size=(c, c_in, 4, 4)),
            f"l{i + 1}.0.module.bias": rng.normal(size=c),
            f"l{i + 1}.0.module.weight_u": rng.normal(size=c),
            f"l{i + 1}.0.module.weight_v": rng.normal(size=c_in * 16),
        }
        c_in = c
    for name, c in (("query", c_in // 8), ("key", c_in // 8), ("value", c_in)):
        state[f"attn1.{name}_conv.weight"] = rng.normal(size=(c, c_in, 1, 1))
        state[f"attn1.{name}_conv.bias"] = rng.normal(size=c)
    state |= {"attn1.gamma": np.ones(1), "last.0.bias": np.ones(1)}
    return state | {"last.0.weight": rng.normal(size=(1, c_in, 4, 4))}


def pix2pix(spectral, scales=3, layers=2, width=2):
    """A state dict as pix2pixHD's code would save it."""
    rng, state = np.random.default_rng(0), {}
    for scale in range(scales):
        c_in = 3
        for i, c in enumerate([width * 2**i for i in range(layers + 1)] + [1]):
            key = f"scale{scale}_layer{i}.0"
            raw = "weight_orig" if spectral else "weight"
            state[f"{key}.{raw}"] = rng.normal(size=(c, c_in, 4, 4))
            state[f"{key}.bias"] = np.full(c, float(scale))
            if spectral:
                state[f"{key}.weight_u"] = rng.normal(size=c)
                state[f"{key}.weight_v"] = rng.normal(size=c_in * 16)
            c_in = c
    return state


def build(net, **options):
    return nnx.eval_shape(lambda: net(rngs=nnx.Rngs(0), **options))


def test_the_attentive_critic_is_filled_whatever_its_levels():
    net = build(discriminators.AttentionDiscriminator, width=8, levels=2, attention=(2,))
    state = sagan()
    names.fill(net, critics.attention_discriminator(state, attention=(2,)))
    np.testing.assert_allclose(net.attentions[0].gamma[...], 1)
    np.testing.assert_allclose(net.convs[1].u[...], state["l2.0.module.weight_u"], rtol=1e-6)


@pytest.mark.parametrize("spectral", [True, False])
def test_critics_of_scales_are_filled_the_largest_first(spectral):
    options = {"width": 2, "layers": 2, "scales": 3, "spectral": spectral}
    net = build(discriminators.MultiscaleDiscriminator, **options)
    arrays = critics.multiscale_discriminator(pix2pix(spectral), spectral=spectral)
    names.fill(net, arrays)
    bias = "convs.0.layer.bias" if spectral else "convs.0.bias"
    found = [arrays[f"critics.{i}.{bias}"][0] for i in range(3)]
    assert found == [2, 1, 0]  # theirs are counted from the smallest


def test_singular_vectors_are_turned_as_their_kernels_are():
    state = sagan()
    arrays = critics.attention_discriminator(state, attention=(2,))
    for i in (0, 1):
        key = f"l{i + 1}.0.module.weight"
        theirs = state[f"{key}_bar"].reshape(len(state[f"{key}_u"]), -1) @ state[f"{key}_v"]
        kernel = arrays[f"convs.{i}.layer.kernel"]
        ours = arrays[f"convs.{i}.v"] @ kernel.reshape(-1, kernel.shape[-1])
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_other_networks_are_refused():
    with pytest.raises(WeightsError, match="missing: scale0_layer0.0.weight_orig"):
        critics.multiscale_discriminator(pix2pix(False), spectral=True)
    with pytest.raises(WeightsError, match="unknown: scale0_layer0.0.weight_u"):
        critics.multiscale_discriminator(pix2pix(True))
    with pytest.raises(WeightsError, match="missing: attn2.gamma"):
        critics.attention_discriminator(sagan())
    with pytest.raises(WeightsError, match="gamma"):
        critics.self_attention({})


def test_a_singular_vector_of_another_kernel_is_refused():
    state = sagan() | {"l2.0.module.weight_v": np.zeros(7)}
    with pytest.raises(WeightsError, match=r"l2.0.module.weight_v has shape \(7,\)"):
        critics.attention_discriminator(state, attention=(2,))
