"""Teaches the finder one album: weights tuned on photos whose masks somebody has corrected.

Some of the photos are held back. What is written has found more on them than the weights that it
began with, and has not forgotten the photos that come with the package; else nothing is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import signal
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import oldphoto_jax
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.recipe import EVERYTHING, Damage
from oldphoto_jax.data.pairs import Pairs
from oldphoto_jax.data.several import Mixed
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import defects, pairs
from oldphoto_jax.exams.exam import cell, markdown
from oldphoto_jax.models import lite_unet
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.log import NonFiniteLoss
from oldphoto_jax.train.loop import train
from oldphoto_jax.train.optimizer import Adam
from oldphoto_jax.train.stop import Interrupted
from oldphoto_jax.weights import store

STEPS = 240  # at most; two cores make some forty a minute
EVERY = 40  # steps between two looks at what is held back
PATIENCE = 2  # looks in a row that find nothing better
RATE = 2e-4  # a tenth of that of the first training
BATCH = 8
SIDE = 256  # of the crops, pixels
LOOKS = 8  # crops of each photo held back that are looked at during training
LEAST = 4  # photos with masks
HELD = 8  # photos held back at most: a fifth of them, but one
REHEARSAL = 1, 1  # shares of packaged photos with drawn damage, and of the album's
UNDAMAGED = 0.3  # share of those packaged ones on which nothing is drawn
LOOKALIKES = 0.5  # share of those packaged ones with things that only look like defects
WEIGHT = 2.0  # of a defect pixel
CROPS = 12  # of the packaged photos, on which is checked what was forgotten
GAIN = 0.005  # of average precision, that counts as one
CLEAN = 0.005  # share of undamaged photos up to which marking more is no loss
BEST = "ranking/average_precision"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What tuning has brought: `held` and `packaged` are figures before and after.

    `taught` says whether a file was written; if not, `reason` says why.
    """

    held: tuple[Mapping[str, Any], Mapping[str, Any]]
    packaged: tuple[Mapping[str, Any], Mapping[str, Any]]
    steps: int
    best: int
    reason: str

    @property
    def taught(self) -> bool:
        """Whether it was worth a file."""
        return not self.reason

    def table(self) -> str:
        """The figures as a Markdown table."""
        rows = [["", "before", "after"]]
        parts = {
            "held back: AP": (self.held, "average_precision"),
            "held back: IoU": (self.held, "iou"),
            "held back: recall": (self.held, "recall"),
            "held back: precision": (self.held, "precision"),
            "packaged, drawn damage: AP": (self.packaged, "average_precision"),
            "packaged, undamaged: marked": (self.packaged, "clean_marked"),
        }
        for name, (both, key) in parts.items():
            rows.append([name, *(cell(figures[key]) for figures in both)])
        return markdown(rows)


def teach(
    album: Pairs, weights: pathlib.Path, out: pathlib.Path, steps: int = STEPS, seed: int = 0
) -> Outcome:
    """Tunes the weights in a file on an album and writes them to `out`, if they have gained.

    The same photos, weights, seed and machine give the same file. It holds no path. Raises
    ValueError for too few photos and for an `out` that is there or cannot be, WeightsError for
    weights that find no defects, KeyboardInterrupt after Ctrl-C; nothing is written then.
    """
    _check(out, steps, seed)
    base = stage.load(weights, kind=DefectPredictor)
    lessons, held = parted(album, seed)
    count = len(lessons) + len(held)
    print(f"{count} photos with masks: {len(lessons)} to learn from, {len(held)} held back")
    config = configured(base.predictor, lessons, held, weights, steps, seed)
    with tempfile.TemporaryDirectory(prefix="oldphoto-") as folder:
        progress = _train(config, folder)
        work = pathlib.Path(folder)
        arrays, metadata = store.load(stage.find(work))
        best = int(metadata["step"])
        before = store.load(weights)[0]
        arrays = {name: array.astype(before[name].dtype) for name, array in arrays.items()}
        progress |= {"best": best}
        notes = {"photos": count, "held_back": len(held), "base": base.checksum, "step": best}
        metadata = base.predictor.metadata() | {
            "taught": json.dumps(notes),
            "version": oldphoto_jax.__version__,
        }
        store.save(work / "taught.safetensors", arrays, metadata)
        taught = stage.load(work / "taught.safetensors", kind=DefectPredictor)
    outcome = _judged(base, taught, held, seed, progress)
    if outcome.taught:
        figures = {"before": _plain(outcome.held[0]), "after": _plain(outcome.held[1])}
        store.save(out, arrays, metadata | {"figures": json.dumps(figures)})
    return outcome


