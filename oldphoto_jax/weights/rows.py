"""What a row of the zoo says, and the rows of the networks that come with the package."""

from __future__ import annotations

import dataclasses
import pathlib

from oldphoto_jax.weights import cache, cards, convert, fetch, sources

FILES = pathlib.Path(__file__).parent / "files"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Weights of the zoo: they come along with a `card`, or a published file is turned into them.

    That file is what `source` knows; `kind`, a key of `convert.KINDS`, turns it into these
    `arrays`, by the SHA-256 that `store.digest` computes, where they are known. `rough` tells
    people how large the file is, in bytes, where `source` does not know.
    """

    name: str
    use: str
    licence: str
    source: sources.AnySource
    kind: str = ""
    arrays: str = ""
    card: cards.Card | None = None
    rough: int | None = None

    @property
    def path(self) -> pathlib.Path:
        """Where the safetensors are, or will be once they are made."""
        folder = FILES if self.card else cache.folder("weights")
        return folder / f"{self.name.replace(':', '-')}.safetensors"

    @property
    def waiting(self) -> str:
        """Why they can only be kept, by their authors' names; nothing if they can be used."""
        waits = self.kind == convert.AS_PUBLISHED
        return f"{self.name}: this version has no network for these weights yet" if waits else ""

    @property
    def purpose(self) -> str:
        """What they are for, and whether they can be used yet."""
        return f"{self.use} (no network in this version yet)" if self.waiting else self.use

    @property
    def megabytes(self) -> str:
        """How large the published file is, as far as it is known."""
        if self.source.size is not None:
            return f"{self.source.size / 1e6:.1f}"
        return f"~{self.rough / 1e6:.0f}" if self.rough else "?"


def _along(name: str, use: str, sha256: str, size: int, card: cards.Card) -> Row:
    source = fetch.Source(file=f"{name}.safetensors", sha256=sha256, size=size, places=())
    licence = "not for commercial use: trained on research sets (see its card)"
    return Row(name=name, use=use, licence=licence, source=source, card=card)


ALONG = (
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
        "1d1a8c272f46bf0a40e6ab219ced92f45f579274e47d4a8491f61231fe2b72c5",
        7_549_236,
        cards.COLORIZE_LITE,
    ),
)
