"""One object says everything about a run: the task, the photos, the players, the schedule.

Annotations are real types here and in every dataclass that a configuration holds (no
postponed evaluation): the flags read them to parse --config.any.field=value.
"""

import dataclasses
import json
from typing import Any

from oldphoto_jax import described
from oldphoto_jax import task as contract
from oldphoto_jax.train.optimizer import Optimizer


def _operational(default: Any) -> Any:
    """A field that changes how a run proceeds but not what comes out of it."""
    return dataclasses.field(default=default, metadata={"operational": True})


@dataclasses.dataclass(kw_only=True)
class Config:
    """A run. Plain and mutable, so that --config.any.field=value can reach every leaf.

    `photos` and `validation` are a source object or text: "samples", a folder, a .txt list,
    "tfds:NAME/SPLIT", "2*ONE + 1*ANOTHER" (see `data.sources.open_photos`). The task may be a
    dataclass of anybody's; weights of a foreign one are read back only where its class can be
    passed in Python.
    """

    task: contract.Task
    photos: str = "samples"  # or, set in Python, a source object
    validation: str = "samples:val"  # likewise; "" = no evaluation and no picture sheets
    weights: dict[str, str] = dataclasses.field(default_factory=dict)  # network or part -> file
    optimizers: dict[str, Optimizer]
    batch_size: int = 16  # over all devices and processes
    # Parts of a batch that go through the networks one after the other, their gradients averaged:
    # the memory of a part, and the same moves as by the whole batch where losses are means over
    # examples. Batch norm sees a part at a time, and losses over all pixels of a batch do
    accumulate: int = 1
    steps: int = 1000
    seed: int = 0
    precision: str = "float32"  # or "bfloat16": of the computation, never of the weights
    evaluate_every: int = 1000
    validation_batch: int = 16
    best: str = ""  # the figure by which the best checkpoint is chosen; "" = only the last is kept
    best_is: str = "highest"  # or "lowest"
    # Makes the validation examples and measures them, where the task itself is not to: so variants
    # that train on different damage sit one exam
    judge: contract.Task | None = None
    patience: int = 0  # evaluations in a row without a better `best` that end a run; 0 = none do

    log_every: int = _operational(50)
    save_every: int = _operational(500)
    sheet_rows: int = _operational(4)  # validation examples on a picture sheet
    workers: int = _operational(0)  # processes that make examples; 0 = threads only
    threads: int = _operational(2)
    tensorboard: bool = _operational(False)

    @property
    def examiner(self) -> contract.Task:
        """Who makes and measures the validation examples."""
        return self.judge or self.task

    @property
    def filled(self) -> dict[str, str]:
        """What networks are filled with at first: what the task asks for, then `weights`."""
        return self.task.published() | self.weights

    def check(self) -> None:
        """Raises ValueError, naming the field, on settings that can't make a run."""
        positive = ["batch_size", "accumulate", "validation_batch", "steps"]
        positive += ["evaluate_every", "log_every", "save_every"]
        counts = ("sheet_rows", "workers", "threads", "patience")
        least = dict.fromkeys(positive, 1) | dict.fromkeys(counts, 0)
        for name, number in least.items():
            if getattr(self, name) < number:
                value = getattr(self, name)
                raise ValueError(f"config.{name} must be {number} or more, it is {value}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"config.accumulate={self.accumulate} does not divide "
                f"config.batch_size={self.batch_size}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(
                f"config.precision must be 'float32' or 'bfloat16', it is {self.precision!r}"
            )
        if self.best_is not in ("highest", "lowest"):
            raise ValueError(f"config.best_is must be 'highest' or 'lowest', not {self.best_is!r}")
        if self.patience and not (self.best and self.validation):
            raise ValueError(
                f"config.patience={self.patience} needs config.validation and, to know what is "
                "better, config.best"
            )
        players = set(self.task.losses())
        if players != set(self.optimizers):
            raise ValueError(
                f"config.optimizers must name exactly the players of the task, {sorted(players)}; "
                f"it names {sorted(self.optimizers)}"
            )
        for player, optimizer in self.optimizers.items():
            optimizer.check(player)


def to_text(config: Config) -> str:
    """The whole configuration as JSON, one field a line; source objects in their own words."""
    sources = {name: _words(getattr(config, name)) for name in ("photos", "validation")}
    config = dataclasses.replace(config, **sources)
    return json.dumps(described.describe(config), indent=1, sort_keys=True)


def from_text(text: str) -> Config:
    """The configuration that `to_text` wrote; raises ValueError for a foreign task's class."""
    return described.restore(json.loads(text))


def differences(old: str, new: str) -> list[str]:
    """Fields that differ between two configurations, as 'task.size: 256 -> 512'.

    Operational fields (workers, log intervals) may differ: they don't change what is learned. A
    field of Config that there was not yet when the first was written had its default; new fields of
    a task may change what it draws, so a run from before them differs.
    """
    fields = dataclasses.fields(Config)
    free = {f.name for f in fields if f.metadata.get("operational")}
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    texts = [json.loads(old), json.loads(new)]
    leaves = [_leaves(defaults | text) for text in texts]
    names = sorted(leaves[0].keys() | leaves[1].keys())
    missing = "(absent)"
    return [
        f"{name}: {leaves[0].get(name, missing)!r} -> {leaves[1].get(name, missing)!r}"
        for name in names
        if name.partition(".")[0] not in free
        and leaves[0].get(name, missing) != leaves[1].get(name, missing)
    ]


def _words(source: Any) -> Any:
    """A source by what it says of itself, if that is the same in every process."""
    if isinstance(source, str) or dataclasses.is_dataclass(source):
        return source
    own = type(source).__repr__ is not object.__repr__
    return repr(source) if own else f"{type(source).__qualname__} of {len(source)} photos"


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        parts = [_leaves(child, f"{path}.{key}" if path else str(key)) for key, child in items]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {path: value}
