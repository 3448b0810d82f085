"""How well photos are coloured: every method sits the same exam.

Its photos are in colour, so that the truth is known, and shown in gray. Plain gray and a tint, the
same for all, sit it too: a method that does not beat them has learned nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import oldphoto_jax
from oldphoto_jax.exams import skin_figures
from oldphoto_jax.exams.class_figures import Recognition, Told
from oldphoto_jax.exams.color_figures import WINDOW, Answer, Look, Perception, figures, truth
from oldphoto_jax.exams.exam import plain
from oldphoto_jax.metrics.color import cf_hs2003
from oldphoto_jax.photo import color, image
from oldphoto_jax.photo.tone import GRAY
from oldphoto_jax.restore import color_steps, colorize, flow
from oldphoto_jax.restore.colorize import Colorizer
from oldphoto_jax.restore.stage import Stage

if TYPE_CHECKING:
    from oldphoto_jax.predictors.colors import ColorPredictor

SMALLEST = 32  # pixels a side that LPIPS and SSIM can see
LEAST = 5.0  # colourfulness; a photo with less is gray but for noise or a faint cast

# Mean CbCr of the 5183 training photographs: of each, shrunk by area until its short side measures
# 64 pixels, the mean over pixels; of these the mean over photos.
TINT = (0.4787, 0.5157)


@dataclasses.dataclass(kw_only=True)
class Exam:
    """`count` photos of a source (default: all), spread evenly over it, `size` pixels a side.

    `photos` is a source of records as in `data.sources`. Raises ValueError for an empty exam.
    """

    photos: Sequence[Mapping[str, Any]]
    count: int | None = None
    size: int = 256

    def __post_init__(self) -> None:
        self.count = self.total
        if not 1 <= self.count <= len(self.photos):
            raise ValueError(
                f"an exam of {self.count} photos: the source has {len(self.photos)}, take 1 to all"
            )
        if self.size < SMALLEST:
            raise ValueError(f"size {self.size}: give {SMALLEST} pixels at least")

    @property
    def total(self) -> int:
        """How many photos of the source are taken."""
        return len(self.photos) if self.count is None else self.count

    def examples(self) -> Iterator[tuple[str, np.ndarray, str]]:
        """Name, truth uint8 [size,size,3], and class, "" where the source has none.

        The truth is the middle of the photo, its short side resized.
        """
        for index in range(self.total):
            record = self.photos[index * len(self.photos) // self.total]
            rows, columns = record["photo"].shape[:2]
            short = min(rows, columns)
            rows, columns = (round(side * self.size / short) for side in (rows, columns))
            photo = image.resize(record["photo"], rows, columns)
            top, left = (rows - self.size) // 2, (columns - self.size) // 2
            middle = image.crop(photo, top, left, self.size, self.size)
            yield record["name"], middle, record.get("class", "")

    def protocol(
        self, digest: str, perception: Perception | None, recognition: Recognition | None = None
    ) -> str:
        """All that the figures depend on, in one line; `digest` is that of the examples."""
        seen = perception.name if perception else "no LPIPS, no Fréchet distance"
        seen += f"; classes: by {recognition.name}" if recognition else ""
        return (
            f"oldphoto_jax {oldphoto_jax.__version__} colorize: {self.count} of "
            f"{len(self.photos)} photos, resized by area (smaller ones cubic) to a short side of "
            f"{self.size} px and centre-cropped to {self.size} x {self.size}; those with "
            f"cf_hs2003 below {LEAST} left out; sha256 of names and pixels {digest}; shown as "
            f"BT.601 luma; networks see a short side of {colorize.SIZE} px; 8 bits in and out; "
            "means over photos, where nothing else is said; PSNR of RGB, blank where "
            f"one is infinite; SSIM of RGB: {WINDOW} window; ab error: mean distance in the ab "
            "plane of Lab; ab AuC: area under the share of pixels within a distance of 0, 1, ... "
            "150; CF: colourfulness of Hasler and Suesstrunk, and in DDColor's form; ratio: of "
            "the mean CFs; delta: of each photo's CF, either way; blotch: spread of ab where the "
            "truth's luma is smooth, of photos that are so somewhere; "
            f"{skin_figures.protocol()}; tint: CbCr {TINT}; {seen}"
        )


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to colour: gray photos [N,H,W,3] -> coloured ones, both 0..1."""

    name: str
    colorize: Callable[[np.ndarray], np.ndarray]
    weights: str = ""  # their checksum


