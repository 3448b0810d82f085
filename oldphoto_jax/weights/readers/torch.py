"""Published PyTorch weights under our names; `read` opens their files without PyTorch.

A table names every tensor of the original: its name there, its name here, its layout. A key that
is neither in the table nor named as ignored stops the conversion, and so does one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from oldphoto_jax.weights.readers.pth import read
from oldphoto_jax.weights.store import WeightsError

__all__ = [
    "Renaming",
    "VGG_BLOCKS",
    "albunet",
    "alexnet",
    "convert",
    "efficientnet_lite",
    "layer_rows",
    "norm_rows",
    "partial_unet",
    "read",
    "resnet",
    "vgg",
]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
LITE_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of EfficientNet-Lite0's stages
VGG_BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
COUNTERS = "num_batches_tracked"  # PyTorch counts its norm's batches; nothing depends on it

# How our axes are drawn from theirs: convolutions are OIHW there and HWIO here; transposed ones
# are IOHW there and HWOI here (`nnx.ConvTranspose(transpose_kernel=True)`). Depthwise ones have
# I = 1 there, and HWO here.
AXES = {
    "conv": (2, 3, 1, 0),
    "deconv": (2, 3, 1, 0),
    "depthwise": (2, 3, 1, 0),
    "linear": (1, 0),
    "same": None,
}


class Renaming(NamedTuple):
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
        rows += layer_rows("fc", "head", "linear")
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
        rows += layer_rows(f"{name}.{first}", f"{name}.conv1", "conv")
        rows += layer_rows(f"{name}.{second}", f"{name}.conv2", "deconv" if deconv else "conv")
    rows += [*layer_rows("dec0.conv", "dec0", "conv"), *layer_rows("final", "final", "conv")]
    aliases = {"conv1.0.": "encoder.conv1.", "conv1.1.": "encoder.bn1."}
    aliases |= {f"conv{i + 1}.": f"encoder.layer{i}." for i in (1, 2, 3, 4)}
    return convert(_without_aliases(state, aliases), rows, ignored=("encoder.fc.",))


def partial_unet(state: Mapping[str, np.ndarray], family: str) -> dict[str, np.ndarray]:
    """The weights of a published partial-convolution U-Net for `models.partial_unet.PartialUNet`.

    `family` is "naoto" (naoto0804's, `form="sum"`) or "mmagic" (OpenMMLab's, `form="ratio",
    stem_bias=True`). Any number of levels. Their convolutions of the mask, all ones, are ignored.
    Raises WeightsError.
    """
    if family not in ("naoto", "mmagic"):
        raise WeightsError(f"family {family!r} is unknown; choose 'naoto' or 'mmagic'")
    mmagic = family == "mmagic"
    if mmagic:
        encoder, decoder, kernel = "generator.encoder.enc", "generator.decoder.dec", "conv"
    else:
        encoder, decoder, kernel = "enc_", "dec_", "conv.input_conv"
    levels = sum(key.startswith(encoder) and key.endswith(f".{kernel}.weight") for key in state)
    rows: list[Renaming] = []
    for i in range(levels):
        pairs = {
            f"{encoder}{i + 1}": f"encoder.{i}",
            f"{decoder}{i + 1}": f"decoder.{levels - 1 - i}",
        }
        for there, ours in pairs.items():
            rows.append(Renaming(f"{there}.{kernel}.weight", f"{ours}.conv.conv.kernel", "conv"))
            if i:
                rows += norm_rows(f"{there}.bn", f"{ours}.norm")
            elif mmagic or there.startswith(decoder):
                rows.append(Renaming(f"{there}.{kernel}.bias", f"{ours}.conv.bias"))
    masks = [key for key in state if ".mask_conv." in key or "weight_mask_updater" in key]
    return convert(state, rows, ignored=tuple(masks))


def vgg(
    state: Mapping[str, np.ndarray], depth: int, *, until: str = "pool5"
) -> dict[str, np.ndarray]:
    """The convolutions of torchvision's VGG-16 or 19 for `models.vgg.VGG(depth, until=until)`.

    Those beyond the layer `until` are ignored, like the classifier. Raises WeightsError.
    """
    if depth not in VGG_BLOCKS:
        raise WeightsError(f"there is no VGG-{depth} here; choose from {sorted(VGG_BLOCKS)}")
    rows: list[Renaming] = []
    ignored, place, wanted = ["classifier."], 0, True
    for i, count in enumerate(VGG_BLOCKS[depth]):
        for j in range(count):
            if wanted:
                rows += layer_rows(f"features.{place}", f"stages.{i}.{j}", "conv")
            else:
                ignored.append(f"features.{place}.")
            wanted &= until != f"relu{i + 1}_{j + 1}"
            place += 2  # a rectifier follows
        wanted &= until != f"pool{i + 1}"
        place += 1  # a pooling follows
    if wanted:
        raise WeightsError(f"VGG-{depth} has no layer {until!r}, such as 'pool3' or 'relu5_1'")
    return convert(state, rows, ignored=tuple(ignored))


def alexnet(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The convolutions of torchvision's AlexNet for `models.alexnet.AlexNet`.

    Its classifier is ignored. Raises WeightsError.
    """
    rows: list[Renaming] = []
    for i, place in enumerate((0, 3, 6, 8, 10)):
        rows += layer_rows(f"features.{place}", f"convs.{i}", "conv")
    return convert(state, rows, ignored=("classifier.",))


