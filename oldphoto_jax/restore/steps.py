"""Steps that mend: defects found, the mask cut, holes filled; `color_steps` has those that colour.

Each does its work in two forms. Called, it works on the record of one photo of any size: networks
are asked tile by tile or on one small view, pixels are put together on the host, at their own
depth. `traced`, it is a pure function of a batch of equal photos, for programs that are compiled
as a whole. What the two put together from equal answers differs by rounding alone.

In the batch of the traced form are, float32 unless said otherwise,

    photo           [N,H,W,3]  0..1
    gray            [N]        bool, whether a photo's channels are equal, and shall stay so
    full            [N]        the largest value of its file, 65535 unless given: 255 of 8 bits
    probability     [N,H,W,1]  of damage, 0..1 in steps of 1/65535, as it is stored
    given           [N,H,W,1]  not 0 where somebody says that it is damaged
    add, remove     [N,H,W,1]  not 0 where the mask gets, and loses, pixels
    mask            [N,H,W,1]  1 where damaged
    fill            [N,H,W,3]  the photo with its holes filled, all of it
    restored        [N,H,W,3]  the photo with as much of that as shall be seen
    NAME view       [N,h,w,1]  luma, small, of `pixels` (the photo) or `restored`
    NAME chroma     [N,h,w,2]  its colours: Cb and Cr, 0.5 is gray
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.restore import detect, holes, status, tiles, traced
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.flow import HOST, TILE, Folder, Record, Step, Weights
from oldphoto_jax.restore.inpaint import NETWORK, Inpainter
from oldphoto_jax.restore.options import Marking
from oldphoto_jax.restore.stage import Stage

REACH = 16  # pixels; beyond, growing and feathering are cheaper on the host


@dataclasses.dataclass(frozen=True, eq=False)
class Find(Step):
    """How likely each pixel is damaged."""

    detector: Detector
    needs: ClassVar = ("pixels",)
    makes: ClassVar = ("probability",)
    over: ClassVar = TILE
    role: ClassVar = "find"

    @property
    def stage(self) -> Stage[Any]:
        """The detector's network."""
        return self.detector.stage

    def done(self, record: Record) -> bool:
        """Whether it is known already; by a mask that was given, too."""
        return "given" in record or "probability" in record

    def ready(self, record: Record) -> None:
        """The program of its tiles."""
        if "pixels" in record:
            self.detector.ready(*record["pixels"].shape[:2])

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """`probability` [H,W] uint16, 65535 is certain."""
        return {"probability": self.detector.find(record["pixels"], folder)}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `probability`, in steps of 1/65535 as it is stored, unless the damage is known."""
        if {"mask", "given", "probability"} & batch.keys():
            return {}
        one = self.detector
        flips = detect.FLIPS if one.tta else detect.FLIPS[:1]

        def ask(part: Batch) -> jax.Array:
            answers = []
            for axes in flips:
                seen: Batch = {"photo": jnp.flip(part["photo"], axes)}
                answers.append(jnp.flip(one.stage.predict(weights[self.role], seen)["mask"], axes))
            return sum(answers) / jnp.float32(len(answers))

        def look(photo: jax.Array) -> jax.Array:
            height, width = photo.shape[1:3]
            down, across = tiles.plan(height, width, one.tile, one.overlap, one.multiple)
            near = traced.in_tiles(ask, {"photo": photo}, down, across, one.overlap)
            if one.coarse and height * width > detect.NEAR:  # from further away, too
                far = traced.double(look(traced.halve(photo, full)), height, width)
                near = jnp.maximum(near, far)
            return jnp.round(near * traced.FULL_SCALE) / traced.FULL_SCALE

        full = _full_scale(batch)
        return {"probability": look(jnp.asarray(batch["photo"]))}


@dataclasses.dataclass(frozen=True, eq=False)
class Mark(Step):
    """What is damaged: where it is likely enough or given, grown, then as users edited it.

    Found masks are grown by `grow` pixels, given ones by `grow_given`.
    """

    detector: Detector
    grow: int = Marking.grow
    grow_given: int = Marking.grow_given
    makes: ClassVar = ("mask",)
    over: ClassVar = HOST

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """`mask` [H,W] uint8. Raises ValueError where nothing is given, nor found."""
        if "given" in record:
            given = record["given"]
            mask = scratch.empty(given.shape, np.uint8, folder)
            for band in scratch.bands(mask, given):
                np.greater(given[band], 0, out=mask[band], casting="unsafe")
            mask = holes.grow(mask, self.grow_given, folder)
        elif "probability" not in record:
            raise ValueError("a mask is cut from a map of probabilities: give one of them")
        else:
            one = self.detector
            mask = detect.cut(record["probability"], one.level, one.min_size, folder)
            mask = holes.grow(mask, self.grow, folder)
        for band in scratch.bands(mask):
            if "add" in record:
                mask[band] |= record["add"][band] > 0
            if "remove" in record:
                mask[band] &= record["remove"][band] == 0
        return {"mask": mask, "told": {"marked": round(holes.share(mask), 6)}}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `mask`, unless it is there. Raises ValueError for a smallest size."""
        if "mask" in batch:
            return {}
        if "given" in batch:
            mask = traced.widen(_marked(batch["given"]), self.grow_given)
        elif self.detector.min_size > 1:
            raise ValueError("min_size is for the host alone; run the flow, or set it to 0")
        else:
            level = detect.step(self.detector.level)
            mask = jnp.float32(jnp.round(batch["probability"] * traced.FULL_SCALE) >= level)
            mask = traced.widen(mask, self.grow)
        if "add" in batch:
            mask = jnp.maximum(mask, _marked(batch["add"]))
        if "remove" in batch:
            mask = mask * (1 - _marked(batch["remove"]))
        return {"mask": mask}


