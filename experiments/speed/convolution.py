r"""How much faster is our weight gradient of a convolution than XLA's, on a CPU?

    python -m experiments.speed.convolution

Milliseconds for the gradient of a 3x3 kernel alone, best of three. On two cores of a server CPU,
float32, jax 0.10.2:

    batch, side, c, d         XLA   strips  ratio
    4, 256, 16, 16           47.3     26.8    1.8
    4, 256, 16, 32          224.0     47.2    4.7
    4, 256, 32, 32          471.9    108.0    4.4
    4, 256, 96, 64         4712.0    356.9   13.2
    4, 64, 64, 64            34.7     16.0    2.2
"""

import argparse
import time

import jax
import jax.numpy as jnp

from oldphoto_jax.layers.convolution import convolve

SHAPES = [(4, 256, 16, 16), (4, 256, 16, 32), (4, 256, 32, 32), (4, 256, 96, 64), (4, 64, 64, 64)]
NHWC = ("NHWC", "HWIO", "NHWC")


def milliseconds(convolution, batch: int, side: int, c: int, d: int) -> float:
    """Of one gradient for a kernel [3,3,c,d] over photos [batch,side,side,c]."""
    x, dy = jnp.ones((batch, side, side, c)), jnp.ones((batch, side, side, d))
    kernel = jnp.ones((3, 3, c, d))

    @jax.jit
    def gradient(kernel, x, dy):
        def forward(kernel):
            return convolution(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)

        return jax.vjp(forward, kernel)[1](dy)[0]

    jax.block_until_ready(gradient(kernel, x, dy))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(gradient(kernel, x, dy))
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"{'batch, side, c, d':20} {'XLA':>8} {'strips':>8} {'ratio':>6}")
    for shape in SHAPES:
        xla, ours = (milliseconds(f, *shape) for f in (jax.lax.conv_general_dilated, convolve))
        print(f"{', '.join(map(str, shape)):20} {xla:8.1f} {ours:8.1f} {xla / ours:6.1f}")


if __name__ == "__main__":
    main()
