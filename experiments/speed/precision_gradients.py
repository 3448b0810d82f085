r"""How far are gradients computed in bfloat16 from those in float32, parameter by parameter?

    python -m experiments.speed.precision_gradients [--size=64] [--batch=4] [--all]

First a lone 3x3 convolution whose output is averaged over all places and summed over channels: the
gradient of each bias is 1. Then the three configurations that compute in bfloat16, shrunk and
without what looks through VGG-16, on crops of the packaged samples, with kernels as they are drawn
(a last one of zeros is drawn, too): all biases, scales and kernels as if each were one vector, and
the parameters that are furthest off, or `--all`. "off" is the norm of the difference over that of
the gradient in float32; "kernel" is that of the convolution which the bias or scale belongs to.

With --size=32 on a CPU, jax 0.12.0, all of a kind together, before sums were taken in float32 and
since; the lone convolution had 0.25 at 64, 256 and 512 pixels a side, and has 1:

    off         biases        scales        kernels
    segment     9.629 0.178   0.149 0.149   0.164 0.164
    inpaint     0.288 0.014   0.014 0.013   0.027 0.025
    colorize    0.712 0.027   0.274 0.274   0.390 0.390

One by one, biases and scales are still up to 5.3 times as far off as the kernel beside them, where
a small gradient is what is left of large terms: it comes from rounded features. In a trial in
float32, with nothing but weights and features rounded on the way forward, the furthest were 4.1
times (segment) and 4.7 times (colorize).
"""

import argparse
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from configs import colorize, inpaint, segment
from oldphoto_jax.data import sources
from oldphoto_jax.layers import blocks
from oldphoto_jax.train import state as states
from oldphoto_jax.train import step as steps

CONFIGS = {"segment": segment, "inpaint": inpaint, "colorize": colorize}
SMALL = {  # of the network
    "segment": dict(width=4, decoder_width=2),
    "inpaint": dict(width=4, levels=4),
    "colorize": dict(width=4, depth=18, stages=3, decoder_width=2),
}
WEIGHT = {"inpaint": {"valid": 1.0, "hole": 6.0, "variation": 0.1}}  # no VGG-16 looks on
VANISHES = 1e-4  # of its kernel's gradient: what a norm layer takes away again has none


def of_mean(side: int, dtype: str) -> np.ndarray:
    """The gradient of both biases of a convolution, each of which is 1 in truth."""
    x = jnp.asarray(np.random.default_rng(0).random((1, side, side, 3)), dtype)
    graph, params = nnx.split(blocks.conv(3, 2, rngs=nnx.Rngs(0)))

    def mean(params, x):
        y = nnx.merge(graph, params)(x)
        return jnp.float32(y).mean((0, 1, 2)).sum()

    gradient = jax.jit(jax.grad(mean))(steps.cast(params, jnp.dtype(dtype)), x)
    return np.float32(gradient["bias"][...])


def of_task(name: str, size: int, batch: int) -> dict[str, dict[str, np.ndarray]]:
    """The gradients of the first player of a shrunk configuration: {type: {parameter: array}}."""
    task = CONFIGS[name].get_config().task
    network = dataclasses.replace(task.network, **SMALL[name])
    weight = WEIGHT.get(name, task.weight)
    task = dataclasses.replace(task, size=size, network=network, weight=weight)
    parts = states.create(task, {}, 0).parts
    (player, loss), *_ = task.losses().items()
    photos = sources.open_photos("samples")
    examples = [
        task.example(photos[i % len(photos)], np.random.default_rng(i)) for i in range(batch)
    ]
    data = {key: jnp.stack([example[key] for example in examples]) for key in examples[0]}

    def objective(params, parts, data, kind):
        nets = {
            key: part.wake(
                steps.cast(params if key == player else part.params, kind), train=key == player
            )
            for key, part in parts.items()
        }
        return sum(loss(nets, data).values())

    params = _drawn(parts[player].params)
    gradient = jax.jit(jax.grad(objective), static_argnums=3)
    kinds = (jnp.dtype("float32"), jnp.dtype("bfloat16"))
    return {kind.name: _named(gradient(params, parts, data, kind)) for kind in kinds}


def rows(gradients: dict[str, dict[str, np.ndarray]]) -> list[tuple[str, float, float, float]]:
    """(parameter, norm in float32, how far off, how far off its kernel is), the worst first.

    Parameters whose gradient vanishes are left out: they have no direction.
    """
    exact, rounded = gradients["float32"], gradients["bfloat16"]
    norms = {name: float(np.linalg.norm(array)) for name, array in exact.items()}
    off = {
        name: float(np.linalg.norm(rounded[name] - array)) / (norms[name] or 1)
        for name, array in exact.items()
    }
    found = []
    for name in exact:
        kernel = kernel_of(name, exact)
        if norms[name] > VANISHES * norms[kernel]:
            found.append((name, norms[name], off[name], off[kernel]))
    return sorted(found, key=lambda row: row[2] / row[3], reverse=True)


def together(gradients: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """How far off all parameters of a kind are, as if they were one vector."""
    exact, rounded = gradients["float32"], gradients["bfloat16"]
    found = {}
    for kind in ("bias", "scale", "kernel"):
        names = [name for name in exact if name.rpartition(".")[2] == kind]
        off, all_of_it = (
            np.sqrt(sum(float(np.sum(np.square(array(name)))) for name in names))
            for array in (lambda name: rounded[name] - exact[name], exact.get)
        )
        found[kind] = float(off / all_of_it) if names else 0.0
    return found


def kernel_of(name: str, names) -> str:
    """The kernel of the layer that a parameter belongs to; for norms, of the layer before."""
    path, _, leaf = name.rpartition(".")
    if leaf == "kernel":
        return name
    before, _, layer = path.rpartition(".")
    layers = (path, f"{path}.conv", f"{before}.{layer.replace('norm', 'conv')}")
    layers += (f"{before}.{layer.removesuffix('_norm')}", f"{before}.conv.conv")
    return next(
        f"{one}.kernel".lstrip(".") for one in layers if f"{one}.kernel".lstrip(".") in names
    )


def _drawn(params):
    """The parameters, but kernels of zeros, which would stop every gradient, drawn."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        if leaf.ndim < 2 or leaf.any():
            return leaf
        return jnp.float32(rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1])))

    return jax.tree.map(draw, params)


def _named(tree) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="."): np.asarray(x) for p, x in leaves}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="pixels a side (default: 64)")
    parser.add_argument("--batch", type=int, default=4, help="examples (default: 4)")
    parser.add_argument("--all", action="store_true", help="every bias and scale, not 5 a task")
    options = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {options}")
    for side in (64, 256, 512):
        print(f"convolution, {side} x {side}: gradient of the bias {of_mean(side, 'bfloat16')}")
    for name in CONFIGS:
        gradients = of_task(name, options.size, options.batch)
        kinds = ", ".join(f"{kind} {off:.3f}" for kind, off in together(gradients).items())
        print(f"\n{name}, together: {kinds}")
        print(f"{'':40} {'float32':>10} {'off':>8} {'kernel':>8}")
        found = [row for row in rows(gradients) if not row[0].endswith("kernel")]
        for parameter, norm, off, kernel in found if options.all else found[:5]:
            print(f"{parameter:40} {norm:10.3g} {off:8.3f} {kernel:8.3f}")


if __name__ == "__main__":
    main()
