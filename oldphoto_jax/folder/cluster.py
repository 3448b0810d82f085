"""The same folder run as `batch` does, on many machines: Ray Data with workers that keep a program.

The driver alone decides what is to be done and writes the report; the workers write the outputs.
All of them must see the photos and OUT under the same paths, on a file system that they share. See
https://docs.ray.io/en/latest/data/data.html (extra `ray`: pip install 'oldphoto-jax[ray]').
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import pathlib
import pickle
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from socket import gethostname
from typing import Any

from tqdm import tqdm

from oldphoto_jax.folder import batch
from oldphoto_jax.folder.batch import GroupWork
from oldphoto_jax.folder.jobs import Job
from oldphoto_jax.folder.report import Entry, Report

LOCAL = "local"  # address of a cluster that is started for this run, on this machine
ATTEMPTS = 3  # workers that may die at a photo: one or two may be killed for other reasons
MISSING = "--ray: Ray is not installed; run: pip install 'oldphoto-jax[ray]'"


def run(
    jobs: Sequence[Job],
    report: Report,
    factory: Callable[[], GroupWork],
    settings: dict[str, Any],
    force: bool = False,
    *,
    address: str,
    key: Callable[[Job], Hashable] = lambda job: None,
    most: int = 1,
    workers: int | None = None,
) -> collections.Counter:
    """Does what `batch.run_groups` does, on the Ray cluster at `address`.

    Each of the `workers` calls `factory` once and does the work that this returns; there is one
    for each GPU of the cluster, or for each machine where there are none. `factory` must be
    picklable; it loads weights from paths that all machines see. The address is "local" for a
    cluster on this machine that ends with the run, "auto" or HOST:PORT for one that this machine
    belongs to.

    A worker that dies is replaced and its photos are done again; a photo of which three die
    fails. Raises ValueError without Ray or a cluster, and where `factory` raises one of
    `batch.FAULTS`; whatever else a worker raises ends the run with an error that holds its trace.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers {workers}: give 1 or more")
    if address.startswith("ray://"):  # Ray Data does not work through it
        raise ValueError(f"--ray {address}: run this on a machine of the cluster, with --ray auto")
    _load_ray()
    counts: collections.Counter = collections.Counter()
    bar = tqdm(total=len(jobs), unit="photo", disable=None, smoothing=0.1)
    with report.alone(), bar:

        def tell(entries: Sequence[Entry]) -> None:
            batch.tell(entries, report, counts)
            bar.update(len(entries))

        todo = []
        for group in batch.groups(batch.checked(jobs, report, settings, force), key, most):
            entries = [entry for _, entry in group if "status" in entry]
            if entries:
                tell(entries)
            else:
                todo.append(group)
        if todo:
            with _cluster(address):
                report.begin(job.name for group in todo for job, _ in group)
                for entries in _finished(todo, factory, report.path.parent, workers):
                    tell(entries)
    return counts


@dataclasses.dataclass(frozen=True)
class Parcel:
    """A group of jobs as a worker gets it, with absolute paths.

    `new` are the outputs that were not there before the run.
    """

    number: int
    pairs: list[tuple[Job, Entry]]
    new: list[pathlib.Path]


class Ledger:
    """Knows what was begun but not ended: workers died of that, or while they were at it."""

    def __init__(self) -> None:
        self.begun: collections.Counter = collections.Counter()

    def begin(self, what: Hashable) -> int:
        """Notes that it is begun; returns how often it was before."""
        self.begun[what] += 1
        return self.begun[what] - 1

    def end(self, what: Hashable) -> None:
        """Forgets how often it was begun."""
        del self.begun[what]


