r"""What lets a finder see: polarity, obvious damage, look-alikes, clDice; each against the rest.

The first packaged finders found faint light scratches and left a black line right across the photo.
`configs/segment.py:lite_broad` changes several things at once; here each is taken back alone, or
put on top. All variants are judged by the validation of `base`, whatever they train on.

One variant:  python -m oldphoto_jax.main --config=experiments/segment_seeing.py:one-polarity \
                  --workdir=runs/one-polarity
All of them:  python -m experiments.run experiments/segment_seeing.py --seeds=3 \
                  --photos=PHOTOS --validation=MORE_PHOTOS

The network is that of `configs/segment.py:lite_broad`, on crops of 128 px. What photos are worth,
free ones alone or all, is asked by --photos. Weights of a run can be put to
`oldphoto evaluate segment --obvious` and `python -m experiments.genuine_exam` as any others.

Answer: polarity is worth 0.024 of average precision and obvious damage 0.026, at more than twice
the marks on undamaged photos; of the others three seeds show nothing (segment_seeing.md).
"""

import dataclasses

from configs import segment

STEPS = 300
VARIANTS = {
    "base": {},
    "one-polarity": {"negative": 0.0},
    "no-obvious": {"obvious": 0.0},
    "no-lookalikes": {"lookalikes": 0.0},
    "no-margin": {"margin": 0.0},
    "center-line": {},
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
    broad = segment.get_config("lite_broad")
    seen = dataclasses.replace(broad.task.damage, obvious=0.45, clean=0.2, lookalikes=0.5)
    judge = dataclasses.replace(broad.task, size=128, enlarge=(0.4, 1.0), damage=seen)
    weight = judge.weight | ({"center_line": 0.5} if variant == "center-line" else {})
    damage = dataclasses.replace(judge.damage, **VARIANTS[variant])
    rule = dataclasses.replace(broad.optimizers["segmenter"], warmup=30, ema=0.98)
    return dataclasses.replace(
        broad,
        task=dataclasses.replace(judge, damage=damage, weight=weight),
        judge=judge,
        optimizers={"segmenter": rule},
        steps=STEPS,
        evaluate_every=STEPS // 2,
        save_every=STEPS,
        best="",  # what counts is the end
    )
