"""Other colours than the mean: several plausible versions of a photo, and the colours of another.

A network that says how likely each of many colours is knows more than the one picture that is made
of their mean. Its odds are tilted, multiplied by a weight of each colour: what was ruled out stays
so, what was open is decided in another way. A dress may turn red or green, a face not.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import cv2
import numpy as np

from oldphoto_jax.photo import color, guided, image, planes, tone
from oldphoto_jax.photo.palette import Palette
from oldphoto_jax.predictors.colors import ColorPredictor

# Candidates
APART = 8.0  # units of a and b between two of them, on average where they differ
SEEN = 1.0  # units of a and b from which two colours differ
ALIKE, OTHER = 2.0, 7.0  # what moves less than this stays, what moves more moves wholly
MOSTLY = 0.4  # share of the photo that a candidate changes at most
FREE = 0.1  # nats that a change may cost anywhere
WIDE = 0.04  # share of the photo that a candidate changes at least, where any does
VIVID = 32.0  # distance to gray, in a and b, of the colours that odds are tilted to
SPREAD = 20.0  # units of a and b around these
HUES = 12
TILTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
LOUDER = 1.25  # by so much what two candidates differ by is enlarged, until they are APART
ROUNDS = 8
# Colours of another photo
BANDS = 3  # dark, middle and light parts have colours of their own
MOST = 2.5  # logarithm by which a colour becomes likelier, or less so
STEPS = 6
NEAR = 10.0  # units of a and b in which colours count as one, a deviation
LITTLE = 1e-4  # share that every colour of the other photo has
REFERENCE = 160  # pixels; the shorter side at which it is looked at


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What a predictor says of a view: logits [h,w,K] at 1/stride of luma [H,W,1], float32.

    Luma is that of the whole padded view; of colours only those of `height` x `width` count.
    """

    predictor: ColorPredictor
    luma: np.ndarray
    logits: np.ndarray
    height: int
    width: int

    @property
    def palette(self) -> Palette:
        """The colours to choose among."""
        if self.predictor.palette is None:
            raise ValueError("there is no palette to choose from")
        return self.predictor.palette

    @property
    def shown(self) -> np.ndarray:
        """The logits of what counts."""
        stride = self.predictor.stride
        return self.logits[: -(-self.height // stride), : -(-self.width // stride)]

    def chroma(self, tilt: np.ndarray | float = 0.0) -> np.ndarray:
        """Cb and Cr [height,width,2] with the predictor's gain, logits being raised by `tilt`.

        With none, those of the predictor's own photo.
        """
        one = self.predictor
        colours = _odds(self.logits + tilt, one.temperature) @ self.palette.centres
        if one.stride > 1:
            colours = _enlarged(self.luma, colours, one.stride)
        ycbcr = color.fit_gamut(planes.beside(self.luma, colours, one.told_in))
        return 0.5 + one.gain * (ycbcr[: self.height, : self.width, 1:] - 0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """A photo whose colours others are to have, pixels [H,W,3] uint8 or uint16.

    Raises ValueError for one that has no colours of its own.
    """

    pixels: np.ndarray

    def __post_init__(self) -> None:
        kind = tone.kind(self.pixels)
        if kind not in tone.COLORED:
            raise ValueError(f"is a {kind} photo and has no colours to take: give one in colour")

    @property
    def checksum(self) -> str:
        """Which photo it is: the SHA-256 of its pixels."""
        return hashlib.sha256(np.ascontiguousarray(self.pixels).tobytes()).hexdigest()

    def shares(self, palette: Palette) -> np.ndarray:
        """How common each of a palette's colours is in its dark ... light parts, [BANDS,K]."""
        height, width = self.pixels.shape[:2]
        scale = min(1.0, REFERENCE / min(height, width))
        small = image.resize(
            image.to_float(self.pixels), max(1, round(height * scale)), max(1, round(width * scale))
        ).clip(0, 1)
        near = np.asarray(palette.encode(planes.colours(small, palette.plane)))
        bands = _bands(color.rgb_to_gray(small))
        sums = np.einsum("hwb,hwk->bk", bands, near)
        return sums / np.maximum(bands.sum((0, 1))[:, None], 1e-6)


def like(answer: Answer, reference: Reference) -> np.ndarray:
    """Cb and Cr [h,w,2] of a view in the colours of the reference, as far as they are likely.

    Colours get weights such that each is as common, in parts as light as these, as there.
    """
    temperature, palette = answer.predictor.temperature, answer.palette
    bands = _bands(_shrunk(answer.predictor.stride, answer.luma))
    shown = bands[: answer.shown.shape[0], : answer.shown.shape[1]]
    weight = shown / np.maximum(shown.sum((0, 1)), 1e-6)
    ab = _centres(palette)
    near = np.exp(-((ab[:, None] - ab) ** 2).sum(-1) / (2 * NEAR**2))
    wanted = np.log(reference.shares(palette) @ near + LITTLE)
    tilt = np.zeros((BANDS, len(palette)), np.float32)
    for _ in range(STEPS):
        odds = _odds(answer.shown + temperature * (shown @ tilt), temperature)
        there = np.einsum("hwb,hwk->bk", weight, odds)
        tilt += wanted - np.log(there @ near + LITTLE)
        tilt -= (there * tilt).sum(-1, keepdims=True)  # what all have in common says nothing
        tilt = np.clip(tilt, -MOST, MOST).astype(np.float32)
    return answer.chroma(temperature * (bands @ tilt))


def candidates(
    answer: Answer, count: int, first: np.ndarray | None = None
) -> list[tuple[np.ndarray, float]]:
    """That many versions of a view, Cb and Cr [h,w,2], the likeliest first.

    The first is the predictor's own, or `first`; asked for more, it only adds some. With each comes
    how far it is from the network's odds: their relative entropy, nats per place, 0 for its own.
    Any two are at least APART, on average where they differ, as far as sRGB has colours of the
    view's luma.
    """
    base = answer.chroma() if first is None else first
    luma = answer.luma[: answer.height, : answer.width]
    made, colours = [(base, 0.0)], [planes.ab_beside(luma, base)]
    near: list[tuple[float, np.ndarray, float]] = []  # taken only where there are too few others
    for tilt, entropy in _tilts(answer) if count > 1 else ():
        step = _open(answer, tilt) * (answer.chroma(tilt) - base)
        new, far = _apart(luma, base, step, colours)
        if far < APART:
            near.append((far, new, entropy))
            continue
        made.append((new, entropy))
        colours.append(planes.ab_beside(luma, new))
        if len(made) == count:
            break
    near.sort(key=lambda one: -one[0])
    return [*made, *((new, entropy) for _, new, entropy in near)][:count]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """How far two pictures' a and b [..,2] are apart, on average where they differ; else 0."""
    far = np.linalg.norm(one - other, axis=-1)
    return float(far[far > SEEN].mean()) if (far > SEEN).any() else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Tilted:
    """Odds [..,K] before and after a tilt, of colours ab [K,2]."""

    before: np.ndarray
    after: np.ndarray
    ab: np.ndarray

    @property
    def far(self) -> np.ndarray:
        """By how much the mean colour moves, in a and b, [..]."""
        return np.linalg.norm((self.after - self.before) @ self.ab, axis=-1)

    @property
    def entropy(self) -> np.ndarray:
        """How much less likely that is: relative entropy, nats, [..]."""
        apart = np.log(self.after + 1e-12) - np.log(self.before + 1e-12)
        return np.maximum((self.after * apart).sum(-1), 0)

    @property
    def open(self) -> np.ndarray:
        """The places, 0..1 [..], that move far for little: at most a MOSTLY of all."""
        gain = self.far / (self.entropy + FREE)
        moves = self.far > ALIKE
        if not moves.any():
            return np.zeros_like(gain)
        rank = 1 - min(1.0, MOSTLY / moves.mean())
        level = np.quantile(gain[moves], rank)
        wholly = np.clip((self.far - ALIKE) / (OTHER - ALIKE), 0, 1)
        return (np.clip(2.5 * (gain / level - 0.8), 0, 1) * wholly).astype(np.float32)


def _tilts(answer: Answer) -> list[tuple[np.ndarray, float]]:
    """Tilts [K] towards hues, and what they cost in relative entropy.

    Every hue with the weakest tilt that shows, those that cost least first; behind them those whose
    pictures are like one before.
    """
    temperature = answer.predictor.temperature
    logits = answer.shown[::2, ::2] if min(answer.shown.shape[:2]) > 32 else answer.shown
    ab = answer.predictor.gain * _centres(answer.palette)
    own = _odds(logits, temperature)
    found = []
    for angle in np.arange(HUES) * (2 * np.pi / HUES):
        aim = VIVID * np.array([np.cos(angle), np.sin(angle)])
        towards = -((ab - aim) ** 2).sum(-1) / (2 * SPREAD**2)
        for strength in TILTS:
            tilt = (temperature * strength * towards).astype(np.float32)
            tilted = Tilted(own, _odds(logits + tilt, temperature), ab)
            share = tilted.open
            moved = share * tilted.far
            changed = moved > ALIKE
            if changed.mean() >= WIDE and moved[changed].mean() >= 1.5 * APART:
                break
        colours = own @ ab + share[..., None] * ((tilted.after - own) @ ab)
        found.append((tilt, float((share * tilted.entropy).mean()), colours))
    found.sort(key=lambda one: one[1])
    seen = [own @ ab]
    first: list[tuple[np.ndarray, float]] = []
    alike: list[tuple[np.ndarray, float]] = []
    for tilt, entropy, colours in found:
        new = all(difference(colours, other) >= APART for other in seen)
        (first if new else alike).append((tilt, entropy))
        seen += [colours] if new else []
    return first + alike


def _open(answer: Answer, tilt: np.ndarray) -> np.ndarray:
    """Where a view is to change by a tilt, 0..1 [height,width,1], along its edges."""
    one = answer.predictor
    before, after = (_odds(answer.logits + by, one.temperature) for by in (0.0, tilt))
    share = Tilted(before, after, one.gain * _centres(answer.palette)).open[..., None]
    share = _enlarged(answer.luma, share, one.stride) if one.stride > 1 else share
    return np.clip(share[: answer.height, : answer.width], 0, 1)


def _apart(
    luma: np.ndarray, base: np.ndarray, step: np.ndarray, others: Sequence[np.ndarray]
) -> tuple[np.ndarray, float]:
    """The version of a view that is a step from `base`, or a longer one, to be far from all others.

    And how far it is from the nearest of their colours.
    """
    loud = 1.0
    for _ in range(ROUNDS):
        new = color.fit_gamut(np.concatenate([luma, base + np.float32(loud) * step], -1))[..., 1:]
        own = planes.ab_beside(luma, new)
        far = min(difference(own, other) for other in others)
        if far >= APART:
            break
        loud *= LOUDER
    return new, far


def _odds(logits: np.ndarray, temperature: float) -> np.ndarray:
    """How likely each colour is, [..,K], as `Palette.decode` takes it."""
    scaled = logits / np.float32(temperature)
    odds = np.exp(scaled - scaled.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def _enlarged(luma: np.ndarray, colours: np.ndarray, stride: int) -> np.ndarray:
    """Colours [h,w,2] at the size of luma [H,W,1], as the predictor enlarges them."""
    height, width = luma.shape[:2]
    fields = guided.fit(_shrunk(stride, luma), colours, radius=1)
    slope, offset = (
        cv2.resize(one.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        for one in fields
    )
    shape = (height, width, -1)
    return slope.reshape(shape) * luma + offset.reshape(shape)


def _shrunk(stride: int, luma: np.ndarray) -> np.ndarray:
    """Means of blocks, [H/stride,W/stride,1]."""
    height, width = luma.shape[0] // stride, luma.shape[1] // stride
    return luma.reshape(height, stride, width, stride, 1).mean((1, 3))


def _bands(luma: np.ndarray) -> np.ndarray:
    """How much each pixel of luma [h,w,1] is dark ... light: [h,w,BANDS], of sum 1."""
    place = np.clip(luma, 0, 1) * (BANDS - 1)
    return np.maximum(1 - np.abs(place - np.arange(BANDS)), 0).astype(np.float32)


def _centres(palette: Palette) -> np.ndarray:
    """a and b [K,2] of a palette's colours, at middle luma."""
    if palette.plane == "ab":
        return palette.centres
    return planes.ab_beside(np.full((len(palette), 1), 0.5, np.float32), palette.centres)
