"""The one loop that trains every task. It knows steps, players and clocks, and no photo."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from oldphoto_jax import __version__, task
from oldphoto_jax.data import loader, sources
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.train import needs
from oldphoto_jax.train import state as states
from oldphoto_jax.train.checkpoint import Checkpoints, begun
from oldphoto_jax.train.config import Config, to_text
from oldphoto_jax.train.evaluate import evaluate, figure_names
from oldphoto_jax.train.log import MEND, Log, NonFiniteLoss, in_words
from oldphoto_jax.train.step import Rules, predict_step, train_step
from oldphoto_jax.train.stop import Interrupted, StopSignal
from oldphoto_jax.train.workdir import Workdir
from oldphoto_jax.weights import store


def train(
    config: Config, workdir: str, devices: Sequence[jax.Device] | None = None
) -> dict[str, float]:
    """Trains until `config.steps`, or out of patience; returns the last evaluation's figures.

    The same call again resumes where the folder's newest checkpoint stands, bit for bit, and a
    finished run just tells its figures. `devices` are all that JAX has unless some are named.
    Raises ValueError for a configuration that can't run or that belongs to another folder,
    `needs.Missing`, a ValueError, for what this machine lacks, `NonFiniteLoss` when a loss breaks,
    `Interrupted` (exit status 143) after SIGTERM and (130) after Ctrl-C, which is heard in the main
    thread of a single process.
    """
    config.check()
    with contextlib.ExitStack() as closing:
        run = _Run(config, workdir, devices, closing)
        try:
            return run.go()
        except NonFiniteLoss as error:
            run.log.line(str(error))
            raise


class _Run:
    """The pieces of a run and the order in which they act."""

    def __init__(
        self,
        config: Config,
        workdir: str,
        devices: Sequence[jax.Device] | None,
        closing: contextlib.ExitStack,
    ):
        self.config = config
        devices = jax.devices() if devices is None else devices
        self.mesh = jax.make_mesh(
            (len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices
        )
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.by_example = NamedSharding(self.mesh, PartitionSpec("data"))
        _check_divides(config, self.mesh)
        self.work = Workdir(workdir)
        self.text = to_text(config)
        self.work.check(self.text)
        # A run that resumes has all its weights; the files it began with may be gone.
        self.resumes = begun(self.work.checkpoints)
        self.photos, self.validation = needs.gather(config, resumes=self.resumes)
        transforms = {name: o.transform(config.steps) for name, o in config.optimizers.items()}
        self.rules = Rules(
            config.task, config.optimizers, transforms, config.precision, config.accumulate
        )
        self.rates = {name: o.rates(config.steps) for name, o in config.optimizers.items()}
        self.stop = closing.enter_context(StopSignal())
        self._compile()
        self._begin(closing)

    def _compile(self) -> None:
        self.step = jax.jit(
            functools.partial(train_step, self.rules),
            static_argnums=0,
            donate_argnums=1,
            out_shardings=(self.everywhere, self.everywhere),
        )
        predict = functools.partial(predict_step, self.rules)
        self.predict = jax.jit(predict, out_shardings=self.by_example)

    def _begin(self, closing: contextlib.ExitStack) -> None:
        """The state and the data, from the newest checkpoint or from the seed."""
        config = self.config
        self.checkpoints = Checkpoints(self.work.checkpoints, config.best, config.best_is)
        closing.callback(self.checkpoints.close)
        averaged = {name for name, o in config.optimizers.items() if o.ema}
        weights = {} if self.resumes else config.filled
        fresh = states.create(config.task, self.rules.transforms, config.seed, averaged, weights)
        self._check_names(fresh)
        self.asked = states.asked(config.task)
        self.state = states.place(fresh, self.everywhere)
        self.batches = closing.enter_context(
            loader.loader(
                self.photos,
                config.task.example,
                batch_size=config.batch_size,
                seed=config.seed,
                workers=config.workers,
                threads=config.threads,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
            )
        )
        found = self.checkpoints.restore(self.state)
        if found:
            self.state, position = found
            self.batches.set_state(position)
        start = int(self.state.step)
        self.work.claim(self.text)
        self.work.forget_after(start)
        self.figures = self.work.figures(start)
        self.scores = [] if not config.best else self.work.scores(config.best, start)
        self.log = Log(self.work, config.steps, start, config.batch_size, config.tensorboard)
        closing.callback(self.log.close)
        self.log.line(f"resumed from {self.checkpoints.last()}" if found else "a new run")
        self.log.overview(self.state, self.rules.moved)

    def _check_names(self, state: states.TrainState) -> None:
        """Finds misspelt names now that would else be found after thousands of steps."""
        config = self.config
        for name, optimizer in config.optimizers.items():
            if optimizer.freeze_norm_from >= 0:
                for network, part in self.rules.inside(name, optimizer.freeze_norm_in).items():
                    state.parts[network].wake(train=True, frozen=part)
        if config.best and self.validation is not None:
            predict = functools.partial(predict_step, self.rules, state)
            figures = figure_names(config.examiner, predict, self.validation[0])
            if config.best not in figures:
                raise ValueError(
                    f"config.best={config.best!r} is no figure of this task; "
                    f"choose one of {sorted(figures)}, or '' to keep only the last checkpoint"
                )

    def go(self) -> dict[str, float]:
        """All steps that are left."""
        config, start = self.config, int(self.state.step)
        for step in range(start, config.steps):
            if self._impatient():
                self.log.line(
                    f"stopped at step {step}: no better {config.best} in the last "
                    f"{config.patience} evaluations"
                )
                break
            batch = self._spread(next(self.batches))
            self.state, terms = self.step(self._frozen(step), self.state, batch)
            self.log.add(step + 1, self._own_turn(step, terms))
            if step == start:
                jax.block_until_ready(self.state)
                self.log.restart_clock()
            self._after(step + 1)
        return self.figures

    def _after(self, step: int) -> None:
        """What is due once `step` steps are done: telling, judging, saving, stopping."""
        config, last = self.config, step == self.config.steps
        stopping = not last and self.stop.asked(step)
        judging = self.validation is not None and (last or step % config.evaluate_every == 0)
        saving = last or judging or stopping or step % config.save_every == 0
        if saving or step % config.log_every == 0:
            terms = self.log.check(self.checkpoints.last())
            rates = {f"{name}/rate": float(rate(step - 1)) for name, rate in self.rates.items()}
            self.log.interval(step, terms, rates)
        if judging and self.validation is not None:
            self._judge(step, self.validation)
        if saving:
            self._save(step, self.figures if judging else None)
            self.log.restart_clock()
        if stopping:
            self.checkpoints.close()  # what is told next must be true
            self.log.line(f"stopped by {stopping.name} at step {step}; the same command resumes")
            raise Interrupted(128 + stopping)

    def _impatient(self) -> bool:
        """Whether the best evaluation is so long ago that no better one is waited for."""
        sign = 1.0 if self.config.best_is == "highest" else -1.0
        scores = [sign * s if math.isfinite(s) else -math.inf for s in self.scores]
        since = len(scores) - 1 - scores.index(max(scores)) if scores else 0  # as good is no better
        return since >= self.config.patience > 0

    def _frozen(self, step: int) -> tuple[tuple[str, str], ...]:
        """Networks whose batch norm stands still at this step, and in which part of them."""
        return tuple(
            pair
            for name, optimizer in self.config.optimizers.items()
            if 0 <= optimizer.freeze_norm_from <= step
            for pair in self.rules.inside(name, optimizer.freeze_norm_in).items()
        )

    def _own_turn(self, step: int, terms: task.Terms) -> task.Terms:
        """The terms of the players that moved at this step."""
        every = {name: o.every for name, o in self.config.optimizers.items()}
        return {k: v for k, v in terms.items() if step % every[k.partition("/")[0]] == 0}

    def _judge(self, step: int, validation: sources.Photos) -> None:
        config = self.config
        batches = loader.evaluation(
            validation,
            config.examiner.example,
            batch_size=config.validation_batch,
            seed=config.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        self.figures, first = evaluate(config.examiner, self._predict_here, batches)
        if config.best:
            self.scores.append(self.figures[config.best])
        self.log.line(f"validation at step {step}: {in_words(self.figures)}")
        self.log.figures(step, {f"validation/{k}": v for k, v in self.figures.items()})
        if first:
            self.log.sheet(step, config.examiner.pictures(*first), config.sheet_rows)

    def _save(self, step: int, figures: dict[str, float] | None) -> None:
        """A checkpoint to resume from, and the weights alone for those who only predict."""
        arrays = jax.device_get(states.kept(self.state, self.asked))
        _check_finite(arrays, step, self.checkpoints.last())
        best = figures is not None and self.checkpoints.is_best(figures)
        self.checkpoints.save(self.state, self.batches.get_state(), self.text, figures)
        if jax.process_index() != 0:
            return
        metadata = {
            **self.config.task.predictor(self.figures or {}).metadata(),
            "config": self.text,
            "step": str(step),
            "figures": json.dumps(figures or {}),
            "version": __version__,
        }
        for file in ("last", "best") if best else ("last",):
            store.save(self.work.weights / f"{file}.safetensors", arrays, metadata)

    def _spread(self, batch: Mapping[str, Array]) -> Batch:
        """This process's examples as part of the global batch, one share a device."""
        return jax.make_array_from_process_local_data(self.by_example, batch)

    def _predict_here(self, batch: Batch) -> Batch:
        """Predictions for this process's examples, on the host."""
        prediction = self.predict(self.state, self._spread(batch))
        if jax.process_count() == 1:
            return jax.device_get(prediction)
        return multihost_utils.global_array_to_host_local_array(
            prediction, self.mesh, PartitionSpec("data")
        )


def _check_divides(config: Config, mesh: Mesh) -> None:
    for name in ("batch_size", "validation_batch") if config.validation else ("batch_size",):
        if getattr(config, name) % mesh.size:
            raise ValueError(
                f"config.{name}={getattr(config, name)} can't be shared evenly by {mesh.size} "
                f"devices; choose a multiple of {mesh.size}"
            )
    if config.batch_size // config.accumulate % mesh.size:
        raise ValueError(
            f"config.accumulate={config.accumulate} leaves parts of "
            f"{config.batch_size // config.accumulate}, which {mesh.size} devices can't share "
            "evenly; accumulate less, or choose a larger batch_size"
        )


def _check_finite(arrays: Mapping[str, np.ndarray], step: int, last_checkpoint: str) -> None:
    """Raises NonFiniteLoss; statistics may overflow while every loss looks fine."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NonFiniteLoss(
                f"{name} holds NaN or infinity after step {step}. "
                f"Last good checkpoint: {last_checkpoint}. {MEND}"
            )
