"""What a run needs from this machine: looked for before it begins, and told all at once."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence

from oldphoto_jax.data import sources
from oldphoto_jax.train import state
from oldphoto_jax.train.config import Config
from oldphoto_jax.weights import wanted
from oldphoto_jax.weights.store import WeightsError


class Missing(ValueError):
    """What a run lacks; `needs` has, of each, the field that asks for it and the way to it."""

    def __init__(self, needs: Sequence[str]):
        self.needs = tuple(needs)
        super().__init__(in_words(self.needs))


def in_words(needs: Sequence[str]) -> str:
    """One need as it stands, several as a list."""
    if len(needs) == 1:
        return needs[0]
    return f"{len(needs)} things are missing, so nothing was begun:" + "".join(
        f"\n- {need}" for need in needs
    )


def gather(
    config: Config, *, resumes: bool = False
) -> tuple[sources.Photos, sources.Photos | None]:
    """The photos and, if there are any, the validation photos of a run that has all it needs.

    Weights are fetched if nothing else is missing. A run that resumes has its own. Raises
    `Missing`, and ValueError for weights of a network that isn't there.
    """
    missing: list[str] = []
    weights = {} if resumes else config.filled
    if weights:
        state.check_parts(config.task, config.seed, weights)
    photos = _opened("photos", config.photos, missing)
    validation = None
    if config.validation:
        validation = _opened("validation", config.validation, missing)
    missing += _others(config)
    missing += _lacking(weights)
    if not missing:
        for where, name in weights.items():
            try:
                wanted.obtain(name)
            except WeightsError as error:
                missing.append(_weights(where, name, str(error)))
    if missing or photos is None:
        raise Missing(missing)
    return photos, validation


def _opened(field: str, where: str, missing: list[str]) -> sources.Photos | None:
    """The photos, of which at least one can be read; else a need more."""
    try:
        photos = sources.open_photos(where)
        photos[0]
    except (ValueError, FileNotFoundError) as error:
        missing.append(f"config.{field}: {error}")
        return None
    return photos


def _lacking(weights: dict[str, str]) -> Iterator[str]:
    for where, name in weights.items():
        if problem := wanted.lacking(name):
            yield _weights(where, name, problem)


def _others(config: Config) -> Iterator[str]:
    for field, task in {"task": config.task, "judge": config.judge}.items():
        try:
            if task is not None:
                task.ready()
        except ValueError as error:
            yield f"config.{field}: {error}"
    if config.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        install = "pip install 'oldphoto-jax[tensorboard]'"
        yield f"config.tensorboard=True needs the extra tensorboard: {install}"


def _weights(where: str, name: str, problem: str) -> str:
    return f"config.weights[{where!r}]={name!r}: {problem}"
