"""Weights at rest, and their way into a network."""

import hashlib
import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.weights import names, store
from oldphoto_jax.weights.store import WeightsError

ARRAYS = {
    "a.kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "a.low": np.array([1.5, -2], ml_dtypes.bfloat16),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float16),
}


def test_what_is_saved_is_loaded(tmp_path):
    file = tmp_path / "deep" / "weights.safetensors"
    store.save(file, ARRAYS, {"task": "segment", "note": "Übung"})
    arrays, metadata = store.load(file)
    assert metadata == {"task": "segment", "note": "Übung"}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)
    assert store.checksum(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_equal_weights_are_equal_files_whatever_the_process_and_the_order(tmp_path):
    code = (
        "import sys, numpy as np; from oldphoto_jax.weights import store; "
        "keys = sorted({str(i) for i in range(20)}, key=hash); "
        "store.save(sys.argv[1], {k: np.full(2, int(k), 'f2' if int(k) % 3 else 'f4') "
        "for k in keys}, {k: 'ü' for k in keys})"
    )
    files = [tmp_path / seed for seed in "12"]
    for file in files:
        environment = os.environ | {"PYTHONHASHSEED": file.name}
        subprocess.run([sys.executable, "-c", code, str(file)], check=True, env=environment)
    assert files[0].read_bytes() == files[1].read_bytes()
    arrays, metadata = store.load(files[0])
    assert metadata == {str(i): "ü" for i in range(20)}
    assert all(array.tolist() == [int(key)] * 2 for key, array in arrays.items())


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    file = tmp_path / "weights.safetensors"
    store.save(file, ARRAYS, {})
    before = file.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.save(file, {"b": np.zeros(2)}, {})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("harm", ["truncated", "pickle", "text", "empty", "long header", "missing"])
def test_a_file_that_is_not_whole_is_refused(tmp_path, harm):
    file = tmp_path / "weights.safetensors"
    store.save(file, ARRAYS, {})
    whole = file.read_bytes()
    bytes_of = {
        "truncated": whole[:-1],
        "pickle": pickle.dumps(ARRAYS),
        "text": b"<html>404 not found</html>",
        "empty": b"",
        "long header": (2**60).to_bytes(8, "little") + whole[8:],
    }
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(bytes_of[harm])
    with pytest.raises(WeightsError, match="weights.safetensors: "):
        store.load(file)


def test_a_missing_file_has_no_checksum(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        store.checksum(tmp_path / "none")


def test_reading_weights_needs_neither_jax_nor_torch():
    code = (
        "import sys; from oldphoto_jax.weights import store; "
        "from oldphoto_jax.weights.readers import keras, torch; "
        "sys.exit(bool({'jax', 'flax', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Net(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), norm.BatchNorm(3)])
        self.dropout = nnx.Dropout(0.5, rngs=rngs)


NAMES = {
    "layers.0.kernel",
    "layers.0.bias",
    "layers.1.scale",
    "layers.1.bias",
    "layers.1.mean",
    "layers.1.var",
}


@pytest.fixture
def net():
    return Net(nnx.Rngs(0))


@pytest.fixture
def arrays(net):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=value.shape) for name, value in names.flatten(net).items()}


def test_names_are_paths_of_parameters_and_statistics(net):
    flat = names.flatten(net)
    assert flat.keys() >= NAMES
    assert not any(jax.dtypes.issubdtype(v.dtype, jax.dtypes.prng_key) for v in flat.values())
    pure = nnx.to_pure_dict(nnx.state(net, nnx.Param))
    assert names.flatten(pure, "net")["net.layers.0.kernel"] is pure["layers"][0]["kernel"]


def test_filling_gives_every_variable_its_array_in_its_own_type(net, arrays):
    names.fill(net, arrays)
    for name, value in names.flatten(net).items():
        np.testing.assert_allclose(value, arrays[name].astype(value.dtype))
        assert value.dtype == jnp.float32 or name not in NAMES


def test_all_that_does_not_fit_is_listed_and_nothing_changes(net, arrays):
    before = names.flatten(net)
    del arrays["layers.1.mean"]
    arrays["layers.2.kernel"] = np.zeros(3)
    arrays["layers.0.kernel"] = np.zeros((3, 2))
    with pytest.raises(WeightsError) as error:
        names.fill(net, arrays)
    for part in (
        "3 differences",
        "missing: layers.1.mean",
        "not in the network: layers.2.kernel",
        "layers.0.kernel is (3, 2), the network wants (2, 3)",
    ):
        assert part in str(error.value)
    for name, value in names.flatten(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_part_takes_the_names_under_its_own():
    arrays = {"net.encoder.a": 1, "net.encoder.b.c": 2, "net.encoders.a": 3, "other.a": 4}
    assert names.within(arrays, "net.encoder") == {"a": 1, "b.c": 2}
    assert names.within(arrays, "net")["encoders.a"] == 3
    assert names.within({"stem.kernel": 1}, "net.encoder") == {"stem.kernel": 1}
    alone = {"stem.kernel": 1, "stages.0.kernel": 2}
    assert names.within(alone, "net.encoder.stages") == {"0.kernel": 2}
