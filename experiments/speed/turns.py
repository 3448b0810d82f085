"""Players that give the same answer take turns: what else a machine does then meets them all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np

Far = Callable[[np.ndarray, np.ndarray], float]
TOLERANCE = 1e-3


def largest(right: np.ndarray, answer: np.ndarray) -> float:
    """The largest difference, by the largest value of `right`."""
    return _share(np.abs(right - answer).max(), np.abs(right).max())


def norm(right: np.ndarray, answer: np.ndarray) -> float:
    """The norm of the difference, by that of `right`."""
    return _share(np.linalg.norm(right - answer), np.linalg.norm(right))


def agree(
    answers: Mapping[str, Mapping[str, np.ndarray]],
    far: Far = largest,
    tolerance: float = TOLERANCE,
) -> dict[str, float]:
    """How far each player's arrays are from the first player's: the furthest of them.

    Raises SystemExit where that is more than `tolerance`.
    """
    ours, *others = answers
    right = answers[ours]
    found = {}
    for name in others:
        answer = answers[name]
        distances = [far(right[key], answer[key]) for key in right.keys() | answer.keys()]
        found[name] = float(np.max(distances))  # Python's own max would lose what is no number
        if not found[name] <= tolerance:
            raise SystemExit(
                f"{name} differs from {ours} by {found[name]:.2g} ({far.__name__}), more than "
                f"{tolerance:g}: these are not the same network, so there is nothing to time"
            )
    return found


def _share(difference: float, of: float) -> float:
    return float(difference / max(of, np.finfo(np.float32).tiny))  # arrays of zeros are equal


def take(playing: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each player's turns, A B C A B C ..., after one that doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in playing}
    for turn in range(rounds + 1):
        for name, play in playing.items():
            start = time.perf_counter()
            play()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


@contextlib.contextmanager
def brought(*packages: str) -> Iterator[None]:
    """Ends this program with a word on the extra where one of these packages cannot be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise SystemExit(
            f"{error.name} is missing: pip install -e '.[compare]' brings it"
        ) from error


def only_on_cpu() -> None:
    """Ends this program where JAX computes on an accelerator, since the others do not."""
    if (device := jax.default_backend()) != "cpu":
        raise SystemExit(f"JAX computes on a {device}, the others do not: JAX_PLATFORMS=cpu")
