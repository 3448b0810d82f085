r"""How much faster is our depthwise convolution than XLA's, forward and backward, on a CPU?

    python -m experiments.speed.depthwise

Milliseconds on the shapes of EfficientNet-Lite0 with 256x256 pixels, float32, best of three: as
XLA's convolution with as many groups as channels, as the same sum of shifted copies that ours is
but with JAX's gradients, and ours. Backward is the gradient for both x and kernel.
"""

import argparse
import time

import jax
import jax.numpy as jnp

from oldphoto_jax.layers.depthwise import depthwise, grouped, shifted

SHAPES = [  # side, channels, kernel, stride
    (128, 32, 3, 1),
    (128, 96, 3, 2),
    (64, 144, 3, 1),
    (64, 144, 5, 2),
    (32, 240, 5, 1),
    (32, 240, 3, 2),
    (16, 480, 3, 1),
    (16, 480, 5, 1),
    (16, 672, 5, 1),
    (16, 672, 5, 2),
    (8, 1152, 5, 1),
    (8, 1152, 3, 1),
]


WAYS = {"XLA": grouped, "shifted": shifted, "ours": depthwise}


def milliseconds(way: str, batch: int, side: int, c: int, size: int, stride: int):
    """Of (forward, backward) for x [batch,side,side,c] and a kernel [size,size,c]."""
    x, kernel = jnp.ones((batch, side, side, c)), jnp.ones((size, size, c))

    @jax.jit
    def forward(x, kernel):
        return WAYS[way](x, kernel, stride)

    @jax.jit
    def backward(x, kernel, dy):
        return jax.vjp(lambda *given: WAYS[way](*given, stride), x, kernel)[1](dy)

    return best(forward, x, kernel), best(backward, x, kernel, forward(x, kernel))


def best(function, *given) -> float:
    """Milliseconds of the fastest of three calls."""
    jax.block_until_ready(function(*given))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(function(*given))
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="photos a step (default: 8)")
    batch = parser.parse_args().batch
    ways = " ".join(f"{way:>8}" for way in WAYS)
    print(f"{'':19} {'forward':>26}   {'backward':>26}")
    print(f"{'side, c, k, stride':19} {ways}   {ways}")
    for shape in SHAPES:
        times = zip(*(milliseconds(way, batch, *shape) for way in WAYS), strict=True)
        parts = [" ".join(f"{time:8.1f}" for time in phase) for phase in times]
        print(f"{', '.join(map(str, shape)):19} {'   '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