def parted(album: Pairs, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Pairs to learn from, and pairs that are held back: a fifth, 1 to HELD of those with damage.

    Pairs that cannot be read are left out. Raises ValueError for fewer than LEAST, and unless two
    of them show damage.
    """
    damaged = {record["name"]: bool(record["mask"].any()) for record in album.readable()}
    marked = [name for name, any_damage in damaged.items() if any_damage]
    if len(damaged) < LEAST or len(marked) < 2:
        left = "".join(f"\n  {name}: {reason}" for name, reason in album.broken.items())
        raise ValueError(
            f"{album.path}: {len(damaged)} photos have a mask that can be used, {len(marked)} of "
            f"them show damage; at least {LEAST} and 2 are needed, to learn from some and to judge "
            f"by another. Correct more masks{', or mend these:' + left if left else ''}"
        )
    count = min(max(len(damaged) // 5, 1), HELD, len(marked) - 1)
    held = set(np.random.default_rng(seed).permutation(marked)[:count].tolist())
    return album.only(damaged.keys() - held), album.only(held)


def configured(
    predictor: DefectPredictor,
    lessons: Pairs,
    held: Pairs,
    weights: pathlib.Path,
    steps: int,
    seed: int,
) -> Config:
    """The run that tunes a predictor's weights: half of it on the album, half rehearsal.

    It rehearses what `configs/segment.py:lite` learns, and for weights that were shown defects as
    large the broad ones of `lite_broad`; but no kind of damage that was kept from the weights.

    Batch norm stands still: a few photos tell little about all others.
    """
    broad = EVERYTHING if predictor.max_size >= EVERYTHING["max_size"] else {}
    options = broad | {"max_size": predictor.max_size}
    damage = Damage(
        clean=UNDAMAGED,
        lookalikes=LOOKALIKES,
        exclude=tuple(kind for kind in predictor.unseen if kind in KINDS),
        **options,
    )
    network = predictor.network
    sources: dict[str, Any] = {
        "photos": Mixed([Samples("train"), lessons], REHEARSAL),
        "validation": Mixed([held] * LOOKS),
    }
    return Config(
        task=Segment(network=network, size=SIDE, damage=damage, positive_weight=WEIGHT),
        **sources,
        weights={"segmenter": str(weights)},
        optimizers={
            "segmenter": Adam(
                rate=RATE,
                warmup=10,
                schedule="cosine",
                final=0.1,
                clip=1.0,
                ema=0.98,
                weight_decay=1e-4,
                freeze_norm_from=0,
                freeze_weights_in="encoder.early"
                if isinstance(network, lite_unet.Blueprint)
                else "",
            )
        },
        batch_size=BATCH,
        validation_batch=BATCH,
        steps=steps,
        seed=seed,
        evaluate_every=EVERY,
        best=BEST,
        patience=PATIENCE,
        log_every=EVERY,
        save_every=steps,
        sheet_rows=0,
    )


def _check(out: pathlib.Path, steps: int, seed: int) -> None:
    if steps < 1:
        raise ValueError(f"--steps {steps}: give 1 or more")
    if seed < 0:
        raise ValueError(f"--seed {seed}: give 0 or more")
    if out.exists():
        raise ValueError(f"--out {out}: is there already; choose another name, or move it away")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise ValueError(f"--out {out}: {parent} is no folder that can be written to")


def _train(config: Config, folder: str) -> dict[str, int]:
    """Trains in a folder that nobody will see; how many steps were made."""
    print(f"learning, at most {config.steps} steps", flush=True)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it speaks of files that go away
            train(config, folder, jax.devices()[:1])
    except Interrupted as stop:
        if stop.code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from stop  # it promises to resume, and there is nothing to
        raise
    except NonFiniteLoss as error:
        raise ValueError("training broke, its weights are no numbers; try another seed") from error
    lines = (pathlib.Path(folder) / "metrics.jsonl").read_text("utf-8").splitlines()
    return {"steps": json.loads(lines[-1])["step"]}


def _judged(
    base: stage.Stage, taught: stage.Stage, held: Pairs, seed: int, progress: Mapping[str, int]
) -> Outcome:
    """Both weights on the photos that were held back and on packaged ones."""
    print("judging", flush=True)
    both = (("before", base), ("after", taught))
    whole = [pairs.network(*one) for one in both]
    before, after = pairs.evaluate(held.readable(), whole)["figures"]
    photos = [*Samples("val").readable()]
    exam = defects.Exam(photos=photos, count=CROPS, size=SIDE, seed=seed)
    packaged = defects.evaluate(exam, [defects.network(*one) for one in both])["figures"]
    reason = ""
    gain = after["average_precision"] - before["average_precision"]
    clean = [figures["clean_marked"] for figures in packaged]
    if gain < GAIN:
        reason = f"average precision on what was held back changed by {gain:+.4f}; {GAIN} is a gain"
    elif clean[1] > max(2 * clean[0], CLEAN):
        reason = f"of undamaged photos {clean[1]:.2%} would be marked, before it was {clean[0]:.2%}"
    return Outcome((before, after), tuple(packaged), reason=reason, **progress)


def _plain(figures: Mapping[str, Any]) -> dict[str, float | None]:
    """Figures of all photos together: names of photos stay with their owner."""
    return {key: figures[key] for key in ("average_precision", "iou", "recall", "precision")}
