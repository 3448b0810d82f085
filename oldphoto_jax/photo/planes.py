"""Two planes in which colours are told beside luma: Cb and Cr, or a and b of Lab.

Cb and Cr are linear in sRGB; distances in a and b are nearer to what people see. On NumPy and on
JAX arrays alike.
"""

from __future__ import annotations

from oldphoto_jax.photo import color
from oldphoto_jax.photo.types import AnyArray

PLANES = {"cbcr": 0.5, "ab": 110.0}  # name -> how far from gray its colours lie


def check(plane: str) -> None:
    """Raises ValueError for a plane that there is not."""
    if plane not in PLANES:
        raise ValueError(f"plane {plane!r} is unknown; choose one of {list(PLANES)}")


def colours(photo: AnyArray, plane: str) -> AnyArray:
    """The colours [..,2] of a photo [..,3] in 0..1, in the units of the plane."""
    check(plane)
    return (color.rgb_to_ycbcr if plane == "cbcr" else color.rgb_to_lab)(photo)[..., 1:]


def beside(luma: AnyArray, colours: AnyArray, plane: str) -> AnyArray:
    """Y, Cb and Cr [..,3] of luma [..,1] and colours [..,2] of the plane, not yet in gamut."""
    check(plane)
    if plane == "ab":
        return color.luma_ab_to_ycbcr(luma, colours)
    return colours.__array_namespace__().concatenate([luma, colours], axis=-1)


def named(answer: AnyArray, plane: str) -> AnyArray:
    """Colours [..,2] of a plane from numbers without bounds: 0 is gray, tanh bends the rest."""
    check(plane)
    gray = 0.5 if plane == "cbcr" else 0.0
    return gray + PLANES[plane] * answer.__array_namespace__().tanh(answer)


def ab_beside(luma: AnyArray, chroma: AnyArray) -> AnyArray:
    """a and b of Lab [..,2] of luma [..,1] and chroma [..,2], the nearest colours of sRGB."""
    xp = chroma.__array_namespace__()
    ycbcr = color.fit_gamut(xp.concatenate([luma, chroma], axis=-1))
    return color.rgb_to_lab(color.ycbcr_to_rgb(ycbcr))[..., 1:]
