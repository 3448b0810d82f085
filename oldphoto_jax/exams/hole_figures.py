"""Figures of filled holes: over all, by the width of the hole, by the share of damaged pixels."""

from __future__ import annotations

import dataclasses
import functools
import operator
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.exams.exam import cell, markdown, plain
from oldphoto_jax.metrics import image as metrics
from oldphoto_jax.metrics.hole import HolePsnr, HoleSsim
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.photo import image
from oldphoto_jax.photo.types import Array

Distance = Callable[[np.ndarray, np.ndarray], Array]  # photo, target [N,H,W,3], 0..1 -> [N]

WIDTHS = [f"{width} px" for width in HolePsnr.widths()]
EDGES = (0.01, 0.05, 0.1, 0.2)  # shares of a photo's pixels that lie in holes
RATIOS = ["0-1 %", "1-5 %", "5-10 %", "10-20 %", "20+ %"]
WINDOW = "uniform"  # of SSIM
BORDER = metrics.WINDOWS[WINDOW]["win_size"] // 2  # pixels whose window leaves the photo

# Head and digits of each figure; those of BINNED are also told bin by bin.
COLUMNS = {
    "psnr": ("hole PSNR", 2),
    "ssim": ("hole SSIM", 4),
    "lpips": ("LPIPS", 4),
    "photo_psnr": ("photo PSNR", 2),
    "photo_ssim": ("photo SSIM", 4),
    "seconds": ("seconds", 3),
}
BINNED = ("psnr", "ssim", "lpips")


@dataclasses.dataclass
class Question:
    """Where the figures of one photo belong."""

    ratio: str  # one of RATIOS
    thickest: str  # one of WIDTHS
    pixels: np.ndarray  # [WIDTHS], in its holes

    @classmethod
    def of(cls, mask: np.ndarray, bins: np.ndarray) -> Question:
        """The question of mask [H,W,1], which marks something; `bins` from `HolePsnr.bins`."""
        pixels = np.bincount(bins[0][mask[..., 0] > 0], minlength=len(WIDTHS))
        ratio = RATIOS[np.searchsorted(EDGES, mask.mean(), side="right")]
        return cls(ratio, WIDTHS[np.flatnonzero(pixels)[-1]], pixels)


@dataclasses.dataclass
class Answer:
    """How well one method filled the holes of one photo, and how fast."""

    psnr: HolePsnr
    ssim: HoleSsim
    lpips: float  # NaN where it is not measured
    photo_psnr: float
    photo_ssim: float
    seconds: float

    @classmethod
    def of(
        cls,
        filled: np.ndarray,
        example: Mapping[str, np.ndarray],
        bins: np.ndarray,
        distance: Distance | None,
        seconds: float,
    ) -> Answer:
        """The answer `filled` uint8 [H,W,3] to an example of `filling.Exam`."""
        mask = example["mask"][None]
        photo, target = (image.to_float(pixels)[None] for pixels in (filled, example["target"]))
        similarity = metrics.ssim_map(photo, target, window=WINDOW)
        return cls(
            psnr=HolePsnr.of(mask, photo, target, bins),
            ssim=HoleSsim.of(mask, similarity, bins),
            lpips=float(distance(photo, target)[0]) if distance else float("nan"),
            photo_psnr=float(metrics.psnr(photo, target)[0]),
            photo_ssim=float(similarity[:, BORDER:-BORDER, BORDER:-BORDER].mean()),
            seconds=seconds,
        )


def counts(questions: Sequence[Question]) -> dict[str, Any]:
    """`photos` and `pixels`, over all and in every bin (`by_width`, `by_ratio`).

    By width photos are counted under their thickest hole, pixels under their own hole's width.
    """
    pixels = np.sum([question.pixels for question in questions], axis=0)
    by_width = {
        name: {"photos": sum(q.thickest == name for q in questions), "pixels": int(number)}
        for name, number in zip(WIDTHS, pixels, strict=True)
    }
    by_ratio = {}
    for name in RATIOS:
        areas = [int(q.pixels.sum()) for q in questions if q.ratio == name]
        by_ratio[name] = {"photos": len(areas), "pixels": sum(areas)}
    total = {"photos": len(questions), "pixels": int(pixels.sum())}
    return total | {"by_width": by_width, "by_ratio": by_ratio}


def figures(questions: Sequence[Question], answers: Sequence[Answer]) -> dict[str, Any]:
    """All of COLUMNS for one method's answers, and those of BINNED `by_width` and `by_ratio`.

    None for what was not there to measure, or is infinite.
    """
    whole = _pooled(answers)
    by_width, by_ratio = {}, {}
    for name, width in zip(WIDTHS, HolePsnr.widths(), strict=True):
        alike = [a for q, a in zip(questions, answers, strict=True) if q.thickest == name]
        by_width[name] = {key: whole[f"{key} {width}"] for key in ("psnr", "ssim")}
        by_width[name]["lpips"] = _mean(a.lpips for a in alike)
    for name in RATIOS:
        alike = [a for q, a in zip(questions, answers, strict=True) if q.ratio == name]
        pooled = _pooled(alike) if alike else dict.fromkeys(BINNED)
        by_ratio[name] = {key: pooled[key] for key in BINNED}
    return {
        **{key: whole[key] for key in BINNED},
        "photo_psnr": _mean(a.photo_psnr for a in answers),
        "photo_ssim": _mean(a.photo_ssim for a in answers),
        "seconds": plain(statistics.median(a.seconds for a in answers)),
        "by_width": by_width,
        "by_ratio": by_ratio,
    }


def table(result: Mapping[str, Any]) -> str:
    """The result of `filling.evaluate` as text for people: Markdown tables.

    Beneath them stands all that they depend on.
    """
    counted, methods = result["counts"], result["figures"]
    rows = [["method", *(head for head, _ in COLUMNS.values())]]
    for method in methods:
        cells = (cell(method[key], digits) for key, (_, digits) in COLUMNS.items())
        rows.append([method["method"], *cells])
    parts = [markdown(rows)]
    for by, bins in (("by_width", WIDTHS), ("by_ratio", RATIOS)):
        for key in BINNED:
            head, digits = COLUMNS[key]
            what = "photos" if key == "lpips" else "pixels"
            kind = (
                "thickest hole" if (by, what) == ("by_width", "photos") else by.removeprefix("by_")
            )
            rows = [[f"{head} by {kind}", *bins]]
            for method in methods:
                cells = (cell(method[by][name][key], digits) for name in bins)
                rows.append([method["method"], *cells])
            rows.append([what, *(str(counted[by][name][what]) for name in bins)])
            parts.append(markdown(rows))
    weights = [f"weights of {m['method']}: {m['weights']}" for m in methods if m["weights"]]
    total = f"{counted['photos']} photos with {counted['pixels']} pixels in holes"
    parts.append("\n".join([f"{total}; seconds on {result['device']}", *weights]))
    return "\n\n".join([*parts, result["protocol"]])


def _pooled(answers: Sequence[Answer]) -> dict[str, float | None]:
    psnr = functools.reduce(operator.add, [a.psnr for a in answers]).compute()
    ssim = functools.reduce(operator.add, [a.ssim for a in answers]).compute()
    values = {key: plain(value) for key, value in (psnr | ssim).items()}
    return values | {"lpips": _mean(a.lpips for a in answers)}


def _mean(values: Iterable[float]) -> float | None:
    return plain(Mean.of(list(values)).compute())
