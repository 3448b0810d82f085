"""Published PyTorch weights of critics, and of the generator that SAGAN's judges, under our names.

By the tables of `readers.torch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from oldphoto_jax.weights.readers.torch import Renaming, convert, layer_rows, norm_rows
from oldphoto_jax.weights.store import WeightsError

RAW = ("weight_orig", "weight_bar")  # PyTorch's name of a raw kernel, and heykeetae's


def attention_discriminator(
    state: Mapping[str, np.ndarray], attention: tuple[int, ...] = (3, 4)
) -> dict[str, np.ndarray]:
    """The weights of heykeetae's SAGAN critic for `models.discriminators.AttentionDiscriminator`.

    Any number of levels; `attention` names those that its `attn1`, `attn2`, ... follow. Raises
    WeightsError.
    """
    rows: list[Renaming] = []
    for i in range(sum(key.endswith(".module.weight_bar") for key in state)):
        rows += _spectral(f"l{i + 1}.0.module", f"convs.{i}", "weight_bar")
    for i in range(len(attention)):
        rows += _attention(f"attn{i + 1}", f"attentions.{i}")
    rows += layer_rows("last.0", "score", "conv")
    return convert(_turned(state), rows)


def attention_generator(
    state: Mapping[str, np.ndarray], attention: tuple[int, ...] = (3, 4)
) -> dict[str, np.ndarray]:
    """The weights of heykeetae's SAGAN generator for `models.generators.AttentionGenerator`.

    Any number of levels; `attention` names those that its `attn1`, `attn2`, ... follow. Raises
    WeightsError.
    """
    rows: list[Renaming] = []
    for i in range(sum(key.endswith(".module.weight_bar") for key in state)):
        rows += _spectral(f"l{i + 1}.0.module", f"convs.{i}", "weight_bar", "deconv")
        rows += norm_rows(f"l{i + 1}.1", f"norms.{i}")
    for i in range(len(attention)):
        rows += _attention(f"attn{i + 1}", f"attentions.{i}")
    rows += layer_rows("last.0", "last", "deconv")
    return convert(_turned(state), rows)


def self_attention(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of heykeetae's `Self_Attn` for `layers.attention.SelfAttention`, form "torch".

    Raises WeightsError.
    """
    return convert(state, _attention("", ""))


def multiscale_discriminator(
    state: Mapping[str, np.ndarray], *, spectral: bool = False
) -> dict[str, np.ndarray]:
    """The weights of pix2pixHD's critics for `models.discriminators.MultiscaleDiscriminator`.

    Any number of scales and layers; Bringing Old Photos Back to Life has the same. Their last
    scale sees the whole photo, ours is the first. Files without named layers (`getIntermFeat`
    switched off) are refused. Raises WeightsError.
    """
    places = {key.split(".")[0] for key in state}
    scales = sum(place.endswith("_layer0") for place in places)
    layers = sum(place.startswith("scale0_layer") for place in places)
    rows: list[Renaming] = []
    for i in range(scales):
        for j in range(layers):
            there, ours = f"scale{scales - 1 - i}_layer{j}.0", f"critics.{i}.convs.{j}"
            rows += (
                _spectral(there, ours, "weight_orig")
                if spectral
                else layer_rows(there, ours, "conv")
            )
    return convert(_turned(state), rows)


def _turned(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`state` with the right singular vectors of its convolutions in our order.

    They go as the flattened kernel goes: [in, height, width] there, [height, width, in] here, and
    of transposed ones [out, height, width] and [height, width, out].
    """
    turned = dict(state)
    for key in state:
        place, _, name = key.rpartition(".")
        if name not in RAW:
            continue
        vector = f"{place}.weight_v"
        shape = state[key].shape[1:]
        if vector in state:
            if state[vector].shape != (np.prod(shape, dtype=int),):
                raise WeightsError(
                    f"{vector} has shape {state[vector].shape}: not that of {key}, "
                    f"{state[key].shape}"
                )
            turned[vector] = np.moveaxis(state[vector].reshape(shape), 0, -1).ravel()
    return turned


def _spectral(theirs: str, ours: str, raw: str, layout: str = "conv") -> Iterator[Renaming]:
    """A convolution with bias and spectral normalization."""
    yield Renaming(f"{theirs}.{raw}", f"{ours}.layer.kernel", layout)
    yield Renaming(f"{theirs}.bias", f"{ours}.layer.bias")
    yield Renaming(f"{theirs}.weight_u", f"{ours}.u")
    yield Renaming(f"{theirs}.weight_v", f"{ours}.v")


def _attention(theirs: str, ours: str) -> Iterator[Renaming]:
    """heykeetae's self-attention."""
    theirs, ours = (f"{prefix}." if prefix else "" for prefix in (theirs, ours))
    yield Renaming(f"{theirs}gamma", f"{ours}gamma")
    for name in ("query", "key", "value"):
        yield from layer_rows(f"{theirs}{name}_conv", f"{ours}{name}", "conv")
