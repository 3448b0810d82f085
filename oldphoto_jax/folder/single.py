"""Photo files through one part of the chain: masks found, holes filled, or colours laid on.

Each class runs a short flow on the photo of a job, as `batch.run` asks for it, and writes what the
flow makes. Of a file of several pages the first is worked on, and the report notes the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from oldphoto_jax.folder import masks, written
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import Entry
from oldphoto_jax.photo import encoding, tone
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import contained, files, hint_files
from oldphoto_jax.restore import colorize, detect, flow, holes
from oldphoto_jax.restore.color_steps import Guess, Paint
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.inpaint import Inpainter
from oldphoto_jax.restore.stage import Stage
from oldphoto_jax.restore.status import NOTHING
from oldphoto_jax.restore.steps import Fill, Find, Mark


class Single(Protocol):
    """What each of these can do."""

    report: ClassVar[str]

    @property
    def settings(self) -> dict[str, Any]:
        """All that the files depend on, beside what is given with a job."""

    @property
    def stage(self) -> Stage[Any] | None:
        """The network that is asked, if any."""

    def __call__(self, job: Job) -> Entry:
        """Writes the files of a job; says what came of it."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Writes the mask of a photo, its probability map, and the photo with its defects in red."""

    detector: Detector
    report: ClassVar[str] = "segment"  # what the report calls it

    @property
    def settings(self) -> dict[str, Any]:
        """All that the files depend on, beside the photos."""
        return self.detector.settings

    @property
    def stage(self) -> Stage[Any]:
        """The network that is asked."""
        return self.detector.stage

    def __call__(self, job: Job) -> Entry:
        """Writes the job's files, the mask last.

        Told are `size` [H,W], `marked`, the share of pixels in the mask, `thickest` in pixels,
        whether that is `beyond_training`, and `notes` on the file.
        """
        photo, pixels, record = _opened(job)
        made = flow.run((Find(self.detector), Mark(self.detector, grow=0)), record)
        mask, probability = made["mask"], made["probability"]
        pictures = {
            "prob": lambda: probability[..., None],
            "overlay": lambda: detect.overlay(pixels, mask),
            "mask": lambda: detect.white(mask),
        }
        for kind, picture in pictures.items():
            if kind in job.outputs:
                job.outputs[kind].parent.mkdir(parents=True, exist_ok=True)
                files.write_png(job.outputs[kind], picture())
        thickest = holes.thickest(mask)
        beyond = thickest > self.detector.stage.predictor.max_size
        entry = made["told"] | {"thickest": thickest, "beyond_training": beyond}
        return {"size": _size(pixels)} | entry | written.together({}, _notes(job, photo))


@dataclasses.dataclass(frozen=True)
class Filling:
    """Writes a photo without the holes that its mask, an input of the job, marks in it."""

    inpainter: Inpainter
    report: ClassVar[str] = "inpaint"

    @property
    def settings(self) -> dict[str, Any]:
        """All that the restored photos depend on, beside photos and masks."""
        return self.inpainter.settings

    @property
    def stage(self) -> Stage[Any] | None:
        """The network that is asked, if any."""
        return self.inpainter.stage

    def __call__(self, job: Job) -> Entry:
        """Writes the restored photo.

        Told are its `size` [H,W], what `Inpainter.mend` and `written.put` tell, and `notes`. Raises
        ValueError where the mask, grown or feathered, leaves nothing of the photo.
        """
        photo, pixels, record = _opened(job)
        mask, one = masks.read(job.inputs["mask"], pixels.shape[:2]), self.inpainter
        if one.feather and one.strength and holes.share(holes.grow(mask, one.feather)) == 1:
            raise ValueError(
                f"the mask, feathered over {one.feather} pixels, leaves nothing of the photo to go "
                "by; mark less or feather it less"
            )
        made = flow.run((Fill(one),), {**record, "mask": mask})
        filled = made["restored"]
        reach = None if filled is pixels else holes.grow(mask, one.grow)
        pictures = dict.fromkeys(job.outputs, filled)
        entry = _put(job, photo, pixels, pictures, mask=reach, feather=one.feather)
        return {"size": _size(pixels)} | made["told"] | entry


@dataclasses.dataclass(frozen=True)
class Coloring:
    """Writes a photo in colour; one that has colours is copied, unless it is to be recoloured."""

    colorizer: Colorizer
    report: ClassVar[str] = "color"

    @property
    def settings(self) -> dict[str, Any]:
        """All that the coloured photos depend on, beside photos and whether they are recoloured."""
        return self.colorizer.settings

    @property
    def stage(self) -> Stage[Any]:
        """The network that is asked."""
        return self.colorizer.stage

    def __call__(self, job: Job) -> Entry:
        """Writes the coloured photo.

        Told are its `size` [H,W], the `kind` that `tone.kind` says it was, the `colorfulness` of
        the result (Hasler and Suesstrunk, 2003), the `working` size [h,w] at which colours were
        guessed, what `written.put` tells, and `notes`.
        """
        photo, pixels, record = _opened(job)
        record |= {"kind": tone.kind(pixels)}
        if told := job.inputs.get(hint_files.HINTS):
            record["hints"] = hint_files.read(told, *pixels.shape[:2])
        one = self.colorizer
        made = flow.run((Guess(one), Paint(one, "pixels", "color")), record)
        entry: Entry = {"size": _size(pixels), "kind": record["kind"]}
        reason = made["told"].get("uncolored")
        if reason:
            hint = "; --force colours it anew" if one.strength else ""
            entry |= {"status": NOTHING, "reason": reason + hint}
        else:
            entry["working"] = [*made["pixels view"][0].shape[:2]]
        names = [kind for kind in job.outputs if kind in made]
        rows = {kind: made[kind] if reason else made[kind][:] for kind in names}
        entry["colorfulness"] = colorize.colorfulness(rows[names[0]])
        return entry | _put(job, photo, pixels, rows, colored=reason is None)


def _opened(job: Job) -> tuple[PhotoFile[np.ndarray], np.ndarray, dict[str, Any]]:
    """The photo of a job, its pixels as the file means them to look, and its record."""
    photo = contained.read(job.photo)
    pixels = encoding.view(photo)
    return photo, pixels, {"pixels": pixels}


def _put(
    job: Job,
    photo: PhotoFile[np.ndarray],
    seen: np.ndarray,
    pictures: Mapping[str, np.ndarray],
    **more: Any,
) -> Entry:
    """Writes what became of the pixels of a photo, by the job's outputs; says what came of it."""
    made = {}
    for kind, pixels in pictures.items():
        photo, rows = encoding.returned(photo, seen, pixels)
        made[kind] = written.put(job.photo, job.outputs[kind], photo, rows, further=True, **more)
    return written.together(made, _notes(job, photo))


def _notes(job: Job, photo: PhotoFile[np.ndarray]) -> list[str]:
    return [*photo.notes, *written.unseen(job.photo)]


def _size(pixels: np.ndarray) -> list[int]:
    return [int(side) for side in pixels.shape[:2]]
