"""Weights files of before: their metadata describe a task, or a predictor's palette by its size.

A later version may drop this module, and with it what `metadata.read` asks of it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from oldphoto_jax import described
from oldphoto_jax.models import lite_unet, partial_unet, unet
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Predictor

KEY = "task"
KINDS = (  # of damage, when such files were written
    *("scratch", "bundle", "film_lines", "gouge", "scuff", "hair", "lint", "dust"),
    *("flecks", "pinholes", "spots", "smut", "water_stain", "foxing", "blot", "fingerprint"),
    *("tape", "crease", "folds", "crack", "craquelure", "tear", "worn_edge", "corner"),
    *("flakes", "peel", "cut", "blots", "sprinkles", "strip", "lost_corner", "lost_rim"),
    "lost_piece",
)


def read(text: str) -> Predictor:
    """The predictor of the task that the text describes; how that was trained is passed over.

    A field that is not there had its default. Raises ValueError for the task of somebody else.
    """
    task = json.loads(text)
    kind, lite = task.get("class"), task.get("network") == "lite"
    network: Any = _picked(lite_unet.Blueprint, task) if lite else None
    if kind == "oldphoto_jax.tasks.segment:Segment":
        damage = task.get("damage", {})
        pool = "max2" if task.get("pool") else ""
        return _picked(
            DefectPredictor,
            task
            | {"network": network or _picked(unet.Blueprint, task | {"pool": pool})}
            | {"max_size": damage.get("max_size", 64)}
            | {"unseen": _unseen(damage.get("only", ()), damage.get("exclude", ()))},
        )
    if kind == "oldphoto_jax.tasks.inpaint:Inpaint":
        largest = max(task.get(part, {}).get("max_size", 64) for part in ("damage", "holes"))
        return _picked(
            FillingPredictor,
            task
            | {"network": network or _picked(partial_unet.Blueprint, task)}
            | {"draft": lite or task.get("draft", False), "max_size": largest},
        )
    if kind == "oldphoto_jax.tasks.colorize:Colorize":
        stride = {"out_stride": task.get("stride", 2)}
        if lite:
            widths = task.get("widths", lite_unet.WIDTHS[:3])
            network = lite_unet.Blueprint(widths=tuple(widths), **stride)
        else:
            stem = {"stem_kernel": 7, "stem_stride": 2, "pool": "max3"}
            usual = {"depth": 50, "variant": "keras", "decoder_width": 32}
            network = _picked(unet.Blueprint, usual | task | stem | stride)
        colours = {"palette": _palette(task.get("palette", 0))}
        return _picked(ColorPredictor, task | {"network": network} | colours)
    raise ValueError(
        f"the metadata describe a {kind!r}, which is no task of oldphoto_jax; build its predictor "
        "in Python and pass it instead of a file"
    )


def mended(description: Any) -> Any:
    """A predictor's description as this version writes it: a palette was the side of its grid."""
    if isinstance(description, dict) and isinstance(description.get("palette"), int):
        return description | {"palette": described.describe(_palette(description["palette"]))}
    return description


def _palette(side: int) -> Grid | None:
    return Grid(side=side) if side else None


def _picked(kind: type, values: Mapping[str, Any]) -> Any:
    """A dataclass with those of the values that are fields of it."""
    names = {field.name for field in dataclasses.fields(kind)} & values.keys()
    return kind(**{n: tuple(v) if isinstance(v := values[n], list) else v for n in sorted(names)})


def _unseen(only: Sequence[str], exclude: Sequence[str]) -> tuple[str, ...]:
    """What was never drawn: kinds that were excluded, and the rest where `only` some were drawn."""

    def among(kind: str, families: Sequence[str]) -> bool:
        return any(kind == one or kind.startswith(f"{one}/") for one in families)

    return (*exclude, *(kind for kind in KINDS if only and not among(kind, (*only, *exclude))))
