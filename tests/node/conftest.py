"""A node of its own for a test: the orchestrator, a fake GPU server, functions that misbehave."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", "build/release")).resolve()
FOLDER = BUILD / "tests" / "node"
FUNCTIONS = FOLDER / "node_test_function.so"
DEADLINE_S = 60


def until(condition, what):
    """Polls where no event exists that a test could wait for."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    pytest.fail(f"not within {DEADLINE_S} s: {what}")


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def type(self):
        return self.headers.get("X-Function-Error")

    @property
    def error(self):
        return json.loads(self.body)["error"]


class Node:
    def __init__(self, folder, **overrides):
        self.folder = folder
        config = {
            "http": {"port": 0},
            "functions": {"allowed-paths": [str(FOLDER), str(folder)]},
            "gpu-server": {"driver": "cpu"},
            "shutdown-grace": 0,
            "paths": {
                "executor": str(BUILD / "bin" / "mignificient-executor"),
                "keeper": str(BUILD / "bin" / "mignificient-keeper"),
                "gpu-server": str(FOLDER / "node_test_gpu_server"),
                "library": str(BUILD / "lib"),
                "logs": str(folder / "logs"),
            },
        }
        for key, value in overrides.items():
            if isinstance(value, dict):
                config.setdefault(key, {}).update(value)
            else:
                config[key] = value
        path = folder / "orchestrator.json"
        path.write_text(json.dumps(config))
        self.pids = set()
        self.lines = []
        self.process = subprocess.Popen([str(FOLDER / "node_test_serve"), str(path)], stderr=subprocess.PIPE, text=True)
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = int(self.wait_for_line(r"listening .*port=(\d+)").group(1))

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.pids.update(int(pid) for pid in re.findall(r"_pid=(\d+)", line))
                self.changed.notify_all()
        with self.changed:
            self.lines.append("(end)")
            self.changed.notify_all()

    def wait_for_line(self, pattern, count=1):
        found = []

        def search():
            found[:] = [m for m in (re.search(pattern, line) for line in self.lines) if m]
            return len(found) >= count or "(end)" in self.lines

        with self.changed:
            self.changed.wait_for(search, DEADLINE_S)
        assert len(found) >= count, f"no line {pattern!r} in:\n{''.join(self.lines)}"
        return found[count - 1]

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        connection.request(method, path, body, headers or {})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def body(self, function, payload="", **fields):
        request = {
            "function": function,
            "user": "alice",
            "mig-instance": "any",
            "gpu-memory": 100,
            "function-path": str(FUNCTIONS),
            "input-payload": payload,
        }
        request.update({key.replace("_", "-"): value for key, value in fields.items()})
        return json.dumps({key: value for key, value in request.items() if value is not None})

    def invoke(self, function, payload="", headers=None, **fields):
        return self.request("POST", "/invoke", self.body(function, payload, **fields), headers)

    def start(self, function, payload="", **fields):
        """An invocation that is waited for later: returns its connection."""
        connection = self.connect()
        connection.request("POST", "/invoke", self.body(function, payload, **fields))
        return connection

    def containers(self):
        return json.loads(self.request("GET", "/containers").body)["containers"]

    def until_no_container(self):
        until(lambda: not self.containers(), "no container is left")

    def stop(self, signal_number=signal.SIGTERM):
        self.process.send_signal(signal_number)
        status = self.process.wait(DEADLINE_S)
        self.reader.join(DEADLINE_S)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(DEADLINE_S)
        self.process.stderr.close()


@pytest.fixture
def make_node(tmp_path):
    nodes = []

    def make(**overrides):
        nodes.append(Node(tmp_path, **overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()
        until(lambda: not [pid for pid in node.pids if alive(pid)], "the node's processes are gone")


@pytest.fixture
def node(make_node):
    return make_node()
