"""Published PyTorch weights of Bringing Old Photos Back to Life, by the tables of `torch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from oldphoto_jax.weights.readers.torch import Renaming, convert, layer_rows


def autoencoder(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of VAE_A or VAE_B for `models.latent.Autoencoder`; raises WeightsError."""
    depth = sum(".conv_block.1.weight" in key for key in state if key.startswith("decoder."))
    rows = [*layer_rows("encoder.1", "encoder.first.conv", "conv")]
    rows += layer_rows("encoder.4", "encoder.down.0", "conv")
    rows += layer_rows("encoder.7", "encoder.down.1", "conv")
    rows += layer_rows(f"decoder.{depth}", "decoder.up.0", "deconv")
    rows += layer_rows(f"decoder.{depth + 3}", "decoder.up.1", "deconv")
    rows += layer_rows(f"decoder.{depth + 7}", "decoder.last.conv", "conv")
    for block in range(depth):
        rows += _residual(f"encoder.{10 + block}", f"encoder.blocks.{block}")
        rows += _residual(f"decoder.{block}", f"decoder.blocks.{block}")
    return convert(state, rows)


def quality_mapping(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of `Mapping_Model` for `models.latent.Mapping`; raises WeightsError."""
    depth = sum(".conv_block.1.weight" in key for key in state)
    rows = [*_convolutions("model", 0, "before")]
    for block in range(depth):
        rows += _residual(f"model.{12 + block}", f"blocks.{block}")
    rows += _convolutions("model", 12 + depth, "after")
    return convert(state, rows)


def scratch_mapping(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of `Mapping_Model_with_mask` for a partial `Mapping`; raises WeightsError."""
    ends = [key for key in state if key.endswith(".conv_block.1.weight")]
    depth = sum(key.startswith("after_NL.") for key in ends)
    rows = [*_convolutions("before_NL", 0, "before")]
    for theirs, ours in (("theta", "query"), ("phi", "key"), ("g", "value"), ("W", "out")):
        rows += layer_rows(f"NL.{theirs}", f"partial.{ours}", "conv")
    for block in range(len(ends) - depth):
        rows += _residual(f"NL.res_block.{block}", f"partial.blocks.{block}")
    for block in range(depth):
        rows += _residual(f"after_NL.{block}", f"blocks.{block}")
    rows += _convolutions("after_NL", depth, "after")
    return convert(state, rows)


def _convolutions(theirs: str, first: int, ours: str) -> Iterator[Renaming]:
    """Four, each followed by two layers without weights."""
    for number in range(4):
        yield from layer_rows(f"{theirs}.{first + 3 * number}", f"{ours}.{number}", "conv")


def _residual(theirs: str, ours: str) -> Iterator[Renaming]:
    for number, place in enumerate((1, 5)):
        name = f"{ours}.convs.{number}.conv"
        yield from layer_rows(f"{theirs}.conv_block.{place}", name, "conv")
