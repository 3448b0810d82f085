"""Equal photos asked about together: the steps of a flow as programs that take several at once."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import jax

from oldphoto_jax.restore import color_steps, colorize, detect, flow, program, steps
from oldphoto_jax.restore.inpaint import NETWORK
from oldphoto_jax.restore.request import Request

MOST = detect.NEAR  # pixels; larger photos gain nothing from company
LONGEST = 4096  # pixels a side; a program's way to make views grows with its square
SIZES = 8  # of photos for which programs are made; those of further sizes go one by one

Kind = TypeVar("Kind", bound=flow.Step)


class Together:
    """Says what the networks of a flow make of equal photos, `count` of them at once.

    They are spread over `devices`. `compiled` has the shape of the photos of every batch that a
    program was made for.
    """

    def __init__(self, chain: flow.Flow, count: int, devices: Sequence[jax.Device]):
        self.flow, self.count, self.devices = chain, count, [*devices]
        self.compiled: list[tuple[int, ...]] = []
        self._programs: dict[tuple[str, ...], program.Program] = {}
        self._sizes: set[tuple[int, int]] = set()

    def place(self, height: int, width: int) -> Hashable:
        """Photos of sizes with the same place can be asked about together; None goes alone."""
        small = height * width <= MOST and max(height, width) <= LONGEST
        return (height, width) if self.count > 1 and small else None

    def __call__(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """A part of the record of each of these photos.

        Nothing, where they are to go one by one: a photo alone, those without a place, those of
        more than SIZES sizes. When the devices run out of memory, half as many photos are taken
        from then on, at last one by one. stderr is told.
        """
        sides = {request.sides for request in requests}
        nothing: list[dict[str, Any]] = [{} for _ in requests]
        if len(requests) < 2 or len(sides) > 1 or self.place(*next(iter(sides))) is None:
            return nothing
        if len(self._sizes | sides) > SIZES:  # compiling takes longer than what it saves
            return nothing
        self._sizes |= sides
        try:
            parts = [
                self._ask(requests[n : n + self.count]) for n in range(0, len(requests), self.count)
            ]
            return [answer for part in parts for answer in part]
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
        if self.count > len(self.devices):
            self.count = max(self.count // 2, len(self.devices))
            print(f"out of device memory: {self.count} photos at once", file=sys.stderr)
            return self(requests)
        print("out of device memory: these photos go one by one, in tiles", file=sys.stderr)
        return nothing

    def _steps(self, kind: type[Kind]) -> list[Kind]:
        return [step for step in self.flow if isinstance(step, kind)]

    def _ask(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Answers for equal photos, `count` of them at most.

        Colours of photos as they came are asked for apart: so they are the same whatever else is
        asked for, or known of the damage. Those that no program can find are not asked for.
        """
        guesses = self._steps(color_steps.Guess)
        colored = any(self._colors(guesses, one) for one in requests)
        apart = [step for step in guesses if step.source == "pixels"]
        left_out = apart if colored else guesses
        chain = [step for step in self.flow if step not in left_out]
        if any(fill.inpainter.strength == 0 for fill in self._steps(steps.Fill)):
            # Then nothing is filled, and only the damage is asked for
            chain = [step for step in chain if isinstance(step, steps.Find | steps.Mark)]
        nothing: list[dict[str, Any]] = [{} for _ in requests]
        answers = self._answers(chain, requests) if self._whole(requests) else nothing
        if apart and colored:
            pairs = zip(answers, self._answers(apart, requests), strict=True)
            answers = [one | other for one, other in pairs]
        return answers

    def _colors(self, guesses: Sequence[color_steps.Guess], request: Request) -> bool:
        """Whether a program can find the colours of a photo, and is to."""
        if not guesses or request.hints is not None:
            return False
        one = guesses[0].colorizer
        return not one.chooses and one.reason(request.kind) is None

    def _whole(self, requests: Sequence[Request]) -> bool:
        """Whether a program can hold all that finds and fills the damage of these photos."""
        marks, fills = self._steps(steps.Mark), self._steps(steps.Fill)
        if not marks or not fills:
            return False
        [mark], [fill] = marks, fills
        one = fill.inpainter
        wide = max(mark.grow, one.feather) > steps.REACH
        known = any(array is not None for request in requests for array in request.known)
        edited = known or mark.detector.min_size > 1 or one.grow > 0
        return one.method == NETWORK and not edited and not wide

    def _answers(self, chain: flow.Flow, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """What a program of these steps says; it is made at first use."""
        guesses = [step for step in chain if isinstance(step, color_steps.Guess)]
        names = {"find": "probability", "fill": "fill"}
        wanted = [names[step.role] for step in chain if step.role in names]
        wanted += [f"{step.source} {part}" for step in guesses for part in ("view", "chroma")]
        if (key := tuple(wanted)) not in self._programs:
            made = program.Program(chain, wanted, self.devices, self.compiled)
            self._programs[key] = made
        frames = [program.frame(one.pixels) for one in requests]
        answers = self._programs[key](frames, self.count)
        return [_record(answer, guesses, requests[0].sides) for answer in answers]


def _record(
    answer: dict[str, Any], guesses: Sequence[color_steps.Guess], sides: tuple[int, int]
) -> dict[str, Any]:
    """A program's answer as the record of a photo has it."""
    record = {"probability": answer["probability"][..., 0]} if "probability" in answer else {}
    record |= {"fill": answer["fill"]} if "fill" in answer else {}
    for step in guesses:
        small = colorize.working_size(*sides, step.colorizer.size)
        record[f"{step.source} view"] = color_steps.crop_view(answer, step.source, small)
    return record
