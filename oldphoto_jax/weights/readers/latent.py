"""Published PyTorch weights of Bringing Old Photos Back to Life, by the tables of `torch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from oldphoto_jax.weights.readers.torch import Renaming, convert, layer_rows, norm_rows


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


def patch_mapping(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of `Mapping_Model_with_mask_2` for `models.patch_mapping.PatchMapping`.

    Raises WeightsError.
    """
    ends = [key for key in state if key.endswith(".conv_block.1.weight")]
    depth = sum(key.startswith("after_NL.") for key in ends)
    places = ["before_NL.{}", "res_block_1.{}", "res_block_2.{}", "after_NL.{}"]
    rows = [*_convolutions("before_NL", 0, "before"), *_convolutions("after_NL", depth, "after")]
    for number, place in enumerate(places):
        for block in range(depth):
            theirs = place.format(block if number else 12 + block)
            rows += _residual(theirs, f"blocks.{number}.{block}")
    for number in range(3):
        theirs, ours = f"NL_scale_{number + 1}", f"patches.{number}"
        rows += layer_rows(f"{theirs}.F_Combine", f"{ours}.combine", "conv")
        rows += _residual(f"{theirs}.res_block.0", f"{ours}.blocks.0")
    return convert(state, rows)


def scratch_detector(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of the detector's `UNet` for `models.scratch_unet.ScratchUNet`.

    Its fixed blurs are ignored. Raises WeightsError.
    """
    depth = sum(key.startswith("down_sample.") and key.endswith(".1.weight") for key in state)
    rows = [
        *layer_rows("first.1", "first.conv", "conv"),
        *layer_rows("last.1", "last.conv", "conv"),
    ]
    for level in range(depth):
        rows += _active(f"down_sample.{level}", 1, f"shrink.{level}")
        rows += layer_rows(f"up_path.{level}.up.2", f"up.{level}.conv.conv", "conv")
        for number, place in enumerate((1, 5)):
            rows += _active(f"down_path.{level}.block", place, f"down.{level}.{number}")
            block = f"up_path.{level}.conv_block.block"
            rows += _active(block, place, f"up.{level}.convs.{number}")
    blurs = tuple(key for key in state if key.endswith(".filt"))
    return convert(state, rows, ignored=blurs)


def _active(theirs: str, place: int, ours: str) -> Iterator[Renaming]:
    """A convolution and the batch norm behind it."""
    yield from layer_rows(f"{theirs}.{place}", f"{ours}.conv.conv", "conv")
    yield from norm_rows(f"{theirs}.{place + 1}", f"{ours}.norm")


def _convolutions(theirs: str, first: int, ours: str) -> Iterator[Renaming]:
    """Four, each followed by two layers without weights."""
    for number in range(4):
        yield from layer_rows(f"{theirs}.{first + 3 * number}", f"{ours}.{number}", "conv")


def _residual(theirs: str, ours: str) -> Iterator[Renaming]:
    for number, place in enumerate((1, 5)):
        name = f"{ours}.convs.{number}.conv"
        yield from layer_rows(f"{theirs}.conv_block.{place}", name, "conv")
