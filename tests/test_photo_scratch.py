import errno
import mmap
import os
import pathlib

import numpy as np
import pytest

from oldphoto_jax.photo import scratch

RNG = np.random.default_rng(0)
STATUS = pathlib.Path("/proc/self/status")


@pytest.fixture
def large(monkeypatch):
    """Everything counts as large."""
    monkeypatch.setattr(scratch, "SMALL", 1)


def resident():
    """Memory of this process that mapped files take, in bytes."""
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith("RssFile")]
    return int(line.split()[1]) << 10


def test_small_arrays_are_ordinary():
    shape = (1 << 10, 1 << 10, 3)
    for make in scratch.empty, scratch.zeros:
        array = make(shape, np.uint16)
        assert type(array) is np.ndarray and array.shape == shape and array.dtype == np.uint16
    assert not array.any()


@pytest.mark.skipif(os.name == "nt", reason="files there always have names")
def test_large_arrays_lie_in_files_without_a_name(large, tmp_path):
    array = scratch.empty((300, 200, 3), "uint16", folder=tmp_path)
    assert isinstance(array, np.memmap) and array.shape == (300, 200, 3)
    assert array.dtype == np.uint16 and not array.any()
    assert not list(tmp_path.iterdir())
    assert isinstance(scratch.zeros((3, 4), np.uint8), np.memmap)


def test_nothing_is_lost_by_releasing(large):
    truth = RNG.integers(0, 256, (500, 400, 3), np.uint8)
    array = scratch.empty(truth.shape, np.uint8)
    for band in scratch.bands(array, rows=7):
        array[band] = truth[band]
    view = np.asarray(array[3:, ::2, :1])
    scratch.release(view)
    assert np.array_equal(array, truth) and np.array_equal(view, truth[3:, ::2, :1])


@pytest.mark.skipif(not STATUS.exists(), reason="asks Linux for what is in memory")
@pytest.mark.parametrize("part", [np.s_[:], np.s_[100:200, ::2], np.s_[..., None]])
def test_what_is_released_leaves_memory(large, part):
    array = scratch.empty((4000, 4000), np.uint8)
    array[:] = 1
    before = resident()
    scratch.release(np.asarray(array)[part])
    assert before - resident() >= 0.9 * array.nbytes


def test_photos_that_are_mapped_are_released_but_not_what_was_changed_in_memory(tmp_path):
    path, truth = tmp_path / "p.raw", RNG.integers(0, 256, (300, 400), np.uint8)
    truth.tofile(path)
    photo = np.memmap(path, np.uint8, "r", shape=truth.shape)
    own = np.memmap(path, np.uint8, "c", shape=truth.shape)
    own[5:] = 7
    with path.open("rb") as file:
        private = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    bare = np.frombuffer(private, np.uint8)
    bare[:] = 9
    for array in (photo, own, np.asarray(own)[5:], bare, bare[3:], photo + 1, truth[2:], None):
        scratch.release(array)
    assert np.array_equal(photo, truth) and (own[5:] == 7).all() and (bare == 9).all()


def test_a_full_disk_is_told(large, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"no 5 MiB of scratch space in .*: No space.*TMPDIR") as told:
        scratch.empty((5 << 10, 1 << 10), np.uint8, tmp_path)
    assert told.value.errno == errno.ENOSPC and str(tmp_path) in str(told.value)


def test_systems_that_cannot_reserve_space_write_it(large, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(scratch, "CHUNK", 1000)
    array = scratch.empty((333, 10), np.uint16, tmp_path)
    assert array.shape == (333, 10) and not array.any()


@pytest.mark.parametrize("rows", [1, 7, 50, 80, None])
def test_bands_give_every_row_once(rows, monkeypatch):
    monkeypatch.setattr(scratch, "BAND", 120)
    array = np.arange(50 * 4).reshape(50, 4)
    parts = [array[band] for band in scratch.bands(array, array[..., None], rows=rows)]
    assert np.array_equal(np.concatenate(parts), array)
    assert {len(part) for part in parts[:-1]} <= {rows or 30}
