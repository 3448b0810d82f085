"""Photos given colours: a network guesses them once for the whole photo, at a small size.

The guess is enlarged along the edges of the photo's own luma, which stays as it is; memory on the
device doesn't depend on the photo, and no seams can arise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from oldphoto_jax.metrics import color as measure
from oldphoto_jax.photo import color, image, tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.hints import Hints
from oldphoto_jax.photo.types import AnyArray, Rows
from oldphoto_jax.predictors.colors import ChoicePredictor
from oldphoto_jax.restore import choices, spread
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.options import Colorizing
from oldphoto_jax.restore.painted import STRIP, luma_of, paint

if TYPE_CHECKING:
    from oldphoto_jax.predictors.colors import ColorPredictor

SIZE = Colorizing.size  # pixels; the shorter side of what the network sees
SMALLEST, LARGEST = 64, 1024
LONGEST = 1.5  # the longer side that it sees, in shorter ones
PROPORTIONS = ((1, 1), (1, LONGEST), (LONGEST, 1))  # of its sides, a program for each


def colorize(
    stage: stages.Stage[ColorPredictor], pixels: np.ndarray, size: int = SIZE, strength: float = 1.0
) -> np.ndarray:
    """A file's pixels [H,W,1|3], uint8 or uint16, in colour: [H,W,3] of the same dtype.
    Luma stays within one code value of what it was, at every pixel. `strength` mixes the photo's
    own colours (of a gray one, none) with the network's; 0 gives back the pixels themselves.
    Raises ValueError where the network answers no numbers, MemoryError when the device cannot
    take the smallest size.
    """
    if not strength:
        return pixels
    luma, chroma = guess(stage, pixels, size)
    return paint(pixels, luma, chroma, strength)


def guess(
    stage: stages.Stage[ColorPredictor],
    pixels: Rows,
    size: int = SIZE,
    hints: Hints | None = None,
    reference: choices.Reference | None = None,
    count: int = 1,
) -> tuple[np.ndarray, ...]:
    """What the network sees of a photo [H,W,1|3], and the colours that it finds for it.

    Luma [h,w,1] and chroma [h,w,2] (Cb and Cr, 0.5 is gray; times the gain of the weights),
    float32, of the working size; `count` of the latter, the likeliest first. Hints are told to
    networks that listen, and `spread` for all. With a `reference` or a `count` above 1 the stage
    is one of a ChoicePredictor. When the device runs out of memory the size is halved, and stderr
    told.
    """

    def go(size: int, _overlap: int) -> tuple[np.ndarray, ...]:
        height, width = pixels.shape[:2]
        luma = shrink(pixels, *working_size(height, width, size))
        height, width = luma.shape[:2]
        sides = view(height, width, size, stage.predictor.multiple)
        padded = image.pad_to(luma, *sides)
        known = None if hints is None else hints.at(height, width)
        more = {} if known is None else _told(stage.predictor, known, sides)
        answer = stage(color.gray_to_rgb(padded)[None], **more)
        photo = answer["photo"][0, :height, :width]
        if not np.isfinite(photo).all():
            raise ValueError("some colours are no numbers; these weights are broken")
        found = [strengthened(stage, photo)]
        if reference is not None or count > 1:
            one = choices.Answer(stage.predictor, padded, answer["answer"][0], height, width)
            first = found[0] if reference is None else choices.like(one, reference)
            found = [chroma for chroma, _ in choices.candidates(one, count, first)]
        if known is not None:
            found = [spread.hinted(luma, chroma, known) for chroma in found]
        return luma, *found

    return stages.within_memory(go, size, 0, SMALLEST, what="working size")


def _told(
    predictor: ColorPredictor, known: np.ndarray, sides: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The hints [h,w,3] of a view as the network of a predictor wants them, if it wants any.

    Its colours are strengthened afterwards: so it is told weaker ones.
    """
    if not predictor.hints:
        return {}
    height, width = known.shape[:2]
    padded = np.zeros((1, *sides, 3), np.float32)
    padded[0, :height, :width] = known / np.array([predictor.gain, predictor.gain, 1], np.float32)
    return {"hints": padded}


def strengthened(stage: stages.Stage[ColorPredictor], photo: AnyArray) -> AnyArray:
    """Cb and Cr [..,2] of what the network answers, [..,3], times the gain of its weights."""
    return 0.5 + stage.predictor.gain * (color.rgb_to_ycbcr(photo)[..., 1:] - 0.5)