@dataclasses.dataclass(frozen=True, eq=False)
class Fill(Step):
    """What the mask hides drawn anew; around the holes it fades out."""

    inpainter: Inpainter
    needs: ClassVar = ("pixels", "mask")
    makes: ClassVar = ("restored",)
    over: ClassVar = TILE
    role: ClassVar = "fill"

    @property
    def stage(self) -> Stage[Any] | None:
        """The inpainter's network."""
        return self.inpainter.stage

    def ready(self, record: Record) -> None:
        """The program of its tiles, unless the network has answered already."""
        if "fill" not in record:
            self.inpainter.ready()

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """`restored` [H,W,C] like the pixels; these themselves where no good one is left.

        A `fill` [H,W,3] of the whole photo, 0..1, is taken as the network's answer.
        """
        pixels, mask = record["pixels"], record["mask"]
        idle = self.inpainter.strength == 0
        if idle or holes.share(holes.grow(mask, self.inpainter.feather, folder)) < 1:
            restored, facts = self.inpainter.mend(pixels, mask, folder, record.get("fill"))
            # A view that came with the fill shows all holes filled, and all seen from near by.
            far = self.inpainter.halvings(facts["thickest"], max(mask.shape)) > 0
            stale = facts["left"] or far
            same = restored is pixels and "pixels view" in record  # then both get the same colours
            made = {"restored view": None} if stale or same else {}
            return {"restored": restored, "told": facts} | made
        reason = "all of it is marked as damaged, so that nothing is left to go by: not restored"
        facts = {"filled": 0.0, "thickest": max(mask.shape), "holes": {}, "left": 1, "guessed": 0}
        facts |= {"thick": [], "status": status.BEYOND, "reason": reason}
        return {"restored": pixels, "restored view": None, "told": facts}

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """Adds `fill` and `restored`; holes of every thickness are filled, in tiles of one size.

        `max_hole` is the host's to keep. Raises ValueError for fillers that are no network alone,
        and for those that grow masks themselves.
        """
        one, photo, mask = self.inpainter, batch["photo"], batch["mask"]
        if one.method != NETWORK or one.grow:
            raise ValueError(
                f"method {one.method!r}, grow {one.grow}: as one function only the network fills, "
                "and grows nothing; run the flow"
            )
        hidden = traced.widen(mask, one.feather)
        predict, own = one.trained.predict, weights[self.role]
        down, across = (
            tiles.split(length, one.tile, one.overlap, one.multiple) for length in photo.shape[1:3]
        )
        fill = traced.in_tiles(
            lambda part: predict(own, part)["photo"],
            {"photo": photo, "mask": hidden},
            down,
            across,
            one.overlap,
        )
        gray = batch["gray"][:, None, None, None]
        fill = jnp.where(gray, fill.sum(axis=-1, keepdims=True) / 3, fill)
        # Rounded as in the photo's own file, which is what the view of it is made from.
        full = _full_scale(batch)
        opacity, old = traced.widen(mask, one.feather, fade=True), photo * full
        new = jnp.round(old + opacity * (jnp.clip(fill, 0, 1) * full - old))
        new = new if one.strength == 1 else jnp.round(old + one.strength * (new - old))
        return {"fill": fill, "restored": jnp.where(new == jnp.round(old), photo, new / full)}


def _marked(mask: Array) -> jax.Array:
    """1 where a mask is not 0."""
    return jnp.float32(jnp.asarray(mask) > 0)


def _full_scale(batch: Batch) -> jax.Array:
    """The largest value of each photo's file, [N,1,1,1]."""
    full = jnp.asarray(batch.get("full", traced.FULL_SCALE), jnp.float32)
    return full.reshape(-1, 1, 1, 1)
