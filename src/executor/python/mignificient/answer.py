"""From what a handler returns to the bytes of the answer."""
import json


class UnusableAnswer(Exception):
    """The handler's answer cannot be sent; the text is a whole sentence."""


def write_answer(value, result):
    """Writes it to the result area, unless the handler did so itself. Returns how many bytes of the area are the
    answer; negative where the handler returned a negative number: its way to say that it failed."""
    if value is None:
        return result.size
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(int(value), result)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _write(value, result)
    return _write(_text(value), result)


def _bounded(size, result):
    if size > result.capacity:
        raise UnusableAnswer(f"The function returned {size} bytes (limits.result is {result.capacity}).")
    return size


def _write(data, result):
    data = memoryview(data)
    size = _bounded(data.nbytes, result)
    if data.format != "B" or data.ndim != 1:
        data = data.tobytes()
    result.view_writable()[:size] = data
    return size


def _text(value):
    try:
        # NaN and infinity are no JSON, though Python would write them.
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnusableAnswer(f"The function returned text that UTF-8 cannot hold: {error}") from error
    except Exception as error:
        raise UnusableAnswer(f"The function returned a value of type [{type(value).__name__}] that JSON cannot hold: "
                             f"{error}") from error
