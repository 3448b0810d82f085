"""The numbers of a run: one Part a network, all of them plain pytrees.

Networks sleep as (graph, arrays) between steps and are woken inside the jitted step; every
split and merge of the house stands here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from oldphoto_jax.layers.norm import freeze
from oldphoto_jax.task import Task
from oldphoto_jax.weights import names, wanted

Pytree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Part:
    """One network at rest: its structure, weights, other variables, and its player's memory.

    `opt` is the memory of the player whose first network this is, else empty; `ema` is None unless
    averages are kept.
    """

    graph: nnx.GraphDef = dataclasses.field(metadata={"static": True})
    params: Pytree
    rest: Pytree
    opt: Pytree = ()
    ema: Pytree = None

    def wake(self, params: Pytree = None, *, train: bool, frozen: str | None = None) -> nnx.Module:
        """The network itself, on `params` or its own.

        Batch norm inside the part of it called `frozen` ("" is all of it) stands still.
        """
        params = self.params if params is None else params
        network = nnx.merge(self.graph, params, self.rest, copy=True)
        network.train() if train else network.eval()
        if frozen is not None:
            freeze(network, frozen)
        return network

    @property
    def best(self) -> Pytree:
        """The weights to be used for predicting: the averaged ones where they exist."""
        return self.params if self.ema is None else self.ema


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that a step changes."""

    step: jax.Array
    parts: dict[str, Part]


def sleep(network: nnx.Module) -> tuple[nnx.GraphDef, Pytree, Pytree]:
    """A network as (graph, weights, other variables), the latter two plain dicts of arrays."""
    graph, *states = nnx.split(network, nnx.Param, ...)
    params, rest = states
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(rest)


def others(network: nnx.Module) -> Pytree:
    """What a forward pass may have changed: statistics and random counters."""
    return nnx.to_pure_dict(nnx.state(network, nnx.Not(nnx.Param)))


def create(
    task: Task,
    transforms: Mapping[str, optax.GradientTransformation],
    seed: int,
    averaged: Set[str] = frozenset(),
    weights: Mapping[str, str] | None = None,
) -> TrainState:
    """A fresh state: networks drawn from the seed, then filled from files by name.

    `weights` maps a network or a part of one ("segmenter", "segmenter.encoder") to what
    `wanted.arrays` reads. `averaged` names the players that keep an average of their weights.
    Raises ValueError for a network or part that is not there, for one that two players move, and
    WeightsError for missing weights.
    """
    abstract = _abstract(task, seed)
    graphs = {name: sleep(net)[0] for name, net in abstract.items()}
    players = {name: task.players().get(name, (name,)) for name in transforms}
    moved = [network for networks in players.values() for network in networks]
    if unknown := {*moved} - graphs.keys():
        raise ValueError(f"no network is named {sorted(unknown)}; there are {sorted(graphs)}")
    if twice := {network for network in moved if moved.count(network) > 1}:
        raise ValueError(f"two players move {sorted(twice)}; give each network to one of them")

    # Names and files first: what is wrong with them must not wait for a compilation.
    for where in weights or {}:
        _part(abstract, where)
    given = {where: wanted.arrays(file) for where, file in (weights or {}).items()}

    # Drawn under jit: one compilation instead of one for every shape of weight.
    @jax.jit
    def draw() -> dict[str, tuple[Pytree, Pytree]]:
        networks = task.networks(nnx.Rngs(seed))
        return {name: sleep(network)[1:] for name, network in networks.items()}

    networks = {
        name: nnx.merge(graphs[name], params, rest) for name, (params, rest) in draw().items()
    }
    for where, arrays in given.items():
        names.fill(_part(networks, where), names.within(arrays, where))
    parts = {name: Part(*sleep(network)) for name, network in networks.items()}
    for player, own in players.items():
        for name in own if player in averaged else ():
            ema = jax.tree.map(jnp.copy, parts[name].params)
            parts[name] = dataclasses.replace(parts[name], ema=ema)
        opt = jax.jit(transforms[player].init)(joined({n: parts[n].params for n in own}, own))
        parts[own[0]] = dataclasses.replace(parts[own[0]], opt=opt)
    return TrainState(jnp.zeros((), jnp.int32), parts)


def joined(trees: Mapping[str, Pytree], networks: Sequence[str]) -> Pytree:
    """The trees of a player's networks as one: by name, or of a single network as it is."""
    own = {name: trees[name] for name in networks}
    return own if len(networks) > 1 else own[networks[0]]


def parted(tree: Pytree, networks: Sequence[str]) -> dict[str, Pytree]:
    """What `joined` joined, by network."""
    return dict(tree) if len(networks) > 1 else {networks[0]: tree}


def place(state: TrainState, sharding: jax.sharding.Sharding) -> TrainState:
    """The state on other devices, those of other processes included."""

    def move(leaf: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.device_put(leaf, sharding)
        # JAX can't send keys to other processes, but their bits.
        bits = jax.device_put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))

    return jax.tree.map(move, state)


def kept(state: TrainState, networks: Iterable[str]) -> dict[str, jax.Array]:
    """The best weights and the statistics of these networks, by the names of weights files."""
    arrays: dict[str, jax.Array] = {}
    for name in networks:
        part = state.parts[name]
        arrays |= names.flatten(part.best, name) | names.flatten(part.rest, name)
    return arrays


def asked(task: Task) -> tuple[str, ...]:
    """The names of the networks that the task's predictor asks."""
    return tuple(nnx.eval_shape(lambda: task.predictor().networks(nnx.Rngs(0))))


def check_parts(task: Task, seed: int, weights: Mapping[str, str]) -> None:
    """Raises ValueError for a network or part that `weights` names and the task hasn't."""
    abstract = _abstract(task, seed)
    for where in weights:
        _part(abstract, where)


def _abstract(task: Task, seed: int) -> dict[str, nnx.Module]:
    """The networks without their numbers."""
    return nnx.eval_shape(lambda: task.networks(nnx.Rngs(seed)))


def _part(networks: Mapping[str, nnx.Module], where: str) -> nnx.Module:
    """The network or part of one called `where`."""
    name, *path = where.split(".")
    if name not in networks:
        raise ValueError(f"config.weights names {where!r}; the networks are {sorted(networks)}")
    part = networks[name]
    for attribute in path:
        if not hasattr(part, attribute):
            raise ValueError(f"config.weights names {where!r}, but there is no {attribute!r}")
        part = getattr(part, attribute)
    return part
