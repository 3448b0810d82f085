"""One step: every player looks at the same board, then all of them move."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.task import MEASURED, Loss, Task, Terms
from oldphoto_jax.train import state as states
from oldphoto_jax.train.optimizer import Optimizer
from oldphoto_jax.train.state import Part, Pytree, TrainState, others


@dataclasses.dataclass(frozen=True)
class Rules:
    """What stays the same at every step of a run."""

    task: Task
    optimizers: Mapping[str, Optimizer]
    transforms: Mapping[str, optax.GradientTransformation]
    precision: str = "float32"
    accumulate: int = 1  # parts of a batch whose gradients are averaged before a move

    @functools.cached_property
    def players(self) -> dict[str, tuple[str, ...]]:
        """The networks that each player moves."""
        return self.task.players()

    @property
    def moved(self) -> set[str]:
        """Networks that some player moves."""
        return {name for player in self.optimizers for name in self.players[player]}

    def inside(self, player: str, part: str) -> dict[str, str]:
        """The networks of a player that a part's path leads into, and the rest of the path.

        Raises ValueError for a path that begins with none of several networks.
        """
        networks = self.players[player]
        if len(networks) == 1 or not part:
            return dict.fromkeys(networks, part)
        network, _, rest = part.partition(".")
        if network not in networks:
            raise ValueError(
                f"optimizers[{player!r}] names the part {part!r}; begin with one of its networks, "
                f"{', '.join(networks)}"
            )
        return {network: rest}


def train_step(
    rules: Rules, frozen: tuple[tuple[str, str], ...], state: TrainState, batch: Batch
) -> tuple[TrainState, Terms]:
    """Returns the next state and the terms of every loss, as 'player/term'.

    `frozen` pairs a network with the part of it whose batch norm no longer follows the batch
    ("" is the whole network). A player that sits this step out logs zeros.
    """
    parts, still = dict(state.parts), dict(frozen)
    logs: Terms = {}
    for name, loss in rules.task.losses().items():
        moved, terms = _turn(rules, still, name, loss, state, batch)
        parts |= moved
        logs |= {f"{name}/{term}": value for term, value in terms.items()}
    return TrainState(state.step + 1, parts), logs


def _turn(
    rules: Rules,
    frozen: Mapping[str, str],
    name: str,
    loss: Loss,
    state: TrainState,
    batch: Batch,
) -> tuple[dict[str, Part], Terms]:
    """The player moves if the step is one of its own."""
    every = rules.optimizers[name].every

    def move(state: TrainState, batch: Batch) -> tuple[dict[str, Part], Terms]:
        return _move(rules, frozen, name, loss, state, batch)

    if every == 1:
        return move(state, batch)
    _, shapes = jax.eval_shape(move, state, batch)

    def rest(state: TrainState, batch: Batch) -> tuple[dict[str, Part], Terms]:
        own = {network: state.parts[network] for network in rules.players[name]}
        return own, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return jax.lax.cond(state.step % every == 0, move, rest, state, batch)


def _move(
    rules: Rules,
    frozen: Mapping[str, str],
    name: str,
    loss: Loss,
    state: TrainState,
    batch: Batch,
) -> tuple[dict[str, Part], Terms]:
    """One player's move: only the weights and statistics of its own networks change."""
    networks, optimizer = rules.players[name], rules.optimizers[name]
    own = {network: state.parts[network] for network in networks}
    setting = f"optimizers[{name!r}]"
    still = (optimizer.freeze_weights_in, f"{setting}.freeze_weights_in")
    before = states.joined({n: part.params for n, part in own.items()}, networks)

    def objective(params: Pytree, rest: Pytree, batch: Batch) -> tuple[jax.Array, Any]:
        params = _hold(params, jax.lax.stop_gradient(params), *still)
        parts = {n: dataclasses.replace(own[n], rest=rest[n]) for n in networks}
        nets = _wake(rules, frozen, {**state.parts, **parts}, states.parted(params, networks))
        terms: Terms = {
            term: _scalar(name, term, value) for term, value in loss(nets, batch).items()
        }
        after = {n: others(nets[n]) for n in networks}
        return functools.reduce(operator.add, terms.values()), (terms, after)

    gradient = functools.partial(jax.grad(objective, has_aux=True), before)
    rest = {n: part.rest for n, part in own.items()}
    grads, (terms, rest) = _accumulated(gradient, rest, batch, rules.accumulate)
    terms = terms | {"gradient": optax.tree_utils.tree_norm(grads)}
    memory = own[networks[0]].opt
    updates, memory = rules.transforms[name].update(grads, memory, before)
    for inside, share in optimizer.shares.items():
        slower = jax.tree.map(lambda update, share=share: share * update, updates)
        updates = _hold(updates, slower, inside, f"{setting}.shares")
    params = _hold(optax.apply_updates(before, updates), before, *still)
    averages = {n: part.ema for n, part in own.items()}
    if all(one is not None for one in averages.values()):
        # Young averages would remember the random start: the decay grows to its full value.
        moves = (state.step // optimizer.every).astype(jnp.float32)
        decay = jnp.minimum(optimizer.ema, (1 + moves) / (10 + moves))
        ema = states.joined(averages, networks)
        ema = _hold(optax.incremental_update(params, ema, 1 - decay), ema, *still)
        averages = states.parted(ema, networks)
    after = states.parted(params, networks)
    moved = {
        n: dataclasses.replace(part, params=after[n], rest=rest[n], ema=averages[n])
        for n, part in own.items()
    }
    moved[networks[0]] = dataclasses.replace(moved[networks[0]], opt=memory)
    return moved, terms


def _accumulated(
    gradient: Callable[[Pytree, Batch], tuple[Pytree, tuple[Terms, Pytree]]],
    rest: Pytree,
    batch: Batch,
    count: int,
) -> tuple[Pytree, tuple[Terms, Pytree]]:
    """The mean of gradients and terms over `count` parts of the batch, one after the other.

    Only one part's activations are held. Statistics and random counters go on from part to part.
    """
    if count == 1:
        return gradient(rest, batch)
    # Every count-th example, so that a device finds all of its parts among its own
    parts = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, count, *x.shape[1:]), 1, 0), batch)
    grads, (terms, _) = jax.eval_shape(gradient, rest, jax.tree.map(lambda x: x[0], parts))
    sums = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (grads, terms))

    def add(carry: tuple[Pytree, Pytree], part: Batch) -> tuple[tuple[Pytree, Pytree], None]:
        sums, rest = carry
        grads, (terms, rest) = gradient(rest, part)
        return (jax.tree.map(operator.add, sums, (grads, terms)), rest), None

    (sums, rest), _ = jax.lax.scan(add, (sums, rest), parts)
    grads, terms = jax.tree.map(lambda x: x / count, sums)
    return grads, (terms, rest)


