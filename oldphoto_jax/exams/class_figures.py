"""What a classifier takes coloured photos for, beside what they show and what it took them for.

So the authors of colorization networks measure whether colours mean something: see
`metrics.classifier`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.exams.exam import cell, markdown, plain
from oldphoto_jax.metrics import classifier, imagenet
from oldphoto_jax.photo.types import Array, Photo

FEW = 5  # classes that a note names


@dataclasses.dataclass(frozen=True)
class Recognition:
    """A classifier of ImageNet's classes: what tables call it, and all that it depends on.

    `tell` gives of photos [N,H,W,3], 0..1, the number of the likeliest class of each, [N].
    """

    title: str
    name: str
    tell: Callable[[Photo], Array]


def recognition(name: str) -> Recognition:
    """One of `classifier.PUBLISHED`, with its published weights.

    Raises WeightsError, which says how to get them, where they are missing.
    """
    tell = classifier.teller(classifier.load(name))
    return Recognition(classifier.published(name).title, classifier.described(name), tell)


@dataclasses.dataclass
class Told:
    """Photo by photo: what it is called by its source, and the classes that it was taken for.

    `methods` has a list for each method, `truth` is of the originals.
    """

    recognition: Recognition
    methods: list[list[int]]
    names: list[str] = dataclasses.field(default_factory=list)
    truth: list[int] = dataclasses.field(default_factory=list)

    def add(self, name: str, target: np.ndarray, answers: Sequence[np.ndarray]) -> None:
        """Asks about one photo [1,H,W,3], 0..1, of the class `name` ("" = not known)."""
        self.names.append(name)
        self.truth.append(self._ask(target))
        for told, answer in zip(self.methods, answers, strict=True):
            told.append(self._ask(answer))

    def _ask(self, photo: np.ndarray) -> int:
        return int(np.asarray(self.recognition.tell(photo))[0])

    def figures(self) -> tuple[dict[str, float | None], list[dict[str, float | None]]]:
        """Those of the originals, and of each method.

        `top1` is None where no class is known; `agreement` is with the originals.
        """
        labels = np.array([imagenet.index(name) for name in self.names])
        found = [classifier.accuracy(labels, np.array(told), self.truth) for told in self.methods]
        original = classifier.accuracy(labels, self.truth, self.truth)
        return {"top1": plain(original["top-1"].compute())}, [
            {
                "top1": plain(one["top-1"].compute()),
                "agreement": plain(one["agreement"].compute()),
            }
            for one in found
        ]

    def facts(self) -> dict[str, Any]:
        """Which classifier, how many photos are `labelled`, and the classes `unknown` to it."""
        strange = sorted({name for name in self.names if name and imagenet.index(name) < 0})
        known = sum(imagenet.index(name) >= 0 for name in self.names)
        return {"title": self.recognition.title, "labelled": known, "unknown": strange}


def table(result: Mapping[str, Any]) -> str:
    """The table of a result of `colors.evaluate`; "" where no classifier was asked."""
    if not (asked := result.get("classes")):
        return ""
    rows = [["method", f"top-1 ({asked['title']})", "agreement"]]
    rows.append(["original", cell(result["truth"]["top1"]), ""])
    rows += [[m["method"], cell(m["top1"]), cell(m["agreement"])] for m in result["figures"]]
    return markdown(rows)


def note(result: Mapping[str, Any]) -> list[str]:
    """What is to be said of these figures beneath the tables."""
    if not (asked := result.get("classes")):
        return []
    title, photos = asked["title"], result["counts"]["photos"]
    told = [
        f"agreement: share of the {photos} photos that {title} takes for what it took originals"
    ]
    if asked["labelled"]:
        told.append(
            f"top-1: share of the {asked['labelled']} of a known class that it takes for it"
        )
    else:
        told.append("top-1: blank, for the class of no photo is known")
    strange = asked["unknown"]
    more = ", ..." if len(strange) > FEW else ""
    named = f"{len(strange)} classes are none of ImageNet's: {', '.join(strange[:FEW])}{more}"
    return [*told, named] if strange else told
