"""Steps that colour: colours guessed on a small view of the whole, and laid on at full depth.

See `steps` for their two forms, and for what is in a batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from oldphoto_jax.photo import image
from oldphoto_jax.photo.color import gray_to_rgb, rgb_to_gray
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.restore import colorize, traced
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.flow import HOST, VIEW, Folder, Record, Step, Weights
from oldphoto_jax.restore.painted import Painted
from oldphoto_jax.restore.request import further
from oldphoto_jax.restore.stage import Stage


@dataclasses.dataclass(frozen=True, eq=False)
class Guess(Step):
    """The colours of a picture as its small view shows it, by the network."""

    colorizer: Colorizer
    source: str = "pixels"  # or "restored"
    over: ClassVar = VIEW
    role: ClassVar = "color"

    @property
    def needs(self) -> tuple[str, ...]:
        """The picture, and what kind of photo it is."""
        return (self.source, "kind")

    @property
    def makes(self) -> tuple[str, ...]:
        """Luma of the view, and chroma of each candidate."""
        return (f"{self.source} view",)

    @property
    def stage(self) -> Stage[Any]:
        """The colorizer's network."""
        return self.colorizer.stage

    def done(self, record: Record) -> bool:
        """Whether it is known, or the photo stays as it is."""
        if record.get(self.makes[0]) is not None:
            return True
        return "kind" in record and self.colorizer.reason(record["kind"]) is not None

    def ready(self, record: Record) -> None:
        """The program of the view, which has the sides of the photo's own."""
        if {"pixels", "kind"} <= record.keys():  # else there is something missing
            height, width = record["pixels"].shape[:2]
            self.colorizer.ready(height, width, hinted="hints" in record)

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """Luma [h,w,1] and chroma [h,w,2], float32, of the view, chroma for each candidate."""
        if record[self.source] is record["pixels"] and "pixels view" in record:
            return {self.makes[0]: record["pixels view"]}
        made = self.colorizer.guess(record[self.source], record.get("hints"))
        return {self.makes[0]: made}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Adds view and chroma; both are padded, see `colorize.working_size` for what counts.

        Raises ValueError for hints, candidates and the colours of another photo.
        """
        one = self.colorizer
        if one.chooses or "hints" in batch:
            raise ValueError(
                "hints, candidates and the colours of another photo are found by the host: ask "
                "for them with flow.run"
            )
        picture = batch["photo" if self.source == "pixels" else self.source]
        height, width = picture.shape[1:3]
        small = colorize.working_size(height, width, one.size)
        shown = colorize.view(*small, one.size, one.stage.predictor.multiple)
        view = traced.shrink(rgb_to_gray(picture), small, shown)
        answer = one.stage.predict(weights[self.role], {"photo": gray_to_rgb(view)})["photo"]
        chroma = colorize.strengthened(one.stage, answer)
        return {f"{self.source} view": view, f"{self.source} chroma": chroma}


@dataclasses.dataclass(frozen=True, eq=False)
class Paint(Step):
    """A picture in the colours of its view, luma as it was; or as it is, where that is right.

    Further candidates are called as `request.further` says.
    """

    colorizer: Colorizer
    source: str
    result: str
    over: ClassVar = HOST

    @property
    def needs(self) -> tuple[str, ...]:
        """The picture, and what kind of photo it is; its view is asked for where it is needed."""
        return (self.source, "kind")

    @property
    def makes(self) -> tuple[str, ...]:
        """The picture in colour, and its further candidates."""
        return (self.result, *further(self.result, self.colorizer.candidates))

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """[H,W,3], its rows made when they are asked for, or the picture itself.

        Raises ValueError where its view is missing, or its colours are no numbers.
        """
        picture = record[self.source]
        if reason := self.colorizer.reason(record["kind"]):
            return dict.fromkeys(self.makes, picture) | {"told": {"uncolored": reason}}
        if (view := record.get(f"{self.source} view")) is None:
            raise ValueError(f"there are no colours for {self.source}: put a Guess of it before")
        luma, *candidates = view
        if not all(np.isfinite(chroma).all() for chroma in candidates):
            raise ValueError("some colours are no numbers; these weights are broken")
        strength, hints = self.colorizer.strength, record.get("hints")
        made = (Painted(picture, luma, chroma, strength, hints) for chroma in candidates)
        return dict(zip(self.makes, made, strict=True))

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Nothing: colours are laid on at the photo's own depth, by the host."""
        return {}


def crop_view(one: Mapping[str, np.ndarray], source: str, small: tuple[int, int]) -> Any:
    """Luma and chroma of a photo's view, without what was padded."""
    return tuple(image.crop(one[f"{source} {part}"], 0, 0, *small) for part in ("view", "chroma"))
