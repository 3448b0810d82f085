"""What the networks say about photos: the programs of the chain, each made at its first use.

Photos that fit into a bucket go through detector and inpainter as one program, several at a time.
Colours come from small views of the photos by a program of its own, which is the same whatever else
is asked for, and so are the colours; and it is compiled for few views rather than many buckets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import colorize, detect, holes, program, recipes
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.restore.request import COLOR, PICTURES, RESTORED, RESTORED_COLOR, Request

FILLING = "restored pictures need the networks of a detector and an inpainter"
COLORING = "pictures in colour need a colorizer"


class Programs:
    """The part of a restorer that runs on devices; `restorer.Restorer` is the rest.

    `detector`, `inpainter` and `colorizer` hold the networks and their settings; those that no
    output asks for may be None. Found masks are grown by `grow` pixels, given ones by
    `grow_given`. `count` photos go through a program together, spread over `devices` (all local
    ones). Raises ValueError for settings that don't fit.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        inpainter: Inpainter | None = None,
        colorizer: Colorizer | None = None,
        *,
        outputs: Sequence[str] = PICTURES,
        grow: int = recipes.GROW,
        grow_given: int = 0,
        count: int = 1,
        devices: Sequence[jax.Device] | None = None,
    ):
        if not outputs or {*outputs} - {*PICTURES}:
            raise ValueError(f"outputs {outputs}: choose some of {', '.join(PICTURES)}")
        if min(grow, grow_given) < 0:
            raise ValueError(f"grow {min(grow, grow_given)}: give 0 or more pixels")
        if count < 1:
            raise ValueError(f"batch {count}: give at least one photo")
        self.fills = bool({RESTORED, RESTORED_COLOR} & {*outputs})
        self.colors = bool({RESTORED_COLOR, COLOR} & {*outputs})
        self.detector = detector if self.fills else None
        self.inpainter = inpainter if self.fills else None
        self.colorizer = colorizer if self.colors else None
        if self.fills and (detector is None or inpainter is None or inpainter.stage is None):
            raise ValueError(FILLING)
        if self.colors and colorizer is None:
            raise ValueError(COLORING)
        self.outputs, self.grow, self.grow_given = tuple(outputs), grow, grow_given
        self.count, self.devices = count, [*(devices or jax.local_devices())]
        self.compiled: list[tuple[int, ...]] = []
        self._programs: dict[Hashable, program.Program] = {}

    @property
    def made(self) -> int:
        """How many programs were made so far, of buckets and of tiles."""
        parts = (self.detector, self.inpainter, self.colorizer)
        stages = [part.stage for part in parts if part and part.stage]
        return len(self.compiled) + sum(len(stage.compiled) for stage in stages)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the pictures depend on, beside the photo and what is known of its damage."""
        parts = {
            "detect": self.detector,
            "inpaint": self.inpainter,
            "colorize": self.colorizer,
        }
        told: dict[str, Any] = {name: part.settings for name, part in parts.items() if part}
        told |= {"grow": [self.grow, self.grow_given]} if self.fills else {}
        return told | ({"recolor": self._painter.recolor} if self.colors else {})

    def key(self, request: Request) -> Hashable:
        """Requests of equal keys can go into `answer` together, `count` of them."""
        return self.place(*request.pixels.shape[:2]), self._known(request)

    def place(self, height: int, width: int) -> Hashable:
        """Photos of sizes with the same place are padded to the same shapes: of bucket and view."""
        return self._bucket(height, width), self._small(height, width) if self.colors else None

    def tiled(self, height: int, width: int) -> bool:
        """Whether photos of this size are looked at tile by tile."""
        return self.fills and self._bucket(height, width) is None

    @property
    def _finder(self) -> Detector:
        if self.detector is None:
            raise ValueError(FILLING)
        return self.detector

    @property
    def _filler(self) -> Inpainter:
        if self.inpainter is None:
            raise ValueError(FILLING)
        return self.inpainter

    @property
    def _painter(self) -> Colorizer:
        if self.colorizer is None:
            raise ValueError(COLORING)
        return self.colorizer

    def _bucket(self, height: int, width: int) -> tuple[int, int] | None:
        """None where photos of this size go tile by tile, or nothing is filled."""
        near_by = self.fills and not (self._finder.coarse and height * width > detect.NEAR)
        if not near_by:
            return None
        predictors = (self._finder.stage.predictor, self._filler.trained.predictor)
        multiple = int(np.lcm.reduce([one.multiple for one in predictors]))
        return program.bucket(height, width, tile=self._finder.tile, multiple=multiple)

    def _small(self, height: int, width: int) -> tuple[int, int]:
        """The sides to which the view of a photo of this size is padded."""
        size, multiple = self._painter.size, self._painter.stage.predictor.multiple
        return colorize.view(*colorize.working_size(height, width, size), size, multiple)

    def answer(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """What the programs say about photos of one `key`.

        When the devices run out of memory, half as many photos are taken from then on; at last
        nothing is said of them, so that they go tile by tile. stderr is told.
        """
        try:
            parts = [
                self._together(requests[n : n + self.count])
                for n in range(0, len(requests), self.count)
            ]
            return [answer for part in parts for answer in part]
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
        if self.count > len(self.devices):
            self.count = max(self.count // 2, len(self.devices))
            print(f"out of device memory: {self.count} photos at once", file=sys.stderr)
            return self.answer(requests)
        print("out of device memory: these photos go one by one, in tiles", file=sys.stderr)
        return [{} for _ in requests]

    def probability(
        self, request: Request, answer: Mapping[str, Any], folder: str | os.PathLike | None
    ) -> np.ndarray | None:
        """[H,W] uint16: as it was given, or found; None where a mask was given."""
        if request.mask is not None or request.probability is not None:
            return request.probability
        if "probability" in answer:
            height, width = request.pixels.shape[:2]
            return answer["probability"][:height, :width, 0]
        return self._finder.find(request.pixels, folder)

    def mask(
        self,
        request: Request,
        probability: np.ndarray | None,
        folder: str | os.PathLike | None,
    ) -> np.ndarray:
        """[H,W] uint8: what is given or found, grown, then with and without what users drew.

        Raises ValueError where there is neither a mask nor a probability.
        """
        if request.mask is not None:
            mask = scratch.empty(request.mask.shape, np.uint8, folder)
            for band in scratch.bands(mask, request.mask):
                np.greater(request.mask[band], 0, out=mask[band], casting="unsafe")
            mask = holes.grow(mask, self.grow_given, folder)
        elif probability is None:
            raise ValueError("a mask is cut from a map of probabilities: give one of them")
        else:
            one = self._finder
            mask = detect.cut(probability, one.level, one.min_size, folder)
            mask = holes.grow(mask, self.grow, folder)
        for band in scratch.bands(mask):
            if request.add is not None:
                mask[band] |= request.add[band] > 0
            if request.remove is not None:
                mask[band] &= request.remove[band] == 0
        return mask

    def _known(self, request: Request) -> tuple[bool, ...]:
        names = ("mask", "probability", "add", "remove")
        return tuple(getattr(request, name) is not None for name in names)

    def _edited(self, request: Request) -> bool:
        """Whether the mask depends on more than a recipe knows, which is then cut in two there."""
        feather = self._filler.feather
        return (
            any(self._known(request))
            or self._finder.min_size > 1
            or max(self.grow, feather) > recipes.REACH
        )

    def _together(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Answers for photos of one key, `count` of them at most."""
        sides = [request.sides for request in requests]
        answers: list[dict[str, Any]] = [{} for _ in requests]
        colored = [n for n, one in enumerate(requests) if self._colored(one)]
        small = {n: colorize.working_size(*sides[n], self._painter.size) for n in colored}
        views = {}
        if COLOR in self.outputs:
            views[COLOR] = {n: colorize.shrink(requests[n].pixels, *small[n]) for n in colored}
        if shape := self._bucket(*sides[0]):
            answers = self._fill(requests, shape)
            if colored and RESTORED_COLOR in self.outputs:
                seen = {n: answers[n].pop("view") for n in colored}
                views[RESTORED_COLOR] = {
                    n: image.crop(view, 0, 0, *small[n]) for n, view in seen.items()
                }
        for name, lumas in views.items():
            padded = [image.pad_to(lumas[n], *self._small(*sides[n])) for n in colored]
            found = self._ask(("chroma",), [{"view": view} for view in padded])
            for n, one in zip(colored, found, strict=True):
                answers[n][name] = lumas[n], image.crop(one["chroma"], 0, 0, *small[n])
        return answers

    def _fill(self, requests: Sequence[Request], shape: tuple[int, int]) -> list[dict[str, Any]]:
        """What is found and filled in photos of one bucket, and the view of what is restored.

        It takes two programs where the mask is edited between.
        """
        frames = [program.frame(one.pixels, shape) for one in requests]
        wanted = ["fill"] if self._filler.strength else []
        if RESTORED_COLOR in self.outputs and self._painter.strength:
            wanted.append("view")
            # Of one size whatever the proportions, or each bucket would make several programs.
            longest = colorize.LONGEST * self._painter.size
            for one, request in zip(frames, requests, strict=True):
                small = colorize.working_size(*request.sides, self._painter.size)
                one |= program.shrinking(request.sides, small, shape, (longest, longest))
        if not self._edited(requests[0]):
            return self._ask(("probability", "mask", *wanted), frames)
        answers: list[dict[str, Any]] = [{} for _ in requests]
        if requests[0].mask is None and requests[0].probability is None:
            seen = [{name: one[name] for name in ("photo", "gray")} for one in frames]
            answers = self._ask(("probability",), seen)
        for request, answer, one in zip(requests, answers, frames, strict=True):
            mask = self.mask(request, self.probability(request, answer, None), None)
            one["mask"] = image.pad_to(mask[..., None].astype(np.float32), *shape)
        more = self._ask(tuple(wanted), frames)
        return [{**first, **second} for first, second in zip(answers, more, strict=True)]

    def _colored(self, request: Request) -> bool:
        """Whether the photo gets colours."""
        return self.colors and self._painter.reason(request.kind) is None

    def _ask(
        self, steps: tuple[str, ...], frames: Sequence[Mapping[str, np.ndarray]]
    ) -> list[dict[str, Any]]:
        """What these steps of the chain make of the frames; the program is made at first use."""
        if not steps or not frames:
            return [{} for _ in frames]
        if steps not in self._programs:
            asked = {
                "detect": self._finder.stage if "probability" in steps else None,
                "inpaint": self._filler.trained if "fill" in steps else None,
                "colorize": self._painter.stage if "chroma" in steps else None,
            }
            self._programs[steps] = program.Program(
                self._recipe(steps),
                {name: stage.params for name, stage in asked.items() if stage},
                [step for step in steps if step != "mask"],
                self.devices,
                self.compiled,
            )
        return self._programs[steps](frames, self.count)

    def _recipe(self, steps: tuple[str, ...]) -> recipes.Recipe:
        """The stages that find what is asked for."""
        stages: dict[str, recipes.Step] = {
            "view": recipes.View("restored" if "fill" in steps else "photo")
        }
        if self.fills:
            clean = recipes.clean(
                self._finder.stage,
                self._filler.trained,
                threshold=self._finder.level,
                tta=self._finder.tta,
                grow=self.grow,
                feather=self._filler.feather,
                strength=self._filler.strength,
            )
            stages |= dict(zip(("probability", "mask", "fill"), clean, strict=True))
        if self.colors:
            stages["chroma"] = recipes.color(self._painter.stage)[-1]
        return tuple(stages[step] for step in steps)
