import contextlib
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from oldphoto_jax.train.checkpoint import Checkpoints, begun
from oldphoto_jax.train.state import Part, TrainState


def state(step, devices=4):
    """A small state of every kind of leaf, all of it depending on the step."""
    params = {"kernel": jnp.arange(6.0).reshape(2, 3) + step, "low": jnp.bfloat16(step / 3)}
    rest = {"key": jax.random.key(step), "count": jnp.uint32(step)}
    part = Part(None, params, rest, opt=(jnp.int32(step),), ema={"kernel": jnp.ones((2, 3)) * step})
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    state = TrainState(jnp.int32(step), {"painter": part, "it's [odd].": Part(None, {}, {})})
    return jax.device_put(state, NamedSharding(mesh, PartitionSpec()))


def big_state(values):
    sharding = jax.tree.leaves(state(1))[0].sharding
    return TrainState(jnp.int32(2), {"painter": Part(None, jax.device_put(values, sharding), {})})


@contextlib.contextmanager
def opened(folder, best="error", best_is="lowest"):
    checkpoints = Checkpoints(folder, best, best_is)
    yield checkpoints
    checkpoints.close()


def save(checkpoints, step, error=None):
    figures = None if error is None else {"error": error, "other": float("nan")}
    checkpoints.save(state(step), {"step": step, "deep": [1, 2]}, "text", figures)


def steps(folder):
    return sorted(int(path.name) for path in folder.iterdir())


def assert_same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64))


@pytest.mark.parametrize("devices", [4, 1])
def test_a_state_comes_back_whole_on_any_number_of_devices(tmp_path, devices):
    with opened(tmp_path) as checkpoints:
        assert not begun(tmp_path) and checkpoints.last() == "no checkpoint yet"
        assert checkpoints.restore(state(0)) is None
        save(checkpoints, 7)
    with opened(tmp_path) as checkpoints:
        assert begun(tmp_path) and checkpoints.last() == str(tmp_path / "7")
        found, position = checkpoints.restore(state(0, devices))
    assert position == {"step": 7, "deep": [1, 2]}
    assert_same(found, state(7))
    assert all(len(leaf.sharding.device_set) == devices for leaf in jax.tree.leaves(found))


def test_the_best_and_the_last_are_kept(tmp_path):
    with opened(tmp_path) as checkpoints:
        for step, error in ((1, 5.0), (2, None), (3, 2.0), (4, 3.0), (5, None)):
            save(checkpoints, step, error)
    assert steps(tmp_path) == [3, 5]


def test_what_is_best_is_known_after_a_restart(tmp_path):
    with opened(tmp_path) as checkpoints:
        assert checkpoints.is_best({"error": 5.0})
        save(checkpoints, 1, 5.0)
        assert not checkpoints.is_best({"error": 6.0})
        save(checkpoints, 2, 6.0)
    with opened(tmp_path) as checkpoints:
        assert not checkpoints.is_best({"error": 5.5})
        assert checkpoints.is_best({"error": 5.0})  # the newer of equals, as Orbax keeps it
        assert not checkpoints.is_best({"error": float("nan")})
        save(checkpoints, 3, 5.5)
    assert steps(tmp_path) == [1, 3]


def test_highest_is_the_other_way_round_and_without_a_figure_none_is_best(tmp_path):
    with opened(tmp_path / "high", best_is="highest") as checkpoints:
        for step, error in ((1, 5.0), (2, 9.0), (3, 2.0)):
            assert checkpoints.is_best({"error": error}) == (error != 2.0)
            save(checkpoints, step, error)
    assert steps(tmp_path / "high") == [2, 3]
    with opened(tmp_path / "none", best="") as checkpoints:
        for step in (1, 2):
            assert not checkpoints.is_best({"error": 1.0})
            save(checkpoints, step, 1.0)
    assert steps(tmp_path / "none") == [2]


def test_donated_arrays_do_not_spoil_a_save_that_goes_on(tmp_path):
    """Training may write over the state's memory while the checkpoint is being written."""
    forget = jax.jit(lambda x: jax.tree.map(lambda leaf: leaf * 0 - 1, x), donate_argnums=0)
    values = np.arange(1 << 20, dtype=np.float32)
    big = big_state(values)
    with opened(tmp_path) as checkpoints:
        checkpoints.save(big, {}, "", None)
        params = big.parts["painter"].params
        for _ in range(5):
            params = forget(params)
        jax.block_until_ready(params)
    with opened(tmp_path) as checkpoints:
        found, _ = checkpoints.restore(big_state(0 * values))
    np.testing.assert_array_equal(found.parts["painter"].params, values)


def test_unfinished_steps_of_a_killed_run_are_cleared_away(tmp_path):
    with opened(tmp_path) as checkpoints:
        save(checkpoints, 3)
    (tmp_path / "5.orbax-checkpoint-tmp").mkdir()  # just begun
    torn = tmp_path / "7.orbax-checkpoint-tmp"
    shutil.copytree(tmp_path / "3", torn)
    (torn / "commit_success.txt").unlink(missing_ok=True)  # Orbax up to 0.11 goes by names alone
    with opened(tmp_path) as checkpoints:
        assert checkpoints.last() == str(tmp_path / "3")
        save(checkpoints, 5)
    assert steps(tmp_path) == [5]  # raises for names that are no numbers


@pytest.mark.parametrize("older", [True, False])
def test_a_broken_newest_checkpoint_is_named_with_the_way_out(tmp_path, older):
    with opened(tmp_path, best_is="highest") as checkpoints:
        if older:
            save(checkpoints, 2, 9.0)
        save(checkpoints, 4, 1.0)
    for file in (tmp_path / "4" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    way_out = "goes on from step 2" if older else "goes on from the beginning"
    unreadable = pytest.raises(ValueError, match="can't be read")
    with opened(tmp_path) as checkpoints, unreadable as error:
        checkpoints.restore(state(0))
    assert str(tmp_path / "4") in str(error.value) and way_out in str(error.value)
    shutil.rmtree(tmp_path / "4")
    with opened(tmp_path) as checkpoints:
        found = checkpoints.restore(state(0))
        assert (found is not None) == older
        save(checkpoints, 4, 1.0)
    assert 4 in steps(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's threads
def test_a_save_that_fails_in_the_background_is_heard_of(tmp_path):
    noise = np.random.default_rng(0).random(1 << 18, np.float32)
    checkpoints = Checkpoints(tmp_path, "error", "lowest")
    save(checkpoints, 1)
    checkpoints.manager.wait_until_finished()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, hard))  # like a disk that is full
    try:
        with pytest.raises(Exception, match="(?i)file too large|EFBIG"):
            checkpoints.save(big_state(noise), {}, "", None)
            checkpoints.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with opened(tmp_path) as checkpoints:
        assert checkpoints.last() == str(tmp_path / "1")
        assert checkpoints.restore(state(0))
