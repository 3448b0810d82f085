"""The page tells of every photo, loads nothing from elsewhere, and runs no file name."""

import html.parser
import json
import os
import pathlib
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.folder import batch, page, page_frame
from oldphoto_jax.folder.jobs import plan
from oldphoto_jax.folder.report import REPORT
from oldphoto_jax.photo import tone
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore.status import BEYOND, FAILED, NOTHING, OK

STAGE = "restore"
VOID = {"img", "meta", "input", "br", "link", "hr"}
KINDS = ("restored", "restored_color", "color")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
EVIL = "<img src=x onerror=alert(1)>.jpg"


class Parsed(html.parser.HTMLParser):
    """The elements of a page, and whether every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.stack, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.stack, f"not closed: {self.stack}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len({*names}) == len(names), f"twice the same attribute: {attributes}"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def entry(name, status=OK, **more):
    return {
        "photo": name,
        "stage": STAGE,
        "settings": {"grow": 2},
        "source": [10, 20],
        "status": status,
        "seconds": 1.25,
        **more,
    }


def made(name, status=OK, kinds=KINDS, **more):
    """An entry with files, all beside the photo."""
    stem = str(pathlib.PurePosixPath(name).with_suffix(""))
    return entry(name, status, size=[40, 60], files={k: f"{stem}_{k}.tif" for k in kinds}, **more)


def written(out, *entries, kinds=KINDS):
    path = page.write(out, {one["photo"]: one for one in entries}, kinds)
    assert path == out / "index.html"
    return Parsed(path.read_text("utf-8"))


def report(out, *entries):
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in entries]
    (out / REPORT).write_text("".join(lines), "utf-8")


def thumbnails(out, name, kinds=(page.ORIGINAL, *KINDS)):
    return [page.thumbnail(out, name, kind, PIXELS) for kind in kinds]


def test_a_card_for_every_photo_and_counts_by_status(tmp_path):
    entries = [
        made("b.tif"),
        made("a/b.tif", guessed=3, left=1, thickest=120, status=BEYOND),
        entry("c.jpg", FAILED, reason="c.jpg: damaged or cut off"),
        entry("d.jpg", NOTHING, reason="in colour already", kind=tone.COLOR),
    ]
    parsed = written(tmp_path, *entries)
    shown = [card["data-status"] for card in parsed.all("article")]
    assert shown == [BEYOND, OK, FAILED, NOTHING]  # by name
    counts = {b["data-show"]: b["aria-pressed"] for b in parsed.all("button") if "data-show" in b}
    assert counts == {"": "true", FAILED: "false", BEYOND: "false", OK: "false", NOTHING: "false"}
    for words in (
        "all: 4",
        "failed: 1",
        "done, with holes beyond training: 1",
        "done: 1",
        "nothing to do: 1",
    ):
        assert words in parsed.text
    assert "c.jpg: damaged or cut off" in parsed.text and "in colour already" in parsed.text
    assert "60 × 40 pixels" in parsed.text and "1.2 s" in parsed.text
    assert "thickest hole 120 px" in parsed.text
    assert "filled by guessing: 3" in parsed.text and "left as they are: 1" in parsed.text


def test_a_card_says_what_became_of_the_file(tmp_path):
    lost = {"restored": ["IPTC"], "color": ["IPTC", "JPEG comments"]}
    odd = ["it ends in the middle of a line"]
    parsed = written(
        tmp_path, made("a.tif", copied=["restored"]), made("b.tif", left_out=lost, notes=odd)
    )
    assert "copied byte for byte" in parsed.text and odd[0] in parsed.text
    assert "left out: IPTC, JPEG comments" in parsed.text


def test_thumbnails_are_shown_and_link_to_the_full_files(tmp_path):
    name = "album 1/IMG #1.tif"
    thumbnails(tmp_path, name)
    parsed = written(tmp_path, made(name, kinds=(*KINDS, "mask")))
    pictures = parsed.all("img")
    assert [image["alt"] for image in pictures] == [
        f"{name}: {page.CAPTIONS[kind]}" for kind in (page.ORIGINAL, *KINDS)
    ]
    assert all(image["loading"] == "lazy" for image in pictures)
    assert {(image["width"], image["height"]) for image in pictures} == {("60", "40")}
    for image in pictures:
        assert (tmp_path / urllib.parse.unquote(image["src"])).is_file()
    links = [urllib.parse.unquote(link["href"]) for link in parsed.all("a")]
    assert links == [f"album 1/IMG #1_{kind}.tif" for kind in (*KINDS, "mask")]
    compare = [b for b in parsed.all("button") if b.get("class") == "compare"]
    assert len(compare) == len(KINDS)


def test_what_was_found_is_shown_without_a_file_of_its_own(tmp_path):
    thumbnails(tmp_path, "a.tif", (page.ORIGINAL, page.FOUND, "restored"))
    parsed = written(tmp_path, made("a.tif", kinds=["restored"]), kinds=(page.FOUND, *KINDS))
    alts = [image["alt"] for image in parsed.all("img")]
    assert alts == ["a.tif: as it came", "a.tif: found", "a.tif: restored"]
    assert [link["href"] for link in parsed.all("a")] == ["a_restored.tif"]


def test_thumbnails_of_an_earlier_run_do_not_stand_for_a_failed_one(tmp_path):
    thumbnails(tmp_path, "a.tif")
    parsed = written(tmp_path, entry("a.tif", FAILED, reason="made with other settings"))
    assert [image["alt"] for image in parsed.all("img")] == ["a.tif: as it came"]


def test_without_thumbnails_files_are_linked_by_name(tmp_path):
    parsed = written(tmp_path, made("a.tif"))
    assert not parsed.all("img") and len(parsed.all("a")) == len(KINDS)
    assert "restored and coloured" in parsed.text


def test_nothing_can_be_compared_without_the_original(tmp_path):
    thumbnails(tmp_path, "a.tif", KINDS)
    parsed = written(tmp_path, made("a.tif"))
    assert len(parsed.all("img")) == len(KINDS)
    assert not [b for b in parsed.all("button") if b.get("class") == "compare"]


NAMES = [
    EVIL,
    '"><script>alert(1)</script>.png',
    "' onmouseover='alert(1).png",
    "javascript:alert(1).png",
    "</title></style></script><!--.png",
    "$title ${cards} {style} %41 &amp; &lt;.png",
    "a?b#c%2F d+e.png",
    "Großmutter, дед, 祖母 🙂.png",
    "line\nbreak\ttab\u2028\u202egnp.png",
    os.fsdecode(b"latin1-\xe9.png"),
]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_is_harmless_and_reachable(tmp_path, name):
    plain = written(tmp_path, made("plain.png"))
    parsed = written(tmp_path, made(name) | {"reason": name}, kinds=[])
    assert [tag for tag, _ in parsed.elements].count("script") == 1
    allowed = {frozenset(attributes) for _, attributes in plain.elements}
    extra = [tag for tag in parsed.elements if frozenset(tag[1]) not in allowed]
    assert not [tag for tag in extra if tag != ("p", {"class": "reason"})]
    for kind, link in zip(KINDS, parsed.all("a"), strict=True):
        assert not urllib.parse.urlsplit(link["href"]).scheme
        reached = os.fsdecode(urllib.parse.unquote_to_bytes(link["href"]))
        assert reached == made(name)["files"][kind]
    seen = " ".join(name.encode("utf-8", "replace").decode().split())
    assert parsed.text.count(seen) == 2  # in its title and in the reason


def test_an_evil_name_with_thumbnails_is_harmless_too(tmp_path):
    thumbnails(tmp_path, EVIL)
    parsed = written(tmp_path, made(EVIL))
    assert len(parsed.all("img")) == 1 + len(KINDS)
    assert not [one for one in parsed.elements if "onerror" in one[1]]
    assert all((tmp_path / urllib.parse.unquote(i["src"])).is_file() for i in parsed.all("img"))


def test_a_folder_with_an_evil_name_is_harmless(tmp_path):
    out = tmp_path / "<script>alert(1)<"
    out.mkdir()
    parsed = written(out, entry("a.png"))
    assert len(parsed.all("script")) == 1
    assert "<script>alert(1)<" in parsed.text


def test_the_page_asks_nothing_of_the_network(tmp_path):
    thumbnails(tmp_path, "a.tif")
    parsed = written(tmp_path, made("a.tif"))
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "iframe", "base", "object", "form")
        for name in ("src", "href", "srcset", "action"):
            address = urllib.parse.urlsplit(attributes.get(name, ""))
            assert not address.scheme and not address.netloc
    for text in (page_frame.STYLE, page_frame.SCRIPT):
        assert not [word for word in ("//", "url(", "@import", "fetch", "import(") if word in text]
    assert "src" not in parsed.all("script")[0]


def test_the_page_says_what_language_and_how_wide(tmp_path):
    text = page.write(tmp_path, {}, KINDS, title="Album").read_text("utf-8")
    parsed = Parsed(text)
    assert text.startswith("<!DOCTYPE html>")
    assert parsed.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in parsed.all("meta")
    assert any(meta.get("name") == "viewport" for meta in parsed.all("meta"))
    assert parsed.text.startswith("Album") and "all: 0" in parsed.text
    assert "prefers-color-scheme: dark" in page_frame.STYLE


def test_a_resumed_run_yields_the_whole_page(tmp_path):
    first, second = made("a.tif"), made("b.tif", BEYOND, guessed=2)
    again = [entry("a.tif", **batch.DONE), entry("b.tif", **batch.DONE), made("c.tif")]
    report(tmp_path, first, second, *again)
    entries = page.collect(tmp_path, STAGE)
    assert entries == {"a.tif": first, "b.tif": second, "c.tif": again[-1]}


def test_files_that_were_added_later_stand_beside_the_earlier_ones(tmp_path):
    report(tmp_path, made("a.tif", kinds=["restored"]), made("a.tif", kinds=["color"]))
    assert page.collect(tmp_path, STAGE)["a.tif"]["files"].keys() == {"restored", "color"}
    changed = made("a.tif", kinds=["color"]) | {"source": [11, 21]}
    report(tmp_path, made("a.tif", kinds=["restored"]), changed)
    assert page.collect(tmp_path, STAGE)["a.tif"] == changed


def test_what_failed_last_counts_until_it_is_well(tmp_path):
    good, bad = made("a.tif"), entry("a.tif", FAILED, reason="made with other settings")
    report(tmp_path, good, bad)
    assert page.collect(tmp_path, STAGE) == {"a.tif": bad}
    report(tmp_path, good, bad, entry("a.tif", **batch.DONE))
    assert page.collect(tmp_path, STAGE) == {"a.tif": good}


def test_lines_of_other_commands_and_odd_names_in_the_report(tmp_path):
    other = entry("a.tif") | {"stage": "segment"}
    odd = made("a\u2028b\r\x85.tif")
    report(tmp_path, other, odd)
    assert page.collect(tmp_path, STAGE) == {odd["photo"]: odd}


def test_the_page_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    written(tmp_path, made("a.tif"))
    before = (tmp_path / "index.html").read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        written(tmp_path, made("b.tif"))
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_bytes() == before


@pytest.mark.parametrize(
    ("shape", "size"),
    [((900, 1200, 3), (480, 360)), ((960, 20, 1), (10, 480)), ((5000, 3, 3), (1, 480))],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thumbnails_are_small_jpegs(tmp_path, shape, size, dtype):
    value = np.iinfo(dtype).max // 5
    path = page.thumbnail(tmp_path, "a/b.tif", "restored", np.full(shape, value, dtype))
    with Image.open(path) as opened:
        assert (opened.format, opened.size) == ("JPEG", size)
        assert abs(int(np.asarray(opened).mean()) - 51) <= 1


def test_small_photos_are_not_enlarged_and_keep_their_profile(tmp_path):
    profile = (b"\x00\x00\x00\x80" + b"x" * 8 + b"mntrRGB XYZ " + b"\x00" * 104)[:128]
    path = page.thumbnail(tmp_path, "a.tif", "restored", PIXELS, icc=profile)
    with Image.open(path) as opened:
        assert opened.size == (60, 40)
        assert opened.info["icc_profile"] == profile


def test_no_two_pictures_share_a_thumbnail(tmp_path):
    names = ["a.jpg", "a.png", "b/a.jpg", "a.jpg_restored", "color/a.jpg"]
    paths = [path for name in names for path in thumbnails(tmp_path, name)]
    assert len({*paths}) == len(paths) == 4 * len(names)


def test_thumbnails_are_never_taken_for_photos(tmp_path):
    out = tmp_path / "out"
    files.write_png(tmp_path / "photo.png", PIXELS)
    thumbnails(out, "photo.png")
    written(out, made("photo.png"))
    files.write_png(out / "photo_restored.png", PIXELS)
    assert files.find(out) == [out / "photo_restored.png"]
    assert [job.name for job in plan(out, tmp_path / "next", ["color"])] == ["photo_restored.png"]
