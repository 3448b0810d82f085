"""Folder runs on Ray, and its absence."""

import functools
import json
import os
import pathlib
import secrets
import signal
import sys
import threading
import time

import pytest

from oldphoto_jax.folder import batch, cluster
from oldphoto_jax.folder.jobs import plan
from oldphoto_jax.folder.report import Report

COUNT = 40
OWN = ("worker", "seconds")  # of a line: what another run may tell otherwise


class Copies:
    """Copies photos. By their names some are broken, or bugs, or deadly to their worker.

    The first that comes to one called "slow" leaves its process in `marks` and stops half-way.
    """

    def __init__(self, marks=None):
        self.marks = marks

    def __call__(self, jobs):
        return [self.copy(job) for job in jobs]

    def copy(self, job):
        for path in job.outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half of it")
            if "slow" in job.name and self.marks and not (self.marks / "told").exists():
                (self.marks / "telling").write_text(str(os.getpid()))
                (self.marks / "telling").rename(self.marks / "told")
                time.sleep(600)
            path.write_bytes(job.photo.read_bytes())
        if "broken" in job.name:
            return ValueError(f"{job.photo}: broken")
        if "bug" in job.name:
            raise TypeError("a bug of ours")
        if "deadly" in job.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"size": job.photo.stat().st_size, "worker": os.getpid()}


def kill(marks):
    """Kills the process that is told of in `marks`, as soon as it is."""
    while not (marks / "told").exists():
        time.sleep(0.05)
    os.kill(int((marks / "told").read_text()), signal.SIGKILL)


def absent():
    raise ValueError("weights: not there")


def jobs(tmp_path, out, *names):
    for name in names:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return plan(tmp_path / "scans", tmp_path / out, ["mask", "prob"])


def lines(out):
    return [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").splitlines()]


def common(out):
    """The report in the order of photos, without what differs between any two runs."""
    told = [{key: line[key] for key in line if key not in OWN} for line in lines(out)]
    return sorted(told, key=lambda line: line["photo"])


def folder(job):
    return job.photo.parent


@pytest.fixture(scope="module")
def ray():
    """Two workers' worth of a cluster, for all tests: starting one takes seconds."""
    cluster._load_ray()
    import ray  # after what has to be set before

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())  # or Ray leaves one in the home folder
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


go = functools.partial(cluster.run, settings={"gain": 1}, address="local", workers=2)


def test_all_is_done_and_told_as_without_ray_though_a_worker_is_killed(ray, tmp_path):
    """A photo that is broken fails in both; a run that follows finds nothing to do."""
    names = [f"box {n % 3}/{n:02}.png" for n in range(COUNT - 1)]
    here = jobs(tmp_path, "here", *names, "box 1/slow.png", "box 1/broken.png")
    expected = batch.run_groups(here, Report(tmp_path / "here"), Copies(), {"gain": 1})
    assert expected == {"ok": COUNT, "failed": 1}

    there, report, marks = jobs(tmp_path, "there"), Report(tmp_path / "there"), tmp_path / "marks"
    marks.mkdir()
    killer = threading.Thread(target=kill, args=[marks], daemon=True)
    killer.start()
    assert go(there, report, functools.partial(Copies, marks), key=folder, most=3) == expected
    killer.join(timeout=0)
    assert not killer.is_alive()
    assert common(tmp_path / "there") == common(tmp_path / "here")
    dead = int((marks / "told").read_text())
    [slow] = [line for line in lines(tmp_path / "there") if line["photo"] == "box 1/slow.png"]
    assert slow["worker"] != dead
    for job in there:
        for path in job.outputs.values():
            assert path.exists() == ("broken" not in job.name)
            assert not path.exists() or path.read_bytes() == job.name.encode()
    assert not list((tmp_path / "there").glob(".doing*"))

    (tmp_path / "scans" / "box 1" / "broken.png").unlink()
    again = jobs(tmp_path, "there")
    assert go(again, Report(tmp_path / "there"), absent) == {"nothing_to_do": COUNT}


def test_only_the_photo_fails_of_which_workers_die(ray, tmp_path):
    some = jobs(tmp_path, "out", "a.png", "b deadly.png", "c.png")
    assert go(some, Report(tmp_path / "out"), Copies, most=3) == {"ok": 2, "failed": 1}
    assert [
        (tmp_path / "out" / f"{name}_mask.png").exists() for name in ("a", "b deadly", "c")
    ] == [
        True,
        False,
        True,
    ]
    [failed] = [line for line in lines(tmp_path / "out") if line["status"] == "failed"]
    assert failed["photo"] == "b deadly.png" and "3 workers died" in failed["reason"]


def test_a_bug_ends_the_run_and_shows_its_place(ray, tmp_path):
    some = jobs(tmp_path, "out", "a.png", "bug.png")
    with pytest.raises(ray.exceptions.RayTaskError, match=r"(?s)in copy.*TypeError: a bug of ours"):
        go(some, Report(tmp_path / "out"), Copies)
    assert "bug.png" in Report(tmp_path / "out").remains
    with pytest.raises(ValueError, match="worker on .*: weights: not there"):
        go(some, Report(tmp_path / "out"), absent)


def test_a_machine_that_does_not_see_the_files_fails_with_words(tmp_path):
    some = jobs(tmp_path, "out", "a.png", "b.png")
    some[0].photo.unlink()
    worker = cluster.Worker(Copies, None, tmp_path)
    worker.work = Copies()
    lost, found = worker.seen(some)
    assert "not to be seen on" in str(lost) and "share" in str(lost)
    assert found["size"] == 5
    worker.out = tmp_path / "elsewhere"
    assert all("elsewhere: not to be seen" in str(lost) for lost in worker.seen(some[1:]))
    assert not worker.out.exists()


def test_workers_get_absolute_paths_and_what_was_there_is_known(tmp_path, monkeypatch):
    [job] = jobs(tmp_path, "out", "a.png")
    job.outputs["prob"].parent.mkdir()
    job.outputs["prob"].touch()
    monkeypatch.chdir(tmp_path)
    [near] = plan(pathlib.Path("scans"), pathlib.Path("out"), ["mask", "prob"])
    assert near != job
    parcel = cluster._parcel(7, [(near, {"photo": "a.png"})])
    assert parcel.pairs == [(job, {"photo": "a.png"})]
    assert parcel.new == [job.outputs["mask"]]


def test_the_ledger_counts_what_was_begun_but_not_ended():
    ledger = cluster.Ledger()
    assert [ledger.begin("a"), ledger.begin("b"), ledger.begin("a")] == [0, 0, 1]
    ledger.end("a")
    assert [ledger.begin("a"), ledger.begin("b")] == [0, 1]


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    some, report = jobs(tmp_path, "out", "a.png"), Report(tmp_path / "out")
    with pytest.raises(ValueError, match=r"pip install 'oldphoto-jax\[ray\]'"):
        go(some, report, Copies)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "workers 0: give 1 or more"),
        ({"address": "ray://host:10001"}, "--ray ray://host:10001: run this on a machine"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, words):
    some, report = jobs(tmp_path, "out", "a.png"), Report(tmp_path / "out")
    with pytest.raises(ValueError, match=words):
        go(some, report, Copies, **options)
