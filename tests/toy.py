"""A tiny task for the tests of training: two players, one frozen network, photos of 8x8.

It has what makes training hard to resume: dropout, batch norm, a player that moves at every
second step, averaged weights. Also a configuration file: `--config=tests/toy.py`.
"""

import contextlib
import dataclasses
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental.compilation_cache import compilation_cache

from oldphoto_jax.layers.norm import BatchNorm
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.task import NOTHING, Task
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam, Sgd

SIZE = 8


class Noise:
    """Random photos of 10x10, the same for the same index."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        photo = np.random.default_rng(index).integers(0, 256, (10, 10, 3), np.uint8)
        return {"photo": photo, "name": str(index)}


class Layer(nnx.Module):
    """Convolution and batch norm."""

    def __init__(self, c_in, c_out, *, rngs):
        # A bias before batch norm has a gradient of rounding errors, which Adam would blow up.
        self.conv = nnx.Conv(c_in, c_out, (3, 3), use_bias=False, rngs=rngs)
        self.norm = BatchNorm(c_out, "relu")

    def __call__(self, x):
        return self.norm(self.conv(x.astype(self.conv.kernel[...].dtype)))


class Painter(nnx.Module):
    """An encoder, dropout, a decoder; counts how often it was trained."""

    def __init__(self, width, *, rngs):
        self.encoder = Layer(3, width, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.decoder = Layer(width, width, rngs=rngs)
        self.final = nnx.Conv(width, 3, (1, 1), rngs=rngs)
        self.calls = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x):
        if not self.drop.deterministic:
            self.calls[...] = self.calls[...] + 1
        return nnx.sigmoid(self.final(self.decoder(self.drop(self.encoder(x)))))


class Critic(nnx.Module):
    """How real each photo looks."""

    def __init__(self, width, *, rngs):
        self.layer = Layer(3, width, rngs=rngs)
        self.final = nnx.Conv(width, 1, (1, 1), rngs=rngs)

    def __call__(self, x):
        return self.final(self.layer(x)).mean((1, 2, 3))


@dataclasses.dataclass
class Bright:
    """A stream: the share of bright pixels."""

    bright: np.ndarray
    pixels: np.ndarray

    def __add__(self, other):
        return Bright(self.bright + other.bright, self.pixels + other.pixels)

    def compute(self):
        return {"share": self.bright / self.pixels if self.pixels else np.nan}


@dataclasses.dataclass(kw_only=True)
class Cleaner(Predictor):
    """Asks the `painter`."""

    width: int = 4

    def networks(self, rngs):
        return {"painter": Painter(self.width, rngs=rngs)}

    def __call__(self, nets, batch):
        return {"photo": nets["painter"](batch["photo"])}


@dataclasses.dataclass(kw_only=True)
class Toy(Task):
    """`painter` takes noise away, `critic` judges it, `eye` only looks."""

    width: int = 4
    poisoned_call: int = -1  # the painter's loss is NaN there
    poisoned_slope: bool = False  # ... or only its gradient

    def networks(self, rngs):
        return {
            "painter": Painter(self.width, rngs=rngs),
            "critic": Critic(self.width, rngs=rngs),
            "eye": Layer(3, self.width, rngs=rngs),
        }

    def example(self, record, rng):
        time.sleep(float(os.environ.get("TOY_PAUSE", 0)))
        top, left = rng.integers(0, 10 - SIZE, 2)
        target = np.float32(record["photo"][top : top + SIZE, left : left + SIZE] / 255)
        noise = rng.normal(0, 0.1, target.shape)
        return {"photo": np.float32(np.clip(target + noise, 0, 1)), "target": target}

    def losses(self):
        return {"painter": self.paint, "critic": self.judge}

    def paint(self, nets, batch):
        fake = nets["painter"](batch["photo"])
        poison = jnp.where(nets["painter"].calls[...] == self.poisoned_call, jnp.nan, 0.0)
        seen = nets["eye"](fake) - nets["eye"](batch["target"])
        terms = {
            "pixel": jnp.abs(fake - batch["target"]).mean() + poison,
            "seen": jnp.square(seen).mean(),
            "fool": -0.1 * nets["critic"](fake).mean(),
        }
        if self.poisoned_slope:
            terms["slope"] = jnp.sqrt(0 * fake.sum())
        return terms

    def judge(self, nets, batch):
        fake = jax.lax.stop_gradient(nets["painter"](batch["photo"]))
        return {
            "real": nnx.relu(1 - nets["critic"](batch["target"])).mean(),
            "fake": nnx.relu(1 + nets["critic"](fake)).mean(),
        }

    def predictor(self, figures=NOTHING):
        return Cleaner(width=self.width)

    def metrics(self, batch, prediction):
        error = np.abs(prediction["photo"] - batch["target"]).mean((1, 2, 3))
        bright = prediction["photo"] > 0.5
        return {"error": error, "bright": Bright(np.int64(bright.sum()), np.int64(bright.size))}


def get_config(variant=""):
    """Twelve steps; the variant "bfloat16" computes in low precision."""
    from tests import toy  # when main loads this file its classes must have their usual names

    return Config(
        task=toy.Toy(),
        photos=toy.Noise(20),
        validation=toy.Noise(5),
        optimizers={
            "painter": Adam(rate=1e-2, warmup=2, schedule="cosine", clip=1.0, ema=0.9),
            "critic": Sgd(rate=1e-2, every=2),
        },
        batch_size=8,
        validation_batch=4,
        steps=12,
        evaluate_every=4,
        precision=variant or "float32",
        best="error",
        best_is="lowest",
        log_every=1,
        save_every=2,
        sheet_rows=2,
    )


OPTIONS = {  # what a test spends on compiling is more than what it spends on computing
    "jax_disable_most_optimizations": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextlib.contextmanager
def compiled(folder):
    """Programs compiled within are kept in the folder, so that each is compiled once.

    In a run without slow tests all programs are, from the start.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    options = OPTIONS | {"jax_compilation_cache_dir": str(folder)}
    before = {name: jax.config.values[name] for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def environment(folder, devices=4):
    """The same for another process, which simulates so many devices."""
    options = OPTIONS | {"jax_compilation_cache_dir": folder}
    ours = os.environ.get("XLA_FLAGS", "")
    flags = {"XLA_FLAGS": f"{ours} --xla_force_host_platform_device_count={devices}".strip()}
    return os.environ | flags | {name.upper(): str(value) for name, value in options.items()}
