"""From what a handler returns to the bytes of the answer."""
import array
import enum

import pytest

from mignificient.answer import UnusableAnswer, write_answer


class Three(enum.IntEnum):
    three = 3


@pytest.mark.parametrize("value, written", [
    (b"", b""),
    (b"bytes", b"bytes"),
    (bytearray(b"array"), b"array"),
    (memoryview(b"abcdef")[::2], b"ace"),
    (memoryview(array.array("H", [0x6261, 0x6463])), b"abcd"),
    (memoryview(b""), b""),
    ("", b""),
    ("größe €", "größe €".encode()),
    ("x" * 16, b"x" * 16),
    ({"a": 1}, b'{"a": 1}'),
    ([1, "ä"], '[1, "ä"]'.encode()),
    ((), b"[]"),
    (1.5, b"1.5"),
    (True, b"true"),
    (False, b"false"),
    ({1: None}, b'{"1": null}'),
])
def test_a_value_becomes_the_bytes_of_the_answer(result, value, written):
    size = write_answer(value, result)
    assert bytes(result.view_writable()[:size]) == written


def test_nothing_is_what_was_written_before(result):
    assert write_answer(None, result) == 0
    result.size = 7
    assert write_answer(None, result) == 7


@pytest.mark.parametrize("size", [0, 3, 16, -7, Three.three])
def test_an_int_is_the_number_of_bytes_already_written(result, size):
    result.view_writable()[:3] = b"abc"
    assert write_answer(size, result) == size
    assert bytes(result.view_writable()[:3]) == b"abc"


@pytest.mark.parametrize("value, size", [(b"x" * 17, 17), ("ä" * 9, 18), (17, 17), (1 << 80, 1 << 80),
                                         (["x" * 20], 24), (memoryview(array.array("Q", [0] * 3)), 24)])
def test_what_does_not_fit_names_size_and_limit(result, value, size):
    before = bytes(result.view_writable())
    with pytest.raises(UnusableAnswer, match=rf"returned {size} bytes \(limits.result is 16\)"):
        write_answer(value, result)
    assert bytes(result.view_writable()) == before


def circular():
    value = []
    value.append(value)
    return value


def deep():
    value = []
    for _ in range(100000):
        value = [value]
    return value


async def coroutine():
    pass


@pytest.mark.parametrize("make, words", [
    (lambda: {1, 2}, r"\[set\] that JSON cannot hold: Object of type set"),
    (lambda: {"a": b"bytes"}, r"\[dict\] that JSON cannot hold: Object of type bytes"),
    (lambda: float("nan"), r"\[float\] that JSON cannot hold"),
    (lambda: [float("inf")], r"\[list\] that JSON cannot hold"),
    (lambda: {(1, 2): 3}, r"\[dict\] that JSON cannot hold: keys must be"),
    (circular, r"\[list\] that JSON cannot hold: Circular"),
    (deep, r"\[list\] that JSON cannot hold"),
    (lambda: object, r"\[type\] that JSON cannot hold"),
    (lambda: array.array("b", [1]), r"\[array\] that JSON cannot hold"),
    (lambda: "\ud800", "text that UTF-8 cannot hold"),
    (lambda: ["\ud800"], "text that UTF-8 cannot hold"),
])
def test_what_cannot_be_sent_is_named(result, make, words):
    with pytest.raises(UnusableAnswer, match=words):
        write_answer(make(), result)


def test_a_coroutine_is_no_answer(result):
    made = coroutine()
    with pytest.raises(UnusableAnswer, match=r"\[coroutine\]"):
        write_answer(made, result)
    made.close()
