"""A page to look through a restored folder: OUT/index.html, written from the report alone.

It opens from disk in any browser and loads nothing from elsewhere. Browsers show no TIFF, and large
scans slowly, so it shows thumbnails that link to the full files. They lie in OUT/.thumbnails:
hidden folders are never searched for photos, so that OUT can be the source of another run. Where
they are lost, captions and links remain.
"""

from __future__ import annotations

import html
import json
import os
import pathlib
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from oldphoto_jax.folder import batch, page_frame, sheet
from oldphoto_jax.folder.report import PASSED_OVER, REPORT, Entry
from oldphoto_jax.photo import tone
from oldphoto_jax.photo.content import PhotoFile
from oldphoto_jax.photo.disk import files, names
from oldphoto_jax.photo.disk.survey import THUMBNAILS
from oldphoto_jax.photo.types import Rows
from oldphoto_jax.restore.status import BEYOND, FAILED, NOTHING, OK

PAGE = "index.html"
SIDE, QUALITY = 480, 85  # pixels of a thumbnail's longer side; its JPEG quality
ORIGINAL, FOUND = UNFILED = ("original", "found")  # thumbnails that need no full file
CAPTIONS = {
    ORIGINAL: "as it came",
    FOUND: "found",
    "restored": "restored",
    "restored_color": "restored and coloured",
    "color": "coloured as it came",
    "mask": "mask",
    "prob": "probability of damage",
    "sheet": "before and after",
}
WORDS = {
    FAILED: "failed",
    BEYOND: "done, with holes beyond training",
    OK: "done",
    NOTHING: "nothing to do",
}
TONES = {
    tone.GRAY: "gray",
    tone.TONED: "toned",
    tone.FADED: "in faded colour",
    tone.COLOR: "in colour",
}


