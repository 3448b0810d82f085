"""Scratches and dust without learning: the morphological top-hat, the detector to beat.

A white top-hat is what an opening removes, small bright things; a black top-hat is what a
closing adds, small dark ones (Serra, Image Analysis and Mathematical Morphology, 1982).
"""

from __future__ import annotations

import cv2
import numpy as np

RADII = (1, 2, 4, 8)  # half of the thickest defect that each opening removes, in pixels
WINDOW = 63  # the surroundings that tell how much top-hat is usual here, in pixels
UNUSUAL = 4.0  # times the usual top-hat, and NOISE more, scores one half
NOISE = 0.04
THRESHOLD = 0.5  # what is just UNUSUAL


def tophat(photo: np.ndarray) -> np.ndarray:
    """The score [H,W] float32, 0..1, of each pixel of photo [H,W,3] (0..1) to be a defect.

    White and black top-hats of luma are each compared with their own mean over the surroundings:
    lace and foliage have much of them everywhere, a scratch stands alone. The best radius counts.
    """
    luma = cv2.cvtColor(np.ascontiguousarray(photo, np.float32), cv2.COLOR_RGB2GRAY)
    score = np.zeros_like(luma)
    for radius in RADII:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        for side in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
            hat = cv2.morphologyEx(luma, side, disc)
            usual = cv2.blur(hat, (WINDOW, WINDOW))
            np.maximum(score, hat / (hat + UNUSUAL * usual + NOISE), out=score)
    return score
