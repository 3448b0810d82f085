import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.metrics.stream import Mean, Stream, ratio


def test_the_mean_of_parts_is_the_mean_of_all():
    values = np.random.default_rng(4).normal(size=37)
    parts = [Mean.of(part) for part in np.split(values, [0, 5, 20])]
    whole = parts[0] + parts[1] + parts[2] + parts[3]
    assert whole.compute() == pytest.approx(values.mean(), rel=1e-12)
    assert (Mean.of(values) + parts[0]).compute() == pytest.approx(values.mean(), rel=1e-12)


def test_fields_are_arrays_that_another_machine_can_add():
    one, two = Mean.of(jnp.array([1.0, 2.0])), Mean.of([6.0])
    kinds = {name: array.dtype for name, array in one.arrays().items()}
    assert kinds == {"total": np.float64, "count": np.int64}
    added = {name: one.arrays()[name] + array for name, array in two.arrays().items()}
    assert Mean(**added).compute() == (one + two).compute() == 3
    assert isinstance((one + two).total, np.ndarray)


def test_nothing_has_no_mean():
    assert np.isnan(Mean.of(np.zeros(0)).compute()) and np.isnan(ratio(0, 0))
    assert np.isnan(Mean.of([1.0, np.nan]).compute())


def test_unlike_streams_do_not_add_up():
    @dataclasses.dataclass
    class Other(Stream):
        total: np.ndarray
        count: np.ndarray

    with pytest.raises(TypeError, match="Mean and Other"):
        Mean(1.0, 1) + Other(1.0, 1)
    with pytest.raises(TypeError, match=r"Other\.total.*'many'"):
        Other("many", 1)
    with pytest.raises(ValueError, match=r"\[N\], got \(2, 2\)"):
        Mean.of(np.ones((2, 2)))
