"""The only unpickler of this house: it knows the names that it is told, and no other.

A pickle is a program: whatever it names is fetched, and called with what it says. So a file of
weights gets stand-ins for the few names that weights need. Every other name ends the reading; or,
where scripts have left more beside the weights, it gets a stand-in that does nothing (`Opaque`),
unless it is one of Python itself, of which only `PLAIN` ones belong to data.
"""

from __future__ import annotations

import _compat_pickle
import functools
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

from oldphoto_jax.weights.store import WeightsError

# What pickle and NumPy raise on bytes that aren't what they claim to be
BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    OverflowError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)

# What scripts save beside weights, of Python's own: options, paths, times, sets
PLAIN = {
    "argparse": {"Namespace"},
    "builtins": {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int"}
    | {"list", "object", "range", "set", "slice", "str", "tuple"},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "functools": {"partial"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "types": {"SimpleNamespace"},
    "typing": {"Any"},
    "uuid": {"UUID"},
    "_codecs": {"encode"},
}


class Opaque:
    """What stands for an object that is no weight: it takes what it is given, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Opaque:
        """Takes any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any):
        pass

    def __call__(self, *_: Any, **__: Any) -> Opaque:
        """Another that does nothing."""
        return Opaque()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Drops the item, as a list of a pickle's would keep it."""

    extend = add = append


class Unpickler(pickle.Unpickler):
    """Reads a pickle in which names stand for nothing but what the caller has for them.

    names     (module, name): what is called in place of it, or a plain value
    outside   what makes the object that lies outside of the pickle of what it says there; without
              it such objects are refused
    lenient   whether names that are unknown but can't be meant to do harm become `Opaque`
    """

    def __init__(
        self,
        file: IO[bytes],
        names: Mapping[tuple[str, str], Any],
        outside: Callable[[Any], Any] | None = None,
        *,
        lenient: bool = False,
    ):
        super().__init__(file)
        self.names, self.outside, self.lenient = names, outside, lenient

    def find_class(self, module: str, name: str) -> Any:
        """What stands for an admitted name; raises WeightsError for any other."""
        if (module, name) not in self.names:
            if self.lenient and _harmless(module, name):
                return type("Opaque", (Opaque,), {})  # a fresh one, likewise
            raise WeightsError(f"refused: the file asks for {module}.{name}, which no weights need")
        stand_in = self.names[module, name]
        # A fresh one: a pickle may set attributes
        return functools.partial(stand_in) if callable(stand_in) else stand_in

    def persistent_load(self, pid: Any) -> Any:
        """The object outside; raises WeightsError where there may be none."""
        if self.outside is None:
            raise WeightsError("refused: the file asks for what lies outside of it")
        return self.outside(pid)


def _harmless(module: str, name: str) -> bool:
    """Whether a file of weights may hold objects that this names: no means of a program's."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    module = _compat_pickle.IMPORT_MAPPING.get(module, module)  # what Python 2 called it
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or not top:
        return name in PLAIN.get(top, ())
    return True  # of a package's that needn't be installed, and is never looked for
