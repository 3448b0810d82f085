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
        """Luma and chroma of the view."""
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
            self.colorizer.ready(*record["pixels"].shape[:2])

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """Luma [h,w,1] and chroma [h,w,2], float32, of the view."""
        if record[self.source] is record["pixels"] and "pixels view" in record:
            return {self.makes[0]: record["pixels view"]}
        one = self.colorizer
        return {self.makes[0]: colorize.guess(one.stage, record[self.source], one.size)}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Adds view and chroma; both are padded, see `colorize.working_size` for what counts."""
        one = self.colorizer
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
    """A picture in the colours of its view, luma as it was; or as it is, where that is right."""

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
        """The picture in colour."""
        return (self.result,)

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """[H,W,3], its rows made when they are asked for, or the picture itself.

        Raises ValueError where its view is missing, or its colours are no numbers.
        """
        picture = record[self.source]
        if reason := self.colorizer.reason(record["kind"]):
            return {self.result: picture, "told": {"uncolored": reason}}
        if (view := record.get(f"{self.source} view")) is None:
            raise ValueError(f"there are no colours for {self.source}: put a Guess of it before")
        luma, chroma = view
        if not np.isfinite(chroma).all():
            raise ValueError("some colours are no numbers; these weights are broken")
        return {self.result: colorize.Painted(picture, luma, chroma, self.colorizer.strength)}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Nothing: colours are laid on at the photo's own depth, by the host."""
        return {}


def crop_view(one: Mapping[str, np.ndarray], source: str, small: tuple[int, int]) -> Any:
    """Luma and chroma of a photo's view, without what was padded."""
    return tuple(image.crop(one[f"{source} {part}"], 0, 0, *small) for part in ("view", "chroma"))
