"""The whole chain for photos as arrays: defects found, filled, and the photo coloured.

    restorer = Restorer.from_weights()
    restored = restorer(photo)  # an array or a PIL image, or several

Photos that fit into a bucket go through `programs` together; larger ones tile by tile, and get
their colours from one small view of the whole. What touches single pixels happens afterwards, at
the photo's own depth.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from oldphoto_jax.photo import image
from oldphoto_jax.photo.types import Rows
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import colorize, detect, fill, holes, pictures, recipes, report
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.restore.programs import Programs
from oldphoto_jax.restore.request import (
    COLOR,
    PICTURES,
    RESTORED,
    RESTORED_COLOR,
    Request,
    Restored,
)

DETECTOR, INPAINTER, COLORIZER = "segment-lite", "inpaint-lite", "colorize-lite"


class Restorer(Programs):
    """Restores photos by what the three networks say; see `from_weights`."""

    @classmethod
    def from_weights(
        cls,
        detector: str | os.PathLike | None = None,
        inpainter: str | os.PathLike | None = None,
        colorizer: str | os.PathLike | None = None,
        *,
        threshold: float | None = None,
        careful: bool = False,
        tta: bool = False,
        min_size: int = 0,
        tile: int = detect.TILE,
        coarse: bool = True,
        feather: int = recipes.FEATHER,
        max_hole: int | None = None,
        strength: dict[str, float] | None = None,
        size: int = colorize.SIZE,
        recolor: bool = False,
        outputs: Sequence[str] = PICTURES,
        **more: Any,
    ) -> Restorer:
        """A restorer with the weights of these files or training runs; without, the packaged ones.

        `strength` has 0..1 for "inpaint" and "colorize"; 0 changes no bit. `more` goes to
        `Restorer`. Raises WeightsError for weights that cannot be used.
        """
        strength = {"inpaint": 1.0, "colorize": 1.0} | (strength or {})
        if unknown := strength.keys() - {"inpaint", "colorize"}:
            raise ValueError(f"strength of {', '.join(unknown)}: there is inpaint and colorize")
        finder = filler = painter = None
        if {RESTORED, RESTORED_COLOR} & {*outputs}:
            finder = Detector(
                stage=stages.load(detector, DETECTOR, DefectPredictor),
                threshold=threshold,
                careful=careful,
                tta=tta,
                min_size=min_size,
                tile=tile,
                overlap=min(detect.OVERLAP, tile // 2),
                coarse=coarse,
            )
            limit = {} if max_hole is None else {"max_hole": max_hole}
            options: dict[str, Any] = dict(feather=feather, strength=strength["inpaint"], **limit)
            filler = _inpainter(
                stages.load(inpainter, INPAINTER, FillingPredictor), tile, **options
            )
        if {RESTORED_COLOR, COLOR} & {*outputs}:
            painter = Colorizer(
                stage=stages.load(colorizer, COLORIZER, ColorPredictor),
                strength=strength["colorize"],
                size=size,
                recolor=recolor,
            )
        return cls(finder, filler, painter, outputs=outputs, **more)

    def __call__(self, photos: Any, mask: Any = None) -> Restored | list[Restored]:
        """Restores an array, a PIL image, or a sequence of them; `mask` likewise, if given.

        Arrays are [H,W], [H,W,1|3] or, with alpha, [H,W,2|4], uint8 or uint16; [N,H,W,C] counts
        as a sequence. Pictures come back as what came in, alpha untouched, gray ones in colour
        with three channels. A mask is white, or anything but 0, where the photo is damaged.
        Raises ValueError for other arrays, and what is wrong with any of the photos.
        """
        several = pictures.several(photos)
        opened = [pictures.open_picture(one) for one in (photos if several else [photos])]
        alone = mask is None or not several or isinstance(mask, Image.Image)
        masks = [mask] if alone else [*mask]
        if mask is None:
            masks *= len(opened)
        if len(masks) != len(opened):
            raise ValueError(f"{len(masks)} masks for {len(opened)} photos: give one for each")
        requests = [
            Request(pixels=one.seen, mask=None if given is None else pictures.open_mask(given))
            for one, given in zip(opened, masks, strict=True)
        ]
        results: list[Any] = [None] * len(requests)
        numbers = range(len(requests))
        keys = [self.key(request) for request in requests]
        for group in ([n for n in numbers if keys[n] == key] for key in dict.fromkeys(keys)):
            answers = self.answer([requests[n] for n in group])
            for n, answer in zip(group, answers, strict=True):
                results[n] = _hand_back(opened[n], self.finish(requests[n], answer))
        return results if several else results[0]

    def finish(
        self,
        request: Request,
        answer: dict[str, Any],
        folder: str | os.PathLike | None = None,
    ) -> Restored:
        """The pictures of a photo, at its own size and depth, from what `answer` gave for it.

        Pictures are arrays, or make their rows when they are asked for (`types.Rows`). Large
        ones lie in scratch space in `folder`.
        """
        pixels = request.pixels
        height, width = pixels.shape[:2]
        told: dict[str, Any] = {"size": [height, width], "kind": request.kind}
        mask = probability = None
        restored: Rows = pixels
        if self.fills:
            probability = self.probability(request, answer, folder)
            mask = self.mask(request, probability, folder)
            known = answer["fill"][:height, :width] if "fill" in answer else None
            restored, found = self._mend(pixels, mask, known, folder)
            told |= {"marked": round(holes.share(mask), 6)} | found
            if found["left"]:  # the programs' view shows them filled
                answer = {name: one for name, one in answer.items() if name != RESTORED_COLOR}
        made = {RESTORED: restored}
        reason = None
        if self.colors:
            reason = self._painter.reason(told["kind"])
            unchanged = restored is pixels
            views = {
                COLOR: lambda: self._view(answer, COLOR, pixels),
                RESTORED_COLOR: lambda: self._view(answer, RESTORED_COLOR, restored),
            }
            if unchanged and COLOR in self.outputs:
                views[RESTORED_COLOR] = views[COLOR]
            for name, source in ((COLOR, pixels), (RESTORED_COLOR, restored)):
                if name in self.outputs:
                    made[name] = source if reason else self._paint(source, *views[name]())
        told |= _status(told, reason, self.colors)
        wanted = {name: made[name] if name in self.outputs else None for name in PICTURES}
        return Restored(**wanted, mask=mask, probability=probability, report=told)

    def _mend(
        self,
        pixels: np.ndarray,
        mask: np.ndarray,
        known: np.ndarray | None,
        folder: str | os.PathLike | None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """What the inpainter makes of the photo; where no good pixel is left, the photo itself."""
        if holes.share(holes.grow(mask, self._filler.feather, folder)) < 1:
            return self._filler.mend(pixels, mask, folder, known)
        reason = "all of it is marked as damaged, so that nothing is left to go by: not restored"
        told = {"filled": 0.0, "thickest": max(mask.shape), "holes": {}, "left": 1, "guessed": 0}
        return pixels, told | {"thick": [], "status": report.BEYOND, "reason": reason}

    def _view(
        self, answer: Mapping[str, Any], name: str, pixels: Rows
    ) -> tuple[np.ndarray, np.ndarray]:
        """Luma and chroma of the small view of these pixels."""
        if name not in answer:
            return colorize.guess(self._painter.stage, pixels, self._painter.size)
        luma, chroma = answer[name]
        if not np.isfinite(chroma).all():
            raise ValueError("some colours are no numbers; these weights are broken")
        return luma, chroma

    def _paint(self, pixels: Rows, luma: np.ndarray, chroma: np.ndarray) -> colorize.Painted:
        return colorize.Painted(pixels, luma, chroma, self._painter.strength)


def _inpainter(stage: stages.Stage[FillingPredictor], tile: int, **more: Any) -> Inpainter:
    """An inpainter whose tiles are no larger than the detector's."""
    multiple = stage.predictor.multiple
    tile = max(min(tile, fill.TILE) // multiple, 1) * multiple
    overlap = min(fill.OVERLAP, tile // multiple // 2 * multiple)
    return Inpainter(stage=stage, tile=tile, overlap=overlap, **more)


def _status(told: dict[str, Any], reason: str | None, colors: bool) -> dict[str, Any]:
    """How it went with the photo as a whole, from what is told of its holes and its colours."""
    notes = [note for note in (told.get("reason"), reason) if note]
    colored = colors and reason is None
    status = told.get("status", report.NOTHING if "marked" not in told else report.OK)
    if status == report.NOTHING and colored:
        status = report.OK
    return {"status": status} | ({"reason": "; ".join(notes)} if notes else {})


def _hand_back(came: pictures.Picture, restored: Restored) -> Restored:
    """The pictures as what came in, and the probability in 0..1."""
    made = {name: getattr(restored, name) for name in PICTURES}
    made = {
        name: None if rows is None else pictures.close_picture(came, rows)
        for name, rows in made.items()
    }
    found = restored.probability
    return dataclasses.replace(
        restored, **made, probability=None if found is None else image.to_float(found)
    )
