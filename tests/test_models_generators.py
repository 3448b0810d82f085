"""SAGAN's generator: sizes and options; its numbers are golden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models.generators import AttentionGenerator
from oldphoto_jax.weights import names


def test_maps_grow_as_channels_get_fewer():
    flat = names.flatten(nnx.eval_shape(lambda: AttentionGenerator(rngs=nnx.Rngs(0))))
    kernels = [flat[f"convs.{i}.layer.kernel"].shape for i in range(4)]
    assert kernels == [(4, 4, 512, 128), (4, 4, 256, 512), (4, 4, 128, 256), (4, 4, 64, 128)]
    assert flat["last.kernel"].shape == (4, 4, 3, 64)
    assert [flat[f"attentions.{i}.gamma"].shape for i in (0, 1)] == [(1,), (1,)]
    assert {name for name in flat if name.endswith(".u")} == {f"convs.{i}.u" for i in range(4)}
    assert flat["convs.0.u"].shape == (128,)  # the inputs are the rows of W, as published


@pytest.mark.parametrize(("levels", "size"), [(4, 64), (1, 8)])
def test_the_first_map_is_doubled_at_every_level(levels, size):
    def make(noise):
        return AttentionGenerator(
            2, noise=5, width=2, levels=levels, attention=(), rngs=nnx.Rngs(0)
        )(noise)

    photo = jax.eval_shape(make, jax.ShapeDtypeStruct((3, 5), jnp.bfloat16))
    assert (photo.shape, photo.dtype) == ((3, size, size, 2), jnp.float32)


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="attention after level 3: this generator has levels 1"):
        AttentionGenerator(levels=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="0 levels"):
        AttentionGenerator(levels=0, attention=(), rngs=nnx.Rngs(0))
    net = nnx.eval_shape(lambda: AttentionGenerator(rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"noise is \(2, 100\).*takes \[N,128\]"):
        net(np.zeros((2, 100), np.float32))
