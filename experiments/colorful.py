r"""Choosing among colours, or naming one; squares of a and b, or a grid; rare ones counting more.

"Colorful image colorization" (Zhang et al., 2016, https://arxiv.org/abs/1603.08511) says that a
network should choose among colours rather than name one, that 313 squares of a and b serve, and
that rare ones are to count for more. Here `base` chooses among the 313, all counting alike; each
other variant changes one of these things. How much colour does it give, and at what error?

One variant:  python -m oldphoto_jax.main --config=experiments/colorful.py:regression \
                  --workdir=runs/regression
All of them:  python -m experiments.run experiments/colorful.py --seeds=3 \
                  --photos=PHOTOS --validation=MORE_PHOTOS

The network is that of `configs/colorful.py:lite` without hints, on crops of 96 px, and begins with
ImageNet's encoder. "regression" is L1 of Cb and Cr. Those that choose are shown at the paper's
temperature, 0.38; `python -m experiments.colorful_exams` asks `base` at others. "agreement" is how
often an EfficientNet-Lite0 takes the coloured and the true photo for the same.
"""

import dataclasses

from configs import colorful
from oldphoto_jax.photo.palette import Grid

STEPS = 80
TEMPERATURE = 0.38
VARIANTS = {
    "base": {},
    "regression": {"palette": None, "temperature": 1.0, "weight": {"pixel": 5.0}},
    "rebalanced": {"balance": 0.5, "prior": "packaged"},
    "grid": {"palette": Grid(side=19)},
}
FIGURES = ("ab", "psnr", "colorfulness", "colorfulness of the truth", "agreement")


def get_config(variant: str = "base"):
    """Returns the configuration of one of VARIANTS; they differ in nothing else."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    lite = colorful.get_config("lite")
    base = dataclasses.replace(
        lite.task,
        size=96,
        hints=None,
        temperature=TEMPERATURE,
        balance=1.0,
        prior="",
        classifier="efficientnet-lite0",
    )
    rule = dataclasses.replace(lite.optimizers["generator"], warmup=10, ema=0.95)
    return dataclasses.replace(
        lite,
        task=dataclasses.replace(base, **VARIANTS[variant]),
        judge=None,
        optimizers={"generator": rule},
        steps=STEPS,
        evaluate_every=STEPS,
        save_every=STEPS,
        best="",  # what counts is the end
    )
