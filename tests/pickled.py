"""Files as `torch.save` writes them, without PyTorch."""

import collections
import pickle
import sys
import types
import zipfile

STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
}


class Stored:
    """A tensor on its way into a file: its numbers and how to look at them."""

    def __init__(self, key, array, offset=0, shape=None, strides=None):
        self.key, self.array, self.offset = key, array, offset
        self.shape = array.shape if shape is None else shape
        self.strides = [s // array.itemsize for s in array.strides] if strides is None else strides


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
