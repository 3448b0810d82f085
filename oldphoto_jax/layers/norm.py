"""Batch normalization that is one and the same on one device or many, and its in-place form.

The statistics are those of the whole batch. Under plain `jax.jit` over a sharded batch they are
so by themselves; under `jax.shard_map` or `jax.pmap` name the mapped axis:

    net.set_attributes(norm.Norm, axis_name="data")

Where the mean over devices belongs in training: with `pmap`, or `shard_map(check_vma=False)`,
take `pmean` of the GRADIENTS; with `shard_map(check_vma=True)` take `pmean` of the LOSS, because
there the gradients of replicated parameters are already summed over devices.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers.devices import shared
from oldphoto_jax.layers.precision import wide
from oldphoto_jax.photo.types import Array, Features

Values = TypeVar("Values", jax.Array, tuple[jax.Array, jax.Array])
Activation = Literal["relu", "leaky_relu", "elu", "identity"]


def normalize(
    kind: str, c: int, activation: Activation = "identity", **options: Any
) -> BatchNorm | InPlaceABN:
    """A layer for c channels that normalizes and then activates, of either kind.

    ReLU cannot be inverted, so "inplace" answers "relu" with a leaky ReLU of slope 0.01 (as the
    in-place paper does). `options` go to the layer. Raises ValueError for an unknown kind.
    """
    if kind == "batch":
        return BatchNorm(c, activation, **options)
    if kind == "inplace":
        return InPlaceABN(c, "leaky_relu" if activation == "relu" else activation, **options)
    raise ValueError(f"norm {kind!r} is unknown; choose 'batch' or 'inplace'")


def activate(name: Activation, x: Features, slope: float = 0.01) -> Features:
    """The named activation of x; `slope` is that of leaky ReLU below zero."""
    match name:
        case "relu":
            return jax.nn.relu(x)
        case "leaky_relu":
            return jnp.where(x >= 0, x, x * slope)
        case "elu":
            return jnp.where(x >= 0, x, jnp.expm1(jnp.minimum(x, 0)))
        case "identity":
            return x
    raise ValueError(f"activation {name!r} is unknown; choose relu, leaky_relu, elu or identity")


def freeze(net: nnx.Module, within: str = "") -> None:
    """Makes norm layers use, and no longer change, their running statistics.

    All those in `net`, or those in its part of that dotted path, such as "encoder". `net.train()`
    thaws them again: freeze after it. Raises ValueError when that part has no norm layer.
    """
    found = False
    for path, module in nnx.iter_modules(net):
        name = ".".join(map(str, path))
        if isinstance(module, Norm) and f"{name}.".startswith(f"{within}." if within else ""):
            module.use_running_average = found = True
    if within and not found:
        raise ValueError(f"nothing in {within!r} of {type(net).__name__} is a norm layer")


class Norm(nnx.Module):
    """What both kinds share: scale and bias, running mean and running (unbiased) variance.

    `momentum` is the weight of the newest batch, as in PyTorch. `train()` and `eval()` choose
    between the batch's statistics and the running ones through `use_running_average`.
    """

    def __init__(
        self,
        c: int,
        activation: Activation = "identity",
        *,
        slope: float = 0.01,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        axis_name: str | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        del rngs  # nothing here is drawn; accepted so that every layer is built alike
        activate(activation, jnp.zeros(()))  # an unknown name must fail here, not when called
        self.activation, self.slope = activation, slope
        self.momentum, self.epsilon = momentum, epsilon
        self.axis_name = axis_name
        self.use_running_average = False
        self.scale, self.bias = nnx.Param(jnp.ones(c)), nnx.Param(jnp.zeros(c))
        self.mean, self.var = nnx.BatchStat(jnp.zeros(c)), nnx.BatchStat(jnp.ones(c))

    def _remember(self, mean: Array, var: Array, x: Features) -> None:
        """Moves the running statistics towards those of the batch x."""
        n = math.prod(x.shape[:-1]) * (jax.lax.axis_size(self.axis_name) if self.axis_name else 1)
        if n < 2:
            raise ValueError(
                f"one value a channel (input {x.shape}) has no variance: "
                "use a larger batch or photo, or freeze the norm layers"
            )
        for running, new in (self.mean, mean), (self.var, var * (n / (n - 1))):
            old = running[...]
            new = jax.lax.stop_gradient(new).astype(old.dtype)
            running[...] = old + self.momentum * (new - old)


class BatchNorm(Norm):
    """Batch normalization (Ioffe & Szegedy, 2015, https://arxiv.org/abs/1502.03167), activated.

    Computes in float32 whatever comes in and returns what came in.
    """

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] (or any [..,C]) to the same shape and type.

        Raises ValueError in training when a channel has a single value.
        """
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
            offset = wide(x) - mean
        else:
            offset, mean, var = _moments(x, self.axis_name)
            self._remember(mean, var, x)
        y = offset * (self.scale[...] * jax.lax.rsqrt(var + self.epsilon)) + self.bias[...]
        return activate(self.activation, y, self.slope).astype(x.dtype)


class InPlaceABN(Norm):
    """Activated batch norm that keeps only its output for the backward pass.

    The backward pass recovers the normalized input from the output by inverting activation and
    affine map, so the activation must be invertible and the scale, taken as |scale| + epsilon,
    never zero (Rota Bulò et al., 2018, https://arxiv.org/abs/1712.02616). With all scales
    positive it computes what BatchNorm does, up to that epsilon.
    """

    def __init__(self, c: int, activation: Activation = "leaky_relu", **options: Any):
        if activation == "relu":
            raise ValueError("ReLU cannot be inverted; use leaky_relu, elu or identity")
        super().__init__(c, activation, **options)

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] (or any [..,C]) to the same shape and type.

        Raises ValueError in training when a channel has a single value.
        """
        form = (self.activation, self.slope, self.epsilon, self.axis_name)
        scale, bias = self.scale[...], self.bias[...]
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
            return _normalize_activate(wide(x) - mean, var, scale, bias, form).astype(x.dtype)
        z, mean, var = _inplace(x, shared(scale, x), shared(bias, x), form)
        self._remember(mean, var, x)
        return z


Form = tuple[Activation, float, float, str | None]
Kept = tuple[jax.Array, jax.Array, jax.Array, jax.Array]  # output, variance, scale, bias


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _inplace(
    x: Features, scale: jax.Array, bias: jax.Array, form: Form
) -> tuple[Features, jax.Array, jax.Array]:
    """The activated output z, and the batch's mean and (biased) variance, not differentiated."""
    offset, mean, var = _moments(x, form[-1])
    return _normalize_activate(offset, var, scale, bias, form).astype(x.dtype), mean, var