def working_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of what the network sees of a photo, the shorter side being `size`.

    Both are smaller, in proportion, where the longer one would be more than LONGEST times that.
    """
    short, long = sorted((height, width))
    scale = min(size / short, LONGEST * size / long)
    return max(1, round(height * scale)), max(1, round(width * scale))


def view(height: int, width: int, size: int, multiple: int) -> tuple[int, int]:
    """The sides to which what the network sees, height x width, is padded by mirroring.

    The first of few shapes in which it fits, so that a folder makes few programs.
    """

    def grown(side: float) -> int:
        return math.ceil(side * size / multiple) * multiple

    shapes = [(grown(down), grown(across)) for down, across in PROPORTIONS]
    return next(shape for shape in shapes if shape[0] >= height and shape[1] >= width)


def shrink(pixels: Rows, height: int, width: int) -> np.ndarray:
    """Luma [height,width,1], float32 in 0..1, of pixels [H,W,1|3], made some rows at a time.

    Averages over areas; where the photo is the smaller one, it is interpolated.
    """
    columns = min(width, pixels.shape[1])
    strips = [image.resize(luma_of(rows), len(rows), columns) for _, rows in _strips(pixels)]
    return image.resize(np.concatenate(strips), height, width)


@dataclasses.dataclass(kw_only=True)
class Colorizer(Colorizing):
    """A network that guesses colours, and how they are laid on.

    Photos that are in colour already stay as they are, unless `recolor`. This is left out of
    `settings`: what was coloured on request stays so when others are added later. With a
    `reference` photos get its colours, where they are likely. Raises ValueError for settings that
    don't fit.
    """

    stage: stages.Stage[ColorPredictor]
    reference: choices.Reference | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= choices.HUES:
            raise ValueError(f"candidates {self.candidates}: give 1 to {choices.HUES}")
        if self.chooses and not isinstance(self.stage.predictor, ChoicePredictor):
            predictor = ChoicePredictor.of(self.stage.predictor)
            self.stage = stages.Stage(predictor, self.stage.params, self.stage.checksum)
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength {self.strength}: give a number from 0 to 1")
        if not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"size {self.size}: give {SMALLEST} to {LARGEST} pixels")

    @property
    def settings(self) -> dict[str, Any]:
        """All that the coloured photos depend on, beside the photos and `recolor`."""
        like = None if self.reference is None else self.reference.checksum
        return {"weights": self.stage.checksum} | super().settings | {"like": like}

    @property
    def chooses(self) -> bool:
        """Whether other colours are wanted than those that the network would take."""
        return self.reference is not None or self.candidates > 1

    def guess(self, pixels: Rows, hints: Hints | None = None) -> tuple[np.ndarray, ...]:
        """Luma of a photo's view, and chroma of each candidate: see `guess`."""
        return guess(self.stage, pixels, self.size, hints, self.reference, self.candidates)

    def ready(self, height: int, width: int, hinted: bool = False) -> None:
        """Begins to make the program of the view of a photo of these sides, `hinted` or not."""
        small = working_size(height, width, self.size)
        shown = view(*small, self.size, self.stage.predictor.multiple)
        photo = (1, *shown, 3)
        told = {"hints": photo} if hinted and self.stage.predictor.hints else {}
        self.stage.ready(photo, **told)

    def reason(self, kind: str) -> str | None:
        """Why a photo of this kind is left as it is, or None."""
        if self.strength == 0:
            return "strength 0: left as it is"
        if kind in tone.COLORED and not self.recolor:
            return "in colour already: left as it is"
        return None


def colorfulness(pixels: np.ndarray) -> float:
    """`metrics.color.cf_hs2003` of pixels [H,W,1|3], without their grain: seen at size SIZE."""
    height, width = pixels.shape[:2]
    small = image.resize(pixels, *working_size(height, width, SIZE))
    return round(float(measure.cf_hs2003(files.rgb(small)[None])[0]), 2)


def _strips(pixels: Rows) -> Iterator[tuple[int, np.ndarray]]:
    """The number of the first row and the rows, some at a time."""
    step = max(1, STRIP // pixels.shape[1])
    return ((top, pixels[top : top + step]) for top in range(0, pixels.shape[0], step))
