"""What users can set of each step of restoring: a dataclass a step, a field an option.

An option is written down here and nowhere else. The flags of `oldphoto restore` and of the commands
of single steps, the keywords of `Restorer.from_weights` and the `settings` that a report keeps
follow from these fields and what `option` notes of them. Nothing heavy is imported, so that the
command line answers at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

# The packaged weights that are asked where no others are named
DETECTOR, INPAINTER, COLORIZER = "segment-lite", "inpaint-lite", "colorize-lite"
NETWORK, AUTO = "network", "auto"  # what fills holes: a network, or that only where they are thick
CHOICES = (NETWORK, AUTO, "telea", "navier-stokes", "biharmonic")
LARGEST = 1024  # pixels; a tile must be twice as wide as its thickest hole is thick

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Option:
    """What is known of a field beside its name and type.

    A flag has its field's name; where a field is true without it, "--no-NAME". `help` says what the
    flag does. In the chain, where one step follows another, users are not asked for some options
    (not `chained`), and for others not by the command of the step alone (not `alone`).
    """

    default: Any
    help: str
    reads: Callable[[str], Any]  # makes a value of what is typed
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    flag: str | None = None  # the option whose flag sets this one too
    instead: str | None = None  # the option that cannot be given beside this one
    setting: bool = True  # pictures depend on it, and no other setting tells of it
    alone: bool = True
    chained: bool = True
    chained_default: Any = None  # where it is another one


def option(
    default: Value, help: str, reads: Callable[[str], Any] | None = None, **more: Any
) -> Value:
    """A field with an `Option`, whose fields are told in `more`."""
    known = Option(default, help, reads or type(default), **more)
    return dataclasses.field(default=default, metadata={"option": known})


@dataclasses.dataclass(kw_only=True)
class Options:
    """The options of a step."""

    @property
    def settings(self) -> dict[str, Any]:
        """Those that pictures depend on."""
        known = options_of(type(self)).items()
        return {name: getattr(self, name) for name, one in known if one.setting}


@dataclasses.dataclass(kw_only=True)
class Detecting(Options):
    """How damage is looked for; without a threshold, that of the weights decides."""

    threshold: float | None = option(
        None, "probability from which a pixel is a defect", float, metavar="P"
    )
    careful: bool = option(
        False,
        "mark only what is hardly ever wrong: the higher of the two thresholds of the weights",
        instead="threshold",
        setting=False,  # the threshold tells it
    )
    tta: bool = option(False, "average over mirror images: four times the work")
    tile: int = option(1024, "largest tile side", metavar="PX", chained=False)
    overlap: int = option(32, "shared by tiles", metavar="PX", chained=False)
    min_size: int = option(0, "leave out smaller specks", metavar="PX")
    coarse: bool = option(True, "look at large scans from near by alone: broad defects are missed")


@dataclasses.dataclass(kw_only=True)
class Marking(Options):
    """How masks are widened: those that were found, which fit tightly, and those that are given.

    Raises ValueError for widths below 0.
    """

    grow: int = option(2, "grow masks by so much", metavar="PX")
    grow_given: int = option(0, "masks that were given", flag="grow")

    def __post_init__(self) -> None:
        if (least := min(self.grow, self.grow_given)) < 0:
            raise ValueError(f"grow {least}: give 0 or more pixels")


@dataclasses.dataclass(kw_only=True)
class Inpainting(Options):
    """How holes are filled, and which."""

    method: str = option(NETWORK, "what fills holes", choices=CHOICES, chained=False)
    max_hole: int = option(LARGEST, "leave thicker holes as they are", metavar="PX")
    thin: int = option(
        4,
        "auto: biharmonic for holes up to this thickness, else the network",
        metavar="PX",
        chained=False,
    )
    grow: int = option(0, "grow masks first", metavar="PX", chained=False)
    feather: int = option(
        0,
        "fade out around holes; pixels further away never change",
        metavar="PX",
        chained_default=1,  # found masks leave a rim of the scratch
    )
    tile: int = option(512, "largest tile side", metavar="PX", chained=False)
    overlap: int = option(128, "shared by tiles", metavar="PX", chained=False)
    strength: float = option(
        1.0, "from 0, the photo as it is, to 1, the fill", metavar="S", alone=False, chained=False
    )


@dataclasses.dataclass(kw_only=True)
class Colorizing(Options):
    """How colours are guessed and laid on."""

    strength: float = option(
        1.0, "from 0, the photo's own colours, to 1, the network's", metavar="S", chained=False
    )
    size: int = option(256, "shorter side of what the colouring network sees", metavar="PX")
    candidates: int = option(
        1,
        "make so many versions in colour, the likeliest first: also NAME_color_2 and so on",
        metavar="N",
        setting=False,  # others may be added later
    )
    recolor: bool = option(
        False,
        "colour photos that are in colour already",
        setting=False,  # what was coloured on request stays so when others are added later
        alone=False,  # `oldphoto colorize --force` says it
    )


STEPS: dict[str, type[Options]] = {
    "detect": Detecting,
    "mark": Marking,
    "inpaint": Inpainting,
    "colorize": Colorizing,
}


def options_of(kind: type[Options]) -> dict[str, Option]:
    """The options of a step by their names; other fields that a subclass has are none."""
    known = {field.name: field.metadata.get("option") for field in dataclasses.fields(kind)}
    return {name: one for name, one in known.items() if one is not None}


def offered(kind: type[Options], chained: bool = False) -> dict[str, Option]:
    """Those that users are asked for, of the step alone or in the chain, with their defaults there.

    Two more are the chain's own: `tile`, which holds for finding and limits that of filling, and
    `strength`, told by step.
    """
    known = options_of(kind).items()
    if not chained:
        return {name: one for name, one in known if one.alone}
    return {
        name: one
        if one.chained_default is None
        else dataclasses.replace(one, default=one.chained_default)
        for name, one in known
        if one.chained
    }


def by_step(given: Mapping[str, Any], strength: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """For each of STEPS its options in the chain: as given, else (also for None) their defaults.

    `strength` has its own for some of "inpaint" and "colorize". Raises TypeError for an option, and
    ValueError for a strength, that no step has.
    """
    steps = {step: offered(kind, chained=True) for step, kind in STEPS.items()}
    known = {name for own in steps.values() for name in own}
    if unknown := [name for name in given if name not in known]:
        names = ", ".join(sorted(known))
        raise TypeError(f"there is no option {', '.join(unknown)}; there are {names}")
    given = {name: value for name, value in given.items() if value is not None}
    parts = {
        step: {name: given.get(name, one.default) for name, one in own.items()}
        for step, own in steps.items()
    }
    strong = [step for step, kind in STEPS.items() if "strength" in options_of(kind)]
    if wrong := [step for step in strength if step not in strong]:
        raise ValueError(f"strength of {', '.join(wrong)}: there is {' and '.join(strong)}")
    for step, value in strength.items():
        parts[step]["strength"] = value
    return parts
