"""The loader: a batch is a function of source, seed, size and number, and of nothing else."""

import json
import multiprocessing
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from oldphoto_jax.data.loader import evaluation, loader

BATCH = 4


class Numbers:
    """Photos that tell their number."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        assert 0 <= index < self.count
        return {"photo": np.full((2, 2, 3), index, np.uint8), "name": f"{index}.png"}


def example(record, rng):
    """The number of the photo, and what the generator said."""
    return {"photo": record["photo"], "number": record["photo"][0, 0, 0], "noise": rng.random(3)}


def spawning(record, rng):
    """Draws from a child of the generator."""
    return {"noise": rng.spawn(1)[0].random(2)}


def uneven(record, rng):
    return {"photo": np.zeros((record["photo"][0, 0, 0], 2, 3))}


def failing(record, rng):
    if record["name"] == "7.png":
        raise RuntimeError("seven")
    return {"number": record["photo"][0, 0, 0]}


def take(batches, count):
    return [next(batches) for _ in range(count)]


def assert_same(one, other):
    assert len(one) == len(other) > 0
    for mine, yours in zip(one, other, strict=True):
        assert mine.keys() == yours.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], yours[key])


def reference(count, photos=10, batch_size=BATCH, **options):
    """The stream, read with nothing running in parallel."""
    source = Numbers(photos)
    options = {"seed": 3, "threads": 0} | options
    return take(loader(source, example, batch_size=batch_size, **options), count)


def test_batches_are_stacked_arrays():
    (batch,) = reference(1)
    assert batch["photo"].shape == (BATCH, 2, 2, 3) and batch["photo"].dtype == np.uint8
    assert batch["number"].shape == (BATCH,) and batch["noise"].shape == (BATCH, 3)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_the_stream(threads):
    assert_same(reference(12, threads=threads), reference(12))


def test_workers_do_not_change_the_stream_nor_where_it_resumes():
    whole = reference(9)
    options = {"batch_size": BATCH, "seed": 3}
    with loader(Numbers(10), example, **options, workers=1, threads=2) as batches:
        assert_same(take(batches, 4), whole[:4])
        state = json.dumps(batches.get_state())
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()
    for workers in (0, 2):
        with loader(Numbers(10), example, **options, workers=workers) as batches:
            batches.set_state(json.loads(state))
            assert_same(take(batches, 5), whole[4:])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("step", range(8))
def test_a_run_resumes_at_any_step_bit_for_bit(step):
    whole = reference(10)
    with loader(Numbers(10), example, batch_size=BATCH, seed=3, threads=2) as batches:
        take(batches, step)
        state = json.dumps(batches.get_state())
    with loader(Numbers(10), example, batch_size=BATCH, seed=3, threads=3) as batches:
        batches.set_state(json.loads(state))
        assert batches.get_state() == json.loads(state)
        assert_same(take(batches, 10 - step), whole[step:])


def test_a_state_of_another_stream_is_refused():
    state = loader(Numbers(10), example, batch_size=BATCH, seed=3).get_state()
    for other, key in [
        (loader(Numbers(11), example, batch_size=BATCH, seed=3), "photos"),
        (loader(Numbers(10), example, batch_size=5, seed=3), "batch_size"),
        (loader(Numbers(10), example, batch_size=BATCH, seed=4), "seed"),
        (loader(Numbers(10), example, batch_size=BATCH, seed=3, shuffle=False), "shuffle"),
    ]:
        with pytest.raises(ValueError, match=f"with {key}=.*same {key}"):
            other.set_state(state)


def test_closing_keeps_the_position_and_ends_the_threads():
    before = threading.active_count()
    batches = loader(Numbers(10), example, batch_size=BATCH, seed=3, threads=3)
    first = take(batches, 2)
    batches.close()
    assert_same(first + take(batches, 2), reference(4))
    batches.close()
    for thread in threading.enumerate():
        if thread.name.startswith("grain"):
            thread.join(5)
    assert threading.active_count() <= before


def test_an_epoch_shows_every_photo_once_in_an_order_of_its_own():
    numbers = np.concatenate([batch["number"] for batch in reference(15, photos=12)])
    epochs = numbers.reshape(5, 12)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (5, 1)))
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 5
    other = np.concatenate([batch["number"] for batch in reference(15, photos=12, seed=4)])
    assert not {tuple(epoch) for epoch in epochs.tolist()} & {
        tuple(epoch) for epoch in other.reshape(5, 12).tolist()
    }


def test_a_photo_looks_different_in_every_epoch():
    noise = np.concatenate([batch["noise"] for batch in reference(15, photos=12)])
    assert len(np.unique(noise)) == noise.size


def test_without_shuffling_the_source_keeps_its_order():
    numbers = np.concatenate([b["number"] for b in reference(5, shuffle=False)])
    np.testing.assert_array_equal(numbers, np.arange(20) % 10)


@pytest.mark.parametrize("count", [2, 4])
def test_the_shares_of_all_processes_are_the_batch_of_one(count):
    whole = reference(7, batch_size=8)
    shares = [
        reference(7, batch_size=8, process_index=index, process_count=count, threads=index)
        for index in range(count)
    ]
    joined = [
        {key: np.concatenate([share[key] for share in step]) for key in step[0]}
        for step in zip(*shares, strict=True)
    ]
    assert_same(joined, whole)


def test_finite_epochs_drop_only_the_remainder_at_the_end():
    # 3 x 10 photos in batches of 4: seven batches, 2 photos left over
    for count in (1, 2):
        batches = loader(Numbers(10), example, batch_size=4, seed=3, epochs=3, process_count=count)
        given = list(batches)
        assert len(given) == 7 and len(given[0]["number"]) == 4 // count
        assert list(batches) == []
    assert_same(list(loader(Numbers(10), example, batch_size=4, seed=3, epochs=3)), reference(7))


def test_a_source_smaller_than_a_batch_is_repeated():
    (batch,) = reference(1, photos=3, batch_size=8)
    np.testing.assert_array_equal(np.sort(batch["number"])[:2], [0, 0])
    assert set(batch["number"]) == {0, 1, 2} and len(np.unique(batch["noise"])) == 24
    (single,) = reference(1, photos=1, batch_size=2)
    np.testing.assert_array_equal(single["number"], [0, 0])


def test_generators_may_have_children():
    streams = [
        take(loader(Numbers(5), spawning, batch_size=2, seed=0, threads=threads), 6)
        for threads in (0, 2)
    ]
    assert_same(*streams)
    noise = np.concatenate([batch["noise"] for batch in streams[0]])
    assert len(np.unique(noise)) == noise.size


def test_an_error_in_an_example_reaches_the_caller_and_loses_no_batch():
    options = {"batch_size": 2, "seed": 0, "shuffle": False}
    with loader(Numbers(10), failing, **options, threads=3) as batches:
        take(batches, 3)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="seven"):
                next(batches)
        assert batches.get_state()["step"] == 3


def test_examples_of_different_shapes_are_an_error_that_shows_them():
    with pytest.raises(ValueError, match=r"float64\[0, 2, 3\].*float64\[1, 2, 3\].*same keys"):
        next(loader(Numbers(5), uneven, batch_size=2, seed=0, shuffle=False))


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"batch_size": 5, "process_count": 2}, "positive multiple of 2"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"process_index": 2, "process_count": 2}, "process_index=2"),
        ({"seed": -1}, "seed=-1"),
        ({"workers": -1}, "workers=-1"),
        ({"epochs": 1, "batch_size": 16}, "10 photos x 1 epochs"),
    ],
)
def test_bad_requests_are_errors(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        loader(Numbers(10), example, **({"batch_size": 2, "seed": 0} | change))


def test_a_source_without_photos_is_an_error():
    for door in (loader, evaluation):
        with pytest.raises(ValueError, match="holds no photos"):
            door(Numbers(0), example, batch_size=2, seed=0)


@pytest.mark.parametrize("photos, count", [(10, 1), (10, 2), (8, 2), (1, 4), (5, 4)])
def test_an_evaluation_weighs_every_photo_once_over_all_processes(photos, count):
    passes = [
        evaluation(Numbers(photos), example, batch_size=8, process_index=index, process_count=count)
        for index in range(count)
    ]
    assert {len(batches) for batches in passes} == {-(-photos // 8)}
    seen = []
    for batches in passes:
        given = list(batches)
        assert len(given) == len(batches)
        for batch in given:
            assert batch["weight"].shape == (8 // count,) and batch["weight"].dtype == np.float32
            assert set(batch["weight"]) <= {0, 1}
            seen.extend(batch["number"][batch["weight"] == 1])
    assert sorted(seen) == list(range(photos))


def test_an_evaluation_is_the_same_every_time_whatever_the_batch():
    def flat(batches):
        together = {}
        for batch in batches:
            real = batch["weight"] == 1
            for key, value in batch.items():
                together.setdefault(key, []).append(value[real])
        return [{key: np.concatenate(values) for key, values in together.items()}]

    batches = evaluation(Numbers(10), example, batch_size=4, threads=2)
    assert_same(flat(batches), flat(batches))
    assert_same(flat(batches), flat(evaluation(Numbers(10), example, batch_size=7, threads=0)))


def test_an_evaluation_broken_off_starts_again_from_the_beginning():
    batches = evaluation(Numbers(10), example, batch_size=4)
    for _ in batches:
        break
    assert [len(batch["weight"]) for batch in batches] == [4, 4, 4]


def test_the_weight_belongs_to_the_evaluation():
    with pytest.raises(ValueError, match="key 'weight'"):
        next(iter(evaluation(Numbers(3), weighing, batch_size=2)))


def weighing(record, rng):
    return {"weight": np.ones(())}


def test_a_script_that_closes_nothing_ends_without_a_word():
    script = (
        "from tests.test_data_loader import Numbers, example, loader\n"
        "if __name__ == '__main__':\n"
        "    batches = loader(Numbers(9), example, batch_size=2, seed=0, workers=1, threads=1)\n"
        "    print(next(batches)['number'].shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "(2,)\n", "")


def test_workers_outlive_the_signal_that_asks_their_run_to_stop():
    script = (
        "import os, signal\n"
        "from tests.test_data_loader import Numbers, example, loader\n"
        "if __name__ == '__main__':\n"
        "    batches = loader(Numbers(9), example, batch_size=2, seed=0, workers=1, threads=1)\n"
        "    next(batches)\n"
        "    signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "    os.killpg(0, signal.SIGTERM)\n"  # as Slurm does: to all processes at once
        "    for _ in range(20):\n"
        "        next(batches)\n"
        "    print(batches.step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (0, "21\n"), done.stderr


def test_what_goes_to_the_workers_is_small():
    assert len(pickle.dumps(Numbers(10**6))) < 200
