"""The whole chain for photos as arrays: defects found, filled, and the photo coloured.

    restorer = Restorer.from_weights()
    restored = restorer(photo)  # an array or a PIL image, or several

Photos that fit into a bucket go through detector and inpainter as one program, several at a time;
larger ones tile by tile. Colours come from small views of the photos by a program of its own, which
is the same whatever else is asked for, and so are the colours. What touches single pixels happens
afterwards, at the photo's own depth.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image

from oldphoto_jax.photo import image, tone
from oldphoto_jax.photo.types import Array, Gray, Rows
from oldphoto_jax.restore import batch, colorize, detect, holes, pictures, program, recipes
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.tasks.segment import Segment

RESTORED, RESTORED_COLOR, COLOR = PICTURES = ("restored", "restored_color", "color")
DETECTOR, INPAINTER, COLORIZER = "segment-lite", "inpaint-lite", "colorize-lite"
GROW, FEATHER = 2, 1  # pixels: found masks fit tightly, and leave a rim of the scratch


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A photo, and what is known of its damage already.

    pixels       [H,W,1|3] uint8 or uint16, as from a file
    mask         [H,W] uint8, 1 where damaged: then nothing is detected and nothing grown
    probability  [H,W] uint16, 65535 = certain: what was detected before
    add, remove  [H,W] uint8, 1 where the mask gets, and loses, pixels
    """

    pixels: np.ndarray
    mask: np.ndarray | None = None
    probability: np.ndarray | None = None
    add: np.ndarray | None = None
    remove: np.ndarray | None = None

    def __post_init__(self):
        for name in ("mask", "probability", "add", "remove"):
            given = getattr(self, name)
            if given is not None and given.shape != self.pixels.shape[:2]:
                raise ValueError(
                    f"{name} has {given.shape} pixels, the photo {self.pixels.shape[:2]}; "
                    "give equal sizes"
                )
        if self.probability is not None and self.probability.dtype != np.uint16:
            raise ValueError(f"probability is uint16 at full scale, got {self.probability.dtype}")

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


