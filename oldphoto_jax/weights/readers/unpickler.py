"""The only unpickler of this house: it knows the names that it is told, and no other.

A pickle is a program: whatever it names is fetched, and called with what it says. So a file of
weights gets stand-ins for the few names that weights need, and every other name ends the reading.
"""

from __future__ import annotations

import functools
import pickle
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


class Unpickler(pickle.Unpickler):
    """Reads a pickle in which names stand for nothing but what the caller has for them.

    names     (module, name): what is called in place of it, or a plain value
    outside   what makes the object that lies outside of the pickle of what it says there; without
              it such objects are refused
    """

    def __init__(
        self,
        file: IO[bytes],
        names: Mapping[tuple[str, str], Any],
        outside: Callable[[Any], Any] | None = None,
    ):
        super().__init__(file)
        self.names, self.outside = names, outside

    def find_class(self, module: str, name: str) -> Any:
        """What stands for an admitted name; raises WeightsError for any other."""
        if (module, name) not in self.names:
            raise WeightsError(f"refused: the file asks for {module}.{name}, which no weights need")
        stand_in = self.names[module, name]
        # A fresh one: a pickle may set attributes
        return functools.partial(stand_in) if callable(stand_in) else stand_in

    def persistent_load(self, pid: Any) -> Any:
        """The object outside; raises WeightsError where there may be none."""
        if self.outside is None:
            raise WeightsError("refused: the file asks for what lies outside of it")
        return self.outside(pid)
