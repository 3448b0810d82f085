"""Laws of the Fréchet distance; its numbers are golden ones."""

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.metrics import frechet
from oldphoto_jax.metrics.frechet import Gaussian


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(7)
    mix = rng.normal(size=(6, 6))
    return rng.normal(size=(90, 6)) @ mix, 0.5 + rng.normal(size=(70, 6)) @ mix.T


def test_in_one_dimension_it_is_known():
    one, other = np.array([[0.0], [2.0]]), np.array([[4.0], [10.0]])
    # means 1 and 7, standard deviations (n-1) of sqrt(2) and 3 sqrt(2)
    assert frechet.distance(one, other) == pytest.approx(36 + 8)


def test_a_shift_costs_its_square_and_nothing_else(features):
    one, _ = features
    shift = np.arange(6.0)
    assert frechet.distance(one, one + shift) == pytest.approx(np.square(shift).sum())
    assert 0 <= frechet.distance(one, one) < 1e-10


def test_order_and_direction_change_nothing(features):
    one, other = features
    apart = frechet.distance(one, other)
    assert apart > 0.1
    assert frechet.distance(other, one) == pytest.approx(apart)
    assert frechet.distance(one[::-1], other) == pytest.approx(apart)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    assert frechet.distance(one @ turn, other @ turn) == pytest.approx(apart)


def test_streams_of_parts_are_as_good_as_all(features):
    one, other = features
    parts = [Gaussian.of(part) for part in np.split(one, [0, 1, 40])]
    stream = parts[0] + parts[1] + parts[2] + parts[3]
    np.testing.assert_allclose(stream.mean(), one.mean(axis=0))
    np.testing.assert_allclose(stream.covariance(), np.cov(one, rowvar=False))
    apart = frechet.distance(one, other)
    assert frechet.distance(stream, Gaussian.of(other)) == pytest.approx(apart, rel=1e-9)
    assert frechet.distance(stream, jnp.asarray(other)) == pytest.approx(apart, rel=1e-5)
    variance = one.var(axis=0, ddof=1).sum()
    assert stream.compute() == pytest.approx({"count": 90, "variance": variance})
    again = Gaussian(**stream.arrays())
    assert again.count.dtype == np.int64 and again.compute() == stream.compute()


def test_a_mean_far_above_the_spread_costs_few_digits(features):
    one, other = (1000 + array for array in features)
    apart = frechet.distance(one, other)
    assert frechet.distance(*features) == pytest.approx(apart, rel=1e-9)
    assert frechet.distance(Gaussian.of(one), Gaussian.of(other)) == pytest.approx(apart, rel=1e-6)


def test_fewer_examples_than_channels():
    rng = np.random.default_rng(9)
    few = rng.normal(size=(8, 40))
    assert frechet.distance(few, few) == pytest.approx(0, abs=1e-10)
    assert frechet.distance(few, 2 * few) == pytest.approx(
        np.square(few.mean(axis=0)).sum() + np.trace(np.cov(few, rowvar=False))
    )


def test_few_examples_seem_farther_apart():
    rng = np.random.default_rng(2)
    draws = [frechet.distance(*rng.normal(size=(2, count, 10))) for count in (20, 200, 2000)]
    assert draws[0] > 5 * draws[1] > 25 * draws[2]


def test_bad_input_is_refused(features):
    one, other = features
    with pytest.raises(ValueError, match="6 and 5 channels"):
        frechet.distance(one, other[:, :5])
    with pytest.raises(ValueError, match=r"1 example\(s\)"):
        frechet.distance(one[:1], other)
    with pytest.raises(ValueError, match=r"1 example\(s\)"):
        Gaussian.of(one[:1]).covariance()
    with pytest.raises(ValueError, match=r"\[M,D\].*\(90,\)"):
        Gaussian.of(one[:, 0])
    with pytest.raises(ValueError, match="2 of 90"):
        frechet.distance(np.where(np.arange(90)[:, None] < 2, np.nan, one), other)
    assert np.isnan(Gaussian.of(one[:1]).compute()["variance"])
    with pytest.raises(ValueError, match="broadcast"):
        Gaussian.of(one) + Gaussian.of(other[:, :5])
