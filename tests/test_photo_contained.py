"""Reading in processes of their own says the same, and outlives whatever decoders die of."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from concurrent import futures

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_jax.photo import scratch
from oldphoto_jax.photo.disk import contained, files
from tests import ill_worker

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 40, 3), np.uint8)
ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def ill():
    """A pool of one worker that falls ill."""
    pool = contained.Pool(1, ill_worker.__name__)
    yield pool
    pool.close()


@pytest.fixture
def photos(tmp_path):
    """Files of several kinds, whole and not, by name."""
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    Image.fromarray(PIXELS).convert("RGBA").save(tmp_path / "alpha.png")
    cv2.imwrite(str(tmp_path / "deep.png"), RNG.integers(0, 65536, (30, 40, 3), np.uint16))
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", resolution=(300, 300))
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:600])
    (tmp_path / "text.png").write_text("no photo")
    (tmp_path / "empty.png").touch()
    return tmp_path


def outcome(read, *arguments):
    try:
        return read(*arguments)
    except files.PhotoError as error:
        return str(error)


def test_any_page_is_read(tmp_path):
    pages = [files.PhotoFile(PIXELS), files.PhotoFile(PIXELS[:9, :, :1].repeat(9, axis=1))]
    files.write_pages(tmp_path / "a.tif", pages)
    for number, one in enumerate(pages):
        assert np.array_equal(contained.read(tmp_path / "a.tif", page=number).pixels, one.pixels)
    for read in (files.read, contained.read):
        with pytest.raises(files.PhotoError, match="there is no page 3"):
            read(tmp_path / "a.tif", page=2)


def test_all_is_read_and_refused_as_in_this_process(photos):
    for path in [*sorted(photos.iterdir()), photos / "none.png", photos]:
        for here, there in ((files.read, contained.read), (files.header, contained.header)):
            expected, found = outcome(here, path), outcome(there, path)
            if not isinstance(expected, files.PhotoFile):
                assert found == expected and type(found) is type(expected)
                continue
            assert not found.pixels.flags.writeable
            for field in dataclasses.fields(expected):
                one, other = (getattr(photo, field.name) for photo in (expected, found))
                assert getattr(one, "dtype", None) == getattr(other, "dtype", None), field.name
                assert np.array_equal(one, other), field.name
    too_large = [outcome(read, photos / "a.jpg", 9) for read in (files.read, contained.read)]
    assert too_large[0] == too_large[1] and "max_pixels=9" in too_large[0]


def test_a_relative_path_is_of_this_process_and_of_now(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert contained.header("a.jpg").width == 40
    (photos / "below").mkdir()
    monkeypatch.chdir("below")
    with pytest.raises(files.PhotoError, match=r"^a\.jpg: there is no such file"):
        contained.read("a.jpg")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("segv", r"the decoder crashed \(SIGSEGV\)"),
        ("exit", "the decoder ended with status 7"),
        ("hang", "the decoder took longer than 1 s"),
        ("greedy", "wants more than 2048 MiB of memory"),
        ("faulty", "the decoder ended with status 1: AssertionError: a fault of the code"),
    ],
)
def test_what_a_decoder_dies_of_fails_one_photo(photos, ill, monkeypatch, name, words):
    monkeypatch.setattr(contained, "_pool", ill)
    monkeypatch.setattr(contained, "PATIENCE", 1.0 if name == "hang" else 20.0)
    bad = photos / f"{name}.jpg"
    bad.write_bytes((photos / "a.jpg").read_bytes())
    with pytest.raises(files.PhotoError, match=words) as caught:
        contained.read(bad)
    assert str(caught.value).startswith(f"{bad}: ")
    assert ("convert it" in str(caught.value)) or name == "greedy"
    monkeypatch.setattr(contained, "PATIENCE", 20.0)
    good = contained.read(photos / "a.jpg")
    assert np.array_equal(good.pixels, files.read(photos / "a.jpg").pixels)
    assert good.notes == ("the decoder says: a strange tag",)


def test_a_large_uncompressed_tiff_file_stays_mapped(photos, ill, monkeypatch):
    monkeypatch.setattr(contained, "_pool", ill)
    mapped = contained.read(photos / "a.tif").pixels
    assert isinstance(mapped, np.memmap) and np.array_equal(mapped, PIXELS)
    assert pathlib.Path(mapped.filename) == photos / "a.tif" and not mapped.flags.writeable


@pytest.mark.skipif(os.name == "nt", reason="files there always have names")
def test_other_large_pixels_lie_in_scratch_space(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "SMALL", 1)
    monkeypatch.setattr(scratch, "BAND", 70)
    pixels = contained.read(photos / "deep.png", folder=tmp_path).pixels
    assert isinstance(pixels, np.memmap)
    assert np.array_equal(pixels, files.read(photos / "deep.png").pixels)


def test_threads_get_each_their_photo(tmp_path):
    for n in range(24):
        Image.fromarray(np.full((20 + n, 30, 3), n, np.uint8)).save(tmp_path / f"{n}.png")
    with futures.ThreadPoolExecutor(8) as pool:
        found = [*pool.map(contained.read, [tmp_path / f"{n}.png" for n in range(24)])]
    for n, photo in enumerate(found):
        assert photo.pixels.shape == (20 + n, 30, 3) and (photo.pixels == n).all()


def test_of_prints_each_line_is_noted_once_and_few_of_them():
    assert contained.notes("") == []
    noise = "".join(f"line {n}\nline {n}\n\n" for n in range(9))
    assert contained.notes(noise)[:2] == ["the decoder says: line 0", "the decoder says: line 1"]
    assert contained.notes(noise)[-1] == "the decoder says 4 things more"
    assert len(contained.notes("x" * 10_000)[0]) < 300


ENDS = """
import os, sys, time
from oldphoto_jax.photo.disk import contained
contained.start()
contained.header(sys.argv[1])
print(contained._pool._idle[0]._process.pid, flush=True)
if not os.fork():
    contained.header(sys.argv[1])  # by a worker of its own
    os._exit(0)
assert os.wait()[1] == 0
contained.header(sys.argv[1])
os._exit(0)
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="looks into /proc")
def test_workers_go_with_the_process_that_they_work_for(photos):
    command = [sys.executable, "-W", "ignore", "-c", ENDS, photos / "a.jpg"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0 and not told.stderr, told.stderr
    worker = pathlib.Path("/proc") / told.stdout.strip()
    deadline = time.monotonic() + 10
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not worker.exists()


def test_workers_never_import_jax():
    code = "from oldphoto_jax.photo.disk import worker; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert not {"jax", "flax"} & {*loaded.stdout.split()} and "cv2" in loaded.stdout.split()
