"""Skin in coloured photos: its hue, and how right it is on light, tan and dark skin.

Faces are looked at first, and what was learned from photos of one complexion may not suit others.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.exams.exam import plain
from oldphoto_jax.metrics import color
from oldphoto_jax.metrics.stream import Mean

SHARE = 0.05  # of a photo's pixels that have to be skin for it to count
USUAL = (5, 95)  # percentiles of the true photos between which a hue of skin is plausible
# Least typology angle of each, in degrees: two by two the six groups of Chardon et al., 1991,
# https://doi.org/10.1111/j.1467-2494.1991.tb00561.x, of which some would have hardly a photo.
COMPLEXIONS = {"light": 41.0, "tan": 10.0, "dark": -math.inf}
HUES = {"skin_hue": ("skin hue", 1), "skin_plausible": ("plausible", 3)}  # head and digits
OF_EACH = {
    f"skin_{figure}_{name}": (f"{name}: {head}", digits)
    for name in COMPLEXIONS
    for figure, head, digits in (("ab", "ab error", 2), ("hue", "hue", 1))
}


@dataclasses.dataclass(frozen=True)
class Skin:
    """The skin in a photo, where the true photo shows it."""

    complexion: str  # the truth's, of COMPLEXIONS; "" where that shows too little skin
    hue: float  # degrees; NaN where it is gray or there is none
    ab_error: float  # NaN where there is none

    @classmethod
    def of(cls, photo: np.ndarray, target: np.ndarray) -> Skin:
        """The skin of one photo [1,H,W,3] in 0..1 whose truth is `target`."""
        where = color.skin(target)
        enough = where.mean() >= SHARE
        angle = float(color.typology_angle(target, where)[0])
        complexions = (name for name, least in COMPLEXIONS.items() if enough and angle >= least)
        return cls(
            complexion=next(complexions, ""),
            hue=float(color.hue(photo, where)[0]),
            ab_error=float(color.ab_error(photo, target, where)[0]),
        )


def usual(truths: Sequence[Skin]) -> tuple[float, float] | None:
    """Between which hues, in degrees, the skin of most true photos lies; None if none has any.

    The percentiles USUAL, each the hue of one photo, so that of few photos all lie within.
    """
    hues = [skin.hue for skin in truths if skin.complexion and not math.isnan(skin.hue)]
    if not hues:
        return None
    low, high = USUAL
    least = np.percentile(hues, low, method="lower")
    most = np.percentile(hues, high, method="higher")
    return float(least), float(most)


def counts(truths: Sequence[Skin]) -> dict[str, int]:
    """How many photos show skin of each complexion."""
    return {name: sum(skin.complexion == name for skin in truths) for name in COMPLEXIONS}


def figures(ours: Sequence[Skin], truths: Sequence[Skin]) -> dict[str, float | None]:
    """HUES, of all photos that show skin, and OF_EACH; None where no photo does.

    Hues are medians, which skin that is left gray does not enter; but it counts as one that is not
    plausible. Errors are means over photos.
    """
    wanted = usual(truths)
    if wanted is None:
        return dict.fromkeys([*HUES, *OF_EACH])
    shown = [skin for skin in ours if skin.complexion]
    within = np.mean([wanted[0] <= skin.hue <= wanted[1] for skin in shown])
    middle = sum(wanted) / 2
    values = {"skin_hue": _median(shown, middle), "skin_plausible": plain(within)}
    for name in COMPLEXIONS:
        these = [skin for skin in shown if skin.complexion == name]
        error = Mean.of([skin.ab_error for skin in these]).compute()
        values[f"skin_ab_{name}"] = plain(error)
        values[f"skin_hue_{name}"] = _median(these, middle)
    return values


def protocol() -> str:
    """All that these figures depend on, beside the photos."""
    low, high = USUAL
    groups = ", ".join(
        f"{name} below" if math.isinf(least) else f"{name} from {least:g}"
        for name, least in COMPLEXIONS.items()
    )
    return (
        f"skin: pixels whose true Cb is in {color.SKIN[0]} and Cr in {color.SKIN[1]} (bytes, gray "
        f"128), in photos with {SHARE:.0%} of them or more; skin hue: median over these photos of "
        f"the angle of the mean a and b there, if that is {color.PALE} or more from gray; "
        f"plausible: share of these photos whose hue lies between the percentiles {low} and {high} "
        f"of the truth's, as none of gray does; complexions: {groups}, in degrees of the "
        "typology angle of the truth's mean L and b there, to which the light of the photo adds; "
        "their error: that in ab over these pixels, mean over photos"
    )


def note(result: Mapping[str, Any]) -> list[str]:
    """What is to be said of the photos beneath the tables of `colors.evaluate`."""
    if not result["usual"]:
        return []
    low, high = result["usual"]
    counted = result["counts"]
    each = ", ".join(f"{counted[f'skin_{name}']} of them {name}" for name in COMPLEXIONS)
    return [
        f"{counted['skin']} photos show skin, in most true ones of a hue between {low:.0f} and "
        f"{high:.0f} degrees; {each}"
    ]


def _median(skins: Sequence[Skin], middle: float) -> float | None:
    """Of the hues in degrees; angles have no ends, so they are counted from `middle`."""
    hues = np.array([skin.hue for skin in skins if not math.isnan(skin.hue)])
    if not hues.size:
        return None
    return plain(float(_turned(np.median(_turned(hues - middle)) + middle)))


def _turned(degrees: np.ndarray) -> np.ndarray:
    """The same angles from -180 to 180."""
    return (degrees + 180) % 360 - 180
