"""What a Python function sees of MIGnificient.

    def handler(invocation):
        request = json.loads(bytes(invocation.payload.view_readable()))
        return {"result": "ok", "elements": request["elements"]}

A handler returns what the caller gets: bytes, str, anything that JSON can hold, or None for what has been written
through `invocation.result` (nothing, where nothing was); or an int, the number of bytes that it has written there
itself.
"""
from .invocation import BufferStringWriter, BufferWriter, Invocation, Payload, Result

__all__ = ["BufferStringWriter", "BufferWriter", "Invocation", "Payload", "Result"]
