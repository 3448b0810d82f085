"""The partial-convolution U-Net in PyTorch: as published code has it, and as one would tune it.

Liu et al., 2018 (https://arxiv.org/abs/1804.07723); the names of its tensors are naoto0804's.
`experiments.speed.inpaint` compares with it.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class PublishedConv(nn.Module):
    """Partial convolution with a mask [N,C,H,W] that all channels are summed of, for each output.

    That is what NVIDIA's layer with `multi_channel=True` and those that follow it do.
    """

    def __init__(self, channels: tuple[int, ...], c_out: int, kernel: int, stride: int, bias: bool):
        super().__init__()
        options = dict(kernel_size=kernel, stride=stride, padding=kernel // 2)
        self.input_conv = nn.Conv2d(sum(channels), c_out, bias=bias, **options)
        self.mask_conv = nn.Conv2d(sum(channels), c_out, bias=False, **options)
        nn.init.ones_(self.mask_conv.weight).requires_grad_(False)
        self.window = sum(channels) * kernel**2

    def forward(self, x, good):
        """Maps x and `good` (1 where good), both [N,C,H,W], to the same two."""
        with torch.no_grad():
            seen = self.mask_conv(good)
            alive = seen.clamp(0, 1)
            scale = self.window / (seen + 1e-8) * alive
        return _scaled(self.input_conv, x * good, scale, alive), alive


class TunedConv(nn.Module):
    """The same with one channel of mask for each source, and photos that are 0 in the holes."""

    def __init__(self, channels: tuple[int, ...], c_out: int, kernel: int, stride: int, bias: bool):
        super().__init__()
        options = dict(kernel_size=kernel, stride=stride, padding=kernel // 2)
        self.input_conv = nn.Conv2d(sum(channels), c_out, bias=bias, **options)
        ones = torch.tensor(channels, dtype=torch.float32).reshape(1, -1, 1, 1)
        self.register_buffer("ones", ones.repeat(1, 1, kernel, kernel), persistent=False)
        self.window = sum(channels) * kernel**2

    def forward(self, x, good):
        """Maps x [N,C,H,W] and `good` [N,sources,H,W] to x and `good` [N,1,H,W]."""
        with torch.no_grad():
            conv = self.input_conv
            seen = functional.conv2d(good, self.ones, None, conv.stride, conv.padding)
            alive = seen.clamp(0, 1)
            scale = self.window / (seen + 1e-8) * alive
        return _scaled(self.input_conv, x, scale, alive), alive


class Stage(nn.Module):
    """A partial convolution, a batch norm of `normed` channels unless that is 0, an activation."""

    def __init__(self, conv: nn.Module, normed: int, activation: nn.Module, tuned: bool):
        super().__init__()
        self.conv, self.activation, self.tuned = conv, activation, tuned
        self.bn = nn.BatchNorm2d(normed) if normed else nn.Identity()

    def forward(self, x, good):
        x, good = self.conv(x, good)
        x = self.activation(self.bn(x))
        return x * good if self.tuned else x, good


class UNet(nn.Module):
    """What `oldphoto_jax.models.partial_unet.PartialUNet` computes; `good` is 1 - its mask.

    `tuned` networks want one channel of mask and compute in the memory format channels_last.
    """

    def __init__(self, levels: int, width: int, tuned: bool):
        super().__init__()
        self.levels, self.tuned = levels, tuned
        conv = TunedConv if tuned else PublishedConv
        channels = [3, *(width * min(2**i, 8) for i in range(levels))]
        for i in range(levels):
            above, c = channels[i], channels[i + 1]
            last, kernel = i == 0, {0: 7, 1: 5, 2: 5}.get(i, 3)
            down = conv((above,), c, kernel, 2, bias=False)
            setattr(self, f"enc_{i + 1}", Stage(down, 0 if last else c, nn.ReLU(), tuned))
            up = conv((c, above), above, 3, 1, bias=last)
            activation = nn.Identity() if last else nn.LeakyReLU(0.2)
            setattr(self, f"dec_{i + 1}", Stage(up, 0 if last else above, activation, tuned))

    def forward(self, x, good):
        """Maps photos [N,3,H,W], sides multiples of 2**levels, to photos."""
        if self.tuned:
            x = x * good
        taps = []
        for i in range(self.levels):
            taps.append((x, good))
            x, good = getattr(self, f"enc_{i + 1}")(x, good)
        for i in reversed(range(self.levels)):
            pairs = zip((x, good), taps.pop(), strict=True)
            x, good = (torch.cat([_double(below), skip], 1) for below, skip in pairs)
            x, good = getattr(self, f"dec_{i + 1}")(x, good)
        return x


class Player:
    """One network, its weights, its input: called, it computes once.

    `weights` are by the names of the published network; `photo` [N,H,W,3] and `mask` [N,H,W,1],
    1 where damaged, are ours. With `gradient` it is one of the mean square, in training mode.
    """

    def __init__(self, net: UNet, weights, photo, mask, gradient: bool, compiled: bool = False):
        own = net.state_dict()
        net.load_state_dict({name: torch.tensor(weights[name]) for name in own})
        self.net, self.gradient = net.train(gradient), gradient
        good = torch.tensor(1 - mask).permute(0, 3, 1, 2).contiguous()
        photo = torch.tensor(photo).permute(0, 3, 1, 2).contiguous()
        if net.tuned:
            net.to(memory_format=torch.channels_last)
            photo = photo.contiguous(memory_format=torch.channels_last)
        else:
            good = good.repeat(1, 3, 1, 1)
        self.input = photo, good
        self.run = torch.compile(net) if compiled else net

    def __call__(self):
        if not self.gradient:
            with torch.inference_mode():
                return self.run(*self.input)
        self.net.zero_grad(set_to_none=True)
        loss = self.run(*self.input).square().mean()
        loss.backward()
        return loss.detach()

    def answer(self) -> dict[str, np.ndarray]:
        """{"photo"} or, by the names of the weights, the gradients and the batch norm's memory."""
        result = self()
        if not self.gradient:
            return {"photo": result.permute(0, 2, 3, 1).numpy()}
        found = self.net.state_dict()
        pairs = self.net.named_parameters()
        found |= {name: value.grad for name, value in pairs if value.requires_grad}
        return {name: value.numpy() for name, value in found.items()}


def random_weights(levels: int, width: int, seed: int) -> dict[str, np.ndarray]:
    """Weights under which every level matters, by the names of the published network."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, tensor in UNet(levels, width, tuned=False).state_dict().items():
        shape = tuple(tensor.shape)
        if ".mask_conv." in name or name.endswith("num_batches_tracked"):
            weights[name] = tensor.numpy()
        elif len(shape) == 4:
            spread = np.sqrt(2 / np.prod(shape[1:]))
            weights[name] = rng.normal(0, spread, shape).astype(np.float32)
        elif name.endswith((".bn.weight", ".running_var")):
            weights[name] = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        else:
            weights[name] = rng.normal(0, 0.1, shape).astype(np.float32)
    return weights


def use_cores(count: int) -> str:
    """Lets PyTorch compute on so many cores; returns its version."""
    torch.set_num_threads(count)
    return torch.__version__


def _scaled(conv: nn.Conv2d, x, scale, alive):
    y = functional.conv2d(x, conv.weight, None, conv.stride, conv.padding) * scale
    return y if conv.bias is None else (y + conv.bias.view(1, -1, 1, 1)) * alive


def _double(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")
