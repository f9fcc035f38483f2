"""The orchestrator is killed (SIGKILL) under load: of all that it and its functions had started, nothing stays, and it can
be started again at once. Orphans become children of this process (it is their subreaper), so none is overlooked."""
import ctypes
import http.client
import json
import os
import pathlib
import signal
import threading

import pytest

import serving
import work
from conftest import DRIVER, until

FUNCTIONS = pathlib.Path(__file__).with_name("functions.py")
NUMBERS = {"seed": 1, "copies": 2, "bytes": 20000, "kernels": 2, "rounds": 3, "cpu_us": 500, "yields": 1}
PR_SET_CHILD_SUBREAPER = 36


def children_of(pid):
    try:
        return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    except OSError:
        return []


def family_of(pid):
    """All descendants."""
    family = children_of(pid)
    for member in family:  # grows while it is read
        family += children_of(member)
    return family


def reap(pid):
    """Whether this child is gone; a zombie is made to go."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


@pytest.fixture
def orphans():
    """orphans(): pids of living processes that lost their parent during the test. Whoever is left is killed."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    nodes = []

    def living():
        known = {node.process.pid for node in nodes}
        return [pid for pid in children_of(os.getpid()) if pid not in known and not reap(pid)]

    living.nodes = nodes
    yield living
    for node in nodes:
        node.process.kill()
        node.process.wait()
    while left := living():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class Load:
    """Callers that invoke until the node has gone."""

    def __init__(self, node, bodies):
        self.answered = threading.Semaphore(0)
        self.wrong = []
        self._threads = [threading.Thread(target=self._call, args=(node, body)) for body in bodies]
        for thread in self._threads:
            thread.start()

    def _call(self, node, body):
        client = node.client()
        try:
            while True:
                answer = client.invoke(body)
                if answer.status != 200 or json.loads(answer.body)["checksum"] != work.mixed(NUMBERS):
                    self.wrong.append(f"{answer.status} {answer.body!r}")
                self.answered.release()
        except (OSError, http.client.HTTPException):
            pass
        client.close()

    def join(self):
        for thread in self._threads:
            thread.join()


def call_and_lose(node, body):
    """An invocation whose answer is not waited for."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port)
    connection.request("POST", "/invoke", json.dumps(body))
    return connection


def environment_of(pid, name):
    for entry in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(name.encode() + b"="):
            return entry.decode().split("=", 1)[1]
    return None


def cgroups_of(pids):
    found = set()
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().split():
            found.add("/sys/fs/cgroup" + line.split(":", 2)[2])
    return found


def test_an_orchestrator_that_is_killed_under_load_leaves_nothing_and_starts_again(make_node, orphans, tmp_path):
    shared_memory = set(pathlib.Path("/dev/shm").iterdir())
    own_cgroups = cgroups_of([os.getpid()])
    node = make_node(serving.software_gpu(("1g", 1024), ("2g", 1024), ("3g", 1024)))
    orphans.nodes.append(node)
    load = Load(node, [serving.request(DRIVER, "mixed", NUMBERS, user) for user in ("ann", "bob", "ann", "bob", "cat")])
    lost = [call_and_lose(node, serving.request(FUNCTIONS, "wait", {}, "dan", mig_instance="2g"))]
    forked = tmp_path / "forked"
    lost.append(call_and_lose(node, {**serving.request(FUNCTIONS, "fork_and_wait", {}, "eve", mig_instance="3g"),
                                     "input-payload": str(forked)}))
    until(forked.exists, "the function has forked")
    for _ in range(50):
        assert load.answered.acquire(timeout=60), "The load is not answered."
    family = family_of(node.process.pid)
    doors = {environment_of(container["executor-pid"], "MIGNIFICIENT_GPU_DOOR").split(":")[0]
             for container in node.containers() if container["executor-pid"]}
    cgroups = cgroups_of(family) - own_cgroups
    assert len(doors) >= 4 and len(family) >= 2 * len(doors) + 3

    node.process.kill()
    node.process.wait()
    # Both at once: one whose parent has just ended becomes ours, and is to be reaped by us, a moment later.
    until(lambda: not orphans() and not [pid for pid in family if pathlib.Path(f"/proc/{pid}").exists()],
          "no process is left, and all are reaped")
    assert not [door for door in doors if "@" + door in pathlib.Path("/proc/net/unix").read_text()]
    assert not [path for path in cgroups if pathlib.Path(path).exists()]
    until(lambda: set(pathlib.Path("/dev/shm").iterdir()) <= shared_memory, "no shared memory is left")
    load.join()
    assert not load.wrong
    for connection in lost:
        connection.close()

    node.start(node.port)
    answer = node.client().invoke(serving.request(DRIVER, "mixed", NUMBERS, "ann"))
    assert answer.status == 200 and json.loads(answer.body)["checksum"] == work.mixed(NUMBERS)
    assert node.stop() == 0
    assert node.left_behind() == [] and orphans() == []
