"""Calls a Python function natively, for python_functions.py and sharing.py:

    call_python_function.py LIB/PYTHON FILE HANDLER CALLS

The first line of its output is the first answer, the second the milliseconds of the other calls. Where CALLS is "-", each
number that comes on a line of its input is answered with such a line: of the calls within so many seconds.
"""
import importlib.util
import json
import os
import sys
import time


def main(library, file, handler, calls):
    sys.path.append(library)
    from mignificient import Invocation, Payload, Result
    from mignificient.answer import write_answer

    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(file))[0], file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call():
        result = Result(memoryview(bytearray(1 << 20)))
        value = getattr(module, handler)(Invocation(Payload(memoryview(b"{}")), result, lambda: None))
        return bytes(result.view_writable()[:write_answer(value, result)]).decode()

    print(call(), flush=True)
    def timed(more):
        times = []
        while more(len(times)):
            begin = time.perf_counter()
            call()
            times.append((time.perf_counter() - begin) * 1e3)
        print(json.dumps(times), flush=True)

    if calls != "-":
        return timed(lambda made: made < int(calls))
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        timed(lambda _, end=end: time.perf_counter() < end)


if __name__ == "__main__":
    main(*sys.argv[1:])
