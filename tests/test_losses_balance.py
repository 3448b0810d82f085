"""Laws of the weights of rare colours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.losses import balance, pixel


@pytest.fixture(scope="module")
def chroma():
    return np.random.default_rng(4).uniform(size=(2, 6, 5, 2)).astype(np.float32)


def weight(cb, cr, share=0.5):
    return float(balance.rarity(jnp.array([[[[0.5 + cb, 0.5 + cr]]]]), share)[0, 0, 0, 0])


def weighed(chroma, target):
    return balance.balanced_l1(chroma, target, balance.rarity(target))


def common(count, scale=balance.SCALE, core=balance.CORE):
    """Chroma [1,count,1,2] drawn as the formula says that photos have it."""
    rng = np.random.default_rng(11)
    radius = np.linspace(0, 1, 10001)
    mass = np.cumsum(radius * np.exp(-radius / scale) / np.hypot(radius, core))
    radius = np.interp(rng.uniform(size=count), mass / mass[-1], radius)
    angle = rng.uniform(0, 2 * np.pi, count)
    blue_orange, green_magenta = 2 * radius * np.cos(angle), radius * np.sin(angle)
    cb, cr = (green_magenta - blue_orange) / 2, (green_magenta + blue_orange) / 2
    return np.float32(0.5 + np.stack([cb, cr], axis=-1))[None, :, None]


def test_all_colours_alike_is_plain_l1(chroma):
    target = chroma[::-1].copy()
    np.testing.assert_allclose(balance.rarity(chroma, 1), 1, rtol=1e-6)
    one = balance.balanced_l1(chroma, target, balance.rarity(target, 1))
    np.testing.assert_allclose(one, pixel.l1(chroma, target), rtol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_rarer_the_larger_up_to_a_bound(share):
    for direction in ((1, 0), (0, 1), (-1, 1), (-1, -1)):
        weights = [weight(r * direction[0], r * direction[1], share) for r in (0, 0.02, 0.1, 0.3)]
        assert weights == sorted(weights) and weights[0] < 1 < weights[-1]
    assert weight(0.05, 0.05, share) > weight(-0.05, 0.05, share)  # magenta is rarer than orange
    assert weight(-0.05, 0.05, share) == pytest.approx(weight(0.05, -0.05, share))


def test_a_smaller_share_favours_rare_colours_more():
    vivid = [weight(-0.1, -0.1, share) / weight(0, 0, share) for share in (0.9, 0.5, 0.1)]
    assert 1 < vivid[0] < vivid[1] < vivid[2]
    ends = [weight(0, 0), weight(-0.169, 0.5), weight(0, 0, 0.9), weight(-0.169, 0.5, 0.9)]
    np.testing.assert_allclose(ends, [0.062, 7.96, 0.171, 2.60], rtol=0.01)  # as documented


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_mean_over_common_colours_is_one(share):
    assert balance.rarity(common(200_000), share).mean() == pytest.approx(1, abs=0.02)
    other = {"scale": 0.1, "core": 0.01}  # of photos of another kind
    weights = balance.rarity(common(200_000, **other), share, **other)
    assert weights.mean() == pytest.approx(1, abs=0.02)


def test_the_gamut_is_the_area_of_all_colours():
    edges = np.array([[-0.1687, 0.5], [-0.3313, -0.4187], [0.5, -0.0813]])  # red, green, blue
    crosses = [a[0] * b[1] - a[1] * b[0] for a, b in zip(edges, np.roll(edges, 1, 0), strict=True)]
    assert np.abs(crosses).sum() == pytest.approx(balance.GAMUT, abs=1e-3)


def test_the_target_weighs_and_both_channels_are_averaged(chroma):
    target = np.full((1, 1, 1, 2), 0.5, np.float32)
    loss = weighed(target + np.float32([0.2, -0.1]), target)
    assert loss == pytest.approx(weight(0, 0) * 0.15, rel=1e-5)
    gray = np.full_like(chroma, 0.5)
    assert weighed(gray, chroma) > weighed(chroma, gray)


def test_right_colours_feel_no_pull_and_weights_send_no_gradient(chroma):
    gray = jnp.full((2, 6, 5, 2), 0.5)
    for target in (gray, jnp.asarray(chroma)):
        value, slope = jax.jit(jax.value_and_grad(weighed))(target, target)
        assert value == 0 and not slope.any()
    slope = jax.grad(lambda x: balance.rarity(x).sum())(gray)
    assert not slope.any()
    slope = jax.grad(weighed)(gray, jnp.asarray(chroma))
    wanted = balance.rarity(chroma) * np.sign(0.5 - chroma) / chroma.size
    np.testing.assert_allclose(slope, wanted, rtol=1e-5)


def test_half_precision_is_computed_in_full(chroma):
    half = jnp.asarray(chroma, jnp.bfloat16)
    weights, loss = balance.rarity(half), weighed(half, half[::-1])
    assert weights.shape == (2, 6, 5, 1) and weights.dtype == loss.dtype == jnp.float32
    np.testing.assert_array_equal(weights, balance.rarity(half.astype(jnp.float32)))


def test_a_table_balances_as_the_formula_does():
    prior = np.random.default_rng(2).exponential(size=50) ** 4
    shares = prior / prior.sum()
    for share, power in ((0.5, 1.0), (0.9, 1.0), (0.5, 0.5)):
        weights = balance.rebalanced(prior, share, power)
        assert (shares * weights).sum() == pytest.approx(1)
        assert (np.diff(weights[np.argsort(prior)]) <= 0).all()  # the rarer the larger
        bound = ((1 - share) * shares.max() / (share / 50) + 1) ** power
        assert 1 < weights.max() / weights.min() <= bound
    np.testing.assert_allclose(balance.rebalanced(prior, 1), 1)


def test_bad_input_is_refused(chroma):
    for share in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"share={share}"):
            balance.rarity(chroma, share)
        with pytest.raises(ValueError, match=f"share={share}"):
            balance.rebalanced(np.ones(3), share)
    with pytest.raises(ValueError, match=r"\[N,H,W,2\] \(Cb, Cr\), got \(2, 6, 5, 1\)"):
        balance.rarity(chroma[..., :1])
    with pytest.raises(ValueError, match=r"\(2, 6, 5, 2\).*\(1, 6, 5, 2\)"):
        weighed(chroma, chroma[:1])
