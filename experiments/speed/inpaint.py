r"""How fast is our partial-convolution U-Net beside the same network in PyTorch?

    python -m experiments.speed.inpaint
    python -m experiments.speed.inpaint --gradient --levels=5 --width=32 --batch=8 --sides=160

Needs PyTorch: pip install -e '.[compare]'. All players get the same random weights, photo and
mask, and must give the same answer to 1e-3 of its largest value before any is timed. Then they
take turns, A B C A B C ..., on as many cores each. The players: `jax`, ours, jitted; `published`,
in PyTorch as everybody has it, whose mask is convolved in all channels; `tuned`, in PyTorch with
one channel of mask and channels_last; with --compile that also compiled by PyTorch (needs a C++
compiler). Forward is in evaluation mode; --gradient is forward and backward in training mode.
`times as long as jax` is the ratio of the medians.

Seconds for the published network (7 levels, width 64, one photo), medians of 9 rounds on two cores
of a shared server CPU, PyTorch 2.13; its batch norm is not folded into the convolutions:

    side   jax    published   tuned
    256    0.21   0.39        0.19
    512    0.60   1.44        0.65
"""

import argparse
import json
import os
import statistics

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.speed import turns
from oldphoto_jax.models.partial_unet import PartialUNet
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import torch as tables


class Player:
    """Our network with weights by our names: called, it computes once; see inpaint_torch."""

    def __init__(self, net: PartialUNet, weights, photo, mask, gradient: bool):
        names.fill(net, weights)
        (net.train if gradient else net.eval)()
        graph, params, rest = nnx.split(net, nnx.Param, ...)

        def loss(params, rest, photo, mask):
            net = nnx.merge(graph, params, rest, copy=True)
            value = jnp.mean(jnp.square(net(photo, mask)[0]))
            return value, nnx.split(net, nnx.Param, ...)[2]

        def forward(params, rest, photo, mask):
            return nnx.merge(graph, params, rest)(photo, mask)[0]

        self.gradient = gradient
        self.run = jax.jit(jax.value_and_grad(loss, has_aux=True) if gradient else forward)
        self.input = jax.device_put((params, rest, photo, mask))

    def __call__(self):
        return jax.block_until_ready(self.run(*self.input))

    def answer(self) -> dict[str, np.ndarray]:
        """{"photo"} or, by our names, the gradients and the batch norm's memory."""
        result = self()
        if not self.gradient:
            return {"photo": np.asarray(result)}
        (_, rest), gradients = result
        arrays = names.flatten(nnx.to_pure_dict(gradients)) | names.flatten(nnx.to_pure_dict(rest))
        return {name: np.asarray(array) for name, array in arrays.items()}


def pytorch():
    """The module that has this network in PyTorch."""
    with turns.brought("torch"):
        from experiments.speed import inpaint_torch
    return inpaint_torch


def scene(batch: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise [N,H,W,3] and a mask [N,H,W,1] with a fifth of its 8x8 blocks damaged."""
    rng = np.random.default_rng(seed)
    photo = rng.random((batch, side, side, 3), np.float32)
    blocks = rng.random((batch, side // 8, side // 8, 1)) < 0.2
    return photo, np.float32(blocks.repeat(8, 1).repeat(8, 2))


def players(options, side: int) -> dict:
    """All that take turns, by name."""
    rivals = pytorch()
    weights = rivals.random_weights(options.levels, options.width, options.seed)
    shared = (*scene(options.batch, side, options.seed), options.gradient)
    net = PartialUNet(options.levels, width=options.width, rngs=nnx.Rngs(0))
    found = {"jax": Player(net, tables.partial_unet(weights, "naoto"), *shared)}
    kinds = {"published": (False, False), "tuned": (True, False)}
    if options.compile:
        kinds["compiled"] = (True, True)
    for name, (tuned, compiled) in kinds.items():
        net = rivals.UNet(options.levels, options.width, tuned)
        found[name] = rivals.Player(net, weights, *shared, compiled=compiled)
    return found


def agree(playing: dict) -> dict[str, float]:
    """How far each answer is from ours, gradients by our names: see `turns.agree`."""
    answers = {name: player.answer() for name, player in playing.items()}
    ours, *others = answers
    foreign = [name for name in others if "photo" not in answers[name]]
    answers |= {name: tables.partial_unet(answers[name], "naoto") for name in foreign}
    return turns.agree(answers)


def rows(seconds: dict[str, list[float]]) -> list[dict]:
    """What is printed of each player; the first one is the measure."""
    reference = statistics.median(next(iter(seconds.values())))
    return [
        {
            "player": name,
            "min": round(min(turns), 4),
            "median": round(statistics.median(turns), 4),
            "max": round(max(turns), 4),
            "times as long as jax": round(statistics.median(turns) / reference, 2),
        }
        for name, turns in seconds.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = {"levels": 7, "width": 64, "batch": 1, "rounds": 15, "seed": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    turns.only_on_cpu()
    version = pytorch().use_cores(os.cpu_count())
    about = {"cores": os.cpu_count(), "jax": jax.__version__, "torch": version}
    print(json.dumps(about | vars(options)))
    for side in options.sides:
        playing = players(options, side)
        print(json.dumps({"side": side, "difference": agree(playing)}))
        for row in rows(turns.take(playing, options.rounds)):
            print(json.dumps({"side": side} | row), flush=True)


if __name__ == "__main__":
    main()