def thumbnail(
    out: pathlib.Path, name: str, kind: str, pixels: Rows, icc: bytes | None = None
) -> pathlib.Path:
    """Writes a small JPEG of one picture of the photo `name`, for the page; returns its path.

    pixels [H,W,1|3] are uint8 or uint16, taken some rows at a time; `icc` is the profile that
    describes them. Raises ValueError for other pixels, PhotoError where it cannot be written.
    """
    path = out / place(name, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    small = sheet.shrink(pixels, *_fit(*pixels.shape[:2]))
    files.write(path, PhotoFile(small, icc=icc), quality=QUALITY)
    return path


def place(name: str, kind: str) -> str:
    """Where the thumbnail of one picture of a photo is, relative to OUT.

    There is a folder for each kind, so that no two photos share a file.
    """
    folder, slash, own = name.rpartition("/")
    return f"{THUMBNAILS}/{kind}/{folder}{slash}{names.short(own, names.LONGEST - 4)}.jpg"


def collect(out: pathlib.Path, stage: str) -> dict[str, Entry]:
    """What became of each photo, by its name, in this run of `stage` and in earlier ones.

    The last line of a photo in OUT/report.jsonl counts. If it only says that all was done before,
    the line from then does; if missing files were added, `files` names the earlier ones too. Of
    further pages, called NAME/2 as by `Job.of_page`, those are told that the photo has now.
    """
    last: dict[str, Entry] = {}
    made: dict[str, Entry] = {}
    for line in (out / REPORT).read_bytes().splitlines():  # of text it would split names as well
        entry = json.loads(line)
        if entry.get("stage") != stage or entry["status"] == PASSED_OVER:
            continue
        number = entry.get("page", 1)
        name = entry["photo"] if number == 1 else f"{entry['photo']}/{number}"
        before = made.get(name, {})
        if batch.DONE.items() <= entry.items():
            entry = before or entry
        elif entry["status"] != FAILED:
            if all(before.get(key) == entry.get(key) for key in batch.SAME):
                entry["files"] = before.get("files", {}) | entry.get("files", {})
            made[name] = entry
        last[name] = entry
    return {
        name: entry
        for name, entry in last.items()
        if entry.get("page", 1) <= last.get(entry["photo"], entry).get("pages", 1)
    }


def write(
    out: pathlib.Path, entries: Mapping[str, Entry], kinds: Sequence[str], title: str = ""
) -> pathlib.Path:
    """Writes OUT/index.html, a card for each photo in the order of their names; returns its path.

    `entries` are lines of the report by the photo's name. Told are `status`, `reason`, `size`
    [H,W], `kind` (of `photo.tone`), `marked`, `thickest`, `guessed`, `left`, `coded_anew`,
    `copied`, `notes`, `left_out`, `profile` and `seconds`, where an entry has them, and its
    `files`: paths relative to `out`, with slashes, by what they are. Of the thumbnails are shown,
    if they are there, that of the original and those of `kinds`, in this order, each linked to its
    file; other files are linked by name. The page appears whole or not at all. `title` is the
    folder's name unless given.
    """
    counts = Counter(entry["status"] for entry in entries.values())
    statuses = [*(status for status in WORDS if counts[status]), *sorted(counts.keys() - WORDS)]
    text = page_frame.TEMPLATE.substitute(
        title=_text(title or out.resolve().name),
        total=len(entries),
        filters="".join(
            f'<button type="button" data-show="{_text(status)}" aria-pressed="false">'
            f"{_text(WORDS.get(status, status))}: {counts[status]}</button>\n"
            for status in statuses
        ),
        cards="\n".join(_card(out, name, entries[name], kinds) for name in _in_order(entries)),
        style=page_frame.STYLE,
        script=page_frame.SCRIPT,
    )
    path = out / PAGE
    part = path.with_name(f".{PAGE}.part")
    try:
        part.write_text(text, "utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _in_order(entries: Mapping[str, Entry]) -> list[str]:
    return sorted(entries, key=lambda name: (entries[name]["photo"], entries[name].get("page", 1)))


def _card(out: pathlib.Path, name: str, entry: Entry, kinds: Sequence[str]) -> str:
    made = entry.get("files", {})
    shown = [
        kind
        for kind in (ORIGINAL, *kinds)
        if kind in {*UNFILED, *made} and (out / place(name, kind)).exists()
    ]
    figures = [_figure(name, entry, kind, ORIGINAL in shown) for kind in shown]
    links = [_link(path, _caption(kind)) for kind, path in made.items() if kind not in shown]
    status: str = entry["status"]
    lines = [
        f'<article data-status="{_text(status)}">',
        f'<h2 dir="auto">{_text(_title(entry))}</h2>',
        f'<p><strong class="status">{_text(WORDS.get(status, status))}</strong>'
        f"{''.join(f' · {_text(fact)}' for fact in _facts(entry))}</p>",
    ]
    if reason := entry.get("reason"):
        lines.append(f'<p class="reason">{_text(reason)}</p>')
    if figures:
        lines.append(f'<div class="pictures">\n{"".join(figures)}</div>')
    if links:
        lines.append(f"<p>Files: {', '.join(links)}</p>")
    return "\n".join([*lines, "</article>"])


def _figure(name: str, entry: Entry, kind: str, comparable: bool) -> str:
    """One thumbnail; `comparable` says that there is one of the original to compare it with."""
    caption = _caption(kind)
    height, width = _fit(*entry["size"]) if "size" in entry else (None, None)
    sides = f' width="{width}" height="{height}"' if width else ""
    alt = f"{_text(_title(entry))}: {caption}"
    picture = f'<img src="{_url(place(name, kind))}" alt="{alt}"{sides} loading="lazy">'
    if kind in entry.get("files", {}):
        picture = _link(entry["files"][kind], picture)
    if kind == ORIGINAL:
        return f'<figure class="before">{picture}<figcaption>{caption}</figcaption></figure>\n'
    label = f'aria-label="compare with the original: {alt}"'
    button = f' <button type="button" class="compare" {label}>compare</button>'
    below = caption + (button if comparable else "")
    return f"<figure>{picture}<figcaption>{below}</figcaption></figure>\n"


def _title(entry: Entry) -> str:
    number = entry.get("page", 1)
    return entry["photo"] if number == 1 else f"{entry['photo']}, page {number}"


def _facts(entry: Entry) -> Iterator[str]:
    if "size" in entry:
        height, width = entry["size"]
        yield f"{width} × {height} pixels"
    if "kind" in entry:
        yield TONES[entry["kind"]]
    if "marked" in entry:
        yield f"{entry['marked']:.2%} damaged"
    if entry.get("thickest"):
        yield f"thickest hole {entry['thickest']} px"
    if entry.get("guessed"):
        yield f"holes thicker than those of the training, filled by guessing: {entry['guessed']}"
    if entry.get("left"):
        yield f"holes left as they are: {entry['left']}"
    if entry.get("coded_anew"):
        yield "coded anew, with loss"
    if entry.get("copied"):
        yield "copied byte for byte"
    yield from entry.get("notes", ())
    if lost := {words for words_of in entry.get("left_out", {}).values() for words in words_of}:
        yield f"left out: {', '.join(sorted(lost))}"
    if "profile" in entry:
        yield entry["profile"]
    if "seconds" in entry:
        yield f"{entry['seconds']:.1f} s"


def _caption(kind: str) -> str:
    return _text(CAPTIONS.get(kind, kind))


def _fit(height: int, width: int) -> tuple[int, int]:
    """Height and width of a thumbnail."""
    scale = min(1, SIDE / max(height, width))
    return max(1, round(scale * height)), max(1, round(scale * width))


def _link(path: str, content: str) -> str:
    return f'<a href="{_url(path)}">{content}</a>'


def _url(path: str) -> str:
    """A relative path as a URL: bytes percent-encoded, a colon too, that would name a scheme."""
    return urllib.parse.quote(os.fsencode(path))


def _text(text: str) -> str:
    return html.escape(sheet.readable(text))
