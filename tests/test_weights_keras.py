"""Keras ResNet-50 weights from TensorFlow.js files, here of a made-up small model."""

import json
import tarfile

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import resnet
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import keras
from oldphoto_jax.weights.store import WeightsError

ARRAYS = {
    "conv1/kernel": np.arange(12, dtype="<f4").reshape(2, 2, 1, 3),
    "conv1/bias": np.float32([0.5, -1, 2]),
    "fc/bias": np.float32([[1e-3]]),
}


@pytest.fixture
def folder(tmp_path):
    """An unpacked package whose shards cut right through the arrays."""
    weights = [{"name": n, "shape": a.shape, "dtype": "float32"} for n, a in ARRAYS.items()]
    data = b"".join(array.tobytes() for array in ARRAYS.values())
    shards = {"shard1.bin": data[:10], "shard2.bin": data[10:]}
    model = tmp_path / "package" / "ResNet50"
    model.mkdir(parents=True)
    for name, content in shards.items():
        (model / name).write_bytes(content)
    manifest = {"weightsManifest": [{"paths": list(shards), "weights": weights}]}
    (model / "model.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize("form", ["tgz", ".", "package", "package/ResNet50"])
def test_every_form_of_the_package_gives_its_arrays(folder, form):
    path = folder / form
    if form == "tgz":
        path = folder / "package.tgz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder / "package", "package")
    arrays = keras.read(path)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_shards_that_hold_too_much_or_too_little_are_refused(folder):
    shard = folder / "package/ResNet50/shard2.bin"
    whole = shard.read_bytes()
    for content in (whole + b"1234", whole[:-4]):
        shard.write_bytes(content)
        with pytest.raises(WeightsError, match="not a whole TensorFlow.js model"):
            keras.read(folder)
    shard.unlink()
    with pytest.raises(WeightsError, match="shard2"):
        keras.read(folder)


def test_quantized_weights_are_refused(folder):
    model = folder / "package/ResNet50/model.json"
    model.write_text(model.read_text().replace("float32", "uint8"))
    with pytest.raises(WeightsError, match="conv1/kernel is not plain float32"):
        keras.read(folder)


def test_what_is_no_package_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="nor a folder with"):
        keras.read(tmp_path)
    (tmp_path / "text.tgz").write_text("no archive")
    with pytest.raises(WeightsError, match="text.tgz"):
        keras.read(tmp_path / "text.tgz")


def state():
    """The published names, 320 of them, with arrays of one number."""
    blocks = [f"{i}{c}" for i, n in zip("2345", (3, 4, 6, 3), strict=True) for c in "abcdef"[:n]]
    branches = [f"{b}_branch2{c}" for b in blocks for c in "abc"]
    branches += [f"{i}a_branch1" for i in "2345"]
    convs = ["conv1", "fc1000", *(f"res{branch}" for branch in branches)]
    norms = ["bn_conv1", *(f"bn{branch}" for branch in branches)]
    keys = [f"{conv}/{part}" for conv in convs for part in ("kernel", "bias")]
    keys += [f"{n}/{p}" for n in norms for p in ("gamma", "beta", "moving_mean", "moving_variance")]
    return {key: np.zeros(1, np.float32) for key in keys}


@pytest.mark.parametrize(("head", "stages"), [(True, 4), (False, 4), (False, 3), (False, 1)])
def test_every_published_key_has_its_place(head, stages):
    assert len(state()) == 320
    options = dict(classes=1000 if head else None, variant="keras", stages=stages)
    net = nnx.eval_shape(lambda: resnet.ResNet(50, **options, rngs=nnx.Rngs(0)))
    arrays = keras.resnet50(state(), head=head, stages=stages)
    assert arrays.keys() == names.flatten(net).keys()


def test_an_unknown_key_stops_the_conversion():
    with pytest.raises(WeightsError, match="unknown: res6a/kernel"):
        keras.resnet50(state() | {"res6a/kernel": np.zeros(1)})
