"""Files are fetched whole or not at all, from the first place that serves them."""

import dataclasses
import errno
import functools
import hashlib
import socket
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

from oldphoto_jax.weights import cache, fetch, pins, transfer, web
from oldphoto_jax.weights.store import WeightsError
from tests import served

DATA = np.random.default_rng(0).bytes(300_000)
SOURCE = fetch.Source(
    file="w.bin",
    sha256=hashlib.sha256(DATA).hexdigest(),
    size=len(DATA),
    places=("https://nowhere.invalid/w.bin",),
)
QUICK = 0.3  # seconds without a byte until a place is given up


def test_a_source_says_what_it_lacks_and_where_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert SOURCE.origin == "https://nowhere.invalid/w.bin" and SOURCE.lacking() == ""
    monkeypatch.setenv(web.OFFLINE, "1")
    assert "w.bin: there is no such file" in SOURCE.lacking()
    folder = cache.folder("weights")
    folder.mkdir(parents=True)
    (folder / "w.bin").write_bytes(DATA)
    assert SOURCE.lacking() == "" and SOURCE.obtain() == folder / "w.bin"


class Handler(served.Handler):
    """Each path is one way to serve DATA, most of them bad."""

    def whole(self):
        self.answer(DATA)

    def ranged(self):
        self.part(DATA)

    def shifted(self):
        span = f"bytes 7-{len(DATA) - 1}/{len(DATA)}"
        self.answer(DATA[7:], 206, Content_Range=span)

    def unsatisfied(self):
        if self.headers["Range"]:
            self.send_error(416)
        else:
            self.whole()

    def corrupt(self):
        self.answer(DATA[:-1] + bytes([DATA[-1] ^ 1]))

    def truncated(self):
        self.answer(DATA[:1000], length=len(DATA))

    def page(self):
        self.answer(b"<html>sign in</html>", length="untold")

    def short(self):
        self.answer(DATA[:-1])

    def endless(self):
        self.answer(DATA + b"more", length="untold")

    def missing(self):
        self.send_error(404)

    def slow(self):
        self.answer(DATA[:1000], length=len(DATA))
        self.server.stopped.wait(10)

    def moved(self):
        self.answer(b"", 302, Location="/whole")

    def to_file(self):
        self.answer(b"", 302, Location=f"file://{__file__}")

    def to_ftp(self):
        self.answer(b"", 302, Location="ftp://127.0.0.1/w.bin")

    def to_http(self):
        self.answer(b"", 302, Location="http://photos.invalid/w.bin")

    def to_nonsense(self):
        self.answer(b"", 302, Location="http://[")

    def cut(self):
        self.answer(DATA[:1000], length=len(DATA), ETag='"one"')

    def versioned(self):
        if self.headers["If-Range"] in (None, '"one"'):
            self.part(DATA, ETag='"one"')
        else:
            self.answer(DATA, ETag='"one"')

    def renewed(self):
        self.answer(DATA[::-1], ETag='"two"')  # whatever part is asked for: it is another file

    def web_page(self):
        self.answer(b"<html>sign in</html>", Content_Type="text/html; charset=utf-8")

    def lengthless(self):
        self.answer(DATA, length="untold")


@pytest.fixture(scope="module")
def running():
    with served.running(Handler) as server:
        yield server


@pytest.fixture
def get(running, tmp_path, monkeypatch):
    """Fetches SOURCE into tmp_path from paths of the server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(web.OFFLINE, raising=False)
    running.asked.clear()

    def get(*paths, source=SOURCE, **options):
        return fetch.fetch(source, tmp_path, places=running.places(*paths), **options)

    get.asked = running.asked
    return get


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was used")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def left(folder):
    """What lies there besides locks."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_file_is_fetched_once_and_whole(get, tmp_path, capsys):
    path = get("whole")
    assert path == tmp_path / "w.bin" and path.read_bytes() == DATA
    assert left(tmp_path) == {"w.bin"}
    assert "fetching w.bin (0.3 MB): http://127.0.0.1" in capsys.readouterr().err
    assert get("missing") == path and get.asked == [("/whole", None)]


def test_what_is_in_the_cache_needs_no_network(get, tmp_path, no_sockets):
    (tmp_path / "w.bin").write_bytes(DATA)
    assert get("whole") == get("whole", offline=True) == tmp_path / "w.bin"


def test_redirects_within_the_rules_are_followed(get):
    assert get("moved").read_bytes() == DATA


@pytest.mark.parametrize("path", ["ranged", "whole", "shifted", "unsatisfied"])
def test_a_broken_transfer_goes_on_where_the_server_can(get, tmp_path, path):
    with pytest.raises(WeightsError, match="ended after 1000 of 300000 bytes"):
        get("truncated")
    assert left(tmp_path) == {"w.bin.part"}
    assert get(path, "whole").read_bytes() == DATA
    assert left(tmp_path) == {"w.bin"}
    assert get.asked[1] == (f"/{path}", "bytes=1000-")
    if path == "ranged":
        assert len(get.asked) == 2


