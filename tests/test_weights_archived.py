"""One member of a zip comes alone where the server can part a file, else with the whole zip."""

import dataclasses
import hashlib
import io
import types
import zipfile
from unittest import mock

import numpy as np
import pytest

from oldphoto_jax.weights import archived, cache, fetch, pins, transfer, web
from oldphoto_jax.weights.store import WeightsError
from tests import served

RNG = np.random.default_rng(0)
WANTED = RNG.integers(0, 16, 120_000, np.uint8).tobytes()  # which packs to a half
OTHERS = RNG.bytes(400_000)
INSIDE = "quality/net.pth"


def zipped(method=zipfile.ZIP_DEFLATED, comment=b"", names=(f"checkpoints/{INSIDE}",)):
    """A zip of much else, then the member, then something else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("other.bin", OTHERS)
        for name in names:
            archive.writestr(name, WANTED, method)
        archive.writestr("checkpoints/other-quality/net.pth", b"no")
        archive.comment = comment
    return buffer.getvalue()


ZIP, NONE = zipped(), zipped(names=())
ZIPS = {
    "stored": zipped(zipfile.ZIP_STORED),
    "commented": zipped(comment=b"PK" * 30_000),
    "twice": zipped(names=(f"a/{INSIDE}", f"b/{INSIDE}")),
}
with mock.patch.object(zipfile, "ZIP64_LIMIT", 1000):  # as if these were gigabytes
    ZIPS["zip64"] = zipped()
MEMBER = archived.Member(
    file="quality-net.pth",
    inside=INSIDE,
    archive=fetch.Source(file="all.zip", places=()),
    sha256=hashlib.sha256(WANTED).hexdigest(),
)
with zipfile.ZipFile(io.BytesIO(ZIP)) as opened:
    INFO = opened.getinfo(f"checkpoints/{INSIDE}")
BEGIN = INFO.header_offset + 30 + len(INFO.filename)  # of the packed bytes
HALF = BEGIN + 20_000


class Handler(served.Handler):
    """Each path is one way to serve a zip."""

    def ranged(self):
        self.part(ZIP)

    def other(self):
        self.part(ZIPS[self.path.partition(".")[2]])

    def whole(self):
        self.answer(ZIP)

    def cut(self):
        """Breaks off in the middle of the member."""
        first, _, last = (self.headers["Range"] or "").removeprefix("bytes=").partition("-")
        if first != str(BEGIN):
            return self.part(ZIP)
        span = f"bytes {first}-{last}/{len(ZIP)}"
        length = int(last) + 1 - BEGIN
        return self.answer(ZIP[BEGIN:HALF], 206, length, Content_Range=span)

    def corrupt(self):
        self.part(ZIP[: HALF - 1] + bytes([ZIP[HALF - 1] ^ 1]) + ZIP[HALF:])

    def truncated(self):
        self.part(ZIP[:-100])

    def empty(self):
        self.part(NONE)

    def encrypted(self):
        at = ZIP.index(b"PK\1\2", HALF) + 8  # the flags of the second of three members
        at = ZIP.index(b"PK\1\2", at) + 8
        self.part(ZIP[:at] + b"\1" + ZIP[at + 1 :])

    def headless(self):
        at = INFO.header_offset
        self.part(ZIP[:at] + b"junk" + ZIP[at + 4 :])

    def lying(self):
        self.part(ZIP) if self.headers["Range"] == "bytes=0-0" else self.part(b"x" + ZIP)

    def listing(self):
        """Names a list of members that is as long as the file."""
        end = ZIP[-22:]
        size = (1 << 23).to_bytes(4, "little")
        self.part(bytes(1 << 23) + end[:12] + size + bytes(4) + end[20:])


@pytest.fixture(scope="module")
def running():
    with served.running(Handler) as server:
        yield server


@pytest.fixture
def get(running, tmp_path, monkeypatch):
    """Takes MEMBER from paths of the server into tmp_path."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(web.OFFLINE, raising=False)
    monkeypatch.setattr(cache, "folder", lambda room: tmp_path)
    running.asked.clear()

    def get(*paths, member=MEMBER):
        return archived.take(member, places=running.places(*paths))

    get.asked = running.asked
    return get


def left(folder):
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.mark.parametrize("path", ["ranged", "other.stored", "other.zip64", "other.commented"])
def test_a_member_comes_alone(get, tmp_path, path):
    taken = get(path)
    assert taken == tmp_path / "quality-net.pth" and taken.read_bytes() == WANTED
    assert left(tmp_path) == {"quality-net.pth"}
    spans = [asked.removeprefix("bytes=").split("-") for _, asked in get.asked]
    bytes_asked = sum(int(last) + 1 - int(first) for first, last in spans)
    assert bytes_asked < len(WANTED) + 5 * archived.BLOCK < len(OTHERS) + len(WANTED)
    before = len(get.asked)
    assert get(path) == taken and len(get.asked) == before


