"""Batches from a source: shuffled, augmented, shared among processes, resumable bit for bit.

Every batch is a function of (source, seed, batch size, its number) and of nothing else: not of
threads, workers, processes or of where a run was interrupted. So the position in the data is one
whole number, and a run may go on with other threads or on another number of machines.

Grain does the reading ahead. Worker processes are spawned, so a script that asks for `workers`
keeps its doings under `if __name__ == "__main__":`, as with all of Python's multiprocessing;
absl flags that are not parsed by then keep their defaults. Source and example travel to the
workers and must be picklable.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags

from oldphoto_jax.data.sources import Photos

Record = Mapping[str, Any]
Batch = dict[str, np.ndarray]
Example = Callable[[Record, np.random.Generator], Batch]


def loader(
    source: Photos,
    example: Example,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    workers: int = 0,
    threads: int = 4,
    process_index: int = 0,
    process_count: int = 1,
) -> Loader:
    """The batches of a training run.

    Args:
        source: photos by number.
        example: makes one example (a dict of arrays without batch axis, the same shapes each
            time) from a record and a generator that is seeded by `seed` and by the example's
            place in the stream. A photo looks different in every epoch.
        batch_size: photos in a step over all processes; each process gets its equal share, and
            the shares one after another, process 0 first, are the batch of a single process.
        seed: 0 to 2**32 - 1.
        shuffle: a new order for every epoch, else the order of the source.
        epochs: passes through the source; None never ends. Batches may reach across two epochs;
            only what is left over at the very end is dropped.
        workers: processes that read ahead. 0 reads in threads of this process: decoding leaves
            Python's lock, so this is enough until `example` itself becomes the bottleneck.
        threads: that decode side by side, in each worker. 0 decodes when a batch is asked for.
        process_index: which of the processes this is (`jax.process_index()`).
        process_count: of how many (`jax.process_count()`).

    Raises:
        ValueError: an argument out of range, a batch that does not divide, too few photos.
    """
    share = _share(source, batch_size, seed, process_index, process_count)
    if epochs is not None and len(source) * epochs < batch_size:
        raise ValueError(
            f"{len(source)} photos x {epochs} epochs do not fill one batch of {batch_size}: "
            "lower batch_size, or raise epochs (None never ends)"
        )
    stream = grain.MapDataset.source(source)
    if shuffle:
        # Grain orders epoch e by seed + e. Spread the seeds, or run 1 would repeat run 0.
        stream = stream.shuffle(seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))
    stream = stream.repeat(epochs).map_with_index(_Recipe(example, seed))
    if epochs is not None:
        stream = stream[: len(stream) // batch_size * batch_size]
    batches = stream.batch(share, batch_fn=_stack)[process_index::process_count]
    origin = {
        "photos": len(source),
        "batch_size": batch_size,
        "seed": seed,
        "shuffle": shuffle,
    }
    return Loader(batches, origin, workers=workers, threads=threads)


def evaluation(
    source: Photos,
    example: Example,
    *,
    batch_size: int,
    seed: int = 0,
    threads: int = 4,
    process_index: int = 0,
    process_count: int = 1,
) -> Evaluation:
    """One pass in the source's order, the same examples every time, every photo once.

    Batches carry one more key: `weight` [N] float32 is 1 for the photos and 0 for what fills the
    last batch up (photos from the start again, so that no metric meets an empty picture). Every
    process gets the same number of equally large batches. The arguments are those of `loader`.
    """
    share = _share(source, batch_size, seed, process_index, process_count)
    steps = math.ceil(len(source) / batch_size)
    stream = grain.MapDataset.source(source).repeat()[: steps * batch_size]
    stream = stream.map_with_index(_Recipe(example, seed, photos=len(source)))
    batches = stream.batch(share, batch_fn=_stack)[process_index::process_count]
    return Evaluation(batches, threads)


class Loader(Iterator[Batch]):
    """Batches one after another, as dicts of arrays [N,...], with a position to save.

    Use it in a `with` block, or `close()` it: this ends its threads and workers. They start with
    the first batch that is asked for, also after a `close()`.
    """

    def __init__(
        self, batches: grain.MapDataset, origin: Mapping[str, Any], *, workers: int, threads: int
    ):
        if workers < 0 or threads < 0:
            raise ValueError(f"workers={workers} and threads={threads} must not be negative")
        self.step = 0
        self._batches, self._origin = batches, dict(origin)
        self._workers, self._threads = workers, threads
        self._running: list[grain.DatasetIterator] = []  # one or none
        # Also called when nobody closes: Grain's own cleaning comes too late at the exit.
        weakref.finalize(self, _stop, self._running)

    def __next__(self) -> Batch:
        if self.step >= len(self._batches):
            self.close()
            raise StopIteration
        if not self._running:
            ahead = _read_ahead(self._batches[self.step :], self._workers, self._threads)
            self._running.append(ahead)
        try:
            batch = next(self._running[0])
        except BaseException:
            self.close()  # what was read ahead is one batch off now
            raise
        self.step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """The position, as a dict that JSON can hold: batches given, and of which stream."""
        return {"step": self.step, **self._origin}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `get_state` was called: the next batch is the one that came next there.

        Raises ValueError if the state is of another stream, whose batches are not these.
        """
        for key, mine in self._origin.items():
            if state.get(key) != mine:
                raise ValueError(
                    f"the saved position was taken with {key}={state.get(key)}, this run has "
                    f"{key}={mine}, so its batches are others. Resume with the same {key}, or "
                    "start a new run from the saved weights."
                )
        self.close()
        self.step = int(state["step"])

    def close(self) -> None:
        """Ends threads and workers; the position stays."""
        _stop(self._running)

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Evaluation:
    """A pass that can be repeated: every `for` starts it from the beginning. See `evaluation`."""

    def __init__(self, batches: grain.MapDataset, threads: int):
        self._batches, self._threads = batches, threads

    def __len__(self) -> int:
        """The number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        with Loader(self._batches, {}, workers=0, threads=self._threads) as batches:
            yield from batches


class _Recipe:
    """`example` with its own fresh generator for each place in the stream."""

    def __init__(self, example: Example, seed: int, photos: int | None = None):
        self.example, self.seed, self.photos = example, seed, photos

    def __call__(self, index: int, record: Record) -> Batch:
        made = self.example(record, np.random.default_rng((self.seed, index)))
        if self.photos is None:
            return made
        if "weight" in made:
            raise ValueError("the example has a key 'weight', which evaluation needs: rename it")
        return {**made, "weight": np.asarray(index < self.photos, np.float32)}


def _share(source: Photos, batch_size: int, seed: int, index: int, count: int) -> int:
    """How many photos of a batch are this process's; raises ValueError for what cannot be."""
    if len(source) == 0:
        raise ValueError(f"{source!r} holds no photos")
    if not 0 <= index < count:
        raise ValueError(f"process_index={index} must lie in 0 to process_count - 1 = {count - 1}")
    if batch_size < 1 or batch_size % count:
        raise ValueError(
            f"batch_size={batch_size} does not divide among {count} processes: "
            f"take a positive multiple of {count}"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed} must lie in 0 to 2**32 - 1")
    return batch_size // count


