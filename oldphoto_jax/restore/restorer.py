"""The whole chain for photos as arrays: defects found, filled, and the photo coloured.

    restorer = Restorer.from_weights()
    restored = restorer(photo)  # an array or a PIL image, or several

A photo goes through a flow of `steps`: networks are asked tile by tile, and for colours on one
small view of the whole; pixels are put together at the photo's own depth. Where several photos are
taken at once, as on accelerators, equal ones go through the networks as one program (`flow.pure`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
from PIL import Image

from oldphoto_jax.photo import image
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import color_steps, detect, fill, flow, pictures, status, steps
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.restore.options import COLORIZER, DETECTOR, INPAINTER, Marking, by_step
from oldphoto_jax.restore.request import (
    COLOR,
    PICTURES,
    RESTORED,
    RESTORED_COLOR,
    Request,
    Restored,
    further,
)
from oldphoto_jax.restore.together import Together

FILLING = "restored pictures need the networks of a detector and an inpainter"
COLORING = "pictures in colour need a colorizer"


class Restorer:
    """Restores photos by what three networks say; see `from_weights`.

    `detector`, `inpainter` and `colorizer` hold the networks and their settings; those that no
    output asks for may be None; `marking` is that of `options.Marking`, how far masks are grown.
    With a `count` above 1 so many equal photos go through a program together, spread over `devices`
    (all local ones). Raises ValueError for settings that don't fit.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        inpainter: Inpainter | None = None,
        colorizer: Colorizer | None = None,
        *,
        outputs: Sequence[str] = PICTURES,
        count: int = 1,
        devices: Sequence[jax.Device] | None = None,
        **marking: int,
    ):
        if not outputs or {*outputs} - {*PICTURES}:
            raise ValueError(f"outputs {outputs}: choose some of {', '.join(PICTURES)}")
        if count < 1:
            raise ValueError(f"batch {count}: give at least one photo")
        self.fills = bool({RESTORED, RESTORED_COLOR} & {*outputs})
        self.colors = bool({RESTORED_COLOR, COLOR} & {*outputs})
        self.detector = detector if self.fills else None
        self.inpainter = inpainter if self.fills else None
        self.colorizer = colorizer if self.colors else None
        self.outputs, self.marking = tuple(outputs), Marking(**marking)
        self.flow = self._flow()
        self.together = Together(self.flow, count, devices or jax.local_devices())

    def _flow(self) -> flow.Flow:
        """The steps that make the outputs."""
        chain: list[flow.Step] = []
        if self.fills:
            if self.detector is None or self.inpainter is None or self.inpainter.stage is None:
                raise ValueError(FILLING)
            chain += [
                steps.Find(self.detector),
                steps.Mark(self.detector, self.marking.grow, self.marking.grow_given),
                steps.Fill(self.inpainter),
            ]
        for source, result in (("pixels", COLOR), (RESTORED, RESTORED_COLOR)):
            if result not in self.outputs:
                continue
            if self.colorizer is None:
                raise ValueError(COLORING)
            chain += [
                color_steps.Guess(self.colorizer, source),
                color_steps.Paint(self.colorizer, source, result),
            ]
        return tuple(chain)

    @property
    def candidates(self) -> list[str]:
        """What further versions of the pictures in colour are called."""
        count = self.colorizer.candidates if self.colorizer else 1
        colored = [name for name in self.outputs if name != RESTORED]
        return [one for name in colored for one in further(name, count)]

    @property
    def made(self) -> int:
        """How many programs were made so far, of whole photos, tiles and views."""
        stages = {id(step.stage): step.stage for step in self.flow if step.stage is not None}
        return len(self.together.compiled) + sum(len(stage.compiled) for stage in stages.values())

    @property
    def settings(self) -> dict[str, Any]:
        """All that the pictures depend on, beside the photo and what is known of its damage."""
        parts = {
            "detect": self.detector,
            "inpaint": self.inpainter,
            "colorize": self.colorizer,
        }
        settings: dict[str, Any] = {name: part.settings for name, part in parts.items() if part}
        settings |= {"grow": [*self.marking.settings.values()]} if self.fills else {}
        return settings | ({"recolor": self.colorizer.recolor} if self.colorizer else {})

    @classmethod
    def from_weights(
        cls,
        detector: str | os.PathLike | None = None,
        inpainter: str | os.PathLike | None = None,
        colorizer: str | os.PathLike | None = None,
        *,
        tile: int = detect.TILE,
        strength: Mapping[str, float] | None = None,
        like: Any = None,
        outputs: Sequence[str] = PICTURES,
        count: int = 1,
        devices: Sequence[jax.Device] | None = None,
        **more: Any,
    ) -> Restorer:
        """A restorer with the weights of these files or training runs; without, the packaged ones.

        Tiles have up to `tile` pixels a side, more only where holes need it. `strength` has 0..1
        for "inpaint" and "colorize"; 0 changes no bit. `like` is a photo, a path or as below, whose
        colours others are to have. `count` and `devices` go to `Restorer`.
        `more` are the options of the steps that `restore.options` tells, as does `oldphoto restore
        --help`: threshold, careful, grow, feather and so on. Raises WeightsError for weights that
        cannot be used, TypeError for an option that there is not, ValueError for one that doesn't
        fit.
        """
        given = by_step(more, strength or {})
        finder = filler = painter = None
        if {RESTORED, RESTORED_COLOR} & {*outputs}:
            finder = Detector(
                stage=stages.load(detector, DETECTOR, DefectPredictor),
                tile=tile,
                overlap=min(detect.OVERLAP, tile // 2),
                **given["detect"],
            )
            filler = _inpainter(
                stages.load(inpainter, INPAINTER, FillingPredictor), tile, **given["inpaint"]
            )
        if {RESTORED_COLOR, COLOR} & {*outputs}:
            stage = stages.load(colorizer, COLORIZER, ColorPredictor)
            reference = None if like is None else pictures.open_reference(like)
            painter = Colorizer(stage=stage, reference=reference, **given["colorize"])
        return cls(
            finder, filler, painter, outputs=outputs, count=count, devices=devices, **given["mark"]
        )

    def __call__(
        self, photos: Any, mask: Any = None, hints: Any = None
    ) -> Restored | list[Restored]:
        """Restores an array, a PIL image, or a sequence of them; `mask` likewise, if given.

        `hints` say what colours things have: what a file of hints holds, {"hints": [...]}, or a
        transparent picture with colours on it, [H,W,4] or of PIL; of several photos a list of them,
        None for those without.

        Arrays are [H,W], [H,W,1|3] or, with alpha, [H,W,2|4], uint8 or uint16; [N,H,W,C] counts
        as a sequence. Pictures come back as what came in, alpha untouched, gray ones in colour
        with three channels. A mask is white, or anything but 0, where the photo is damaged.
        Raises ValueError for other arrays, and what is wrong with any of the photos.
        """
        several = pictures.several(photos)
        opened = [pictures.open_picture(one) for one in (photos if several else [photos])]
        masks = _each(mask, len(opened), several, "masks")
        told = _each(hints, len(opened), several, "hints")
        requests = [
            Request(
                pixels=one.seen,
                mask=None if given is None else pictures.open_mask(given),
                hints=None if colors is None else pictures.open_hints(colors, one.seen.shape[:2]),
            )
            for one, given, colors in zip(opened, masks, told, strict=True)
        ]
        results: list[Any] = [None] * len(requests)
        numbers = range(len(requests))
        keys = [self.key(request) for request in requests]
        for group in ([n for n in numbers if keys[n] == key] for key in dict.fromkeys(keys)):
            answers = self.answer([requests[n] for n in group])
            for n, answer in zip(group, answers, strict=True):
                results[n] = _hand_back(opened[n], self.finish(requests[n], answer))
        return results if several else results[0]

    def key(self, request: Request) -> Hashable:
        """Requests of equal keys can go into `answer` together."""
        known = (*request.known, request.hints)
        return self.place(*request.sides), *(one is None for one in known)

    def place(self, height: int, width: int) -> Hashable:
        """Photos of sizes with the same place can go into `answer` together; None goes alone."""
        return self.together.place(height, width)

    def answer(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """What the networks say of equal photos, `count` at once, each a part of its record.

        Nothing for those that go one by one, see `together.Together`.
        """
        return self.together(requests)

    def finish(
        self,
        request: Request,
        answer: Mapping[str, Any],
        folder: str | os.PathLike | None = None,
    ) -> Restored:
        """The pictures of a photo, at its own size and depth, with what `answer` gave for it.

        Pictures are arrays, or make their rows when they are asked for (`types.Rows`). Large
        ones lie in scratch space in `folder`.
        """
        made = flow.run(self.flow, {**request.record, **answer}, folder)
        report = {"size": [*request.sides], "kind": request.kind} | made["told"]
        report |= status.whole(report, report.pop("uncolored", None), self.colors)
        wanted = {name: made[name] if name in self.outputs else None for name in PICTURES}
        mask, probability = made.get("mask"), made.get("probability")
        more = {name: made[name] for name in self.candidates}
        return Restored(
            **wanted, mask=mask, probability=probability, report=report, candidates=more
        )


def _each(given: Any, count: int, several: bool, what: str) -> list[Any]:
    """What is given for each of the photos; None for all where nothing is."""
    if given is None:
        return [None] * count
    alone = not several or isinstance(given, Image.Image | Mapping)
    each = [given] if alone else [*given]
    if len(each) != count:
        raise ValueError(f"{len(each)} {what} for {count} photos: give one for each")
    return each


def _inpainter(stage: stages.Stage[FillingPredictor], tile: int, **more: Any) -> Inpainter:
    """An inpainter whose tiles are no larger than the detector's."""
    multiple = stage.predictor.multiple
    tile = max(min(tile, fill.TILE) // multiple, 1) * multiple
    overlap = min(fill.OVERLAP, tile // multiple // 2 * multiple)
    return Inpainter(stage=stage, tile=tile, overlap=overlap, **more)


def _hand_back(came: pictures.Picture, restored: Restored) -> Restored:
    """The pictures as what came in, and the probability in 0..1."""
    made: dict[str, Any] = {
        name: None if rows is None else pictures.close_picture(came, rows)
        for name, rows in restored.pictures.items()
    }
    made["candidates"] = {name: made.pop(name) for name in restored.candidates}
    probability = restored.probability
    return dataclasses.replace(
        restored, **made, probability=None if probability is None else image.to_float(probability)
    )
