"""How well defects are found: every method sits the same exam.

The exam is photographs that a seeded generator damages, so that the truth is known, and the
same photographs undamaged, on which nothing should be marked.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.damage import recipe
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.exams import tophat
from oldphoto_jax.exams.exam import Crops, cell, markdown, plain
from oldphoto_jax.metrics import mask as metrics
from oldphoto_jax.metrics.stream import Stream
from oldphoto_jax.photo import color, image
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import flow, steps
from oldphoto_jax.restore.detect import Detector
from oldphoto_jax.restore.stage import Stage

TOLERANCE = 2  # pixels that a marked outline may be off
COLUMNS = {
    "AP": "average_precision",
    "ROC-AUC": "roc_auc",
    "IoU": "iou",
    "IoU/photo": "mean_iou",
    "Dice": "dice",
    f"F1 {TOLERANCE} px": f"f1_{TOLERANCE}px",
    "clean": "clean_marked",
    "threshold": "threshold",
}
RECALLS = {
    **{f"{width} px": f"recall {width} px" for width in metrics.bins(metrics.RecallByWidth.EDGES)},
    **{side: f"recall {side}" for side in ("darker", "lighter")},
    **{f"by {by}": f"recall by {by}" for by in metrics.bins(metrics.RecallByChange.EDGES)},
}


@dataclasses.dataclass(kw_only=True)
class Exam(Crops):
    """Crops with defects to find, and the same crops without any.

    `only` are the kinds of damage, or families of textures, drawn alone; all if empty. Raises
    ValueError for a family without textures.
    """

    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.only if name not in KINDS]
        if unknown and not self.textures:
            raise ValueError(
                f"no kind of damage is called {', '.join(unknown)}; if it is a family of textures, "
                f"give their folder by --textures. Without one there are {', '.join(KINDS)}"
            )

    def examples(self, clean: bool) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Name and example, photo and target [H,W,3], mask [H,W,1].

        Target is what the damage hides; with `clean` nothing is damaged.
        """
        broad: dict[str, Any] = recipe.EVERYTHING | {"clean": float(clean), "only": self.only}
        return self.draw(self.damage(**broad))

    def protocol(self, digest: str) -> str:
        """All that the figures depend on, in one line; `digest` is that of the examples."""
        kinds = f"; only damage of the kinds {', '.join(self.only)}" if self.only else ""
        return (
            f"{self.questions('segment', digest)}{kinds}; AP and ROC-AUC over all pixels, scores "
            f"in 16 bits; IoU, Dice, F1 ({TOLERANCE} px tolerance) and recall, by defect width and "
            "by how much darker or lighter than what it hides a pixel is in luma (0..1), pooled at "
            "each method's own threshold; clean: share of pixels marked on the same crops undamaged"
        )


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to find defects: photo [H,W,3] -> score [H,W], both 0..1; a defect from `threshold`."""

    name: str
    score: Callable[[np.ndarray], np.ndarray]
    threshold: float
    weights: str = ""  # their checksum
    multiple: int = 1  # photo sides must be multiples of it


def network(name: str, stage: Stage[DefectPredictor], tta: bool = False) -> Method:
    """A trained network as a method; it is shown a crop as one tile."""

    def score(photo: np.ndarray) -> np.ndarray:
        tile = max(photo.shape[:2])
        one = Detector(stage=stage, tta=tta, tile=tile, overlap=0, coarse=False)
        record = {"pixels": image.to_uint16(photo)}
        return image.to_float(flow.run((steps.Find(one),), record)["probability"])

    name = f"{name} (tta)" if tta else name
    return Method(name, score, stage.predictor.threshold, stage.checksum, stage.predictor.multiple)


def unseen(name: str, stage: Stage[DefectPredictor]) -> tuple[str, ...]:
    """The kinds and families of textures that a network was trained without, for `Exam.only`.

    Raises ValueError, which calls it `name`, when there are none.
    """
    if not stage.predictor.unseen:
        raise ValueError(
            f"{name}: no kind of damage was kept from these weights, so none is unseen; give some "
            "trained with --config.task.damage.exclude, or name kinds by --only"
        )
    return stage.predictor.unseen


METHODS = {"tophat": Method("tophat", tophat.tophat, tophat.THRESHOLD)}


def evaluate(exam: Exam, methods: Sequence[Method]) -> dict[str, Any]:
    """`protocol`, what the figures depend on, and `figures`, one dict for each method in order.

    Everything is plain JSON; what could not be measured is None. Raises ValueError for a crop
    that a network cannot take.
    """
    exam.check(methods)
    digest = hashlib.sha256()
    streams: list[dict[str, Stream]] = [{} for _ in methods]
    for clean in (False, True):
        for name, example in exam.examples(clean):
            digest.update(name.encode())
            digest.update(image.to_uint8(example["photo"]).tobytes())
            for method, sums in zip(methods, streams, strict=True):
                measures = _measure(method, example, clean).items()
                sums |= {key: sums[key] + one if key in sums else one for key, one in measures}
    figures = [
        {"method": method.name, "threshold": method.threshold, "weights": method.weights}
        | _computed(sums)
        for method, sums in zip(methods, streams, strict=True)
    ]
    return {"protocol": exam.protocol(digest.hexdigest()[:16]), "figures": figures}


def table(result: Mapping[str, Any]) -> str:
    """The result as text for people: Markdown tables, the second of recall, and the protocol."""
    tables = []
    for head, columns in (("method", COLUMNS), ("recall", RECALLS)):
        rows = [[head, *columns]]
        for figures in result["figures"]:
            cells = (cell(figures.get(key)) for key in columns.values())
            rows.append([figures["method"], *cells])
        tables.append(markdown(rows))
    return "\n\n".join([*tables, result["protocol"]])


def _measure(method: Method, example: Mapping[str, np.ndarray], clean: bool) -> dict[str, Stream]:
    mask, score = example["mask"][None], method.score(example["photo"])[None, ..., None]
    if clean:
        return {"clean": metrics.MarkedArea.of(mask, score, method.threshold)}
    change = color.rgb_to_gray(example["photo"]) - color.rgb_to_gray(example["target"])
    return {
        "ranking": metrics.Ranking.of(mask, score),
        "overlap": metrics.Overlap.of(mask, score, method.threshold),
        "near": metrics.BoundaryF1.of(mask, score, method.threshold, TOLERANCE),
        "width": metrics.RecallByWidth.of(mask, score, method.threshold),
        "change": metrics.RecallByChange.of(mask, score, change[None], method.threshold),
    }


def _computed(streams: Mapping[str, Stream]) -> dict[str, float | None]:
    """All measures under names of their own, rounded to what a table can bear."""
    figures = {
        **streams["ranking"].compute(),
        **streams["overlap"].compute(),
        f"f1_{TOLERANCE}px": streams["near"].compute()["f1"],
        **{f"recall {w} px": value for w, value in streams["width"].compute().items()},
        **{f"recall {name}": value for name, value in streams["change"].compute().items()},
        "clean_marked": streams["clean"].compute(),
    }
    return {name: plain(value) for name, value in figures.items()}
