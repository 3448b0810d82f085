"""Photos restored by their masks: each hole is filled by what is able to, or left and told.

Everything happens at the photo's own scale; pixels outside the mask stay as they are.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from oldphoto_jax.photo import image, scratch
from oldphoto_jax.restore import holes as finder
from oldphoto_jax.restore import octaves, status, tiles
from oldphoto_jax.restore import stage as stages
from oldphoto_jax.restore.classical import METHODS, REACH, Filler
from oldphoto_jax.restore.fill import TILE, check, fill, lay, soften
from oldphoto_jax.restore.holes import Hole
from oldphoto_jax.restore.options import AUTO, CHOICES, LARGEST, NETWORK, Inpainting

if TYPE_CHECKING:
    from oldphoto_jax.predictors.filling import FillingPredictor

TRAINED = (NETWORK, AUTO)  # the methods that need weights
THIN_METHOD = "biharmonic"  # what AUTO takes for thin holes
LISTED = 20  # holes that a report describes one by one
LEFT = 255  # in a plan, the holes that stay
RANK = {name: rank for rank, name in enumerate((NETWORK, *METHODS))}  # who fills first


def network(stage: stages.Stage[FillingPredictor], tile: int = TILE) -> Filler:
    """A trained network as a filler of photos of up to `tile` pixels a side, all shown as large.

    A gray photo [H,W,1] is shown to it three times over, and the mean of its answer taken.
    """

    def filler(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
        height, width, channels = photo.shape
        both = np.broadcast_to(photo, (height, width, 3)), mask[..., None].astype(np.float32)
        seen, hidden = (image.pad_to(array, tile, tile)[None] for array in both)
        answer = stage(seen, mask=hidden)
        if "photo" not in answer:
            raise ValueError(f"these weights make {', '.join(answer)} of a photo and fill no holes")
        filled = answer["photo"][0, :height, :width]
        return filled if channels == 3 else filled.mean(axis=-1, keepdims=True)

    return filler


@dataclasses.dataclass(kw_only=True)
class Inpainter(Inpainting):
    """Fills the holes of photos by their masks.

    `method` is one of CHOICES; "auto" takes THIN_METHOD for holes up to `thin` pixels thick and
    the network for others. Holes thicker than `max_hole`, at most LARGEST, are left as they are.
    The mask is first grown by `grow` pixels. Of the fill, `strength` (0..1) shows: 0 changes
    nothing. Raises ValueError for settings that don't fit.
    """

    stage: stages.Stage[FillingPredictor] | None = None

    def __post_init__(self) -> None:
        if self.method not in CHOICES:
            raise ValueError(f"method {self.method!r}: choose one of {', '.join(CHOICES)}")
        multiple = self.multiple  # raises where the network is missing
        for name in ("max_hole", "thin", "grow", "feather"):
            if getattr(self, name) < 0:
                value = f"{name.replace('_', ' ')} {getattr(self, name)}"
                raise ValueError(f"{value}: give a number of pixels, 0 or more")
        if self.max_hole > LARGEST:
            raise ValueError(f"max hole {self.max_hole}: more than {LARGEST} pixels fit no tile")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength {self.strength}: give a number from 0 to 1")
        tiles.check(self.tile, self.overlap, multiple)

    @property
    def trained(self) -> stages.Stage[FillingPredictor]:
        """The network. Raises ValueError where there is none."""
        if self.stage is None:
            raise ValueError(f"method {self.method!r} needs the weights of a network")
        return self.stage

    @property
    def multiple(self) -> int:
        """Sides of tiles are multiples of this."""
        return self.trained.predictor.multiple if self.method in TRAINED else 1

    @property
    def settings(self) -> dict[str, Any]:
        """All that the restored photos depend on, beside photos and masks."""
        weights = {"weights": self.stage.checksum} if self.stage else {}
        return weights | super().settings

    def ready(self) -> None:
        """Begins to make the program of the network's tiles, if it may be asked."""
        if self.method in TRAINED and self.strength > 0:
            side = -(-self.tile // self.multiple) * self.multiple
            self.trained.ready((1, side, side, 3), mask=(1, side, side, 1))

    def rule(self, hole: Hole) -> str:
        """What is able to fill this hole: the network or one of METHODS."""
        if self.method == AUTO:
            return THIN_METHOD if hole.thickness <= self.thin else NETWORK
        return self.method

    def beyond(self, hole: Hole) -> bool:
        """Whether the network would have to fill more here than it was trained on."""
        return self.rule(hole) == NETWORK and hole.thickness > self.trained.predictor.max_size

    def choose(self, hole: Hole) -> str | None:
        """What fills this hole, or None where it is to stay."""
        stays = self.strength == 0 or hole.thickness > self.max_hole
        return None if stays else self.rule(hole)

    def mend(
        self,
        pixels: np.ndarray,
        mask: np.ndarray,
        folder: str | os.PathLike | None = None,
        answer: np.ndarray | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A file's pixels [H,W,1|3] with the holes of mask [H,W] uint8 filled; what was filled.

        Where nothing is to fill these are the pixels themselves, else a copy, which for a large
        photo lies in scratch space in `folder`. What the network makes of the whole photo may be
        given as `answer` [H,W,3], 0..1. Raises ValueError for a mask of another size, one that
        leaves nothing good, and a fill that is not a number.

        `filled` is the share of pixels, `thickest` in pixels, `holes` how many by what filled
        them, `left` how many stay as they are. `beyond_training` says that some, `guessed` how
        many, are thicker than the network was trained on. The thickest of them, and of those
        left, are listed in `thick` with box [top,left,bottom,right]. `status` and `reason` are
        those of a report where they are not plainly ok.
        """
        check(pixels, mask)
        mask = finder.grow(mask, self.grow, folder)
        if finder.share(mask) == 1:
            raise ValueError(
                f"the mask, grown by {self.grow} pixels, leaves nothing of the photo to go by; "
                "mark less or grow it less"
            )
        holes, parts = finder.find(mask)
        chosen = [self.choose(hole) for hole in holes]
        facts = self._tell(holes, chosen)
        if not any(chosen):
            return pixels, {"filled": 0.0} | facts
        longest = max(mask.shape)
        works = [
            (name or "", self.halvings(hole.thickness, longest) if name == NETWORK else 0)
            for hole, name in zip(holes, chosen, strict=True)
        ]
        # The network first: to the others, what is damaged further away must not look good. And
        # of its holes the thickest, from furthest away.
        order = sorted({one for one in works if one[0]}, key=lambda one: (RANK[one[0]], -one[1]))
        codes = {work: code for code, work in enumerate(order, 1)}
        plan = parts.paint([codes.get(work, LEFT) for work in works], folder)
        filled = pixels
        for name, times in order:
            layers = _layers(plan, codes[name, times], folder)
            if name != NETWORK:
                most = max(h.thickness for h, by in zip(holes, chosen, strict=True) if by == name)
                filled = self._fill_by(name, filled, *layers, most, folder)
            elif times:
                filled = self._fill_far(filled, *layers, times, folder)
            elif answer is not None and len(order) == 1:
                rows = [(slice(0, len(answer)), answer)]
                options: dict[str, Any] = dict(damaged=layers[1], folder=folder)
                filled = lay(filled, layers[0], rows, feather=self.feather, **options)
            else:
                filled = self._fill(filled, *layers, self.feather, folder)
        soften(filled, pixels, self.strength)
        share = sum(
            np.count_nonzero((plan[band] > 0) & (plan[band] < LEFT)) for band in scratch.bands(plan)
        )
        return filled, {"filled": round(share / plan.size, 6)} | facts

    def halvings(self, thickness: int, longest: int) -> int:
        """How often a photo with sides of up to `longest` is halved to fill a hole so thick.

        No tile may lie wholly in a hole, and some good pixels are little to go by. From further
        away a tile shows more, and the hole is nearer to those that the network was trained on.
        """
        times = 0
        while self.tile << times < min(2 * thickness, longest):
            times += 1
        return times

    def _tell(self, holes: list[Hole], chosen: list[str | None]) -> dict[str, Any]:
        """What the report says about the holes and what was chosen for each of them."""
        pairs = [*zip(holes, chosen, strict=True)]
        guessed = sum(self.beyond(hole) for hole, name in pairs if name is not None)
        facts = {
            "thickest": max((hole.thickness for hole in holes), default=0),
            "holes": dict(collections.Counter(filter(None, chosen))),
            "left": chosen.count(None),
            "beyond_training": any(map(self.beyond, holes)),
            "guessed": guessed,
        }
        pairs = [pair for pair in pairs if pair[1] is None or self.beyond(pair[0])]
        pairs = sorted(pairs, key=lambda pair: -pair[0].thickness)[:LISTED]
        facts["thick"] = [
            {"box": list(hole.box), "thickness": hole.thickness, "filled": name is not None}
            for hole, name in pairs
        ]
        if not holes:
            facts |= {"status": status.NOTHING, "reason": "the mask is empty: nothing to fill"}
        elif self.strength == 0:
            facts |= {"status": status.NOTHING, "reason": "strength 0: left as it is"}
        elif facts["beyond_training"]:
            facts["status"] = status.BEYOND
        elif not any(chosen):
            reason = f"every hole is thicker than {self.max_hole} pixels: left as they are"
            facts |= {"status": status.NOTHING, "reason": reason}
        return facts

    def _fill(
        self,
        pixels: np.ndarray,
        mask: np.ndarray,
        damaged: np.ndarray,
        feather: int,
        folder: str | os.PathLike | None,
    ) -> np.ndarray:
        """Filled by the network."""
        multiple = self.multiple

        def go(tile: int, overlap: int) -> np.ndarray:
            return fill(
                pixels,
                mask,
                network(self.trained, tile),
                tile=tile,
                overlap=overlap,
                multiple=multiple,
                feather=feather,
                damaged=damaged,
                folder=folder,
            )

        return stages.within_memory(go, self.tile, self.overlap, multiple)

    def _fill_far(
        self,
        pixels: np.ndarray,
        mask: np.ndarray,
        damaged: np.ndarray,
        times: int,
        folder: str | os.PathLike | None,
    ) -> np.ndarray:
        """Filled by the network, which sees the photo halved so many times."""
        small, other = pixels, damaged
        hidden = finder.grow(mask, self.feather, folder)
        sides = []
        for _ in range(times):
            sides.append(small.shape[:2])
            small = octaves.halve(small, folder)
            hidden, other = (octaves.halve_mask(one, folder) for one in (hidden, other))
        small = self._fill(small, hidden, other, 0, folder)
        for height, width in reversed(sides):
            small = octaves.doubled(small, height, width, folder)
        bands = ((band, image.to_float(small[band])) for band in scratch.bands(small))
        return lay(pixels, mask, bands, feather=self.feather, damaged=damaged, folder=folder)

    def _fill_by(
        self,
        name: str,
        pixels: np.ndarray,
        mask: np.ndarray,
        damaged: np.ndarray,
        thickest: int,
        folder: str | os.PathLike | None,
    ) -> np.ndarray:
        """Filled by one of METHODS, in tiles that hold more than the thickest hole."""
        near = finder.grow(mask, self.feather + REACH, folder)
        for band in scratch.bands(damaged, near):
            damaged[band] &= near[band]  # holes further away change nothing
        return fill(
            pixels,
            mask,
            METHODS[name],
            tile=self.tile << self.halvings(thickest, max(mask.shape)),
            overlap=self.overlap,
            feather=self.feather,
            damaged=damaged,
            folder=folder,
        )


def _layers(
    plan: np.ndarray, code: int, folder: str | os.PathLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """The masks [H,W] of what has this code in a plan, and of what is damaged after it is done."""
    now, later = (scratch.empty(plan.shape, np.uint8, folder) for _ in range(2))
    for band in scratch.bands(plan, now, later):
        np.equal(plan[band], code, out=now[band], casting="unsafe")
        np.greater(plan[band], code, out=later[band], casting="unsafe")
    return now, later