def test_a_broken_transfer_goes_on_at_any_place(get, tmp_path):
    with pytest.raises(WeightsError, match=f"/cut: ended after {HALF - BEGIN} of "):
        get("cut")
    assert left(tmp_path) == {"quality-net.pth.part"}
    assert get("ranged").read_bytes() == WANTED
    assert get.asked[-1] == ("/ranged", f"bytes={HALF}-{BEGIN + INFO.compress_size - 1}")
    assert left(tmp_path) == {"quality-net.pth"}


@pytest.mark.parametrize("begun", [b"junk", RNG.bytes(INFO.compress_size), bytes(200_000)])
def test_a_wrong_beginning_is_thrown_away(get, tmp_path, begun):
    (tmp_path / "quality-net.pth.part").write_bytes(begun)
    assert get("ranged").read_bytes() == WANTED
    assert left(tmp_path) == {"quality-net.pth"}


BAD = {
    "forbidden": "HTTP 403",
    "corrupt": "sent what can't be unpacked|other bytes than",
    "truncated": f"is no zip with {INSIDE} .*not a zip file",
    "empty": "holds 0 files that end in quality/net.pth, not one",
    "other.twice": "holds 2 files",
    "encrypted": "encrypted",
    "headless": "no member begins at byte",
    "lying": "says now that it has",
    "listing": "lists its members in 8388608 bytes",
}


@pytest.mark.parametrize("path", BAD)
def test_what_a_bad_place_does_is_told_and_a_good_one_helps(get, tmp_path, path):
    with pytest.raises(WeightsError, match=f"/{path}: .*({BAD[path]})"):
        get(path)
    assert left(tmp_path) == set()
    assert get(path, "ranged").read_bytes() == WANTED


def test_another_member_than_the_published_one_is_refused(get, tmp_path):
    other = dataclasses.replace(MEMBER, sha256="0" * 8)
    with pytest.raises(
        WeightsError, match=f"sent another file .SHA-256 {MEMBER.sha256}, not 0{{8}}"
    ):
        get("ranged", member=other)
    assert left(tmp_path) == set()
    unknown = dataclasses.replace(MEMBER, sha256="")
    pins.keep(unknown, "1" * 64)
    with pytest.raises(WeightsError, match=f"not 1{{64}}.*delete {pins.place(unknown)}"):
        get("ranged", member=unknown)


def test_whole_zips_come_where_nothing_else_can_be_had_and_stay(get, tmp_path, capsys, monkeypatch):
    assert get("forbidden", "whole").read_bytes() == WANTED
    assert [path for path, _ in get.asked] == ["/forbidden", "/whole", "/whole"]
    assert left(tmp_path) == {"quality-net.pth", "all.zip"}
    assert f"{tmp_path / 'all.zip'}: stays for what else it holds" in capsys.readouterr().err
    (tmp_path / "quality-net.pth").unlink()
    monkeypatch.setenv(web.OFFLINE, "1")
    assert MEMBER.lacking() == "" and MEMBER.obtain().read_bytes() == WANTED
    (tmp_path / "quality-net.pth").unlink()
    (tmp_path / "all.zip").write_bytes(ZIP[:-100])
    with pytest.raises(WeightsError, match=r"all\.zip: not a whole zip"):
        get()
    (tmp_path / "all.zip").write_bytes(NONE)
    with pytest.raises(WeightsError, match=r"all\.zip: holds 0 files"):
        get()
    (tmp_path / "all.zip").write_bytes(ZIP)
    with pytest.raises(WeightsError, match=f"net.pth in it is not quality-net.pth as .*{'0' * 8}"):
        get(member=dataclasses.replace(MEMBER, sha256="0" * 8))
    assert left(tmp_path) == {"all.zip"}


def test_without_network_it_says_what_lacks(get, tmp_path, monkeypatch):
    monkeypatch.setenv(web.OFFLINE, "1")
    for told in (MEMBER.lacking(), str(pytest.raises(WeightsError, MEMBER.obtain).value)):
        assert told.startswith(
            f"{tmp_path / 'quality-net.pth'}: there is no such file, and the net"
        )
    assert (
        "https://one.invalid/all.zip"
        in dataclasses.replace(
            MEMBER, archive=fetch.Source(file="all.zip", places=("https://one.invalid/all.zip",))
        ).origin
    )


def test_what_the_disk_has_no_room_for_is_not_begun(get, tmp_path, monkeypatch):
    free = INFO.compress_size + len(WANTED) - 1
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=free))
    with pytest.raises(WeightsError, match=r"needs 0\.\d MB more"):
        get("ranged")
    assert left(tmp_path) == set()


def test_a_zip_of_no_such_bytes_is_told(get, tmp_path):
    at = ZIP.index(b"PK\1\2", ZIP.index(b"PK\1\2", HALF) + 8)  # the second member in the list
    (tmp_path / "all.zip").write_bytes(ZIP[: at + 42] + b"\xff" * 4 + ZIP[at + 46 :])
    with pytest.raises(WeightsError, match=r"all\.zip: "):
        get()
    assert left(tmp_path) == {"all.zip"}
