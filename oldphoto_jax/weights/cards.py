"""The facts of the networks that come with the package; what they reach and where they fail stands
beside each weights file as `files/NAME.md`, and `zoo` makes MODEL_ZOO.md of both.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """How a packaged network was trained, and what it reaches by which protocol.

    `command` is what a shell runs from the checkout, with `config` and its `variant`; `steps` says
    how long, and `remark` of the training what none of these shows. `trained_max` is the thickness
    in pixels of the largest defect or hole that it was shown. `threshold` and `gain` were `chosen`
    after training.
    Numbers in `figures` are those in the tables of the file's text, to the same digits.
    """

    network: str
    config: str
    variant: str
    steps: str
    remark: str = ""
    command: str
    time: str
    data: str
    trained_max: int | None = None
    threshold: float | None = None
    gain: float | None = None
    chosen: str = ""
    figures: str
    protocol: str


SEGMENT_LITE = Card(
    network=(
        "U-Net on EfficientNet-Lite0 (six of its seven stages), decoder of 96, 64, 48 and 32 "
        "channels; kernels in bfloat16"
    ),
    config="configs/segment.py",
    variant="lite",
    steps="2,600 steps of 8 crops of 256 px (kept: those of step 2,400), seed 0",
    remark=(
        "from ImageNet's weights, of which stem and first two stages and all batch norm statistics "
        "of the encoder stay; weights averaged; those of step 2,400, the best on validation"
    ),
    command="""\
