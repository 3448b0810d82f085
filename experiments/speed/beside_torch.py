"""Players of `beside` that are not ours: a network in PyTorch, in ONNX Runtime, and in training.

PyTorch has it in the memory format channels_last, as one would tune it for a CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from experiments.speed import lite_unet_torch as lite
from oldphoto_jax.models.lite_unet import Blueprint

FORMAT = torch.channels_last
logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, needlessly


def network(
    blueprint: Blueprint, arrays: Mapping[str, np.ndarray], c_out: int, c_more: int
) -> lite.LiteUNet:
    """The network with these arrays, by our names."""
    net = lite.LiteUNet(blueprint, c_out, c_more)
    lite.fill(net, arrays)
    return net


class Network:
    """A folded network and its input [N,H,W,C]: called, PyTorch computes once."""

    def __init__(self, net: nn.Module, x: np.ndarray, compiled: bool = False):
        net = net.to(memory_format=FORMAT)
        self.run = torch.compile(net) if compiled else net
        self.x = _theirs(x)

    def __call__(self):
        with torch.inference_mode():
            return self.run(self.x)

    def answer(self) -> dict[str, np.ndarray]:
        """What it computes, [N,H,W,C]."""
        return {"answer": self().permute(0, 2, 3, 1).numpy()}


class Exported:
    """The same in ONNX Runtime, on so many cores."""

    def __init__(self, net: nn.Module, x: np.ndarray, cores: int):
        self.x = {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
        model = torch.onnx.export(
            net, (torch.tensor(self.x["x"]),), input_names=["x"], verbose=False
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores
        # Else its threads wait in a busy loop through the next player's turn
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(
            model.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self):
        return self.session.run(None, self.x)[0]

    def answer(self) -> dict[str, np.ndarray]:
        """What it computes, [N,H,W,C]."""
        return {"answer": self().transpose(0, 2, 3, 1)}


class Training:
    """A network, and a mask [N,H,W,1] of a photo [N,H,W,3] in 0..1: called, it learns once."""

    def __init__(self, net: nn.Module, batch, rate: float, compiled: bool = False):
        self.net = net.train().to(memory_format=FORMAT)
        self.run = torch.compile(self.net) if compiled else self.net
        self.photo, self.mask = _theirs(batch["photo"]), _theirs(batch["mask"])
        self.adam = torch.optim.Adam(net.parameters(), rate, fused=True)

    def __call__(self) -> float:
        self.adam.zero_grad()
        logits = self.run(self.photo * 2 - 1)
        loss = functional.binary_cross_entropy_with_logits(logits, self.mask)
        loss.backward()
        self.adam.step()
        return loss.item()

    def answer(self) -> dict[str, np.ndarray]:
        """The loss, what Adam remembers of the gradient, and the norms' memory."""
        loss = self()
        memory = (
            (name, self.adam.state[one]["exp_avg"]) for name, one in self.net.named_parameters()
        )
        running = (pair for pair in self.net.named_buffers() if not pair[0].endswith(lite.COUNTER))
        return {"loss": np.float32(loss)} | lite.by_our_names(memory) | lite.by_our_names(running)


def use_cores(count: int) -> dict[str, str]:
    """Lets PyTorch compute on so many cores; versions of what is compared with."""
    torch.set_num_threads(count)
    return {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}


def _theirs(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=FORMAT)
