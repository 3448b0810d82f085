"""A photo at which a run ended is worked on in a process of its own, and ends no other run."""

import ctypes
import functools
import json
import os
import pathlib
import time

import pytest

from oldphoto_jax.folder import apart, batch
from oldphoto_jax.folder.jobs import plan
from oldphoto_jax.folder.report import Report

NAMES = ("a.png", "b.png", "c.png", "d.png", "e.png")
SETTINGS = {"tile": 64}


def segv():
    ctypes.string_at(0)


def exit_at_once():
    os._exit(0)


def sleep():
    time.sleep(60)


def ready(fatal=None, log=None, cannot=""):
    """A factory of work that does `fatal` at b.png, when it has written one of two files."""
    if cannot:
        raise ValueError(cannot)

    def work(jobs):
        for job in jobs:
            if log:
                with pathlib.Path(log).open("a") as file:
                    file.write(f"{job.name} ")
            for number, path in enumerate(job.outputs.values()):
                if fatal and number and job.name == "b.png":
                    fatal()
                path.write_bytes(job.photo.read_bytes())
            if job.name == "c.png":
                return [ValueError("is damaged")]
        return [{"process": os.getpid()} for _ in jobs]

    return work


@pytest.fixture
def folder(tmp_path):
    """Photos, and what is left of a run that was killed when it was at three of them."""
    (tmp_path / "in").mkdir()
    for name in NAMES:
        (tmp_path / "in" / name).write_text(name)
    Report(tmp_path / "out").begin(["a.png", "b.png", "c.png"])
    return tmp_path


def go(folder, factory, force=False, settings=SETTINGS):
    """A run; its counts and its lines of the report, by photo."""
    jobs = plan(folder / "in", folder / "out", ["mask", "prob"])
    report = Report(folder / "out")
    with apart.Apart(factory, ready()) as way:
        counts = batch.run_groups(jobs, report, ready(), settings, force, most=2, apart=way)
    assert not [*(folder / "out").glob(".doing*")]
    return counts, {entry["photo"]: entry for entry in report.told}


def test_it_dies_there_and_the_rest_is_done(folder):
    counts, told = go(folder, functools.partial(ready, segv))
    assert counts == {"ok": 3, "failed": 2}
    assert [*told] == ["d.png", "e.png", "a.png", "b.png", "c.png"]
    assert told["d.png"]["process"] == os.getpid() != told["a.png"]["process"]
    assert told["c.png"]["reason"] == "is damaged" and "fatal" not in told["c.png"]
    left = {path.name for path in (folder / "out").glob("[!.]*.png")}
    assert left == {f"{name}_{kind}.png" for name in "ade" for kind in ("mask", "prob")}
    words = "and again in a process of its own, which crashed (SIGSEGV); "
    assert words in told["b.png"]["reason"] and "--force" in told["b.png"]["reason"]
    assert told["b.png"]["fatal"]
    lines = (folder / "out" / "report.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line).get("fatal") for line in lines] == [None, None, None, True, None]
    assert Report(folder / "out").suspects == {"b.png"}


def test_it_is_not_tried_again_unless_something_is_new(folder):
    log = folder / "log"
    bad, good = (functools.partial(ready, fatal, log) for fatal in (exit_at_once, None))
    _, first = go(folder, bad)
    assert log.read_text() == "a.png b.png c.png "
    for _ in range(2):
        counts, told = go(folder, bad)
        assert counts == {"nothing_to_do": 3, "failed": 2}
        assert told["b.png"]["reason"] == first["b.png"]["reason"] and told["b.png"]["fatal"]
    assert log.read_text() == "a.png b.png c.png "
    before = log.read_text()
    for how in (dict(settings={"tile": 32}), dict(force=True)):
        (folder / "in" / "c.png").unlink(missing_ok=True)
        assert go(folder, bad, **how)[1]["b.png"]["reason"].count("ended with status 0") == 1
        assert log.read_text() == f"{before}b.png "
        before = log.read_text()
    (folder / "in" / "b.png").write_text("another")
    counts, told = go(folder, good)
    assert told["b.png"]["status"] == "ok" and told["b.png"]["process"] != os.getpid()
    assert go(folder, bad)[0] == {"nothing_to_do": 4}


def test_it_has_its_time(folder, monkeypatch):
    way = apart.Apart(functools.partial(ready, sleep), ready())
    jobs = plan(folder / "in", folder / "out", ["mask", "prob"])
    with way:
        assert "process" in way(jobs[:1])[0]
        monkeypatch.setattr(apart, "PATIENCE", 0.3)
        [error] = way(jobs[1:2])
    assert isinstance(error, batch.Fatal) and "which took longer than 0 s" in str(error)


def test_where_no_process_can_be_had_it_is_done_here(folder, capsys):
    counts, told = go(folder, functools.partial(ready, cannot="the device is taken"))
    assert counts == {"ok": 4, "failed": 1} and told["b.png"]["process"] == os.getpid()
    assert [*told][2:] == ["a.png", "b.png", "c.png"]
    assert "no process of its own for a.png: the device is taken" in capsys.readouterr().err
