r"""Partial against plain convolution, and batch norm that freezes against one that doesn't.

Liu et al., 2018 (https://arxiv.org/abs/1804.07723) show both choices without an interval: partial
convolutions fill holes better than plain ones, and for the last part of training the batch norm
of the encoder had better stand still. Are they seen in a small network and short runs, too?

One variant:  python -m oldphoto_jax.main --config=experiments/inpaint_layers.py:plain \
                  --workdir=runs/plain
All of them:  python -m experiments.run experiments/inpaint_layers.py --seeds=3

The network is that of `configs/inpaint.py:lite`, smaller, and paints the hole from nothing, not
on top of a smooth filling, so that its layers have all of the work. Measured is the PSNR inside
the holes of the validation photos at the end, of all holes and by their width in pixels.

Answer after 400 steps, three seeds: plain is 1.55 dB worse than partial (95 % interval 0.47),
frozen no different (0.02 dB, interval 0.05). The table is in experiments/README.md.
"""

import dataclasses

from configs import inpaint

STEPS = 800
LARGEST = 24  # thickness of a hole: what it is to the crop in configs/inpaint.py:lite
FREEZE = 600  # the last quarter, when the rate has fallen to a fifth

VARIANTS = {
    "partial": dict(partial=True, frozen=False),
    "plain": dict(partial=False, frozen=False),
    "partial-frozen": dict(partial=True, frozen=True),
    "plain-frozen": dict(partial=False, frozen=True),
}
FIGURES = ("hole/psnr", "hole/psnr 2-4", "hole/psnr 4-8", "hole/psnr 8-16", "hole/psnr 16-32")


def get_config(variant: str = "partial"):
    """Returns the configuration of one of VARIANTS; they differ in nothing else."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    lite, chosen = inpaint.get_config("lite"), VARIANTS[variant]
    filler = dataclasses.replace(
        lite.optimizers["filler"],
        warmup=50,
        drops={},
        freeze_norm_from=FREEZE if chosen["frozen"] else -1,
        freeze_norm_in="encoder" if chosen["frozen"] else "",
        ema=0.98,
    )
    return dataclasses.replace(
        lite,
        task=dataclasses.replace(
            lite.task,
            size=64,
            levels=4,
            width=16,
            draft=False,
            partial=chosen["partial"],
            weight={"valid": 1.0, "hole": 6.0},
            damage=dataclasses.replace(lite.task.damage, max_size=LARGEST),
            holes=dataclasses.replace(lite.task.holes, max_size=LARGEST),
        ),
        optimizers={"filler": filler},
        steps=STEPS,
        evaluate_every=STEPS // 8,
        best="",  # what counts is the end
    )
