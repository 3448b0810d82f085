"""Flows: what is done to a photo, as a tuple of steps, run on its record or made one function.

A step says what of a record it `needs`, what it `makes`, and `over` what it runs:

    TILE    overlapping squares of a fixed side, which a network is asked about one by one
    VIEW    one small picture of the whole, which a network is asked about
    HOST    pixels at their own depth, in NumPy

In the record of a photo are, as far as they are known or made,

    pixels          [H,W,1|3]  uint8 or uint16, as from a file
    kind            what `tone.kind` says of them: gray, toned, faded or color
    given           [H,W] uint8, not 0 where somebody says that it is damaged
    probability     [H,W] uint16 of damage, 65535 is certain
    add, remove     [H,W] uint8, not 0 where the mask gets, and loses, pixels
    mask            [H,W] uint8, 1 where damaged
    hints           `photo.hints.Hints`, what somebody told of its colours
    restored, ...   pictures [H,W,C], or what makes their rows when they are asked for
    told            what is said of all that in a report

A flow of one's own is a tuple as well, of steps of one's own or of others:

    class Faded(Step):
        needs, makes = ("restored",), ("faded",)

        def __call__(self, record, folder=None):
            return {"faded": np.uint8(0.8 * np.asarray(record["restored"]) + 40)}

    restorer = Restorer.from_weights(outputs=("restored",))
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 1), np.uint8)
    record = flow.run((*restorer.flow, Faded()), {"pixels": pixels, "kind": "gray"})
    faded = record["faded"]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from oldphoto_jax.photo.types import Batch

if TYPE_CHECKING:
    from oldphoto_jax.restore.stage import Stage

Record: TypeAlias = Mapping[str, Any]
Weights: TypeAlias = Mapping[str, Any]
Folder: TypeAlias = str | os.PathLike | None
TILE, VIEW, HOST = "tile", "view", "host"


class Step:
    """One step; subclasses say what it needs and makes, and do it."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be in the record, unless it is done already."""
        return ()

    @property
    def makes(self) -> tuple[str, ...]:
        """What it adds to the record."""
        return ()

    @property
    def over(self) -> str:
        """What it runs over."""
        return HOST

    @property
    def role(self) -> str:
        """Under which `pure` finds the weights of its network."""
        return ""

    @property
    def stage(self) -> Stage[Any] | None:
        """The network that it asks, if it asks one."""
        return None

    def done(self, record: Record) -> bool:
        """Whether nothing is left to do for this record."""
        return all(name in record for name in self.makes)

    def ready(self, record: Record) -> None:
        """Begins to make the programs that it will want for this record; others run meanwhile."""

    def __call__(self, record: Record, folder: Folder = None) -> Record:
        """What it makes of a record; also `told`, which is added to what is told already.

        Large arrays lie in scratch space in `folder`.
        """
        raise NotImplementedError

    def traced(self, weights: Weights, batch: Batch) -> Batch:
        """What it adds to a batch of equal photos, as a pure function; see `steps`.

        Raises ValueError where it has no such form.
        """
        raise ValueError(f"{type(self).__name__} runs on the host alone: no program can hold it")


Flow: TypeAlias = Sequence[Step]


def run(flow: Flow, record: Record, folder: Folder = None) -> dict[str, Any]:
    """The record after every step of the flow that is not done already, one after the other.

    Raises ValueError where a step lacks what it needs.
    """
    known = {"told": {}, **record}
    for step in flow:
        if not step.done(known):
            step.ready(known)
    for step in flow:
        if step.done(known):
            continue
        if missing := [name for name in step.needs if name not in known]:
            raise ValueError(
                f"{type(step).__name__} needs {', '.join(missing)}: give it, or put a step before "
                "it that makes it"
            )
        made = dict(step(known, folder))
        facts = known["told"] | made.pop("told", {})
        known |= made | {"told": facts}
    return known


def pure(flow: Flow) -> Callable[[Weights, Batch], Batch]:
    """The flow as one function `(weights, batch) -> batch`, to be jitted and sharded by callers.

        restorer = Restorer.from_weights()
        go = jax.jit(flow.pure(restorer.flow))
        photos = np.random.default_rng(0).random((2, 128, 192, 3), np.float32)
        made = go(flow.weights(restorer.flow), {"photo": photos, "gray": np.zeros(2, bool)})
        restored, chroma = made["restored"], made["restored chroma"]

    `batch` holds equal photos; what goes in and comes out is told in `steps`. It fills what `run`
    fills and finds the colours that `run` finds, to within one of 65535 values where the network
    answers the same; but it leaves no hole, and sees thick ones from near by. Steps raise
    ValueError, when it is traced, for what no program can do.
    """

    def function(weights: Weights, batch: Batch) -> Batch:
        for step in flow:
            batch = batch | step.traced(weights, batch)
        return batch

    return function


def weights(flow: Flow) -> dict[str, Any]:
    """The weights that `pure` wants, by the roles of the steps that ask networks."""
    return {step.role: step.stage.params for step in flow if step.stage is not None}
