"""Processes that a comparison runs: to their end, or as companions that are asked again and again."""
import contextlib
import os
import subprocess
import tempfile
import threading
import time

LIMIT_S = 300  # after which a process counts as hanging


class Failed(Exception):
    """A program did not do what it should; the text says which and how."""


def finish(command, environment=None):
    """Runs to the end: (standard output, wall milliseconds, CPU milliseconds of it and all that it has waited for)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=errors, env=environment)
        timer = threading.Timer(LIMIT_S, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_ms = (time.perf_counter() - start) * 1e3
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if process.returncode != 0:
            text = (errors.read().strip() or out.read().strip())[-400:]
            raise Failed(f"{' '.join(map(str, command))} exits with {process.returncode}: {text}")
        return out.read(), wall_ms, (usage.ru_utime + usage.ru_stime) * 1e3


class Companion:
    """A process that lives for a whole group and answers each line with a line."""

    def __init__(self, command):
        self._command = [str(word) for word in command]
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=self._errors, text=True)
        self.pid = self._process.pid

    def read(self):
        timer = threading.Timer(LIMIT_S, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if line:
            return line.strip()
        status = self._process.wait()
        self._errors.seek(0)
        raise Failed(f"{' '.join(self._command)} exits with {status}: {self._errors.read().strip()[-400:]}")

    def ask(self, line):
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells more
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
