"""Spectral normalization (Miyato et al., 2018, https://arxiv.org/abs/1802.05957)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.photo.types import Array, Features

_EPSILON = 1e-12


class SingularVector(nnx.Variable):
    """What power iteration remembers: a unit vector of float32, not trained."""


class Spectral(nnx.Module):
    """A layer whose kernel is divided by its largest singular value, so that it stretches nothing.

    A reparametrisation: the layer keeps its raw kernel, which is what is trained, and is run with
    kernel / sigma. sigma = u W v, where W is the kernel as a matrix [outputs, all else] and u, v
    are its singular vectors as far as power iteration has found them: one step at each call in
    training, none in evaluation. Gradients flow through W and not through u and v. Everything is
    float32 whatever type the kernel has, and equals `torch.nn.utils.spectral_norm`.

    `layer` is any with a `kernel`: nnx.Linear, nnx.Conv, nnx.ConvTranspose. `output_axis` is the
    axis of the kernel that makes the rows of W: that of the outputs unless another is given.
    A kernel of zeros has no singular vectors and gives NaN, there as here.
    """

    def __init__(self, layer: nnx.Module, *, output_axis: int | None = None, rngs: nnx.Rngs):
        if not hasattr(layer, "kernel"):
            raise ValueError(f"{type(layer).__name__} has no kernel that could be normalized")
        if output_axis is None:
            output_axis = -2 if getattr(layer, "transpose_kernel", False) else -1
        self.layer, self.output_axis = layer, output_axis
        self.deterministic = False
        matrix = self._matrix()
        u = _unit(jax.random.normal(rngs.params(), matrix.shape[1:]))
        self.u, self.v = SingularVector(u), SingularVector(_unit(_product(matrix, u)))

    def __call__(self, x: Features) -> Features:
        """What the layer makes of x with its normalized kernel."""
        if not self.deterministic:
            self._iterate()
        # A copy: were the raw kernel overwritten, the optimizer would train another one.
        layer, kernel = nnx.clone(self.layer), self.kernel[...]
        layer.kernel[...] = (jnp.float32(kernel) / self.sigma()).astype(kernel.dtype)
        return layer(x)

    @property
    def kernel(self) -> nnx.Param:
        """The raw kernel, as it is trained."""
        return self.layer.kernel

    def sigma(self) -> jax.Array:
        """The largest singular value of the raw kernel, as u and v now give it: a scalar."""
        u, v = (jax.lax.stop_gradient(vector[...]) for vector in (self.u, self.v))
        return _product(v, _product(self._matrix(), u))

    def _iterate(self) -> None:
        """One step of power iteration: v from u, then u from v."""
        matrix = jax.lax.stop_gradient(self._matrix())
        v = _unit(_product(matrix, self.u[...]))
        self.u[...], self.v[...] = _unit(_product(v, matrix)), v

    def _matrix(self) -> jax.Array:
        """W transposed, [all else, outputs]: mostly the kernel as it lies in memory."""
        kernel = jnp.moveaxis(jnp.float32(self.kernel[...]), self.output_axis, -1)
        return kernel.reshape(-1, kernel.shape[-1])


def _product(a: Array, b: Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), _EPSILON)