def efficientnet_lite(
    state: Mapping[str, np.ndarray], *, stages: int = 7, head: bool = True
) -> dict[str, np.ndarray]:
    """The weights of ml-illustrated's EfficientNet-Lite0 for `models.efficientnet`.

    Stages beyond `stages` are ignored, and without `head` the classifier is. Raises WeightsError.
    """
    rows, block = [*_conv_norm("_conv_stem", "_bn0", "early.stem", "early.norm")], 0
    for i, count in enumerate(LITE_BLOCKS[:stages]):
        for j in range(count):
            ours = f"early.stages.{i}.{j}" if i < 2 else f"late.{i - 2}.{j}"
            rows += _inverted(f"_blocks.{block}", ours, expanded=block > 0)
            block += 1
    ignored = [f"_blocks.{i}." for i in range(block, sum(LITE_BLOCKS))]
    if head:
        rows += [*_conv_norm("_conv_head", "_bn1", "head.conv", "head.norm")]
        rows += layer_rows("_fc", "head.linear", "linear")
    else:
        ignored += ["_conv_head.", "_bn1.", "_fc."]
    return convert(state, rows, ignored=tuple(ignored))


def convert(
    state: Mapping[str, np.ndarray], rows: Iterable[Renaming], ignored: tuple[str, ...] = ()
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


def _turn(array: np.ndarray, row: Renaming) -> np.ndarray:
    axes = AXES[row.layout]
    if axes is None:
        return array
    if array.ndim != len(axes):
        raise WeightsError(f"{row.theirs} has shape {array.shape}: not that of a {row.layout}")
    array = np.ascontiguousarray(array.transpose(axes))
    if row.layout != "depthwise":
        return array
    if array.shape[2] != 1:
        raise WeightsError(f"{row.theirs} mixes {array.shape[2]} channels: it is not depthwise")
    return array[:, :, 0]


def _without_aliases(
    state: Mapping[str, np.ndarray], aliases: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """`state` less the tensors that it holds a second time under another name."""
    kept = {}
    for key, array in state.items():
        prefix = next((prefix for prefix in aliases if key.startswith(prefix)), None)
        original = aliases[prefix] + key.removeprefix(prefix) if prefix else None
        if original is None or original not in state:
            kept[key] = array
        elif not np.array_equal(array, state[original]):
            raise WeightsError(f"{key} and {original} should be the same tensor, but they differ")
    return kept


def _resnet(depth: int, theirs: str = "", ours: str = "") -> Iterator[Renaming]:
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


def _inverted(theirs: str, ours: str, *, expanded: bool) -> Iterator[Renaming]:
    """An inverted residual block of EfficientNet."""
    if expanded:
        yield from _conv_norm(
            f"{theirs}._expand_conv", f"{theirs}._bn0", f"{ours}.expand", f"{ours}.expand_norm"
        )
    yield Renaming(f"{theirs}._depthwise_conv.weight", f"{ours}.depthwise.kernel", "depthwise")
    yield from norm_rows(f"{theirs}._bn1", f"{ours}.depthwise_norm")
    yield from _conv_norm(
        f"{theirs}._project_conv", f"{theirs}._bn2", f"{ours}.project", f"{ours}.project_norm"
    )


def _conv_norm(conv: str, norm: str, our_conv: str, our_norm: str) -> Iterator[Renaming]:
    """A convolution without bias and the batch norm after it."""
    yield Renaming(f"{conv}.weight", f"{our_conv}.kernel", "conv")
    yield from norm_rows(norm, our_norm)


def norm_rows(theirs: str, ours: str) -> Iterator[Renaming]:
    """A batch norm."""
    yield Renaming(f"{theirs}.weight", f"{ours}.scale")
    yield Renaming(f"{theirs}.bias", f"{ours}.bias")
    yield Renaming(f"{theirs}.running_mean", f"{ours}.mean")
    yield Renaming(f"{theirs}.running_var", f"{ours}.var")


def layer_rows(theirs: str, ours: str, layout: str) -> Iterator[Renaming]:
    """A layer with a kernel and a bias."""
    yield Renaming(f"{theirs}.weight", f"{ours}.kernel", layout)
    yield Renaming(f"{theirs}.bias", f"{ours}.bias")