def _hold(new: Pytree, old: Pytree, still: str, setting: str) -> Pytree:
    """The new values, but the old ones inside the part called `still` ("" holds nothing).

    Raises ValueError, which names the setting, when there is no such part.
    """
    if not still:
        return new
    wanted = still.split(".")
    found: list[bool] = []

    def choose(path: tuple[Any, ...], fresh: jax.Array, kept: jax.Array) -> jax.Array:
        inside = [str(getattr(key, "key", key)) for key in path[: len(wanted)]] == wanted
        found.append(inside)
        return kept if inside else fresh

    chosen = jax.tree_util.tree_map_with_path(choose, new, old)
    if not any(found):
        raise ValueError(f"{setting} names {still!r}, but the network has no such part")
    return chosen


def _scalar(player: str, term: str, value: Array) -> jax.Array:
    """A term in float32, so that terms of low precision add up without loss."""
    if jnp.shape(value) != ():
        raise ValueError(
            f"the term {term!r} of {player!r} has the shape {jnp.shape(value)}; a loss returns "
            "scalars, so take its mean"
        )
    return jnp.asarray(value, jnp.float32)


def _wake(
    rules: Rules, frozen: Mapping[str, str], parts: Mapping[str, Part], traced: Mapping[str, Pytree]
) -> dict[str, nnx.Module]:
    """All networks in the compute type; those that don't play are in evaluation mode."""
    return {
        name: part.wake(
            cast(traced.get(name, part.params), jnp.dtype(rules.precision)),
            train=name in rules.moved,
            frozen=frozen.get(name),
        )
        for name, part in parts.items()
    }


def cast(arrays: Pytree, kind: jnp.dtype) -> Pytree:
    """Floating-point arrays in that type; networks compute in the type of their weights."""
    return jax.tree.map(
        lambda x: x.astype(kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, arrays
    )


def predict_step(rules: Rules, state: TrainState, batch: Batch) -> Batch:
    """What the predictor makes with every network's best weights, in evaluation mode, in float32.

    What the task measures of that comes along, as `task.MEASURED` and its name.
    """
    nets = {
        name: part.wake(cast(part.best, jnp.dtype(rules.precision)), train=False)
        for name, part in state.parts.items()
    }
    prediction = rules.task.predictor()(nets, batch)
    measured = rules.task.measure(nets, batch, prediction)
    both = prediction | {f"{MEASURED}{name}": value for name, value in measured.items()}
    return cast(both, jnp.dtype("float32"))
