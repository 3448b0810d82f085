import threading

import pytest

from oldphoto_jax.restore import ahead


def test_results_come_in_order_some_computed_at_a_time():
    meeting = threading.Barrier(ahead.AT_ONCE, timeout=20)

    def function(number):
        meeting.wait()  # passes only where AT_ONCE are in work together
        return -number

    assert [*ahead.results(function, range(3 * ahead.AT_ONCE))] == [*range(0, -6, -1)]
    assert [*ahead.results(function, [])] == []


def test_a_fault_is_raised_in_its_place_and_the_rest_left_out():
    begun = []

    def function(number):
        begun.append(number)
        return 1 // (3 - number)

    made = ahead.results(function, range(1000))
    assert [next(made) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert len(begun) < 20


def test_whoever_stops_asking_stops_the_work():
    begun = []
    made = ahead.results(begun.append, range(1000))
    next(made)
    made.close()
    assert len(begun) <= ahead.AT_ONCE + 2
