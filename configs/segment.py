r"""Finds the defects of old photographs: AlbuNet-18 at full resolution.

The Mail.ru restorer's detector: first convolution 3x3 with stride 1, no max-pool, 1024x1024
crops, 80 of them over the devices, cross-entropy weighted by the clean/defect ratio plus Dice,
in-place activated batch norm. https://habr.com/ru/companies/vk/articles/459696/

    python -m oldphoto_jax.main --config=configs/segment.py --workdir=runs/segment \
        --config.photos=PHOTOS --config.validation=MORE_PHOTOS

PHOTOS is a folder, a .txt list, or tfds:NAME/SPLIT; without it the packaged samples are used,
which show that training works and no more. Own damage textures (RGBA sprites, masks):
--config.task.damage.textures=FOLDER

Cost: about 2 TFLOP forward an example; made for several accelerators.
Expected: (not run yet). The article reports IoU 0.35 and ROC-AUC 0.93 on its own 11 photos.

Variant `:lite`, for a laptop: a U-Net on EfficientNet-Lite0, 256x256 crops, 8 a step. Flakes of
lost emulsion are never drawn, so that it can be asked how well it finds what it has not seen:
`oldphoto evaluate segment --unseen`. The packaged weights are of this variant, with damage as it
was drawn then; today's is opaque more often.

    python -m oldphoto_jax.main --config=configs/segment.py:lite --workdir=runs/segment-lite

Cost: 66 minutes on two busy CPU cores (5.7 images/s).
Expected: on 290 validation crops of 384 px, with textures, average precision 0.66, ROC-AUC 0.94,
IoU 0.46, 0.3 % marked on undamaged photos (one run; MODEL_ZOO.md has the protocol).

Variant `:lite_broad`: the same network learns damage that a child would point at, too (lines right
across, blots as large as a hand, lost corners), dark as often as light, on 256x256 crops. The masks
of real film, by which `oldphoto evaluate segment --obvious` judges it, stay out of training:

    python -m oldphoto_jax.main --config=configs/segment.py:lite_broad \
        --workdir=runs/segment-lite-broad --config.photos=PHOTOS --config.validation=MORE_PHOTOS \
        --config.task.damage.textures=textures \
        '--config.task.damage.exclude=("flakes", "crackforest-masks", "film-damage-real")'

Cost: about two hours on two slow CPU cores (4.5 images/s).
Expected: (not run to its end; average precision 0.52 after 800 steps.) An earlier form, with 4,000
steps of crops of 320 px and fewer undamaged photos and look-alikes, reached on the validation
photos during training average precision 0.77, ROC-AUC 0.96, IoU 0.54 (one run, on 1,712 free photos
and gray portraits); on old photographs it marked faces, trees and cloth.

Variant `:lite_seeing`: the same damage, for a network that knows the fainter kinds already. It goes
on from what `:lite` has written to runs/segment-lite, at half the rate, for less than half as long:

    python -m oldphoto_jax.main --config=configs/segment.py:lite_seeing \
        --workdir=runs/segment-lite-seeing --config.photos=PHOTOS --config.validation=MORE_PHOTOS \
        --config.task.damage.textures=textures \
        '--config.task.damage.exclude=("flakes", "crackforest-masks", "film-damage-real")'

Cost: an hour on two busy CPU cores (3.7 images/s, median).
Expected: on 145 validation crops of 384 px, with textures, average precision 0.73, ROC-AUC 0.93,
IoU 0.51, 0.2 % marked on undamaged photos (one run; experiments/weights has what came of it later).

Variant `:lite_scratch`, without a network, or to compare: the same, but all of it learns, from
random weights.

    python -m oldphoto_jax.main --config=configs/segment.py:lite_scratch --workdir=runs/scratch
"""

import dataclasses

from oldphoto_jax.damage.recipe import EVERYTHING, Damage
from oldphoto_jax.models import lite_unet, unet
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam


def get_config(variant: str = "article") -> Config:
    """Returns the variant "article", "lite", "lite_broad", "lite_seeing" or "lite_scratch"."""
    article = Config(
        task=Segment(size=1024, network=unet.Blueprint(norm="inplace")),
        optimizers={
            "segmenter": Adam(rate=1e-3, warmup=500, schedule="cosine", clip=1.0, ema=0.999)
        },
        batch_size=80,
        validation_batch=80,
        steps=20_000,
        precision="bfloat16",
        best="ranking/average_precision",
        workers=8,
    )
    if variant == "article":
        return article
    lite = _lite(article)
    if variant == "lite":
        return lite
    if variant == "lite_broad":
        return _broad(lite)
    if variant == "lite_seeing":
        return _seeing(_broad(lite))
    if variant == "lite_scratch":
        optimizer = dataclasses.replace(
            lite.optimizers["segmenter"],
            shares={},
            freeze_norm_from=-1,
            freeze_norm_in="",
            freeze_weights_in="",
        )
        return dataclasses.replace(lite, weights={}, optimizers={"segmenter": optimizer})
    raise ValueError(
        f"configs/segment.py has no variant {variant!r}; choose 'article', 'lite', 'lite_broad', "
        "'lite_seeing' or 'lite_scratch'"
    )


def _lite(article: Config) -> Config:
    """The configuration for a laptop."""
    return dataclasses.replace(
        article,
        task=Segment(
            network=lite_unet.Blueprint(),
            size=256,
            positive_weight=2.0,
            damage=Damage(exclude=("flakes",), lookalikes=0.5),
        ),
        optimizers={
            "segmenter": Adam(
                rate=2e-3,
                warmup=100,
                schedule="cosine",
                clip=1.0,
                ema=0.995,
                weight_decay=1e-4,
                shares={"encoder": 0.25},
                freeze_norm_from=0,
                freeze_norm_in="encoder",
                freeze_weights_in="encoder.early",
            )
        },
        weights={"segmenter.encoder": "efficientnet-lite0-imagenet"},
        batch_size=8,
        validation_batch=8,
        steps=2600,
        precision="float32",
        evaluate_every=400,
        save_every=200,
        workers=0,
    )


def _broad(lite: Config) -> Config:
    """The laptop's configuration for everything that a finder has to see."""
    optimizer = dataclasses.replace(lite.optimizers["segmenter"], ema=0.998)
    seen = EVERYTHING | {"obvious": 0.35, "clean": 0.3, "lookalikes": 0.65}
    damage = Damage(exclude=("flakes",), **seen)
    return dataclasses.replace(
        lite,
        task=Segment(
            network=lite_unet.Blueprint(),
            size=256,
            enlarge=(0.35, 2.0),
            positive_weight=2.0,
            damage=damage,
        ),
        optimizers={"segmenter": optimizer},
        steps=3200,
        evaluate_every=800,
        save_every=100,
    )


def _seeing(broad: Config) -> Config:
    """The same for weights that know the fainter kinds of damage already."""
    optimizer = dataclasses.replace(broad.optimizers["segmenter"], rate=1e-3, warmup=50)
    return dataclasses.replace(
        broad,
        optimizers={"segmenter": optimizer},
        weights={"segmenter": "runs/segment-lite/weights/best.safetensors"},
        steps=1400,
        evaluate_every=700,
    )
