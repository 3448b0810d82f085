"""Programs that rest between runs: the same answers, whole or not at all, and never too many."""

import functools
import os
import time

import jax.numpy as jnp
import numpy as np
import pytest

from oldphoto_jax.restore import exported, stage
from oldphoto_jax.weights import store
from tests import untrained

FINDER = untrained.finder(threshold=0.3)
PHOTOS = np.random.default_rng(0).random((2, 32, 64, 3), np.float32)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "folder", lambda: tmp_path / "programs")
    monkeypatch.setattr(stage.Stage, "keeps", True)
    return tmp_path / "programs"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of a finder."""
    return untrained.save(tmp_path_factory.mktemp("weights") / "w.safetensors", FINDER)


def kept(home):
    return sorted(home.rglob("*.program"))


def test_a_kept_program_answers_the_same_and_builds_no_network(home, weights, monkeypatch):
    first = stage.load(weights)
    wanted = first(PHOTOS)["mask"]
    assert len(kept(home)) == 1 and first.compiled == [PHOTOS.shape]
    monkeypatch.setattr(stage.Stage, "keeps", False)
    assert np.array_equal(stage.load(weights)(PHOTOS)["mask"], wanted)
    monkeypatch.setattr(stage.Stage, "keeps", True)
    monkeypatch.setattr(type(first.predictor), "networks", None)
    again = stage.load(weights)
    assert np.array_equal(again(PHOTOS)["mask"], wanted) and again.compiled == [PHOTOS.shape]
    with pytest.raises(TypeError):
        again(PHOTOS[:1])  # of another shape


@pytest.mark.parametrize(
    "harm", [lambda old: old[:-9], lambda old: b"", lambda old: old[:99] + b"x"]
)
def test_a_damaged_program_is_made_again(home, weights, harm):
    wanted = stage.load(weights)(PHOTOS)["mask"]
    [path] = kept(home)
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    assert np.array_equal(stage.load(weights)(PHOTOS)["mask"], wanted)
    assert kept(home) == [path] and len(path.read_bytes()) > len(whole) / 2


def test_other_weights_code_and_versions_make_other_programs(home, monkeypatch):
    double = functools.partial(jnp.multiply, 2)
    for told in ("jax 1", "jax 2", "jax 2"):
        monkeypatch.setattr(exported, "_surroundings", lambda told=told: [told])
        for identity in ("a", "b"):
            assert exported.obtain(double, identity, PHOTOS)(PHOTOS).shape == PHOTOS.shape
    assert len(kept(home)) == 4 and len({path.parent for path in kept(home)}) == 4
    assert exported.knows("a") and not exported.knows("c")


def test_those_used_longest_ago_go_first(home, monkeypatch):
    monkeypatch.setattr(exported, "_surroundings", lambda: [])
    for age, identity in ((300, "a"), (200, "b")):
        exported.obtain(jnp.negative, identity, PHOTOS)
        [path] = exported._place(identity).glob("*")
        os.utime(path, 2 * (time.time() - age,))
    exported.obtain(jnp.negative, "a", PHOTOS)  # is read, and so as new as can be
    monkeypatch.setattr(exported, "LIMIT", 5 * path.stat().st_size // 2)
    exported.obtain(jnp.negative, "c", PHOTOS)
    assert [exported.knows(one) for one in "abc"] == [True, False, True]


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(exported, "folder", lambda: tmp_path / "file" / "programs")
    made = exported.obtain(jnp.negative, "a", PHOTOS)(PHOTOS)
    assert np.array_equal(made, -PHOTOS)
    assert "can't be written" in capsys.readouterr().err


def test_a_file_that_does_not_fit_is_refused_whatever_is_kept(home, tmp_path):
    path = untrained.save(tmp_path / "w.safetensors", FINDER)
    stage.load(path)(PHOTOS)
    arrays, metadata = store.load(path)
    arrays.pop(next(iter(arrays)))
    store.save(path, arrays, metadata)
    with pytest.raises(store.WeightsError, match="missing"):
        stage.load(path)


def test_clearing_takes_all_away(home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(exported, "folder", lambda: exported.cache.folder("programs"))
    exported.obtain(jnp.negative, "a", PHOTOS)
    compiled = stage.cache_folder() / "one"
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"12345")
    size = sum(path.stat().st_size for path in kept(exported.folder()))
    assert exported.clear() == size + 5 and exported.clear() == 0
    assert not exported.knows("a") and not compiled.exists()