def network(name: str, stage: Stage[ColorPredictor], size: int = colorize.SIZE) -> Method:
    """A trained network as a method, asked by the steps that users' photos go through."""
    one = Colorizer(stage=stage, size=size)
    chain = color_steps.Guess(one), color_steps.Paint(one, "pixels", "color")

    def answer(photo: np.ndarray) -> np.ndarray:
        records = ({"pixels": gray, "kind": GRAY} for gray in image.to_uint8(photo[..., :1]))
        return image.to_float(np.stack([flow.run(chain, each)["color"][:] for each in records]))

    return Method(name, answer, stage.checksum)


def tint(photo: np.ndarray) -> np.ndarray:
    """Gray photos [N,H,W,3], 0..1, with the chroma of TINT, less where sRGB has no such colour."""
    luma = color.rgb_to_gray(photo)
    chroma = np.broadcast_to(np.asarray(TINT, luma.dtype), (*luma.shape[:-1], 2))
    return color.ycbcr_to_rgb(color.fit_gamut(np.concatenate([luma, chroma], axis=-1)))


BASELINES = (Method("gray", lambda photo: photo), Method("tint", tint))


def evaluate(
    exam: Exam,
    methods: Sequence[Method],
    perception: Perception | None = None,
    recognition: Recognition | None = None,
) -> dict[str, Any]:
    """`protocol`, what the figures depend on; `counts`; `truth`; `figures`, a dict for each method.

    `usual` are the ends of the hues of skin that count as plausible, None where no photo shows any.
    See `color_figures` and `skin_figures` for truth and figures; where `recognition` is given also
    `class_figures`, whose facts are `classes`. Everything is plain JSON, and the same every time.
    Raises ValueError when no photo has colour.
    """
    digest = hashlib.sha256()
    left_out = 0
    looks: list[Look] = []
    answers: list[list[Answer]] = [[] for _ in methods]
    told = Told(recognition, [[] for _ in methods]) if recognition else None
    for name, pixels, kind in exam.examples():
        target = image.to_float(pixels)[None]
        if cf_hs2003(target)[0] < LEAST:
            left_out += 1
            continue
        digest.update(name.encode())
        digest.update(pixels.tobytes())
        looks.append(Look.of(target, target, perception))
        photo = _rounded(color.gray_to_rgb(color.rgb_to_gray(target)))
        made = [_rounded(method.colorize(photo)) for method in methods]
        for colored, given in zip(made, answers, strict=True):
            given.append(Answer.of(colored, target, perception))
        if told:
            told.add(kind, target, made)
    if not looks:
        raise ValueError(
            f"none of the {exam.count} photos has colour (cf_hs2003 of {LEAST} or more): their "
            "truth is not known; name photos in colour"
        )
    skins = [look.skin for look in looks]
    complexions, ends = skin_figures.counts(skins), skin_figures.usual(skins)
    original, taken = told.figures() if told else ({}, [{} for _ in methods])
    return {
        "protocol": exam.protocol(digest.hexdigest()[:16], perception, recognition),
        "device": jax.devices()[0].device_kind,
        "counts": {
            "photos": len(looks),
            "left_out": left_out,
            "skin": sum(complexions.values()),
            **{f"skin_{name}": count for name, count in complexions.items()},
        },
        "usual": [plain(end) for end in ends] if ends else None,
        **({"classes": told.facts()} if told else {}),
        "truth": truth(looks) | original,
        "figures": [
            {"method": method.name, "weights": method.weights} | figures(given, looks) | classes
            for method, given, classes in zip(methods, answers, taken, strict=True)
        ],
    }


def _rounded(photo: np.ndarray) -> np.ndarray:
    """As it comes out of a file of 8 bits."""
    return image.to_float(image.to_uint8(photo))