def _stack(examples: Sequence[Batch]) -> Batch:
    """Stacks examples along a new first axis; raises ValueError if they differ in form."""
    first = examples[0]
    for other in examples[1:]:
        if _form(other) != _form(first):
            raise ValueError(
                f"the examples of a batch differ: {_form(first)} and {_form(other)}; example() "
                "must return the same keys, shapes and types for every photo"
            )
    return {key: np.stack([example[key] for example in examples]) for key in first}


def _form(example: Batch) -> dict[str, str]:
    arrays = {key: np.asarray(value) for key, value in example.items()}
    return {key: f"{value.dtype}{list(value.shape)}" for key, value in arrays.items()}


def _read_ahead(batches: grain.MapDataset, workers: int, threads: int) -> grain.DatasetIterator:
    ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    running = batches.to_iter_dataset(ahead)
    if workers:
        if not flags.FLAGS.is_parsed():  # Grain reads a flag of its own to start a worker
            flags.FLAGS.mark_as_parsed()
        # Batches come through pipes. Shared memory is not faster here, but small in containers,
        # leaks from runs that are killed, and is gone while views of a batch are still in use.
        pipes = grain.experimental.DatasetOptions(min_shm_size=sys.maxsize)
        running = grain.experimental.WithOptionsIterDataset(running, pipes)
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
        running = running.mp_prefetch(options, worker_init_fn=_start_worker)
    return iter(running)


def _stop(running: list[grain.DatasetIterator]) -> None:
    while running:
        running.pop().close()


def _start_worker(index: int, count: int) -> None:
    # Signals that ask the run to stop reach its workers too, but it needs them until it has saved.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    # Workers share the cores already, and must never claim the accelerator.
    cv2.setNumThreads(1)
    os.environ["JAX_PLATFORMS"] = "cpu"


def _follow_parent() -> None:
    """Ends this worker with the run that started it, be that killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("no parent to follow: this is a worker's part, and no worker runs it")
    parent.join()
    os._exit(1)
