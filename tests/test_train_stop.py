import signal
import threading

import pytest

from oldphoto_jax.train.stop import StopSignal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noticed_and_the_old_handler_comes_back(number):
    before = signal.getsignal(number)
    with StopSignal() as stop:
        assert stop.asked(1) is None
        signal.raise_signal(number)
        assert stop.asked(2) == number
    assert signal.getsignal(number) is before


def test_the_second_interrupt_stops_at_once():
    with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked(1)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is not None


def test_outside_the_main_thread_signals_are_left_alone():
    before, answers = signal.getsignal(signal.SIGTERM), []

    def listen():
        with StopSignal() as stop:
            answers.append((stop.asked(1), signal.getsignal(signal.SIGTERM) is before))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert answers == [(None, True)]
