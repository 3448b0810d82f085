"""Partial convolution: blind to what is damaged, a plain convolution where nothing is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers.partial import FORMS, PartialConv
from tests.nets import drawn

RNG = np.random.default_rng(0)


def build(c_in=3, c_out=4, kernel=3, stride=1, **options):
    """A layer whose bias is not zero, so that it shows."""
    layer = drawn(lambda: PartialConv(c_in, c_out, kernel, stride, rngs=nnx.Rngs(0), **options))
    if layer.bias is not None:
        layer.bias[...] = np.linspace(0.5, 1, c_out, dtype=np.float32)
    return layer


@nnx.jit
def run(layer, x, *masks):
    return layer(x, *masks)


@nnx.jit
def convolved(layer, x):
    return layer.conv(x)


@nnx.jit
def slopes(layer, x, mask):
    """Of the sum of squares, for the weights and for the photo."""
    return nnx.grad(lambda layer, x: jnp.sum(layer(x, mask)[0] ** 2), argnums=(0, 1))(layer, x)


def photo(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def holes(*shape, share=0.5):
    """A mask with a block that no small window can see across."""
    mask = (RNG.random(shape) < share).astype(np.float32)
    mask[:, 2:9, 3:10] = 1
    return mask


def windows(x, kernel, stride):
    """Every window of x [N,H,W,C] with zeros beyond the border, [N,H',W',kernel,kernel,C]."""
    pad = (kernel - 1) // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = (range(0, n - kernel + 1, stride) for n in x.shape[1:3])
    return np.stack(
        [np.stack([x[:, i : i + kernel, j : j + kernel] for j in columns], 1) for i in rows], 1
    )


def by_loops(layer, x, mask, form, border):
    """The paper's formula in NumPy: every window weighted by the good places in it."""
    kernel = np.float64(layer.conv.kernel[...])
    size, stride = kernel.shape[0], layer.stride
    good = 1 - np.broadcast_to(mask, x.shape)
    sums = np.einsum("nhwabc,abcd->nhwd", windows(x * good, size, stride), kernel)
    seen = windows(good, size, stride).sum((3, 4, 5))[..., None]
    inside = windows(np.ones_like(x), size, stride).sum((3, 4, 5))[..., None]
    full = inside if border == "outside" else size * size * x.shape[-1]
    scale = full / np.maximum(seen, 1)
    if form == "sum":
        scale = scale / (size * size * x.shape[-1])
    bias = 0 if layer.bias is None else np.float64(layer.bias[...])
    return np.where(seen > 0, sums * scale + bias, 0), np.float32(seen == 0)


@pytest.mark.parametrize("border", ["hole", "outside"])
@pytest.mark.parametrize("form", ["ratio", "sum"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2), (7, 2)])
def test_equals_the_formula_window_by_window(kernel, stride, form, border):
    layer = build(kernel=kernel, stride=stride, form=form, border=border)
    x = photo(2, 13, 14, 3)
    for mask in holes(2, 13, 14, 1), holes(2, 13, 14, 3):
        want, gone = by_loops(layer, x, mask, form, border)
        y, left = run(layer, x, mask)
        np.testing.assert_allclose(y, want, atol=2e-5)
        np.testing.assert_array_equal(left, gone)
    assert left.shape == (*y.shape[:3], 1)
    if kernel < 7:
        assert gone.any() and not np.any(np.asarray(y)[gone[..., 0] > 0])


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (7, 2), (4, 1), (4, 2)])
def test_without_holes_it_is_the_plain_convolution(kernel, stride):
    layer, x = build(kernel=kernel, stride=stride, border="outside"), photo(2, 9, 12, 3)
    plain = convolved(layer, x) + layer.bias[...]
    for masks in ((), (None,), (np.zeros((2, 9, 12, 1), np.float32),)):
        y, mask = run(layer, x, *masks)
        np.testing.assert_allclose(y, plain, atol=1e-6)
        assert mask.shape == (*y.shape[:3], 1) and not mask.any()


def test_a_border_of_zeros_counts_as_damage():
    layer, x = build(bias=False), np.ones((1, 6, 6, 3), np.float32)
    plain, y = convolved(layer, x), run(layer, x)[0]
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1], atol=1e-6)
    np.testing.assert_allclose(y[:, 0, 0], plain[:, 0, 0] * 9 / 4, rtol=1e-5)


