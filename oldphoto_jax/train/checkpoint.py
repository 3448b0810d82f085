"""A run at rest: one atomic Orbax step holds weights, optimizer, averages, data position.

The newest and the best step are kept. A step is written beside the others and renamed when it
is whole, so a run that is killed at any moment loses at most the work since the last save.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from oldphoto_jax.train.state import TrainState


def begun(folder: pathlib.Path) -> bool:
    """Whether the folder holds a whole step to resume from."""
    return folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())


class Checkpoints:
    """The steps kept in one folder.

    `best` names the figure by which the best step is chosen ("" = none is), `best_is` its
    direction. The folder is made if it is missing; unfinished steps of a killed run are cleared
    away.
    """

    def __init__(self, folder: pathlib.Path, best: str, best_is: str):
        self.best, self.sign = best, 1.0 if best_is == "highest" else -1.0
        keep = [
            policies.LatestN(1),
            policies.BestN(get_metric_fn=self._score, n=1, keep_checkpoints_without_metrics=False),
        ]
        options = ocp.CheckpointManagerOptions(
            # Orbax writes the figures of a step down only if it is told this, too.
            best_fn=self._score,
            preservation_policy=policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=True,
            enable_async_checkpointing=True,
        )
        self.manager = ocp.CheckpointManager(folder.absolute(), options=options)
        self.folder = folder
        kept = [self._score(self.manager.metrics(step)) for step in self.manager.all_steps()]
        self.highest = max(kept, default=-math.inf)

    def save(
        self, state: TrainState, position: Any, config: str, figures: dict[str, float] | None
    ) -> None:
        """Begins to write the state at its step; training may go on meanwhile.

        `position` is the loader's place as JSON values; `figures` decide about the best step.
        """
        step = int(state.step)
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(_flat(state)),
            run=ocp.args.JsonSave({"position": position, "config": config}),
        )
        finite = {k: v for k, v in (figures or {}).items() if math.isfinite(v)}
        self.highest = max(self.highest, self._score(finite))
        self.manager.save(step, args=args, metrics=finite, force=True)

    def restore(self, like: TrainState) -> tuple[TrainState, Any] | None:
        """The newest state, placed on devices as `like` is, and the loader's position.

        `like` may live on another number of devices than the run that saved. None if nothing
        was saved yet. Raises ValueError for a checkpoint that can't be read.
        """
        step = self.manager.latest_step()
        if step is None:
            return None
        target = jax.tree.map(_shape, _flat(like))
        args = ocp.args.Composite(
            state=ocp.args.StandardRestore(target), run=ocp.args.JsonRestore()
        )
        try:
            found = self.manager.restore(step, args=args)
        except Exception as error:  # Orbax and TensorStore raise many kinds
            older = [str(other) for other in self.manager.all_steps() if other < step]
            start = f"step {older[-1]}" if older else "the beginning"
            raise ValueError(
                f"the checkpoint {self.last()} can't be read: {error}\n"
                f"Move it away, and the same command goes on from {start}."
            ) from error
        return _unflat(found["state"], like), found["run"]["position"]

    def last(self) -> str:
        """Where the newest whole step is, for messages."""
        step = self.manager.latest_step()
        return "no checkpoint yet" if step is None else f"{self.folder / str(step)}"

    def is_best(self, figures: dict[str, float]) -> bool:
        """Whether no step that was saved before has better figures."""
        return math.isfinite(score := self._score(figures)) and score >= self.highest

    def close(self) -> None:
        """Waits until everything is on disk; raises what went wrong with it."""
        self.manager.close()

    def _score(self, figures: dict[str, float] | None) -> float:
        value = (figures or {}).get(self.best, math.nan)
        return self.sign * value if math.isfinite(value) else -math.inf


def _flat(state: TrainState) -> dict[str, jax.Array]:
    """Arrays by path; random keys as their bits, because files know no key type."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path): _bits(leaf) for path, leaf in leaves}


def _unflat(arrays: dict[str, jax.Array], like: TrainState) -> TrainState:
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    restored = []
    for path, leaf in leaves:
        array = arrays[jax.tree_util.keystr(path)]
        if _is_key(leaf):
            array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
        restored.append(array)
    return jax.tree_util.tree_unflatten(structure, restored)


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _bits(leaf: jax.Array) -> jax.Array:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _shape(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
