"""Calls a Python function natively, for python_functions.py:

    call_python_function.py LIB/PYTHON FILE HANDLER CALLS

The first line of its output is the first answer, the second the milliseconds of the other calls.
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
    times = []
    for _ in range(int(calls)):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