class Worker:
    """Does parcels, one after the other, in a process of its own. The first one calls `factory`.

    Its constructor does nothing that may fail, for Ray tries a constructor for ever.
    """

    def __init__(self, factory: Callable[[], GroupWork], ledger: Any, out: pathlib.Path):
        self.factory, self.ledger, self.out = factory, ledger, out
        self.work: GroupWork | None = None

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[bytes]]:
        """Maps rows of pickled parcels to rows of pickled answers."""
        return {"answer": [pickle.dumps(self.answer(pickle.loads(row))) for row in rows["parcel"]]}

    def answer(self, parcel: Parcel) -> list[Entry] | str:
        """The entries of a parcel's jobs, complete; or why `factory` cannot load what it needs.

        Where a worker died at the parcel before, its photos are done one by one, so that only those
        fail of which workers die.
        """
        deaths = self._ask("begin", parcel.number)
        if deaths > 1 + (ATTEMPTS - 1) * len(parcel.pairs):
            raise RuntimeError(
                f"{deaths} workers died on {gethostname()} before they did any photo"
            )
        if self.work is None:
            try:
                self.work = self.factory()
            except batch.FAULTS as error:
                return f"worker on {gethostname()}: {error}"
        if not deaths:
            return batch.perform(parcel.pairs, self.seen)
        for path in parcel.new:
            path.unlink(missing_ok=True)  # nobody knows whether it is what it should be
        return [self._alone(*pair) for pair in parcel.pairs]

    def seen(self, jobs: Sequence[Job]) -> list[Entry | Exception]:
        """Does the work for those jobs whose files this machine can see; the others fail."""
        unseen = [self._unseen(job) for job in jobs]
        there = [job for job, missing in zip(jobs, unseen, strict=True) if not missing]
        work = self.work or self.factory()
        outcomes = iter(work(there) if there else [])
        return [missing or next(outcomes) for missing in unseen]

    def _alone(self, job: Job, entry: Entry) -> Entry:
        hopeless = self._ask("begin", job.name) + 1 >= ATTEMPTS
        [done] = batch.perform([(job, entry)], _give_up if hopeless else self.seen)
        self._ask("end", job.name)
        return done

    def _ask(self, method: str, what: Hashable) -> Any:
        import ray

        return ray.get(getattr(self.ledger, method).remote(what))

    def _unseen(self, job: Job) -> OSError | None:
        for path in (job.photo, *job.inputs.values(), self.out):
            if not path.exists():
                return FileNotFoundError(
                    f"{path}: not to be seen on {gethostname()}; photos and --out must lie on a "
                    "file system that all machines of the cluster share"
                )
        return None


def _give_up(jobs: Sequence[Job]) -> list[Entry | Exception]:
    reason = f"{ATTEMPTS} workers died at this photo; the memory may be too small for it"
    return [ChildProcessError(reason) for _ in jobs]


def _finished(
    todo: Sequence[list[tuple[Job, Entry]]],
    factory: Callable[[], GroupWork],
    out: pathlib.Path,
    workers: int | None,
) -> Iterator[list[Entry]]:
    """The entries of each group as soon as it is done."""
    import ray

    gpus = int(ray.cluster_resources().get("GPU", 0))
    machines = sum(node["Alive"] for node in ray.nodes())
    ledger = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Ledger).remote()
    rows = [{"parcel": pickle.dumps(_parcel(*each))} for each in enumerate(todo)]
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Worker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            size=min(workers or gpus or machines, len(rows)), max_tasks_in_flight_per_actor=1
        ),
        fn_constructor_args=(factory, ledger, out.absolute()),
        num_gpus=1 if gpus else None,
    )
    for part in answers.iter_batches(batch_size=None, prefetch_batches=0):
        for answer in map(pickle.loads, part["answer"]):
            if isinstance(answer, str):
                raise ValueError(answer)
            yield answer


def _parcel(number: int, pairs: Sequence[tuple[Job, Entry]]) -> Parcel:
    """The group with absolute paths, for a worker's working directory is another one."""

    def absolute(paths: dict[str, pathlib.Path]) -> dict[str, pathlib.Path]:
        return {kind: path.absolute() for kind, path in paths.items()}

    def moved(job: Job) -> Job:
        return dataclasses.replace(
            job,
            photo=job.photo.absolute(),
            outputs=absolute(job.outputs),
            inputs=absolute(job.inputs),
            copies=absolute(job.copies),
        )

    pairs = [(moved(job), entry) for job, entry in pairs]
    new = [path for job, _ in pairs for path in job.paths if not path.exists()]
    return Parcel(number, pairs, new)


def _load_ray() -> None:
    """Imports Ray, as quiet as can be; raises ValueError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray tells its makers of this run
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # or it warns of what Ray Data does
    try:
        import ray.data
        from ray.util.debug import log_once
    except ImportError as error:
        raise ValueError(f"{MISSING} ({error})") from error
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is ours
    log_once("ray_data_progress_manager_disabled")  # or Ray says so
    logging.getLogger("ray.data").setLevel(logging.WARNING)


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Connects to the cluster, unless that is done, and leaves it or ends it in the end."""
    import ray

    ours = not ray.is_initialized()
    with contextlib.redirect_stdout(sys.stderr):  # where Ray tells of workers that died
        try:
            if ours:
                options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
                try:
                    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
                except ConnectionError as error:
                    raise ValueError(
                        f"--ray {address}: {error}; start a cluster with 'ray start', and set "
                        "RAY_AUTH_MODE=token for one that asks for its token"
                    ) from error
            yield
        finally:
            if ours:
                ray.shutdown()
