r"""How fast are the packaged networks, and a training step, beside PyTorch and ONNX Runtime?

    python -m experiments.speed.beside --results=runs/beside.jsonl
    python -m experiments.speed.beside --part training --batch=8 --size=256

Needs PyTorch and ONNX Runtime: pip install -e '.[compare]'. All players have the same weights and
the same input, in float32, and must give the same answer before any is timed. Then they take turns,
A B C A B C ..., in one process on as many threads each. With --results rows that the file has are
not measured again. The parts:

    networks  the three packaged ones alone, without what a predictor does around them: logits of
              damage, the correction of a draft, logits of colours; one photo. Answers must agree to
              1e-3 of their largest value
    training  a step of the finder's: forward, cross-entropy, backward, Adam. What must agree after
              the first are the loss, the gradients that Adam remembers and what batch norm does

The players: `jax`, ours, jitted; `torch`, PyTorch with channels_last and, but in training, batch
norm folded into the convolutions; `onnxruntime`, that folded network as PyTorch exports it, with
the optimisations that ONNX Runtime makes unless told otherwise; with --compile `compiled`, what
PyTorch compiles of its own (needs a C++ compiler). The process keeps its memory, as those of
`oldphoto` and of training do (`heap`), for all of them.

"torch / jax" is how many times as long as ours PyTorch's turn took: the median over rounds, and in
brackets the least and the most. Above 1 ours is faster.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np
import optax
from flax import nnx

from experiments.speed import turns, visit
from oldphoto_jax import heap
from oldphoto_jax.data import sources
from oldphoto_jax.photo import color, image
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train import state as states
from oldphoto_jax.train.optimizer import Adam
from oldphoto_jax.train.step import Rules, train_step
from oldphoto_jax.weights import catalogue, names

SIZES = {"segment-lite": (512, 512), "inpaint-lite": (512, 512), "colorize-lite": (256, 384)}
TRAINED = "segment-lite"
RATE = 1e-4
CLOSE = 0.02  # see `kinds`
PARTS = ("networks", "training")


class Network:
    """A packaged network and its input [N,H,W,C]: called, it computes once; see `beside_torch`."""

    def __init__(self, net: nnx.Module, x: np.ndarray):
        net.eval()
        graph, state = nnx.split(net)
        self.run = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
        self.input = jax.device_put((state, x))

    def __call__(self) -> jax.Array:
        return jax.block_until_ready(self.run(*self.input))

    def answer(self) -> dict[str, np.ndarray]:
        """What it computes, [N,H,W,C]."""
        return {"answer": np.asarray(self())}


class Training:
    """The finder and a batch: called, it learns once, by the step of our loop."""

    def __init__(self, task: Segment, batch: Mapping[str, np.ndarray]):
        optimizers = {"segmenter": Adam(rate=RATE)}
        transforms = {name: one.transform(1) for name, one in optimizers.items()}
        weights = {"segmenter": str(catalogue.packaged(TRAINED))}
        self.state = states.create(task, transforms, 0, weights=weights)
        rules = functools.partial(train_step, Rules(task, optimizers, transforms))
        self.step = jax.jit(rules, static_argnums=0, donate_argnums=1)
        self.batch = jax.device_put(dict(batch))

    def __call__(self) -> Mapping[str, jax.Array]:
        self.state, terms = jax.block_until_ready(self.step((), self.state, self.batch))
        return terms

    def answer(self) -> dict[str, np.ndarray]:
        """The loss, what Adam remembers of the gradient, and the norms' memory."""
        loss = self()["segmenter/bce"]
        part = self.state.parts["segmenter"]
        remembered = names.flatten(optax.tree_utils.tree_get(part.opt, "mu"))
        arrays = {"loss": loss} | remembered | names.flatten(part.rest)
        return {name: np.asarray(array) for name, array in arrays.items()}


