"""Self-attention: the same in chunks as whole, in little memory; its numbers are golden ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import attention
from oldphoto_jax.layers.attention import SelfAttention, attend
from oldphoto_jax.layers.spectral import Spectral
from tests import critics


def build(form, gamma=0.7, **options):
    layer = critics.drawn(lambda: SelfAttention(16, form=form, rngs=nnx.Rngs(0), **options))
    layer.eval()
    layer.gamma[...] = np.full(1, gamma, np.float32)
    return layer


@pytest.fixture(scope="module")
def x():
    return np.float32(np.random.default_rng(0).normal(size=(2, 6, 4, 16)))


@nnx.jit
def run(layer, x):
    return layer(x)


def slopes(*arrays):
    return jax.grad(lambda arrays: jnp.sum(attend(*arrays) ** 2))(arrays)


def largest(program, *arrays):
    """Entries of the largest array that a program makes, inside loops too."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (var.aval.size for var in equation.outvars)
            for value in jax.tree.leaves(list(equation.params.values())):
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(program)(*arrays).jaxpr))


@pytest.mark.parametrize("form", attention.FORMS)
def test_a_new_layer_changes_nothing(form, x):
    np.testing.assert_array_equal(run(build(form, gamma=0), x), x)


def test_gamma_starts_at_0():
    gamma = jax.jit(lambda: SelfAttention(8, rngs=nnx.Rngs(0)).gamma[...])()
    np.testing.assert_array_equal(gamma, [0])


@pytest.mark.parametrize(("form", "keys"), [("torch", 24), ("tf", 6)])
def test_every_place_shares_out_one_look(form, keys, x):
    weights = nnx.jit(lambda layer, x: layer.attention(x))(build(form), x)
    assert weights.shape == (2, 24, keys) and weights.dtype == jnp.float32
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


def test_where_a_place_lies_does_not_matter(x):
    order = np.random.default_rng(1).permutation(24)

    def shuffle(x):
        return np.asarray(x).reshape(2, 24, 16)[:, order].reshape(x.shape)

    layer = build("torch")
    np.testing.assert_allclose(run(layer, shuffle(x)), shuffle(run(layer, x)), atol=1e-5)


def test_chunks_give_what_the_whole_gives():
    rng = np.random.default_rng(0)
    shapes = ((2, 24, 3), (2, 10, 3), (2, 10, 5), (2, 24, 5))
    *arrays, weights = (np.float32(rng.normal(size=shape)) for shape in shapes)

    def solve(chunk):
        def loss(arrays):
            found = attend(*arrays, chunk)
            return jnp.sum(weights * found), found

        return jax.grad(loss, has_aux=True)(arrays)

    whole, *others = jax.jit(lambda: [solve(chunk) for chunk in (None, 7, 8, 1)])()
    for other in others:
        for got, wanted in zip(jax.tree.leaves(other), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_layer_may_be_told_its_chunk(x):
    layers = [build("tf", chunk=chunk) for chunk in (None, 7)]
    programs = [jax.make_jaxpr(lambda x, layer=layer: layer(x))(x) for layer in layers]
    assert ["scan[" in str(program) for program in programs] == [False, True]


@pytest.mark.parametrize("pooled", [1, 4])
@pytest.mark.parametrize("n", [1, 8])
def test_at_256_pixels_the_map_of_16_gib_is_never_made(n, pooled):
    """Neither forward nor backward has an array larger than a chunk: read from the programs."""
    arrays = [
        jax.ShapeDtypeStruct((n, 256**2 // by, c), jnp.float32)
        for by, c in ((1, 2), (pooled, 2), (pooled, 8))
    ]
    limit = 1 << 24
    for program in (attend, slopes):
        assert largest(program, *arrays) <= limit
    whole = functools.partial(attend, chunk=256**2)
    assert largest(whole, *arrays) == n * 256**4 // pooled


def test_at_256_pixels_the_compiled_gradient_takes_little_memory():
    arrays = [jax.ShapeDtypeStruct((1, 256**2, c), jnp.float32) for c in (2, 2, 8)]
    memory = jax.jit(slopes).lower(*arrays).compile().memory_analysis()
    assert 1 << 26 <= memory.temp_size_in_bytes < 1 << 29


def test_the_forms_have_the_channels_that_were_published():
    torch, tf = (
        nnx.eval_shape(lambda form=form: SelfAttention(64, form=form, rngs=nnx.Rngs(0)))
        for form in attention.FORMS
    )
    parts = ("query", "key", "value", "out")
    assert [getattr(torch, part).kernel.shape[2:] for part in parts[:3]] == [
        (64, 8),
        (64, 8),
        (64, 64),
    ]
    assert [getattr(tf, part).kernel.shape[2:] for part in parts] == [
        (64, 8),
        (64, 8),
        (64, 32),
        (32, 64),
    ]
    assert all(isinstance(getattr(tf, part), Spectral) for part in parts)
    assert all(getattr(tf, part).layer.bias is None for part in parts)
    assert torch.query.bias is not None and torch.out is None


def test_computes_in_the_type_of_its_kernels(x):
    layer = build("tf")
    wanted = run(layer, x)
    nnx.update(layer, critics.halved(layer))
    y = run(layer, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(y), wanted, atol=0.1)


def test_refuses_what_it_cannot_do(x):
    with pytest.raises(ValueError, match="'keras' is unknown.*torch.*tf"):
        SelfAttention(8, form="keras", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="chunk of 0 queries"):
        SelfAttention(8, chunk=0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"pools by 2.*\(2, 1, 4"):
        build("tf")(x[:, :1])


@pytest.mark.parametrize("chunk", [None, 3])
def test_keys_that_are_not_valid_are_as_if_they_were_not_there(chunk):
    rng = np.random.default_rng(0)
    queries, keys, values = (np.float32(rng.normal(0, 3, (2, n, 5))) for n in (8, 12, 12))
    valid = np.zeros((2, 12), np.float32)
    valid[0, [1, 4, 9]] = 1  # of the other photo none is
    wild = np.where(valid[..., None] > 0, keys, 1e4)  # whatever lies in holes
    found = attend(queries, wild, values, chunk, valid)
    few = [1, 4, 9]
    wanted = attend(queries[:1], keys[:1, few], values[:1, few])
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
    assert not found[1].any()
    slope = jax.grad(lambda q, k, v: jnp.sum(attend(q, k, v, chunk, valid) ** 2), (0, 1, 2))
    for one in slope(queries, wild, values):
        assert np.isfinite(one).all()
    np.testing.assert_allclose(
        attend(queries, keys, values, chunk, np.ones((2, 12), np.float32)),
        attend(queries, keys, values),
        atol=1e-5,
    )
