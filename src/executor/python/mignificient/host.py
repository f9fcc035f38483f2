"""The executor of Python functions: tells the orchestrator when it is ready, then calls the handler for each invocation
until the orchestrator closes the channel. Handlers run on the main thread.
"""
import faulthandler
import mmap
import os
import sys
import threading

from . import channel as protocol
from . import gpu_work
from .answer import UnusableAnswer, write_answer
from .function import Function, LoadFailed, describe, log_traceback, preload
from .invocation import Invocation, Payload, Result


class Turn:
    """The right of one invocation to speak on the channel: yields, and none after its answer."""

    def __init__(self, channel, invocation):
        self._channel = channel
        self._invocation = invocation
        self._lock = threading.Lock()
        self._may_yield = True

    def gpu_yield(self):
        with self._lock:
            if self._may_yield:
                self._channel.send(protocol.YIELDED, invocation=self._invocation)

    def end(self):
        with self._lock:  # a thread that the handler left behind may call gpu_yield at any time
            self._may_yield = False


class Host:
    def __init__(self, channel, memory, layout):
        """`memory` is a memoryview of the memory that is shared with the orchestrator."""
        self._channel = channel
        self._memory = memory
        self._layout = layout
        self._process = os.getpid()

    def serve(self, modules, path, handler):
        """Returns when the channel is closed, or when there is no function to call and that has been told."""
        try:
            preload(modules)
            function = Function(path, handler)
            flush_output()
            self._channel.send(protocol.READY)
            while self._serve_one(function):
                pass
        except LoadFailed as error:
            self._leave_if_forked()
            flush_output()
            self._channel.send(protocol.FAILED, failure=error.failure, text=str(error))

    def _serve_one(self, function):
        request = self._channel.receive()
        if request is None:
            return False
        invocation, payload_size = request
        if payload_size > self._layout.payload_capacity:
            raise protocol.BrokenChannel(f"A payload of {payload_size} bytes is announced.")
        turn = Turn(self._channel, invocation)
        handler = function.handler()
        self._leave_if_forked()
        answer = self._call(handler, payload_size, turn)
        self._leave_if_forked()
        turn.end()
        flush_output()
        self._channel.send(invocation=invocation, gpu_work=gpu_work.finish(), **answer)
        return True

    def _call(self, handler, payload_size, turn):
        offset = self._layout.result_offset
        payload = Payload(self._memory[:payload_size])
        result = Result(self._memory[offset:offset + self._layout.result_capacity])
        try:
            size = write_answer(handler(Invocation(payload, result, turn.gpu_yield)), result)
            return {"kind": protocol.RETURNED, "value": max(size, protocol.SMALLEST_VALUE)}
        except UnusableAnswer as error:
            return threw(str(error))
        except BaseException as error:  # sys.exit in a handler ends the invocation, not the container
            uncalled = isinstance(error, TypeError) and error.__traceback__.tb_next is None
            log_traceback(error)
            if uncalled:
                return threw(f"The handler cannot be called with one argument, the invocation: {error}")
            verb = "ended early" if isinstance(error, SystemExit) else "raised an exception"
            return threw(f"The function {verb}: {describe(error)}")

    def _leave_if_forked(self):
        """A child that the function forked and that came back here must not speak for its parent."""
        if os.getpid() != self._process:
            flush_output()
            os._exit(0)


def threw(sentence):
    return {"kind": protocol.THREW, "text": sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."}


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the function closed or replaced it
            pass


def parse(arguments):
    """The options of the command line, with `modules` for all that follow --module."""
    options, modules = {}, []
    for name, value in zip(arguments[::2], arguments[1::2]):
        if name == "--module":
            modules.append(value)
        else:
            options[name] = value
    return options, modules


def main(arguments):
    options, modules = parse(arguments)
    try:
        channel_fd, memory_fd = int(options["--channel-fd"]), int(options["--memory-fd"])
        layout = protocol.Layout(int(options["--payload-capacity"]), int(options["--result-capacity"]))
        path, handler = options["--function"], options["--handler"]
    except (KeyError, ValueError):
        sys.exit("mignificient_executor.py is started by `mignificient serve`, not by hand.")
    faulthandler.enable()  # a crash tells where
    memory = mmap.mmap(memory_fd, layout.total)
    os.close(memory_fd)
    try:
        Host(protocol.Channel(channel_fd), memoryview(memory), layout).serve(modules, path, handler)
    except ConnectionError:
        pass  # the orchestrator has gone
    flush_output()
    os._exit(0)  # threads that the function left behind are not waited for, nor is what it registered to run at exit
