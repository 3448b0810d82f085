r"""What of the published detector matters: its loss, its stem, its norm, each against the usual.

The Mail.ru restorer (https://habr.com/ru/companies/vk/articles/459696/) weighs defects up in the
cross-entropy and adds Dice, keeps full resolution in the stem, and normalizes in place. Are these
choices seen in a small network and short runs, too? One thing at a time differs from `base`.

One variant:  python -m oldphoto_jax.main --config=experiments/segment_choices.py:focal \
                  --workdir=runs/focal
All of them:  python -m experiments.run experiments/segment_choices.py --seeds=2

The network is AlbuNet-18 as in `configs/segment.py`, an eighth as wide, on crops of 64 px. The
weights of a run can be examined as any others, so flip averaging needs no run of its own:

    oldphoto evaluate segment --tta --weights runs/segment_choices/base/0 --photos PHOTOS

Answer after 120 steps, two seeds: the stock stem costs 0.08 of average precision (95 %
interval 0.02); the others cannot be told apart. The table is in segment_choices.md.
"""

import dataclasses

from configs import segment
from oldphoto_jax.models import unet

STEPS = 120
NETWORK = unet.Blueprint(width=8, decoder_width=4)
STOCK = {"stem_kernel": 7, "stem_stride": 2, "pool": "max2"}

VARIANTS = {
    "base": {},
    "bce": {"weight": {"bce": 1.0, "dice": 0.0, "focal": 0.0}, "positive_weight": 1.0},
    "focal": {"weight": {"bce": 0.0, "dice": 0.0, "focal": 10.0}},  # it is small: 10 evens rates
    "stock-stem": {"network": dataclasses.replace(NETWORK, **STOCK)},
    "inplace": {"network": dataclasses.replace(NETWORK, norm="inplace")},
}
FIGURES = (
    "ranking/average_precision",
    "ranking/roc_auc",
    "ranking/best_f1",
    "within_2_px/f1",
    "marked_on_clean",
)


def get_config(variant: str = "base"):
    """Returns the configuration of one of VARIANTS; they differ in nothing else."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    article = segment.get_config()
    base = dataclasses.replace(
        article.task,
        size=64,  # the least that the stock stem takes
        network=NETWORK,
        positive_weight=3.0,
        damage=dataclasses.replace(article.task.damage, max_size=24),
    )
    rule = dataclasses.replace(article.optimizers["segmenter"], rate=3e-3, warmup=12, ema=0.98)
    return dataclasses.replace(
        article,
        task=dataclasses.replace(base, **VARIANTS[variant]),
        optimizers={"segmenter": rule},
        batch_size=16,
        validation_batch=16,
        steps=STEPS,
        precision="float32",
        evaluate_every=STEPS // 2,
        save_every=STEPS,
        best="",  # what counts is the end
        workers=0,
    )