def _inplace_forward(
    x: Features, scale: jax.Array, bias: jax.Array, form: Form
) -> tuple[tuple[Features, jax.Array, jax.Array], Kept]:
    z, mean, var = _inplace(x, scale, bias, form)
    return (z, mean, var), (z, var, scale, bias)


def _inplace_backward(
    form: Form, kept: Kept, cotangents: tuple[Features, jax.Array, jax.Array]
) -> tuple[Features, jax.Array, jax.Array]:
    activation, slope, epsilon, axis_name = form
    z, var, scale, bias = kept
    gain = jnp.abs(scale) + epsilon
    y, slope_at_y = _invert(activation, wide(z), slope, float(jnp.finfo(z.dtype).eps))
    dy = wide(cotangents[0]) * slope_at_y
    x_hat = (y - bias) / gain

    axes = tuple(range(z.ndim - 1))
    dbias, dgain = jnp.sum(dy, axes), jnp.sum(x_hat * dy, axes)
    n = math.prod(z.shape[:-1])
    mean_dy, mean_x_dy = _all_mean((dbias / n, dgain / n), axis_name)
    dx = gain * jax.lax.rsqrt(var + epsilon) * (dy - mean_dy - x_hat * mean_x_dy)
    # sign(0) would hold a scale at zero for ever
    dscale = jnp.where(scale < 0, -dgain, dgain)
    return dx.astype(z.dtype), dscale.astype(scale.dtype), dbias.astype(bias.dtype)


_inplace.defvjp(_inplace_forward, _inplace_backward)


def _normalize_activate(
    offset: Features, var: jax.Array, scale: jax.Array, bias: jax.Array, form: Form
) -> Features:
    activation, slope, epsilon, _ = form
    y = offset * ((jnp.abs(scale) + epsilon) * jax.lax.rsqrt(var + epsilon)) + bias
    return activate(activation, y, slope)


def _invert(
    activation: Activation, z: Features, slope: float, tiny: float
) -> tuple[Features, Features]:
    """What was activated into z, and the activation's derivative there."""
    match activation:
        case "leaky_relu":
            return jnp.where(z >= 0, z, z / slope), jnp.where(z >= 0, 1.0, slope)
        case "elu":
            # a saturated ELU has rounded to -1, whose logarithm is infinite
            below = jnp.log1p(jnp.clip(z, tiny - 1, 0))
            return jnp.where(z >= 0, z, below), jnp.where(z >= 0, 1.0, z + 1)
        case _:
            return z, jnp.ones_like(z)


def _moments(x: Features, axis_name: str | None) -> tuple[Features, jax.Array, jax.Array]:
    """x less its mean, the mean and the biased variance per channel, over all devices.

    Two passes: the mean of squares less the square of the mean cancels when the mean is large.
    """
    axes = tuple(range(x.ndim - 1))
    mean = _all_mean(jnp.mean(wide(x), axes), axis_name)
    offset = wide(x) - mean
    return offset, mean, _all_mean(jnp.mean(jnp.square(offset), axes), axis_name)


def _all_mean(values: Values, axis_name: str | None) -> Values:
    return jax.lax.pmean(values, axis_name) if axis_name else values