python -m oldphoto_jax.main --config=configs/segment.py:lite --workdir=runs/segment-lite \\
  --config.photos=data/splits/train.txt --config.validation=data/splits/val.txt \\
  --config.task.damage.textures=data/textures \\
  '--config.task.damage.exclude=("flakes", "crackforest-masks")\'""",
    time=(
        "66 minutes on 2 cores that had other work beside it (5.7 images/s, median), with "
        "jemalloc 5.3 in place of the system's malloc"
    ),
    data=(
        "5,183 photographs with seeded damage, in part from scanned textures; never shown: lost "
        "flakes of emulsion, and the cracks of CrackForest"
    ),
    trained_max=64,
    threshold=0.405,
    chosen="F1 was best there on the validation split",
    figures="AP 0.660, ROC-AUC 0.936, IoU 0.460, F1 2 px 0.772, marked on clean photos 0.28 %",
    protocol=(
        "oldphoto_jax 0.1.0 segment, 290 crops of 384 px from 290 photos, seed 0, sha256 of names "
        "and pixels 574e973bd93e0a46; AP and ROC-AUC over all pixels; the others pooled at each "
        "method's own threshold. One run, one seed."
    ),
)
INPAINT_LITE = Card(
    network=(
        "U-Net on EfficientNet-Lite0 (six of its seven stages), decoder of 128, 96, 64 and 48 "
        "channels, on a biharmonic draft, with grain lent by the photo; kernels in bfloat16"
    ),
    config="configs/inpaint.py",
    variant="lite_frozen",
    steps="520 steps of 8 crops of 192 px, seed 1",
    remark=(
        "after the variant lite, from ImageNet's weights, of which stem and first two stages stay; "
        "all batch norm frozen; masks of two in five crops found by segment-lite; weights averaged"
    ),
    command="""\
awk 'NR % 3 == 0' data/splits/val.txt > data/splits/third.txt
python -m oldphoto_jax.main --config=configs/inpaint.py:lite --workdir=runs/inpaint-lite \\
  --config.photos=data/splits/train.txt --config.validation=data/splits/third.txt \\
  --config.task.damage.textures=data/textures
python -m oldphoto_jax.main --config=configs/inpaint.py:lite_frozen \\
  --workdir=runs/inpaint-lite-frozen \\
  --config.photos=data/splits/train.txt --config.validation=data/splits/third.txt \\
  --config.task.damage.textures=data/textures""",
    time=(
        "42 and 13 minutes on 2 cores that had other work beside it (6.0 and 6.1 images/s, "
        "median), with jemalloc 5.3 in place of the system's malloc"
    ),
    data="the photographs of segment-lite, with the same damage and more and larger holes",
    trained_max=64,
    figures="hole PSNR 24.21, hole SSIM 0.762, LPIPS 0.0246, photo PSNR 39.05, photo SSIM 0.9747",
    protocol=(
        "oldphoto_jax 0.1.0 inpaint, 290 crops of 384 px from 290 photos (286 with holes, "
        "3,011,553 pixels), seed 0, sha256 of names and pixels e948a4b9e87f9772; holes up to 64 px "
        "thick, large ones in a share of 0.15; 8 bits in and out; hole PSNR and SSIM (uniform "
        "window) pooled over all pixels of the holes; LPIPS v0.1 (alex, weights 443c5bc35326b81e). "
        "One run, one seed."
    ),
)
COLORIZE_LITE = Card(
    network=(
        "U-Net on EfficientNet-Lite0 (six of its seven stages), decoder of 160, 128 and 96 "
        "channels, which chooses among 19 x 19 colours at a quarter of the sides and hears hints; "
        "kernels in bfloat16"
    ),
    config="configs/colorful.py",
    variant="lite_hints",
    steps="1,600 steps of 16 crops of 192 px (kept: those of step 1,500), seed 1",
    remark=(
        "a choice among colours, and L1 of their mean, with hints for four crops in five; after "
        "2,900 steps of `lite` (seed 0) and 2,000 of `lite_filled` (seed 1) of "
        "configs/colorize.py, which began with ImageNet's weights, of which stem and first two "
        "stages stay; three in five crops aged, from the second phase on three in ten with filled "
        "holes; weights averaged"
    ),
    command="""\
grep -v /ccp data/splits/train.txt | grep -E '^(faces|photos-people)/' > data/splits/people.txt
grep /ccp data/splits/train.txt > data/splits/fashion.txt
grep '^photos/' data/splits/train.txt > data/splits/scenes.txt
awk 'NR % 3 == 0' data/splits/val.txt > data/splits/third.txt
python -m oldphoto_jax.main --config=configs/colorize.py:lite --workdir=runs/colorize-lite \\
  --config.task.temperature=0.5 --config.validation=data/splits/third.txt --config.photos=\\
"6*data/splits/people.txt + 1*data/splits/fashion.txt + 4*data/splits/scenes.txt"
python -m oldphoto_jax.main --config=configs/colorize.py:lite_filled \\
  --workdir=runs/colorize-lite_filled --config.validation=data/splits/third.txt --config.photos=\\
"6*data/splits/people.txt + 1*data/splits/fashion.txt + 4*data/splits/scenes.txt"
# with runs/colorize-lite_filled packed as the colorize-lite of the time, SHA-256 9eafd5ec...,
# and the same lists in splits/
python -m oldphoto_jax.main --config=configs/colorful.py:lite_hints --workdir=runs/colorize-hints \\
  --config.photos=splits/train.txt --config.validation=splits/val.txt \\
  --config.steps=1600""",
    time=(
        "77, 54 and 118 minutes on 2 cores that had other work beside the first phase and much "
        "beside the last (10.6, 10.2 and 4.3 images/s, median), with jemalloc 5.3 in place of the "
        "system's malloc"
    ),
    data=(
        "the photographs of segment-lite: people six parts, street fashion one, scenes four; in "
        "the last phase each once"
    ),
    gain=1.27,
    chosen=(
        "chroma is multiplied by this, so that aged crops of the validation photos reach 0.62 of "
        "the truth's colourfulness; the temperature, 0.7 of 1, 0.7, 0.5 and 0.35, had the lowest "
        "ab error on a third of them after the first phase"
    ),
    figures="PSNR 24.78, SSIM 0.9456, LPIPS 0.1536, ab error 12.93, ab AuC 0.9138, CF 25.45",
    protocol=(
        "oldphoto_jax 0.1.0 colorize, 290 photos resized and centre-cropped to 256 px, sha256 of "
        "names and pixels f3946155a56c96de; shown as BT.601 luma, as users ask (256 px); 8 bits in "
        "and out; means over photos; LPIPS v0.1 and features of AlexNet, weights 443c5bc35326b81e. "
        "The Fréchet distance of so few photos only compares methods of this table, and is no FID. "
        "The photos chose checkpoint and gain, too. One run of each phase, seeds 0, 1 and 1."
    ),
)
