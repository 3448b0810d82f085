"""The light U-Net in PyTorch: what `oldphoto_jax.models.lite_unet` computes, for `beside_torch`.

Modules and their tensors have the names of ours, so that the same arrays fill both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

from oldphoto_jax.models.efficientnet import EPSILON, STAGES
from oldphoto_jax.models.lite_unet import SCALES, Blueprint

ENCODER = STAGES[:6]
TAPPED = (0, 1, 2, 4, 5)  # stages that are the last of their scale
PARTS = {  # of a layer: our name, PyTorch's
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
COUNTER = "num_batches_tracked"  # PyTorch counts its norm's batches; nothing depends on it
BEFORE = {  # a norm and the convolution whose answer it gets
    "norm": "stem",
    "expand_norm": "expand",
    "depthwise_norm": "depthwise",
    "project_norm": "project",
    "fine_norm": "fine",
    "norm1": "conv1",
    "norm2": "conv2",
}


class HalvingConv(nn.Conv2d):
    """A convolution of stride 2, padded as TensorFlow's "SAME" does where sides are even."""

    def forward(self, x):
        """Maps [N,C,H,W] to [N,D,H/2,W/2]."""
        more = self.kernel_size[0] - 2
        sides = (more // 2, more - more // 2)
        return super().forward(functional.pad(x, sides * 2))


def conv(c_in: int, c: int, size: int, stride: int = 1, groups: int = 1, bias: bool = False):
    """A square convolution that keeps the sides or halves them."""
    if stride == 2:
        return HalvingConv(c_in, c, size, stride, groups=groups, bias=bias)
    return nn.Conv2d(c_in, c, size, padding=size // 2, groups=groups, bias=bias)


def encoder_norm(c: int) -> nn.BatchNorm2d:
    """Batch norm as the encoder has it."""
    return nn.BatchNorm2d(c, EPSILON)


class InvertedResidual(nn.Module):
    """See `efficientnet.InvertedResidual`."""

    def __init__(self, c_in: int, c: int, growth: int, size: int, stride: int):
        super().__init__()
        wide = c_in * growth
        if growth > 1:
            self.expand, self.expand_norm = conv(c_in, wide, 1), encoder_norm(wide)
        self.depthwise = conv(wide, wide, size, stride, groups=wide)
        self.depthwise_norm = encoder_norm(wide)
        self.project, self.project_norm = conv(wide, c, 1), encoder_norm(c)
        self.grows, self.shortcut = growth > 1, stride == 1 and c_in == c

    def forward(self, x):
        """Maps [N,C,H,W] to [N,D,H/stride,W/stride]."""
        y = _relu6(self.expand_norm(self.expand(x))) if self.grows else x
        y = _relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.shortcut else y


class Early(nn.Module):
    """See `efficientnet.Early`."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = conv(3, 32, 3, 2), encoder_norm(32)
        self.stages = _stages(ENCODER[:2], 32)

    def forward(self, x):
        """Maps [N,3,H,W] to what its two stages answer."""
        return _run(self.stages, _relu6(self.norm(self.stem(x))))


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its last stage: see `efficientnet.EfficientNetLite`."""

    def __init__(self):
        super().__init__()
        self.early, self.late = Early(), _stages(ENCODER[2:], ENCODER[1][1])

    def forward(self, x):
        """Maps [N,3,H,W] to features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the sides."""
        found = self.early(x)
        found += _run(self.late, found[-1])
        return [found[i] for i in TAPPED]


class Level(nn.Module):
    """See `lite_unet.Level`."""

    def __init__(self, c_in: int, c_skip: int, c: int):
        super().__init__()
        self.narrow, self.skip = conv(c_in, c, 1, bias=True), conv(c_skip, c, 1, bias=True)
        self.conv1, self.norm1 = conv(c, c, 3), nn.BatchNorm2d(c)
        self.conv2, self.norm2 = conv(c, c, 3), nn.BatchNorm2d(c)

    def forward(self, x, skip, more):
        """Maps [N,c_in,H,W] and skip [N,c_skip,2H,2W] to [N,c,2H,2W]; adds `more`, if any."""
        below = functional.interpolate(self.narrow(x), scale_factor=2, mode="bilinear")
        y = below + self.skip(skip)
        y = y if more is None else y + more
        y = _relu(self.norm1(self.conv1(y)))
        return _relu(self.norm2(self.conv2(y)))


class LiteUNet(nn.Module):
    """See `lite_unet.LiteUNet`."""

    def __init__(self, blueprint: Blueprint, c_out: int, c_more: int):
        super().__init__()
        widths, self.fine_scale = blueprint.widths, blueprint.out_stride == 1
        self.encoder = Encoder()
        *skips, deepest = (ENCODER[i][1] for i in TAPPED)
        if self.fine_scale:
            self.fine = conv((3 + c_more) * 4, widths[-1], 3)
            self.fine_norm = nn.BatchNorm2d(widths[-1])
        self.center = conv(deepest, widths[0], 1, bias=True)
        above = (widths[0], *widths[:-1])
        sizes = zip(above, skips[::-1][: len(widths)], widths, strict=True)
        self.levels = nn.ModuleList(Level(*size) for size in sizes)
        coarse = widths[:-1] if self.fine_scale else widths
        self.more = nn.ModuleList(conv(c_more, c, 3, bias=True) for c in coarse if c_more)
        self.final = conv(widths[-1], 4 * c_out if self.fine_scale else c_out, 1, bias=True)

    def forward(self, x):
        """Maps [N,3 + c_more,H,W] to [N,c_out,H,W], or to H and W over 4."""
        *skips, deepest = self.encoder(x[:, :3])
        more = [None] * len(self.levels)
        for i, one in enumerate(self.more):
            more[i] = one(functional.avg_pool2d(x[:, 3:], SCALES[1][i]))
        if self.fine_scale:
            more[-1] = _relu(self.fine_norm(self.fine(_to_depth(x))))
        y = self.center(deepest)
        for level, skip, extra in zip(
            self.levels, reversed(skips[-len(more) :]), more, strict=True
        ):
            y = level(y, skip, extra)
        y = self.final(y)
        return _to_space(y) if self.fine_scale else y


def fill(net: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives every tensor of `net` the array of its name, all of which must be used."""
    found = {name: tensor for name, tensor in net.state_dict().items() if name.endswith(COUNTER)}
    for name, array in arrays.items():
        where, _, part = name.rpartition(".")
        if array.ndim == 3:  # depthwise
            array = array[:, :, None]
        tensor = torch.tensor(np.asarray(array))  # a kernel is HWIO here, OIHW there
        found[f"{where}.{PARTS[part]}"] = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor
    net.load_state_dict(found)


def by_our_names(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, np.ndarray]:
    """Tensors under their names as our arrays under ours: what `fill` did, undone."""
    found = {}
    for name, tensor in tensors:
        where, _, part = name.rpartition(".")
        array = tensor.detach().numpy().copy()  # training goes on in its memory
        if array.ndim == 4:
            array, ours = array.transpose(2, 3, 1, 0), "kernel"
            array = array[:, :, 0] if where.endswith("depthwise") else array
        else:
            ours = {"weight": "scale", "bias": "bias"}.get(part, part.removeprefix("running_"))
        found[f"{where}.{ours}"] = array
    return found


def fold(net: nn.Module) -> nn.Module:
    """`net` in evaluation mode with its batch norm folded into the convolutions."""
    net.eval()
    for module in [*net.modules()]:
        for name, norm in [*module.named_children()]:
            if isinstance(norm, nn.BatchNorm2d):
                before = BEFORE[name]
                setattr(module, before, fusion.fuse_conv_bn_eval(getattr(module, before), norm))
                setattr(module, name, nn.Identity())
    return net


def _stages(stages, c: int) -> nn.ModuleList:
    made = []
    for count, c_out, growth, size, stride in stages:
        blocks = [InvertedResidual(c, c_out, growth, size, stride)]
        blocks += [InvertedResidual(c_out, c_out, growth, size, 1) for _ in range(count - 1)]
        made.append(nn.ModuleList(blocks))
        c = c_out
    return nn.ModuleList(made)


def _run(stages: nn.ModuleList, x) -> list:
    found = []
    for stage in stages:
        for block in stage:
            x = block(x)
        found.append(x)
    return found


def _relu(x):
    return functional.relu(x, inplace=True)


def _relu6(x):
    return functional.relu6(x, inplace=True)


def _to_depth(x):
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)


def _to_space(x):
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, c // 4).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)