def test_the_next_place_goes_on_from_there(get):
    assert get("truncated", "ranged").read_bytes() == DATA
    assert get.asked == [("/truncated", None), ("/ranged", "bytes=1000-")]


@pytest.mark.parametrize("begun", [b"junk", DATA[:-1] + b"?", DATA + b"more"])
def test_a_wrong_beginning_is_thrown_away(get, tmp_path, begun):
    (tmp_path / "w.bin.part").write_bytes(begun)
    assert get("ranged").read_bytes() == DATA
    assert get.asked[-1] == ("/ranged", None)
    assert left(tmp_path) == {"w.bin"}


def test_a_transfer_that_lacked_only_its_new_name_needs_no_network(get, tmp_path, no_sockets):
    (tmp_path / "w.bin.part").write_bytes(DATA)
    assert get("whole").read_bytes() == DATA


BAD = {
    "corrupt": "sent another file .SHA-256 [0-9a-f]{64}, not " + SOURCE.sha256,
    "truncated": "ended after 1000 of 300000 bytes",
    "page": "ended after 20 of 300000 bytes",
    "short": "would send 299999 bytes, not the 300000",
    "endless": "sends more than the 300000 bytes",
    "missing": "HTTP 404: Not Found",
    "forbidden": "HTTP 403: Forbidden",
    "web_page": "sends a web page in place of the file",
    "slow": "no answer for 0.3 s",
    "to_file": "file:.*not allowed",
    "to_ftp": "leads away from https",
    "to_http": "leads away from https",
    "to_nonsense": "Invalid IPv6 URL",
}


@pytest.mark.parametrize("path", BAD)
def test_what_a_bad_place_does_is_told_and_a_good_one_helps(get, tmp_path, path):
    with pytest.raises(WeightsError, match=f"/{path}: .*{BAD[path]}"):
        get(path, timeout=QUICK)
    kept = {"w.bin.part"} if path in ("truncated", "slow") else set()
    assert left(tmp_path) == kept
    assert get(path, "whole", timeout=QUICK).read_bytes() == DATA
    assert left(tmp_path) == {"w.bin"}


def test_when_all_places_fail_all_are_named(get):
    with pytest.raises(WeightsError) as told:
        get("corrupt", "missing")
    words = str(told.value)
    assert "/corrupt: sent another file" in words and "/missing: HTTP 404" in words
    assert words.endswith("Try again later: it goes on from what has come")


def test_no_server_is_a_failure_like_others(get, tmp_path):
    with socket.socket() as free:  # bound but not listening
        free.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{free.getsockname()[1]}/w.bin"
        with pytest.raises(WeightsError, match="refused"):
            fetch.fetch(SOURCE, tmp_path, places=(place,))


@pytest.mark.parametrize(
    "place", ["http://photos.invalid/w", f"file://{__file__}", "ftp://127.0.0.1/w", "w.bin"]
)
def test_places_without_encryption_are_not_even_asked(tmp_path, no_sockets, place, monkeypatch):
    monkeypatch.delenv(web.OFFLINE, raising=False)
    with pytest.raises(WeightsError, match="only https is used"):
        fetch.fetch(SOURCE, tmp_path, places=(place,))


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_uses_no_network_and_says_what_to_do(get, tmp_path, no_sockets, monkeypatch, how):
    offline = how == "argument"
    if not offline:
        monkeypatch.setenv(web.OFFLINE, "1")
    with pytest.raises(
        WeightsError, match=r"w\.bin: there is no such file, and the network may not"
    ):
        get("whole", offline=offline)
    (tmp_path / "w.bin").write_bytes(b"junk")
    with pytest.raises(WeightsError, match=r"w\.bin: is not what was published \(wrong SHA-256\)"):
        get("whole", offline=offline)
    assert (tmp_path / "w.bin").read_bytes() == b"junk"


def test_offline_is_off_unless_asked_for(monkeypatch):
    for value, expected in {"1": True, "yes": True, "0": False, "": False}.items():
        monkeypatch.setenv(web.OFFLINE, value)
        assert web.forbidden() is expected


def test_a_corrupt_file_is_fetched_again_aloud_but_kept_until_then(get, tmp_path, capsys):
    path = tmp_path / "w.bin"
    path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(WeightsError):
        get("missing")
    assert path.read_bytes() == DATA[:-1] + b"?"
    assert get("whole").read_bytes() == DATA
    assert f"{path}: is not what was published" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_nothing(get, tmp_path, monkeypatch):
    taken = []

    def write(file, block):
        if sum(taken) > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken.append(file.write(block))

    monkeypatch.setattr(transfer, "_write", write)
    with pytest.raises(WeightsError, match="w.bin: can't be written .*No space left.*0.3 MB"):
        get("whole")
    assert taken and left(tmp_path) == set()


def test_what_the_disk_has_no_room_for_is_not_begun(get, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=5))
    with pytest.raises(WeightsError, match=r"needs 0\.3 MB more, and 0\.0 MB are free.*XDG_CACHE"):
        get("whole")
    assert left(tmp_path) == set()


