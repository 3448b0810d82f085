r"""Colours chosen among many, and colours that people may steer: Zhang et al.'s ways to colour.

`:eccv16` is "Colorful image colorization" (2016, https://arxiv.org/abs/1603.08511): of 313 colours
of a and b the network says how likely each is. Rare colours count for more, by a table of how
common each is (the packaged one of `photo.prior`, or that of your own photos), and photos without
colour not at all:

    python -m oldphoto_jax.data.prior PHOTOS --out prior.csv
    python -m oldphoto_jax.main --config=configs/colorful.py:eccv16 --workdir=runs/eccv16 \
        --config.photos=PHOTOS --config.validation=MORE_PHOTOS --config.task.prior=prior.csv

`:siggraph_classes` and `:siggraph` are the two stages of "Real-time user-guided image colorization"
(2017, https://arxiv.org/abs/1705.02999), whose network also looks at hints, colours given for some
pixels: it first learns to choose among 529 colours, without hints, then to name the colour of
every pixel, with hints drawn from the truth:

    for stage in siggraph_classes siggraph; do
        python -m oldphoto_jax.main --config=configs/colorful.py:$stage \
            --workdir=runs/colorful-$stage \
            --config.photos=PHOTOS --config.validation=MORE_PHOTOS
    done

(configs/colorful.py:siggraph_classes, configs/colorful.py:siggraph.) PHOTOS is a folder, a .txt
list, tfds:NAME/SPLIT, or several of them with their shares, "2*faces + 1*streets"; without it the
packaged samples are used, which show that training works and no more. All three look at crops as
they are, as published; --config.task.age=0.5 ages half of them, and --config.task.filled=0.3 fills
holes in three of ten, as for the networks of configs/colorize.py. Beyond the published: luma of
sRGB is kept instead of L, and weights decay by themselves (AdamW).

Cost: 37 (`:eccv16`) and 68 GFLOP forward an example; 450,000 steps of 40, and 770,000 and 770,000
of 25, as published. Made for an accelerator.
Expected: (not run yet). The authors' weights are read by `oldphoto_jax.weights.convert`.

Variants for a laptop have the light network of configs/colorize.py:lite. `:lite` learns as
`:eccv16` does, and from hints; `:lite_hints` goes on from `colorize-lite`, as configs/colorize.py's
`lite_filled` makes it, with three channels more. Without hints its first answer is that of
`colorize-lite`; a quarter of the photos keep having none, so that no hint costs nothing. Beside
points there are strokes, and things whose colour was changed, which only a hint can tell
(`tasks.hints`):

    python -m oldphoto_jax.main --config=configs/colorful.py:lite_hints \
        --workdir=runs/colorize-hints \
        --config.photos=PHOTOS --config.validation=MORE_PHOTOS

(configs/colorful.py:lite, configs/colorful.py:lite_hints.)
Cost: 1.9 GFLOP forward an example; about an hour on two CPU cores.
Expected: of `:lite` (not run yet). After 1,600 steps of `:lite_hints` a "hinted ab" of 11.2, the
error with hints as in training but of true colours alone, and an "ab" of 13.0, that of the same
photos without; the exam's error without hints is 12.93, where colorize-lite had 12.96 before. The
packaged `colorize-lite` is of this run.
"""

import dataclasses

from configs import colorize
from oldphoto_jax.models import colorful
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.tasks.colorful import TwoHeads
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.tasks.hints import Hints
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam

SEEN = (176 / 256,) * 2  # share of a photo's short side that a crop shows, as published
COLOURLESS = 5.0  # |a| and |b|; photos below learn nothing
CLASSES = "runs/colorful-siggraph_classes/weights/last.safetensors"
OLD = ("encoder", "center", "levels", "final")  # what a network with hints shares with one without
NEW = {"more": 8.0}  # by how much faster the rest learns


def get_config(variant: str = "eccv16") -> Config:
    """Returns the configuration called "eccv16", "siggraph_classes", "siggraph", "lite"..."""
    variants = {
        "eccv16": _eccv16,
        "siggraph_classes": _siggraph_classes,
        "siggraph": _siggraph,
        "lite": _lite,
        "lite_hints": _lite_hints,
    }
    if variant not in variants:
        *most, last = map(repr, variants)
        raise ValueError(
            f"configs/colorful.py has no variant {variant!r}; choose {', '.join(most)} or {last}"
        )
    return variants[variant]()


