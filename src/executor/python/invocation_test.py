"""What a handler may do with its invocation."""
import array
import json

import pytest

from mignificient import BufferStringWriter, BufferWriter


def test_the_payload_can_be_read_and_not_written(invocation):
    payload = invocation[0].payload
    assert (payload.size, bytes(payload.view_readable())) == (7, b"payload")
    with pytest.raises(TypeError):
        payload.view_readable()[0] = 1


def test_the_size_of_a_result_begins_at_zero_and_is_bounded(result):
    assert (result.size, result.capacity, len(result.view_writable())) == (0, 16, 16)
    result.size = 16
    assert result.size == 16
    with pytest.raises(ValueError, match=r"17 bytes \(limits.result is 16\)"):
        result.size = 17
    with pytest.raises(ValueError, match="-1 bytes"):
        result.size = -1
    for wrong in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="number of bytes"):
            result.size = wrong
    assert result.size == 16


def test_the_view_of_a_result_is_the_area_itself(result):
    result.view_writable()[:2] = b"ab"
    assert bytes(result.view_writable()[:2]) == b"ab"
    assert result.size == 0
    with pytest.raises((IndexError, ValueError)):
        result.view_writable()[16] = 0


def test_a_yield_is_passed_on(invocation):
    invocation[0].gpu_yield()
    assert invocation[1] == [1]


def test_writers_append_and_move_the_size(result):
    binary, text = BufferWriter(result), BufferStringWriter(result)
    assert binary.write(b"ab") == 2
    assert text.write("ä") == 1
    assert binary.write(memoryview(array.array("H", [0x6463]))) == 2
    assert binary.write(b"") == 0
    assert binary.buffer is text.buffer is result
    assert bytes(result.view_writable()[:result.size]) == b"ab\xc3\xa4cd"


def test_json_dumps_into_a_result(result):
    json.dump({"a": [1, 2]}, BufferStringWriter(result))
    assert bytes(result.view_writable()[:result.size]) == b'{"a": [1, 2]}'


@pytest.mark.parametrize("writer, data", [(BufferWriter, b"xxxx"), (BufferStringWriter, "ää")])
def test_a_write_that_does_not_fit_changes_nothing(result, writer, data):
    result.view_writable()[:] = b"." * 16
    result.size = 13
    with pytest.raises(ValueError, match=r"17 bytes \(limits.result is 16\)"):
        writer(result).write(data)
    assert result.size == 13
    assert bytes(result.view_writable()) == b"." * 16
