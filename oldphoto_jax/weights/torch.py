"""Published PyTorch weights under our names; `read` opens their files without PyTorch.

A table names every tensor of the original: its name there, its name here, its layout. A key that
is neither in the table nor named as ignored stops the conversion, and so does one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from oldphoto_jax.weights.pth import read
from oldphoto_jax.weights.store import WeightsError

__all__ = ["Row", "albunet", "convert", "read", "resnet"]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
COUNTERS = "num_batches_tracked"  # PyTorch counts its norm's batches; nothing depends on it

# How our axes are drawn from theirs: convolutions are OIHW there and HWIO here; transposed ones
# are IOHW there and HWOI here (`nnx.ConvTranspose(transpose_kernel=True)`).
AXES = {"conv": (2, 3, 1, 0), "deconv": (2, 3, 1, 0), "linear": (1, 0), "same": None}


class Row(NamedTuple):
    """One tensor: its name there, its name here, and its layout (a key of AXES)."""

    theirs: str
    ours: str
    layout: str = "same"


def resnet(
    state: Mapping[str, np.ndarray], depth: int, *, head: bool = True
) -> dict[str, np.ndarray]:
    """The weights of torchvision's (or timm's) ResNet-18, 34 or 50 for `models.resnet.ResNet`.

    Without `head`, for a network without classes, `fc` is ignored. Raises WeightsError.
    """
    rows = list(_resnet(depth))
    if head:
        rows += _layer("fc", "head", "linear")
    return convert(state, rows, ignored=() if head else ("fc.",))


def albunet(
    state: Mapping[str, np.ndarray], depth: int = 34, *, deconv: bool = False
) -> dict[str, np.ndarray]:
    """The weights of robot-surgery-segmentation's AlbuNet for `models.unet.AlbuNet`.

    Its files hold the encoder twice, as `encoder.*` and as `conv1` to `conv5`, and an `encoder.fc`
    that nothing uses. Raises WeightsError, also when the two encoders differ.
    """
    rows = [*_resnet(depth, "encoder.", "encoder.")]
    first, second = ("block.0.conv", "block.1") if deconv else ("block.1.conv", "block.2.conv")
    for name in ("center", "dec5", "dec4", "dec3", "dec2", "dec1"):
        rows += _layer(f"{name}.{first}", f"{name}.conv1", "conv")
        rows += _layer(f"{name}.{second}", f"{name}.conv2", "deconv" if deconv else "conv")
    rows += [*_layer("dec0.conv", "dec0", "conv"), *_layer("final", "final", "conv")]
    aliases = {"conv1.0.": "encoder.conv1.", "conv1.1.": "encoder.bn1."}
    aliases |= {f"conv{i + 1}.": f"encoder.layer{i}." for i in (1, 2, 3, 4)}
    return convert(_without_aliases(state, aliases), rows, ignored=("encoder.fc.",))


def convert(
    state: Mapping[str, np.ndarray], rows: Iterable[Row], ignored: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """The arrays of `state` by our names and in our layouts; `ignored` are beginnings of keys.

    Raises WeightsError listing the keys that no row names and the rows that have no key.
    """
    rows = list(rows)
    used = {key for key in state if not key.endswith(COUNTERS) and not key.startswith(ignored)}
    wanted = {row.theirs for row in rows}
    if used != wanted:
        problems = [f"missing: {key}" for key in sorted(wanted - used)]
        problems += [f"unknown: {key}" for key in sorted(used - wanted)]
        raise WeightsError(
            f"this is not the network that was named ({len(problems)} keys differ; wrong depth or "
            "options?):\n  " + "\n  ".join(problems[:20])
        )
    return {row.ours: _turn(state[row.theirs], row) for row in rows}


def _turn(array: np.ndarray, row: Row) -> np.ndarray:
    axes = AXES[row.layout]
    if axes is None:
        return array
    if array.ndim != len(axes):
        raise WeightsError(f"{row.theirs} has shape {array.shape}: not that of a {row.layout}")
    return np.ascontiguousarray(array.transpose(axes))


def _without_aliases(state: Mapping[str, np.ndarray], aliases: Mapping[str, str]):
    """`state` less the tensors that it holds a second time under another name."""
    kept = {}
    for key, array in state.items():
        prefix = next((prefix for prefix in aliases if key.startswith(prefix)), None)
        original = prefix and aliases[prefix] + key.removeprefix(prefix)
        if original not in state:
            kept[key] = array
        elif not np.array_equal(array, state[original]):
            raise WeightsError(f"{key} and {original} should be the same tensor, but they differ")
    return kept


def _resnet(depth: int, theirs: str = "", ours: str = "") -> Iterator[Row]:
    """All rows but those of the classifier; both arguments are prefixes."""
    if depth not in BLOCKS:
        raise WeightsError(f"there is no ResNet-{depth} here; choose from {sorted(BLOCKS)}")
    yield from _conv_norm(f"{theirs}conv1", f"{theirs}bn1", f"{ours}stem", f"{ours}stem_norm")
    for i, count in enumerate(BLOCKS[depth]):
        for j in range(count):
            there, here = f"{theirs}layer{i + 1}.{j}", f"{ours}stages.{i}.{j}"
            for k in (1, 2, 3) if depth == 50 else (1, 2):
                yield from _conv_norm(
                    f"{there}.conv{k}", f"{there}.bn{k}", f"{here}.conv{k}", f"{here}.norm{k}"
                )
            if j == 0 and (i > 0 or depth == 50):
                there, here = f"{there}.downsample", f"{here}.shortcut"
                yield from _conv_norm(f"{there}.0", f"{there}.1", f"{here}.conv", f"{here}.norm")


def _conv_norm(conv: str, norm: str, our_conv: str, our_norm: str) -> Iterator[Row]:
    """A convolution without bias and the batch norm after it."""
    yield Row(f"{conv}.weight", f"{our_conv}.kernel", "conv")
    yield Row(f"{norm}.weight", f"{our_norm}.scale")
    yield Row(f"{norm}.bias", f"{our_norm}.bias")
    yield Row(f"{norm}.running_mean", f"{our_norm}.mean")
    yield Row(f"{norm}.running_var", f"{our_norm}.var")


def _layer(theirs: str, ours: str, layout: str) -> Iterator[Row]:
    """A layer with a kernel and a bias."""
    yield Row(f"{theirs}.weight", f"{ours}.kernel", layout)
    yield Row(f"{theirs}.bias", f"{ours}.bias")
