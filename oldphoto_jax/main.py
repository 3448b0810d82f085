r"""The training door: a configuration and a folder go in, a trained network comes out.

    python -m oldphoto_jax.main --config=configs/segment.py:lite --workdir=runs/segment

Without --workdir it is runs/CONFIG-VARIANT, here runs/segment-lite. What a run needs (photos,
weights, textures, extras) is looked for before it begins, and all that is missing is told at once.

Any field can be changed: --config.task.size=128 --config.optimizers.segmenter.rate=1e-4
--config.task.enlarge="(1.0,1.5)". The same command again resumes; after SIGTERM or Ctrl-C the
run saves and exits with 143 or 130, so a scheduler's requeue just works. On GPUs a resumed run
is the same to the last bit only under XLA_FLAGS=--xla_gpu_deterministic_ops=true.

On several machines the same command runs on each, with one folder that all of them see as
--workdir. batch_size counts the whole batch; it is shared by all devices of all processes.

Slurm, one process for every GPU (JAX gives each process the GPU of its local rank):

    #SBATCH --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 --requeue --signal=TERM@120
    srun python -m oldphoto_jax.main --distributed --config=configs/segment.py --workdir=DIR

TPU pods, one process for every machine:

    gcloud compute tpus tpu-vm ssh NAME --worker=all --command="cd oldphoto_jax && \
        python -m oldphoto_jax.main --distributed --config=configs/segment.py --workdir=DIR"

Kubernetes: a Job with completionMode: Indexed, parallelism and completions 4, and in its pod
template `subdomain: SERVICE`, SERVICE being a headless service that selects the job's pods.
Kubernetes sets JOB_COMPLETION_INDEX; terminationGracePeriodSeconds must leave time to save.

    command: [sh, -c, "exec python -m oldphoto_jax.main --coordinator=JOB-0.SERVICE:1234
        --processes=4 --process=$JOB_COMPLETION_INDEX --config=configs/segment.py --workdir=DIR"]

(Or, with jax[k8s] and a service account that may read pods, jobs and services, --distributed.)

By hand, also two processes on one machine, I being 0 and 1:

    python -m oldphoto_jax.main --coordinator=localhost:1234 --processes=2 --process=I ...
"""

import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from oldphoto_jax import heap
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.log import NonFiniteLoss
from oldphoto_jax.train.loop import train

LONGEST = 120  # characters of a folder's name

_CONFIG = config_flags.DEFINE_config_file("config", None, "FILE.py or FILE.py:variant")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default runs/CONFIG-VARIANT.")
_DISTRIBUTED = flags.DEFINE_bool("distributed", False, "Several processes, found by JAX.")
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
_PROCESSES = flags.DEFINE_integer("processes", None, "How many processes there are.")
_PROCESS = flags.DEFINE_integer("process", None, "Which of them this one is, from 0.")


def run(config: Config, workdir: str) -> dict[str, float]:
    """Trains `config` in `workdir`; returns the last figures. See `train.loop.train`."""
    return train(config, workdir)


def default_workdir(named: str) -> str:
    """The folder of a run whose configuration the flag names as FILE.py or FILE.py:variant.

    What may not stand in the name of a folder everywhere becomes "_".
    """
    file, _, variant = named.partition(":")
    name = "-".join(filter(None, (pathlib.Path(file).stem, variant)))
    return "runs/" + re.sub(r"[^\w.+=-]", "_", name)[:LONGEST]


def _workdir() -> str:
    if _WORKDIR.value:
        return _WORKDIR.value
    workdir = default_workdir(config_flags.get_config_filename(flags.FLAGS["config"]))
    if jax.process_index() == 0:
        print(f"oldphoto_jax: without --workdir, the run lives in {workdir}", file=sys.stderr)
    return workdir


def connect() -> None:
    """Joins the other processes of a run, if the flags speak of any."""
    given: dict[str, Any] = {
        "coordinator_address": _COORDINATOR.value,
        "num_processes": _PROCESSES.value,
        "process_id": _PROCESS.value,
    }
    if any(value is not None for value in given.values()):
        if missing := [name for name, value in given.items() if value is None]:
            raise ValueError(
                "--coordinator, --processes and --process belong together; "
                f"missing: {', '.join(missing)}"
            )
        jax.distributed.initialize(**given)
    elif _DISTRIBUTED.value:
        jax.distributed.initialize()


def main(argv: Sequence[str]) -> None:
    """Runs what the flags say; our own errors become one line and exit status 1."""
    # Orbax tells every rename; what people need to know stands in the run's own log.
    logging.set_verbosity(logging.WARNING)
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {argv[1:]}")
    try:
        connect()
        run(_CONFIG.value, _workdir())
    except (ValueError, OSError, ModuleNotFoundError, NonFiniteLoss) as error:
        if os.environ.get("OLDPHOTO_DEBUG"):
            raise
        print(f"oldphoto_jax: {error}", file=sys.stderr)
        sys.exit(1)


def entry() -> None:
    """Parses the flags and runs `main`, in a process of its own."""
    heap.keep()
    flags.mark_flags_as_required(["config"])
    app.run(main)


if __name__ == "__main__":
    entry()