def test_a_write_in_parts_is_finished():
    class File:
        data = b""

        def write(self, block):
            self.data += bytes(block[:3])
            return len(block[:3])

    file = File()
    transfer._write(file, b"0123456789")
    assert file.data == b"0123456789"


def test_a_folder_that_cannot_be_is_told(get, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WeightsError, match="can't be written.*XDG_CACHE_HOME"):
        fetch.fetch(SOURCE, tmp_path / "file", places=("https://nowhere.invalid/",))


UNKNOWN = fetch.Source(file="w.bin", places=("https://nowhere.invalid/w.bin",))
SIZELESS = dataclasses.replace(UNKNOWN, sha256=SOURCE.sha256)
BEGINS = dataclasses.replace(UNKNOWN, sha256=SOURCE.sha256[:8])


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Where the checksum of the first use would lie."""
    monkeypatch.setattr(cache, "folder", lambda room: tmp_path)
    return pins.place(UNKNOWN)


@pytest.mark.parametrize("source", [UNKNOWN, SIZELESS, BEGINS])
def test_a_file_of_unknown_size_is_as_long_as_the_place_says(get, pinned, source):
    with pytest.raises(WeightsError) as told:
        get("web_page", "truncated", "lengthless", source=source)
    for words in ("a web page", "after 1000 of 300000", "does not tell how long"):
        assert words in str(told.value)
    assert get("ranged", source=source).read_bytes() == DATA


def test_a_file_of_unknown_checksum_goes_on_where_it_is_the_same_version(get, tmp_path, pinned):
    for path, asked, data in (
        ("versioned", "bytes=1000-", DATA),
        ("renewed", "bytes=1000-", DATA[::-1]),
        ("ranged", None, DATA),
    ):
        cut = "truncated" if path == "ranged" else "cut"  # which has no name for the version
        with pytest.raises(WeightsError, match="ended after 1000 of 300000 bytes"):
            get(cut, source=UNKNOWN)
        assert get(path, source=UNKNOWN).read_bytes() == data
        assert get.asked[-1] == (f"/{path}", asked)
        assert left(tmp_path) == {"w.bin"}
        (tmp_path / "w.bin").unlink()


@pytest.mark.parametrize("source", [SIZELESS, BEGINS])
def test_what_is_known_of_a_checksum_is_kept_to(get, tmp_path, pinned, source):
    with pytest.raises(WeightsError, match="sent another file"):
        get("corrupt", source=source)
    assert left(tmp_path) == set()
    (tmp_path / "w.bin.part").write_bytes(DATA[:500])
    assert get("ranged", source=source).read_bytes() == DATA
    assert get.asked[-1] == ("/ranged", "bytes=500-")


def test_the_first_file_is_kept_to(get, tmp_path, pinned):
    assert pins.unknown(UNKNOWN) and pins.unknown(BEGINS) and not pins.unknown(SIZELESS)
    pins.keep(UNKNOWN, SOURCE.sha256)
    assert pins.expected(UNKNOWN) == SOURCE.sha256 and not pins.unknown(BEGINS)
    with pytest.raises(WeightsError, match=f"sent another.*it is right, delete {pinned} and run"):
        get("corrupt", source=UNKNOWN)
    with pytest.raises(WeightsError, match="HTTP 404: Not Found.. Try again later"):
        get("missing", source=UNKNOWN)
    pinned.unlink()
    get("corrupt", source=UNKNOWN)
    pins.keep(UNKNOWN, SOURCE.sha256)
    assert get("whole", source=UNKNOWN).read_bytes() == DATA
    pinned.write_text("junk")
    with pytest.raises(WeightsError, match=f"{pinned}: holds no SHA-256; delete it"):
        get("whole", source=UNKNOWN)


def test_several_at_once_fetch_once(get, tmp_path):
    paths = []
    tasks = [threading.Thread(target=lambda: paths.append(get("whole"))) for _ in range(4)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert paths == [tmp_path / "w.bin"] * 4 and get.asked == [("/whole", None)]
    assert paths[0].read_bytes() == DATA


def test_a_dead_process_gives_its_lock_back(get, tmp_path, capsys):
    """Another process holds the lock and a part of the file, and is killed."""
    code = f"""
import pathlib, time
from oldphoto_jax.weights import cache
with cache.alone(pathlib.Path({str(tmp_path / ".w.bin.lock")!r})):
    pathlib.Path({str(tmp_path / "w.bin.part")!r}).write_bytes(b"junk")
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        task = threading.Thread(target=functools.partial(get, "whole"))
        task.start()
        task.join(0.3)
        assert task.is_alive() and not get.asked
        other.kill()
        task.join(10)
    assert (tmp_path / "w.bin").read_bytes() == DATA
    assert "waiting for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "variable"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")]
)
def test_the_cache_lies_where_the_user_says(monkeypatch, tmp_path, platform, variable):
    monkeypatch.setattr(cache.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert cache.folder("weights") == tmp_path / "oldphoto_jax" / "weights"
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.folder("weights").parts[-4:] == ("Library", "Caches", "oldphoto_jax", "weights")