@pytest.mark.parametrize("form", ["ratio", "sum"])
@pytest.mark.parametrize("border", ["hole", "outside"])
def test_what_lies_under_the_mask_changes_nothing(form, border):
    layer = build(kernel=5, stride=2, form=form, border=border)
    x, mask = photo(2, 12, 12, 3), holes(2, 12, 12, 1)
    junk = np.where(mask > 0, 1e6 * photo(2, 12, 12, 3), x)
    for one, other in zip(run(layer, x, mask), run(layer, junk, mask), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("border", ["hole", "outside"])
def test_the_forms_differ_by_a_constant_factor_before_the_bias(border):
    ratio, total = (build(bias=False, form=form, border=border) for form in ("ratio", "sum"))
    x, mask = photo(1, 12, 12, 3), holes(1, 12, 12, 1)
    np.testing.assert_allclose(
        run(ratio, x, mask)[0], 27 * run(total, x, mask)[0], rtol=1e-5, atol=1e-6
    )


def test_one_channel_of_mask_stands_for_all_of_its_source():
    x, mask = photo(2, 10, 10, 5), holes(2, 10, 10, 1)
    other = holes(2, 10, 10, 1)
    every = np.concatenate([np.repeat(mask, 3, -1), np.repeat(other, 2, -1)], -1)
    one, many = build(5), build((3, 2))
    many.conv.kernel[...] = one.conv.kernel[...]
    want, gone = run(one, x, every)
    for masks in (mask, other), (every[..., :3], every[..., 3:]), (mask, every[..., 3:]):
        y, left = run(many, x, *masks)
        np.testing.assert_allclose(y, want, atol=1e-5)
        np.testing.assert_array_equal(left, gone)
    same = run(one, x, mask)[0]
    np.testing.assert_allclose(run(many, x, mask, mask)[0], same, atol=1e-5)


@pytest.mark.parametrize("border", ["hole", "outside"])
def test_no_mask_equals_a_mask_of_zeros(border):
    layer = build((3, 2), kernel=5, stride=2, border=border)
    x, mask, none = photo(2, 11, 8, 5), holes(2, 11, 8, 1), np.zeros((2, 11, 8, 1), np.float32)
    for given, zeros in (
        ((mask, None), (mask, none)),
        ((None, mask), (none, mask)),
        ((), (none,) * 2),
    ):
        for one, other in zip(run(layer, x, *given), run(layer, x, *zeros), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_bool_mask_is_a_mask():
    layer, x, mask = build(), photo(1, 12, 12, 3), holes(1, 12, 12, 1)
    for one, other in zip(run(layer, x, mask), run(layer, x, mask > 0), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["ratio", "sum"])
def test_gradients_are_finite_and_none_reaches_what_is_hidden(form):
    layer, x = build(kernel=3, form=form), photo(2, 12, 12, 3)
    for mask in holes(2, 12, 12, 1), np.ones((2, 12, 12, 1), np.float32):
        own, slope = slopes(layer, x, mask)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((own, slope)))
        assert not np.any(np.asarray(slope) * mask)
        assert np.any(own["bias"][...]) == (mask.min() == 0)


def test_low_precision_stays_and_counts_are_exact():
    """A window of 7x7x8 has 392 places; bfloat16 can't count beyond 256."""
    layer = build(8, 2, kernel=7, bias=False)
    layer.conv.kernel[...] = jnp.ones_like(layer.conv.kernel[...])
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(layer))
    nnx.update(layer, low)
    mask = (RNG.random((1, 16, 16, 1)) < 0.1).astype(np.float32)
    x = jnp.ones((1, 16, 16, 8), jnp.bfloat16)
    y, left = run(layer, x, mask)
    assert y.dtype == jnp.bfloat16 and left.dtype == jnp.float32 and not left.any()
    np.testing.assert_allclose(np.float32(y), 392, rtol=2**-7)  # two roundings to 8 bits
    one_bad = jnp.zeros((1, 16, 16, 1), jnp.bfloat16).at[0, 8, 8].set(1)
    np.testing.assert_allclose(np.float32(run(layer, x, one_bad)[0]), 392, rtol=2**-7)


@pytest.mark.parametrize(
    ("options", "words"), [({"form": "mean"}, "'mean'"), ({"border": "same"}, "'same'")]
)
def test_unknown_forms_and_borders_are_refused(options, words):
    with pytest.raises(ValueError, match=f"{words} is unknown; choose"):
        build(**options)


@pytest.mark.parametrize(
    ("c_in", "channels", "masks"),
    [
        (3, 4, ()),
        (3, 3, ((1, 8, 8, 2),)),
        (3, 3, ((1, 8, 7, 1),)),
        (3, 3, ((8, 8, 1),)),
        (3, 3, ((1, 8, 8, 1), (1, 8, 8, 1))),
        ((3, 1), 4, ((1, 8, 8, 1),)),
        ((3, 1), 4, ((1, 8, 8, 4), None)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(c_in, channels, masks):
    masks = [None if shape is None else np.zeros(shape, np.float32) for shape in masks]
    with pytest.raises(ValueError, match=r"this layer takes|takes for each"):
        build(c_in)(np.zeros((1, 8, 8, channels), np.float32), *masks)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("border", ["hole", "outside"])
def test_doubled_is_what_repeated_pixels_give(form, border):
    conv = drawn(lambda: PartialConv((4, 3, 2), 5, form=form, border=border, rngs=nnx.Rngs(0)))
    conv.bias[...] = np.arange(5.0)
    x, skip = RNG.normal(size=(2, 3, 5, 4)), RNG.normal(size=(2, 6, 10, 5))
    masks = [RNG.random((2, 3, 5, 1)) < 0.6, RNG.random((2, 6, 10, 1)) < 0.5, None]
    x, skip = np.float32(x), np.float32(skip)
    large, large_mask = (np.asarray(a).repeat(2, 1).repeat(2, 2) for a in (x, masks[0]))

    def plain(conv):
        return conv(jnp.concatenate([large, skip], -1), large_mask, *masks[1:])

    def doubled(conv):
        return conv.doubled(x, skip, *masks)

    for ours, theirs in zip(nnx.jit(doubled)(conv), nnx.jit(plain)(conv), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    slopes = [
        nnx.jit(nnx.grad(lambda conv, run=run: jnp.sin(run(conv)[0]).sum()))(conv)
        for run in (doubled, plain)
    ]
    for ours, theirs in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_doubled_wants_small_windows_and_fitting_masks():
    conv = PartialConv((2, 1), 3, 5, rngs=nnx.Rngs(0))
    x, skip = np.zeros((1, 2, 2, 2), np.float32), np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match="3x3 kernels of stride 1, not 5 and 1"):
        conv.doubled(x, skip)
    conv = PartialConv((2, 1), 3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="for each of its sources"):
        conv.doubled(x, skip, skip, skip)
    assert conv.doubled(x, skip)[0].shape == (1, 4, 4, 3)
