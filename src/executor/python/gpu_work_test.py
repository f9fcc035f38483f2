"""What the Python executor says of the GPU work that its process has issued."""
import ctypes
import os

import pytest

from mignificient import channel, gpu_work


class Library:
    def __init__(self, answer):
        self.mignificient_finish = lambda: answer


def test_where_nothing_has_loaded_the_driver_there_is_none(ready):
    assert ready("def handler(invocation):\n    return 'x'\n").invoke().gpu_work == channel.NONE


def test_it_asks_only_a_driver_that_is_loaded(monkeypatch):
    asked = []

    def load(name, mode):
        asked.append((name, mode & os.RTLD_NOLOAD))
        return Library(channel.CARRIED_OUT)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert gpu_work.finish() == channel.CARRIED_OUT
    assert asked == [("libcuda.so.1", os.RTLD_NOLOAD)]


@pytest.mark.parametrize("answer", [channel.UNKNOWN, channel.NONE])
def test_what_the_driver_says_is_passed_on(monkeypatch, answer):
    monkeypatch.setattr(ctypes, "CDLL", lambda name, mode: Library(answer))
    assert gpu_work.finish() == answer


def test_of_somebody_elses_driver_nothing_is_known(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name, mode: object())
    assert gpu_work.finish() == channel.UNKNOWN


def test_an_answer_that_is_an_error_says_it_too(ready):
    executor = ready("def handler(invocation):\n    raise ValueError('x')\n")
    message = executor.invoke()
    assert (message.kind, message.gpu_work) == (channel.THREW, channel.NONE)
