"""Where nobody listens a run is done all the same."""

import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

from oldphoto_jax import terminal

ROOT = pathlib.Path(__file__).parent.parent
RUN = """
import os, pathlib, sys
from oldphoto_jax import terminal
from oldphoto_jax.folder import batch
from oldphoto_jax.folder.jobs import plan
folder = pathlib.Path(sys.argv[1])

def work(job):
    if job.name == "b.png":
        raise ValueError("is damaged")
    with job.outputs["mask"].open("wb") as file:
        print("a library says something", flush=True)
        os.system("echo a library in C, too; echo and here >&2")
        file.write(b"mask")
    return {}

with terminal.listened():
    jobs = plan(folder / "in", folder / "out", ["mask"])
    counts = batch.run(jobs, batch.Report(folder / "out"), work, {})
    print(dict(counts), file=sys.stderr)
sys.exit(counts["failed"])
"""


def run(folder, redirected, **streams):
    """The exit status and the report of a run whose streams are led somewhere by the shell."""
    (folder / "in").mkdir()
    for name in "abc":
        (folder / "in" / f"{name}.png").touch()
    command = f'exec "$0" -c "$1" "$2" {redirected}'
    words = ["sh", "-c", command, sys.executable, RUN, str(folder)]
    status = subprocess.run(words, cwd=ROOT, **streams).returncode
    lines = (folder / "out" / "report.jsonl").read_text("utf-8").splitlines()
    assert {path.read_bytes() for path in (folder / "out").glob("*_mask.png")} == {b"mask"}
    return status, [json.loads(line)["status"] for line in lines]


@pytest.mark.skipif(os.name == "nt", reason="streams are closed by a shell")
@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_is_done_though_streams_are_closed(tmp_path, redirected):
    if "full" in redirected and not pathlib.Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert run(tmp_path, redirected) == (1, ["ok", "failed", "ok"])


@pytest.mark.skipif(os.name == "nt", reason="pipes differ there")
def test_a_run_is_done_though_nobody_reads_what_it_says(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    assert run(tmp_path, "", stderr=writing) == (1, ["ok", "failed", "ok"])
    os.close(writing)


def test_what_is_said_is_heard(capsys):
    with terminal.listened():
        print("two words", file=sys.stderr)
        assert not sys.stderr.isatty()
    assert capsys.readouterr().err == "two words\n"
    assert isinstance(sys.stderr, io.TextIOBase)  # as it was