def _eccv16() -> Config:
    """All at once: one network, one loss."""
    return Config(
        task=Colorize(
            size=176,
            share=SEEN,
            age=0.0,
            network=colorful.ECCV16Blueprint(),
            palette=AbBins(neighbours=10),  # the paper's text has 5, its code 10
            temperature=0.38,
            balance=0.5,
            prior="packaged",
            colourless=COLOURLESS,
            picked=True,
            weight={"bins": 1.0},
        ),
        optimizers={
            "generator": Adam(
                rate=3e-5,
                betas=(0.9, 0.99),
                weight_decay=1e-3,
                drops={200_000: 1 / 3, 375_000: 0.3},
            )
        },
        batch_size=40,
        steps=450_000,
        precision="bfloat16",
        evaluate_every=10_000,
        save_every=1_000,
        best="ab",
        best_is="lowest",
        workers=8,
    )


def _siggraph_classes() -> Config:
    """The first stage: the trunk learns to choose among colours, and is told nothing."""
    eccv16 = _eccv16()
    return dataclasses.replace(
        eccv16,
        task=TwoHeads(
            size=176,
            share=SEEN,
            age=0.0,
            hints=Hints(none=1.0),
            colourless=COLOURLESS,
            picked=True,
            # 10 times the sum over a and b, each a share of 110
            weight={"bins": 1.0, "pixel": 40.0},
        ),
        optimizers={"generator": Adam(rate=1e-4, betas=(0.9, 0.999))},
        batch_size=25,
        steps=770_000,
    )


def _siggraph() -> Config:
    """The second stage: it learns to name the colour of each pixel, and is told hints."""
    first = _siggraph_classes()
    if not isinstance(first.task, TwoHeads):
        raise TypeError(f"the task is {type(first.task).__name__} and not TwoHeads")
    published = Hints(none=0.0, strokes=0.0, recoloured=0.0)
    task = dataclasses.replace(first.task, head="names", hints=published)
    return dataclasses.replace(
        first,
        task=task,
        weights={"generator": CLASSES},
        optimizers={
            "generator": Adam(rate=1e-5, betas=(0.9, 0.999), drops={510_000: 0.1}),
        },
        seed=1,
        best="hinted ab",
    )


def _lite() -> Config:
    """The light network learns as the paper's does, and is told hints."""
    before = colorize.get_config("lite")
    task = dataclasses.replace(
        _task(before),
        palette=AbBins(),
        temperature=0.38,
        balance=0.5,
        prior="packaged",
        colourless=COLOURLESS,
        hints=Hints(),
        weight={"bins": 1.0},
    )
    return _judged(dataclasses.replace(before, task=task, best="hinted ab"))


def _lite_hints() -> Config:
    """The packaged network learns to listen."""
    before = colorize.get_config("lite_filled")
    hints = Hints(none=0.2, strokes=0.5, recoloured=0.8)
    task = dataclasses.replace(_task(before), hints=hints, gain=1.2)
    weights = {f"generator.{part}": "colorize-lite" for part in OLD}
    # What is new has all to learn, from the few pixels that hints are about
    generator = before.optimizers["generator"]
    generator = dataclasses.replace(generator, rate=5e-4, shares=generator.shares | NEW)
    return _judged(
        dataclasses.replace(
            before,
            task=task,
            weights=weights,
            optimizers={"generator": generator},
            best="hinted ab",
        )
    )


def _judged(config: Config) -> Config:
    """What was recoloured nobody can guess: the figures are of what is true."""
    task = _task(config)
    if task.hints is None:
        raise TypeError("the task has no hints")
    true = dataclasses.replace(task, hints=dataclasses.replace(task.hints, recoloured=0.0))
    return dataclasses.replace(config, judge=true)


def _task(config: Config) -> Colorize:
    """The task of a configuration; all of them here colour."""
    if not isinstance(config.task, Colorize):
        raise TypeError(f"the task is {type(config.task).__name__} and not Colorize")
    return config.task
