"""What is asked of the chain for one photo, and what becomes of the photo."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from oldphoto_jax.photo import tone
from oldphoto_jax.photo.hints import Hints

RESTORED, RESTORED_COLOR, COLOR = PICTURES = ("restored", "restored_color", "color")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A photo, and what is known of its damage already.

    pixels       [H,W,1|3] uint8 or uint16, as from a file
    mask         [H,W] uint8, not 0 where damaged: then nothing is detected
    probability  [H,W] uint16, 65535 = certain: what was detected before
    add, remove  [H,W] uint8, 1 where the mask gets, and loses, pixels
    hints        what is known of its colours
    """

    pixels: np.ndarray
    mask: np.ndarray | None = None
    probability: np.ndarray | None = None
    add: np.ndarray | None = None
    remove: np.ndarray | None = None
    hints: Hints | None = None

    def __post_init__(self) -> None:
        for name in ("mask", "probability", "add", "remove"):
            given = getattr(self, name)
            if given is not None and given.shape != self.pixels.shape[:2]:
                raise ValueError(
                    f"{name} has {given.shape} pixels, the photo {self.pixels.shape[:2]}; "
                    "give equal sizes"
                )
        if self.probability is not None and self.probability.dtype != np.uint16:
            raise ValueError(f"probability is uint16 at full scale, got {self.probability.dtype}")

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the photo."""
        height, width = self.pixels.shape[:2]
        return height, width

    @property
    def known(self) -> tuple[np.ndarray | None, ...]:
        """What is known of its damage: mask, probability, added and removed pixels."""
        return self.mask, self.probability, self.add, self.remove

    @property
    def record(self) -> dict[str, Any]:
        """The same as `flow` has it, a mask as `given`."""
        names = {"mask": "given", "probability": "probability", "add": "add", "remove": "remove"}
        known = {theirs: getattr(self, ours) for ours, theirs in names.items()}
        known |= {"hints": self.hints}
        known = {name: one for name, one in known.items() if one is not None}
        return {"pixels": self.pixels, "kind": self.kind} | known

    @functools.cached_property
    def kind(self) -> str:
        """What `tone.kind` says of the photo: gray, toned, faded or color."""
        return tone.kind(self.pixels)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Restored:
    """What became of a photo. Pictures are like the photo that came; None if not asked for.

    restored        without its defects; outside of `mask`, and its feather, nothing has changed
    restored_color  the same in colour
    color           the photo as it came, in colour: finding defects can err
    candidates      further versions of those in colour, by names such as color_2; see `further`
    mask            [H,W] uint8, 1 where something was to be filled
    probability     [H,W] of damage, 0..1; None where a mask was given
    report          how it went, as in a line of report.jsonl
    """

    restored: Any
    restored_color: Any
    color: Any
    mask: np.ndarray | None
    probability: np.ndarray | None
    report: dict[str, Any]
    candidates: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def pictures(self) -> dict[str, Any]:
        """All pictures by their names, those that were not asked for too."""
        return {name: getattr(self, name) for name in PICTURES} | dict(self.candidates)


def further(name: str, count: int) -> tuple[str, ...]:
    """What the candidates of a picture are called, those after the first: color_2, color_3 ..."""
    return tuple(f"{name}_{number}" for number in range(2, count + 1))


def picture_of(name: str) -> str:
    """The one of PICTURES of which this is a candidate, or is the first."""
    before, _, number = name.rpartition("_")
    return before if number.isdigit() else name
