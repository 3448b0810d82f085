"""Colours of hints carried on over the things that they were given for.

A hint is about a thing, not about a dab. How far it goes is told by geodesic distances, which are
long across edges of luma (Yatziv and Sapiro, 2006, "Fast image and video colorization using
chrominance blending"). What goes on is only by how much a hint differs from the colour that the
network has for its place: where the network has heard it, nothing does.
"""

from __future__ import annotations

import cv2
import numpy as np

from oldphoto_jax.photo import color, guided, planes

NEAR, FAR = 36.0, 96.0  # pixels of the view that a hint goes on in full, and not any more
FLAT = 0.015  # change of luma from a pixel to the next that is shading or grain, no edge
GRAIN = 1.5  # ... or so many times the change that half of the photo's pixels have
STEEP = 1000.0  # pixels that are as far as a change of luma from black to white
SMOOTH, EPSILON = 5, 2e-3  # of the guided filter, where two hints meet


def hinted(luma: np.ndarray, chroma: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """Chroma [h,w,2] of a view, luma [h,w,1], with hints [h,w,3] as `photo.hints` has them.

    Chroma is Cb and Cr, 0.5 is gray; float32. Places with a hint get its a and b at their luma, as
    far as sRGB has that colour.
    """
    known = hints[..., 2] > 0
    if not known.any():
        return chroma
    own = planes.ab_beside(luma, chroma)
    missing = np.where(known[..., None], hints[..., :2] - own, 0)
    far, source = distances(luma[..., 0], known)
    near = np.clip((FAR - far) / (FAR - NEAR), 0, 1)
    share = (near * near * (3 - 2 * near)).astype(np.float32)
    moved = share[..., None] * missing.reshape(-1, 2)[source]
    slope, offset = guided.fit(luma, moved, SMOOTH, EPSILON)
    moved = np.where(known[..., None], missing, slope * luma + offset)
    # Where nothing goes on, not even a last digit changes
    reached = cv2.dilate((far < FAR).astype(np.uint8), np.ones((4 * SMOOTH + 1,) * 2)) > 0
    new = color.fit_gamut(color.luma_ab_to_ycbcr(luma[reached], (own + moved)[reached]))
    result = chroma.copy()
    result[reached] = new[:, 1:]
    return result


def distances(luma: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the nearest known place [h,w] is over the things of luma [h,w], and which it is.

    float [h,w], in pixels, FAR where it is further; and the number of that pixel.
    """
    from scipy import sparse  # takes a while to import
    from scipy.sparse import csgraph

    height, width = luma.shape
    smooth = cv2.bilateralFilter(luma.astype(np.float32), 5, 0.05, 2.0)
    steps = np.abs(np.diff(smooth.ravel(), append=smooth[-1, -1]))
    flat = max(FLAT, GRAIN * float(np.median(steps)))
    number = np.arange(height * width).reshape(height, width)
    starts, ends, costs = [], [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = np.s_[: height - down, max(0, -across) : width - max(0, across)]
        there = np.s_[down:, max(0, across) : width + min(0, across)]
        length = np.hypot(down, across)
        edge = np.maximum(np.abs(smooth[here] - smooth[there]) - flat * length, 0)
        starts.append(number[here].ravel())
        ends.append(number[there].ravel())
        costs.append((length + STEEP * edge).ravel())
    places = (np.concatenate(starts), np.concatenate(ends))
    graph = sparse.csr_array((np.concatenate(costs), places), (luma.size,) * 2)
    far, _, source = csgraph.dijkstra(
        graph,
        directed=False,
        indices=np.flatnonzero(known),
        return_predecessors=True,
        limit=FAR,
        min_only=True,
    )
    none = ~np.isfinite(far)
    far, source = np.where(none, FAR, far), np.where(none, 0, source)
    return far.reshape(luma.shape), source.reshape(luma.shape)
