"""One invocation as its handler sees it: the payload, the result area, the turn on the GPU."""


class Payload:
    """The bytes that the caller sent; they lie in shared memory and are overwritten by the next invocation."""

    __slots__ = ("_view",)

    def __init__(self, view):
        self._view = view.toreadonly()

    @property
    def size(self):
        return len(self._view)

    def view_readable(self):
        """A read-only memoryview of all bytes, without a copy."""
        return self._view


class Result:
    """The area that the answer is written to. `size` says how many of its bytes are meant; it begins at 0."""

    __slots__ = ("_view", "_size")

    def __init__(self, view):
        self._view = view
        self._size = 0

    @property
    def capacity(self):
        return len(self._view)

    @property
    def size(self):
        return self._size

    @size.setter
    def size(self, size):
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"The size of a result is a number of bytes, not {size!r}.")
        if not 0 <= size <= self.capacity:
            raise ValueError(f"The size of the result is {size} bytes (limits.result is {self.capacity}).")
        self._size = size

    def view_writable(self):
        """A writable memoryview of the whole area. Writing to it does not change `size`."""
        return self._view


class Invocation:
    __slots__ = ("payload", "result", "_yield")

    def __init__(self, payload, result, gpu_yield):
        self.payload = payload
        self.result = result
        self._yield = gpu_yield

    def gpu_yield(self):
        """Says that this invocation needs the GPU no more: the next one gets it, while this one goes on on the CPU."""
        self._yield()


class BufferWriter:
    """A binary file over a result: each write appends and moves `result.size`. Whole writes that do not fit fail."""

    def __init__(self, buffer):
        self.buffer = buffer
        self.view = buffer.view_writable()

    def write(self, data):
        data = memoryview(data)
        if data.format != "B" or data.ndim != 1:
            data = memoryview(data.tobytes())
        begin, end = self.buffer.size, self.buffer.size + len(data)
        if end > self.buffer.capacity:
            raise ValueError(f"The result would have {end} bytes (limits.result is {self.buffer.capacity}).")
        self.view[begin:end] = data
        self.buffer.size = end
        return len(data)


class BufferStringWriter:
    """A text file (UTF-8) over a result, such as json.dump writes to."""

    def __init__(self, buffer):
        self._bytes = BufferWriter(buffer)
        self.buffer = buffer
        self.view = self._bytes.view

    def write(self, text):
        self._bytes.write(text.encode())
        return len(text)