class Restorer:
    """Restores photos by what the three networks say; see `from_weights`.

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
        grow: int = GROW,
        grow_given: int = 0,
        count: int = 1,
        devices: Sequence[jax.Device] | None = None,
    ):
        if not outputs or {*outputs} - {*PICTURES}:
            raise ValueError(f"outputs {outputs}: choose some of {', '.join(PICTURES)}")
        if min(grow, grow_given) < 0 or count < 1:
            raise ValueError(f"grow {grow}, {grow_given}, {count} photos: give 0 or more, and 1")
        self.fills = bool({RESTORED, RESTORED_COLOR} & {*outputs})
        self.colors = bool({RESTORED_COLOR, COLOR} & {*outputs})
        self.detector = detector if self.fills else None
        self.inpainter = inpainter if self.fills else None
        self.colorizer = colorizer if self.colors else None
        if self.fills and (detector is None or inpainter is None or inpainter.stage is None):
            raise ValueError("restored pictures need the networks of a detector and an inpainter")
        if self.colors and colorizer is None:
            raise ValueError("pictures in colour need a colorizer")
        self.outputs, self.grow, self.grow_given = tuple(outputs), grow, grow_given
        self.count, self.devices = count, [*(devices or jax.local_devices())]
        self.compiled: list[tuple[int, ...]] = []
        self._programs: dict[Hashable, program.Program] = {}

    @classmethod
    def from_weights(
        cls,
        detector: str | os.PathLike | None = None,
        inpainter: str | os.PathLike | None = None,
        colorizer: str | os.PathLike | None = None,
        *,
        threshold: float | None = None,
        tta: bool = False,
        min_size: int = 0,
        tile: int = detect.TILE,
        feather: int = FEATHER,
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
        fills = {RESTORED, RESTORED_COLOR} & {*outputs}
        filler = {} if max_hole is None else {"max_hole": max_hole}
        return cls(
            Detector(
                stage=stages.load(detector, DETECTOR, Segment),
                threshold=threshold,
                tta=tta,
                min_size=min_size,
                tile=tile,
            )
            if fills
            else None,
            Inpainter(
                stage=stages.load(inpainter, INPAINTER, Inpaint),
                feather=feather,
                strength=strength["inpaint"],
                **filler,
            )
            if fills
            else None,
            Colorizer(
                stage=stages.load(colorizer, COLORIZER, Colorize),
                strength=strength["colorize"],
                size=size,
                recolor=recolor,
            )
            if {RESTORED_COLOR, COLOR} & {*outputs}
            else None,
            outputs=outputs,
            **more,
        )

    @property
    def made(self) -> int:
        """How many programs were made so far, of buckets and of tiles."""
        parts = [part for part in (self.detector, self.inpainter, self.colorizer) if part]
        return len(self.compiled) + sum(len(part.stage.compiled) for part in parts)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the pictures depend on, beside the photo and what is known of its damage."""
        parts = {
            "detect": self.detector,
            "inpaint": self.inpainter,
            "colorize": self.colorizer,
        }
        told = {name: part.settings for name, part in parts.items() if part}
        return told | ({"grow": [self.grow, self.grow_given]} if self.fills else {})

    def __call__(self, photos, mask=None) -> Restored | list[Restored]:
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
            Request(pixels=one.pixels, mask=None if given is None else pictures.open_mask(given))
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

    def key(self, request: Request) -> Hashable:
        """Requests of equal keys can go into `answer` together, `count` of them."""
        return self.place(*request.pixels.shape[:2]), self._known(request)

    def place(self, height: int, width: int) -> Hashable:
        """Photos of sizes with the same place are padded to the same shapes: of bucket and view."""
        return self._bucket(height, width), self._small(height, width) if self.colors else None

    def _bucket(self, height: int, width: int) -> tuple[int, int] | None:
        """None where photos of this size go tile by tile, or nothing is filled."""
        if not self.fills:
            return None
        parts = (self.detector, self.inpainter)
        multiple = int(np.lcm.reduce([part.stage.task.multiple for part in parts]))
        return program.bucket(height, width, tile=self.detector.tile, multiple=multiple)

    def _small(self, height: int, width: int) -> tuple[int, int]:
        """The sides to which the view of a photo of this size is padded."""
        size, multiple = self.colorizer.size, self.colorizer.stage.task.multiple
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
            probability = self._probability(request, answer, folder)
            mask = self._mask(request, probability, folder)
            fill = answer["fill"][:height, :width] if "fill" in answer else None
            restored, found = self.inpainter.mend(pixels, mask, folder, fill)
            told |= {"marked": round(holes.share(mask), 6)} | found
            if found["left"]:  # the programs' view shows them filled
                answer = {name: one for name, one in answer.items() if name != RESTORED_COLOR}
        made = {RESTORED: restored}
        reason = None
        if self.colors:
            reason = self.colorizer.reason(told["kind"])
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

    def _known(self, request: Request) -> tuple[bool, ...]:
        names = ("mask", "probability", "add", "remove")
        return tuple(getattr(request, name) is not None for name in names)

    def _edited(self, request: Request) -> bool:
        """Whether the mask depends on more than a recipe knows, which is then cut in two there."""
        feather = self.inpainter.feather
        return (
            any(self._known(request))
            or self.detector.min_size > 1
            or max(self.grow, feather) > recipes.REACH
        )

    def _together(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Answers for photos of one key, `count` of them at most."""
        sides = [request.pixels.shape[:2] for request in requests]
        answers: list[dict[str, Any]] = [{} for _ in requests]
        colored = [n for n, one in enumerate(requests) if self._colored(one)]
        small = {n: colorize.working_size(*sides[n], self.colorizer.size) for n in colored}
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
        wanted = ["fill"] if self.inpainter.strength else []
        if RESTORED_COLOR in self.outputs and self.colorizer.strength:
            wanted.append("view")
            # Of one size whatever the proportions, or each bucket would make several programs.
            most = (colorize.LONGEST * self.colorizer.size,) * 2
            for one, request in zip(frames, requests, strict=True):
                sides = request.pixels.shape[:2]
                small = colorize.working_size(*sides, self.colorizer.size)
                one |= program.shrinking(sides, small, shape, most)
        if not self._edited(requests[0]):
            return self._ask(("probability", "mask", *wanted), frames)
        answers: list[dict[str, Any]] = [{} for _ in requests]
        if requests[0].mask is None and requests[0].probability is None:
            seen = [{name: one[name] for name in ("photo", "gray")} for one in frames]
            answers = self._ask(("probability",), seen)
        for request, answer, one in zip(requests, answers, frames, strict=True):
            mask = self._mask(request, self._probability(request, answer, None), None)
            one["mask"] = image.pad_to(mask[..., None].astype(np.float32), *shape)
        more = self._ask(tuple(wanted), frames)
        return [{**first, **second} for first, second in zip(answers, more, strict=True)]

    def _colored(self, request: Request) -> bool:
        """Whether the photo gets colours."""
        return self.colors and self.colorizer.reason(request.kind) is None

    def _ask(self, steps: tuple[str, ...], frames) -> list[dict[str, Any]]:
        """What these steps of the chain make of the frames; the program is made at first use."""
        if not steps or not frames:
            return [{} for _ in frames]
        if steps not in self._programs:
            asked = {
                "detect": self.detector if "probability" in steps else None,
                "inpaint": self.inpainter if "fill" in steps else None,
                "colorize": self.colorizer if "chroma" in steps else None,
            }
            self._programs[steps] = program.Program(
                self._recipe(steps),
                {name: part.stage.params for name, part in asked.items() if part},
                [step for step in steps if step != "mask"],
                self.devices,
                self.compiled,
            )
        return self._programs[steps](frames, self.count)

    def _recipe(self, steps: tuple[str, ...]) -> recipes.Recipe:
        """The stages that find what is asked for."""
        finder, filler, painter = self.detector, self.inpainter, self.colorizer
        source = "restored" if "fill" in steps else "photo"
        stages = {
            "probability": lambda: recipes.Detect(finder.stage, finder.tta),
            "mask": lambda: recipes.Choose(detect.step(finder.threshold), self.grow),
            "fill": lambda: recipes.Inpaint(filler.stage, filler.feather, filler.strength),
            "view": lambda: recipes.View(source),
            "chroma": lambda: recipes.Colorize(painter.stage),
        }
        return tuple(stages[step]() for step in steps)

    def _probability(self, request: Request, answer, folder) -> np.ndarray | None:
        """[H,W] uint16: as it was given, or found; None where a mask was given."""
        if request.mask is not None or request.probability is not None:
            return request.probability
        if "probability" in answer:
            height, width = request.pixels.shape[:2]
            return answer["probability"][:height, :width, 0]
        return self.detector.find(request.pixels, folder)

    def _mask(self, request: Request, probability, folder) -> np.ndarray:
        """[H,W] uint8: what is given or found, grown, then with and without what users drew."""
        if request.mask is not None:
            mask = holes.grow((request.mask > 0).astype(np.uint8), self.grow_given, folder)
        else:
            one = self.detector
            mask = detect.cut(probability, one.threshold, one.min_size, folder)
            mask = holes.grow(mask, self.grow, folder)
        if request.add is not None:
            mask = mask | (request.add > 0)
        if request.remove is not None:
            mask = mask & (request.remove == 0)
        return mask

    def _view(self, answer, name: str, pixels: Rows) -> tuple[Gray, Array]:
        """Luma and chroma of the small view of these pixels."""
        if name not in answer:
            return colorize.guess(self.colorizer.stage, pixels, self.colorizer.size)
        luma, chroma = answer[name]
        if not np.isfinite(chroma).all():
            raise ValueError("some colours are no numbers; these weights are broken")
        return luma, chroma

    def _paint(self, pixels, luma, chroma) -> colorize.Painted:
        return colorize.Painted(pixels, luma, chroma, self.colorizer.strength)


def _status(told: dict[str, Any], reason: str | None, colors: bool) -> dict[str, Any]:
    """How it went with the photo as a whole, from what is told of its holes and its colours."""
    notes = [note for note in (told.get("reason"), reason) if note]
    colored = colors and reason is None
    status = told.get("status", batch.NOTHING if "marked" not in told else batch.OK)
    if status == batch.NOTHING and colored:
        status = batch.OK
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
