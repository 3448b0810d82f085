"""Many photos by `oldphoto restore` in processes of its own, with real networks, if tiny ones.

One run compiles and tells what the others must make: one that is killed, the one that completes
it, one on eight devices. Four photos fit into a bucket, the fifth goes tile by tile.
"""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from oldphoto_jax.photo.disk import files
from tests import untrained

ROOT = pathlib.Path(__file__).parent.parent
PREDICTORS = {
    "detector": untrained.finder(threshold=0.9),
    "inpainter": untrained.filler(),
    "colorizer": untrained.painter(),
}
SIZES = {"a": (60, 90), "b": (60, 90), "c": (66, 92), "d": (64, 95), "tiles": (132, 196)}
PICTURES = ("restored", "restored_color", "color")
FILES = {f"{name}_{kind}.png" for name in SIZES for kind in ("prob", "mask", *PICTURES)}

# Counts what JAX reports, and dies when the picture of this number, counted from 1, gets its name.
COMMAND = """
import collections, json, os, signal, sys
import jax
from oldphoto_jax import cli
told, replace, fatal = collections.Counter(), os.replace, int(sys.argv[1])
jax.monitoring.register_event_listener(lambda name, **_: told.update([name]))
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: told.update([name]))
def dying(source, target):
    told["pictures"] += os.fspath(target).endswith(".png")
    if told["pictures"] == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dying
status = cli.main(sys.argv[2:])
print(json.dumps({**told, "devices": jax.local_device_count()}))
sys.exit(status)
"""
# The same of the process for photos at which a run was killed, which does not end by itself.
OTHER = """
import os, sys
if "oldphoto_jax.folder import apart" in " ".join(sys.orig_argv):
    import jax
    def note(name, *_, **__):
        with open(os.environ["TOLD"], "a") as file:
            print(name, file=file)
    jax.monitoring.register_event_listener(note)
    jax.monitoring.register_event_duration_secs_listener(note)
"""
MISSES, HITS = (f"/jax/compilation_cache/cache_{what}" for what in ("misses", "hits"))
ASKED = "/jax/core/compile/backend_compile_duration"  # of every program, kept or not


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos in in/, and weights that have learned nothing."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "in").mkdir()
    for seed, (name, size) in enumerate(SIZES.items()):
        rng = np.random.default_rng(seed)
        soft = cv2.GaussianBlur(rng.random(size, np.float32), (0, 0), 3)
        soft = (soft - soft.min()) / np.ptp(soft)
        soft[rng.random(size) > 0.995] = 1
        files.write_png(folder / "in" / f"{name}.png", np.uint8(soft * 255)[..., None])
    (folder / "path").mkdir()
    (folder / "path" / "sitecustomize.py").write_text(OTHER)
    for name, task in PREDICTORS.items():
        untrained.save(folder / f"{name}.safetensors", task)
    return folder


def restore(folder, out, devices=1, fatal=-1):
    """Runs the command, which keeps programs in cache/; its exit status and what was counted."""
    # The last of several flags of one name is the one that counts.
    flags = os.environ.get("XLA_FLAGS", "")
    environment = os.environ | {
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": os.pathsep.join([str(folder / "path"), os.environ.get("PYTHONPATH", "")]),
        "TOLD": str(folder / f"{out}.told"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "LOCALAPPDATA": str(folder / "cache"),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiling takes longer than all the rest
    }
    words = [sys.executable, "-c", COMMAND, fatal, "restore", folder / "in", "--out", folder / out]
    words += [word for name in PREDICTORS for word in (f"--{name}", folder / f"{name}.safetensors")]
    words += ["--tile", 128, "--size", 64, "--batch", devices]
    done = subprocess.run(
        [str(word) for word in words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode in (0, -getattr(signal, "SIGKILL", 9)), done.stderr
    told = collections.Counter(json.loads(done.stdout) if done.returncode == 0 else {})
    if (other := folder / f"{out}.told").exists():
        told.update(other.read_text().splitlines())
    return done.returncode, told


def made(folder, out):
    return {path.name: path.read_bytes() for path in (folder / out).glob("[!.]*.png")}


@pytest.fixture(scope="module")
def first(folder):
    """What was counted in the first run, and its files."""
    status, told = restore(folder, "first")
    found = made(folder, "first")
    assert status == 0 and found.keys() == FILES and told["devices"] == 1
    masks = [files.read(folder / "first" / f"{name}_mask.png").pixels for name in SIZES]
    assert all(0 < mask.mean() < 250 for mask in masks)
    return told, found


@pytest.fixture(scope="module")
def completed(folder, first):
    """A run that was killed in its first photo: its status and files; then of one more run."""
    status, _ = restore(folder, "twice", fatal=3)
    left, parts = made(folder, "twice"), [*(folder / "twice").glob(".*.part")]
    return status, left, parts, restore(folder, "twice")[1], made(folder, "twice")


SIGNALS = pytest.mark.skipif(os.name == "nt", reason="no signal there ends a process at once")


@SIGNALS
def test_another_process_compiles_nothing(first, completed):
    """P22: every program comes from the cache, down to the last helper, and says the same."""
    before, expected = first
    *_, told, found = completed
    assert told[MISSES] == 0 < before[MISSES]
    assert told[HITS] == told[ASKED] > before[ASKED] and found == expected  # by two processes


@SIGNALS
def test_a_killed_run_leaves_whole_files_and_is_completed(folder, first, completed):
    """P13: killed between writing a file and naming it; no photo is told of twice."""
    _, expected = first
    status, left, parts, _, found = completed
    assert status == -signal.SIGKILL and parts
    assert left and left.items() < expected.items() and found == expected
    told = [json.loads(line) for line in (folder / "twice" / "report.jsonl").open("rb")]
    assert sorted(line["photo"] for line in told) == [f"{name}.png" for name in SIZES]
    assert {line["status"] for line in told} <= {"ok", "beyond_training"}
    assert not [*(folder / "twice").glob("*.part"), *(folder / "twice").glob(".doing*")]


def test_eight_devices_write_what_one_writes(folder, first):
    """P23: the same masks, and pictures within one code value."""
    _, told = restore(folder, "eight", devices=8)
    assert told["devices"] == 8 and made(folder, "eight").keys() == FILES
    for name in FILES:
        one, eight = (files.read(folder / out / name).pixels for out in ("first", "eight"))
        away = np.abs(np.int32(one) - eight).max()
        assert away <= (0 if "_mask" in name else 1), name
