"""Configurations and predictors as plain values, which texts can hold, and back again."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any


def describe(thing: Any) -> Any:
    """Dataclasses, dicts and sequences as plain JSON values; a dataclass keeps its class name.

    Raises TypeError for anything that a text file could not bring back.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        kind = type(thing)
        fields = {f.name: describe(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    raise TypeError(f"{thing!r} of type {type(thing).__name__} can't be written into a config file")


def restore(description: Any) -> Any:
    """What `describe` described; sequences come back as tuples.

    Only dataclasses inside this package are built, so that a weights file from elsewhere runs
    no code of its own. Raises ValueError for any other class.
    """
    if isinstance(description, list):
        return tuple(restore(value) for value in description)
    if not isinstance(description, dict):
        return description
    fields = {key: restore(value) for key, value in description.items() if key != "class"}
    if "class" not in description:
        return fields
    module, _, name = description["class"].partition(":")
    if not module.startswith("oldphoto_jax."):
        raise ValueError(
            f"the description names the class {description['class']!r}, which is not part of "
            "oldphoto_jax; build it in Python and pass the object instead of a file"
        )
    try:
        kind = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        kind = None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"{description['class']!r} is no dataclass of this oldphoto_jax version")
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := fields.keys() - known:
        raise ValueError(
            f"{description['class']!r} has no field {sorted(unknown)}; "
            "the file was written by another version of oldphoto_jax"
        )
    return kind(**fields)