def shown(predictor: Predictor, height: int, width: int) -> np.ndarray:
    """What a network sees of a packaged photo, [1,H,W,C]; the photo is its own draft."""
    pixels = sources.open_photos("samples")[0]["photo"]
    photo = image.to_float(image.resize(pixels, height, width))[None]
    if isinstance(predictor, ColorPredictor):
        photo = color.gray_to_rgb(color.rgb_to_gray(photo))
    x = np.asarray(predictor.network.normalize(photo))
    if isinstance(predictor, FillingPredictor):
        mask = np.random.default_rng(0).random((1, height // 8, width // 8, 1)) < 0.1
        x = np.concatenate([x, mask.repeat(8, 1).repeat(8, 2)], -1, dtype=np.float32)
    return x


def rivals():
    """The module that has these networks in PyTorch and ONNX Runtime."""
    with turns.brought("torch", "onnx", "onnxscript", "onnxruntime"):
        from experiments.speed import beside_torch
    return beside_torch


def networks(options: argparse.Namespace, network: str) -> dict[str, Callable]:
    """All that take turns with a packaged network, by name."""
    theirs, stage = rivals(), stages.load(default=network)
    ((name, net),) = stage.predictor.networks(nnx.Rngs(0)).items()
    arrays = names.within(stage.params, name)
    names.fill(net, arrays)
    x = shown(stage.predictor, *SIZES[network])
    own = Network(net, x)
    built = theirs.network(stage.predictor.network, arrays, own().shape[-1], x.shape[-1] - 3)
    folded = theirs.lite.fold(built)
    found = {
        "jax": own,
        "torch": theirs.Network(folded, x),
        "onnxruntime": theirs.Exported(folded, x, os.cpu_count()),
    }
    if options.compile:
        found["compiled"] = theirs.Network(folded, x, compiled=True)
    return found


def training(options: argparse.Namespace, network: str) -> dict[str, Callable]:
    """All that take turns in training the finder, by name."""
    theirs, stage = rivals(), stages.load(default=network)
    task = Segment(
        network=stage.predictor.network,
        size=options.size,
        weight={"bce": 1.0},
        positive_weight=1.0,
    )
    photos = sources.open_photos("samples")
    examples = [
        task.example(photos[i % len(photos)], np.random.default_rng(i))
        for i in range(options.batch)
    ]
    batch = {key: np.stack([example[key] for example in examples]) for key in examples[0]}
    arrays = names.within(stage.params, "segmenter")
    found: dict[str, Callable] = {"jax": Training(task, batch)}
    for name in ("torch", "compiled")[: 1 + options.compile]:
        net = theirs.network(task.network, arrays, 1, 0)
        found[name] = theirs.Training(net, batch, RATE, compiled=name == "compiled")
    return found


def kinds(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All kernels as one vector, all biases, ...: one by one some gradients are rounding alone.

    A bias that the next batch norm takes away again has no other. With 8 photos of 256 pixels
    PyTorch's gradients of a kind were 0.008 of their norm from its own in float64, ours 0.0013.
    """
    found: dict[str, list[np.ndarray]] = {}
    for name in sorted(arrays):
        found.setdefault(name.rpartition(".")[2], []).append(np.ravel(arrays[name]))
    return {kind: np.concatenate(several) for kind, several in found.items()}


def plan(options: argparse.Namespace) -> dict[str, list[dict]]:
    """What each row of the parts is about."""
    trained = {"network": TRAINED, "height": options.size, "width": options.size}
    return {
        "networks": [
            {"network": name, "height": height, "width": width, "batch": 1}
            for name, (height, width) in SIZES.items()
        ],
        "training": [trained | {"batch": options.batch}],
    }


def figures(seconds: Mapping[str, list[float]], far: Mapping[str, float]) -> dict[str, float]:
    """What is kept of each player's turns, the first of which is ours."""
    found = {f"{name}, s": statistics.median(own) for name, own in seconds.items()}
    ours, *others = seconds
    for name in others:
        ratios = [b / a for a, b in zip(seconds[ours], seconds[name], strict=True)]
        found[f"{name} / {ours}"] = statistics.median(ratios)
        found[f"{name} / {ours}, least"], found[f"{name} / {ours}, most"] = min(ratios), max(ratios)
        found[f"{name}, difference"] = far[name]
    return found


def measure(options: argparse.Namespace, part: str, network: str) -> dict:
    """One row's figures; ends this program where answers differ."""
    versions = {"jax": jax.__version__} | rivals().use_cores(os.cpu_count())
    playing = {"networks": networks, "training": training}[part](options, network)
    answers = {name: player.answer() for name, player in playing.items()}
    if part == "training":
        answers = {name: kinds(answer) for name, answer in answers.items()}
        far = turns.agree(answers, turns.norm, CLOSE)
    else:
        far = turns.agree(answers)
    return {"versions": versions} | figures(turns.take(playing, options.rounds), far)


def rows(options: argparse.Namespace) -> Iterator[tuple[str, list[dict]]]:
    """Each part and its rows, as they are kept."""
    results, planned = visit.Results(options.results), plan(options)
    for part in options.part:
        about = {"part": part, "cores": os.cpu_count(), "rounds": options.rounds}
        found = []
        for what in planned[part]:
            one = functools.partial(measure, options, part, what["network"])
            found.append(results.add(about | {"compile": options.compile} | what, one))
        yield part, found


def cells(part: str, row: Mapping) -> dict:
    """A row as the table shows it: milliseconds, or images/s, and ratios with their range."""
    found = {
        "network": row["network"],
        "input": f"{row['batch']} x {row['height']} x {row['width']}",
    }
    for name in [key.removesuffix(", s") for key in row if key.endswith(", s")]:
        seconds, ratio = row[f"{name}, s"], f"{name} / jax"
        if part == "training":
            found[f"{name}, images/s"] = row["batch"] / seconds
        else:
            found[f"{name}, ms"] = 1000 * seconds
        if ratio in row:
            median, least, most = (row[f"{ratio}{end}"] for end in ("", ", least", ", most"))
            found[ratio] = f"{median:.2f} ({least:.2f} to {most:.2f})"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=[*PARTS])
    add("--rounds", type=int, default=9, help="turns of each player that count (%(default)s)")
    add("--results", help="a .jsonl file: rows in there are not measured again")
    add("--batch", type=int, default=8, help="photos of a training step (%(default)s)")
    add("--size", type=int, default=256, help="their sides in pixels (%(default)s)")
    add("--compile", action="store_true", help="PyTorch's compiled network plays, too")
    options = parser.parse_args()
    heap.keep()
    turns.only_on_cpu()
    tables = [visit.table(cells(part, row) for row in found) for part, found in rows(options)]
    print("\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
