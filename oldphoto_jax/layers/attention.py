"""Self-attention between all places of a map (Zhang et al., 2019, https://arxiv.org/abs/1805.08318).

The map of attention has (H W)^2 entries, 16 GiB for 256x256 places. It is never held whole:
queries are taken in chunks, and the backward pass makes each chunk again.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.layers import blocks
from oldphoto_jax.layers.precision import wide
from oldphoto_jax.layers.spectral import Spectral
from oldphoto_jax.photo.types import Features

FORMS = ("torch", "tf")
_ENTRIES = 1 << 24  # of the map of attention at a time: 64 MiB in float32


class SelfAttention(nnx.Module):
    """SAGAN's self-attention: every place adds what it finds at the places that are like it.

    Two forms are published. "torch" (heykeetae's code): queries and keys of c/8 channels, values
    of c, all with biases. "tf" (the authors' code): without biases, keys and values max-pooled by
    2, values of c/2 channels brought back to c by a fourth convolution. Neither scales its logits.
    What was found is added times `gamma`, which starts at 0: a new layer changes nothing.

    `spectral` normalizes the 1x1 convolutions; unless given, that of "tf" only, as published.
    `chunk` is the number of queries taken at a time; unless given, as many as keep the map below
    a fixed size.
    """

    def __init__(
        self,
        c: int,
        *,
        form: str = "torch",
        spectral: bool | None = None,
        chunk: int | None = None,
        rngs: nnx.Rngs,
    ):
        if form not in FORMS:
            raise ValueError(f"form {form!r} is unknown; choose one of {FORMS}")
        if chunk is not None and chunk < 1:
            raise ValueError(f"a chunk of {chunk} queries is none; give at least 1, or None")
        pooled = form == "tf"
        spectral = pooled if spectral is None else spectral

        def conv(c_in: int, c_out: int) -> nnx.Conv | Spectral:
            layer = blocks.conv(c_in, c_out, 1, bias=not pooled, rngs=rngs)
            return Spectral(layer, rngs=rngs) if spectral else layer

        c_key, c_value = max(c // 8, 1), max(c // 2, 1) if pooled else c
        self.pooled, self.chunk = pooled, chunk
        self.query, self.key = conv(c, c_key), conv(c, c_key)
        self.value = conv(c, c_value)
        self.out = conv(c_value, c) if pooled else None
        self.gamma = nnx.Param(jnp.zeros(1))

    def __call__(self, x: Features) -> Features:
        """Maps [N,H,W,C] to the same shape; computes in the type of its kernels.

        Raises ValueError where "tf" is to pool a map of less than 2x2 places.
        """
        x = x.astype(self.query.kernel[...].dtype)
        found = attend(
            _places(self.query(x)),
            _places(self._pool(self.key(x))),
            _places(self._pool(self.value(x))),
            self.chunk,
        )
        found = found.reshape(*x.shape[:3], -1)
        if self.out is not None:
            found = self.out(found)
        return (wide(x) + wide(self.gamma[...]) * wide(found)).astype(x.dtype)

    def attention(self, x: Features) -> jax.Array:
        """Where each place of x [N,H,W,C] looks, to be shown: whole, [N, H W, keys], float32.

        Places go row by row. Rows sum to 1.
        """
        x = x.astype(self.query.kernel[...].dtype)
        return _weights(_places(self.query(x)), _places(self._pool(self.key(x))))

    def _pool(self, x: Features) -> Features:
        if not self.pooled:
            return x
        if min(x.shape[1:3]) < 2:
            raise ValueError(f"attention of the form 'tf' pools by 2, but was given {x.shape}")
        return nnx.max_pool(x, (2, 2), (2, 2))


def attend(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    chunk: int | None = None,
    valid: jax.Array | None = None,
) -> jax.Array:
    """Averages of values [N,K,E], weighted by softmax(queries [N,Q,D] keys [N,K,D]): [N,Q,E].

    Keys that are not `valid` [N,K] are not looked at; where none is, what is found is 0. `chunk`
    queries are taken at a time; unless given, as many as keep the map of attention, over the whole
    batch, below 2^24 entries. The softmax is taken in float32.
    """
    n, count, _ = queries.shape
    if chunk is None:
        chunk = max(_ENTRIES // (n * keys.shape[1]), 1)
    pieces = math.ceil(count / chunk)
    if pieces == 1:
        return _average(queries, keys, values, valid)
    chunk = math.ceil(count / pieces)  # as equal as can be, so that little is padded
    queries = jnp.pad(queries, ((0, 0), (0, pieces * chunk - count), (0, 0)))
    queries = jnp.moveaxis(queries.reshape(n, pieces, chunk, -1), 1, 0)

    kind = values.dtype
    keys, values = wide(keys), wide(values)  # so that gradients of all pieces add up in float32

    # The loop itself keeps XLA from merging the two computations of a chunk.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def piece(queries: jax.Array) -> jax.Array:
        return _average(queries, keys.astype(kind), values.astype(kind), valid)

    found = jnp.moveaxis(jax.lax.map(piece, queries), 0, 1)
    return found.reshape(n, pieces * chunk, -1)[:, :count]


def _average(
    queries: jax.Array, keys: jax.Array, values: jax.Array, valid: jax.Array | None
) -> jax.Array:
    weights = _weights(queries, keys, valid).astype(values.dtype)
    found = jnp.einsum("nqk,nke->nqe", weights, values, preferred_element_type=jnp.float32)
    return found.astype(values.dtype)


def _weights(queries: jax.Array, keys: jax.Array, valid: jax.Array | None = None) -> jax.Array:
    logits = jnp.einsum("nqd,nkd->nqk", queries, keys, preferred_element_type=jnp.float32)
    if valid is None:
        return jax.nn.softmax(logits)
    seen = valid[:, None] > 0
    logits = jnp.where(seen, logits, -jnp.inf)
    top = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    odds = jnp.exp(logits - jnp.where(jnp.isfinite(top), top, 0))
    return odds / jnp.maximum(odds.sum(-1, keepdims=True), 1e-30)


def _places(x: Features) -> jax.Array:
    """[N,H,W,C] as [N, H W, C]."""
    return x.reshape(len(x), -1, x.shape[-1])
