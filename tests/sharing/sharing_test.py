"""Five containers on three partitions of the software GPU, a thousand random invocations under each sharing model: every
answer is right, nobody uses a GPU that another owns, and nothing is left.

Who used the GPU when is told by the functions themselves: they have kernels that take their own time by the device's
clock, which is one for all processes.
"""
import collections
import importlib.util
import json
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest

import serving
import work
from conftest import BUILD, LIBRARIES, ROOT, until

MODELS = ("sequential", "overlap_cpu", "overlap_cpu_memcpy", "full_overlap")
PARTITIONS = (("1g", 256), ("2g", 512), ("3g", 512))
# user, function, partition that it asks for: two share the second partition, two the third.
CONTAINERS = [("ann", "ann-f", "1g"), ("bob", "bob-f", "2g"), ("cat", "cat-f", "2g"), ("dan", "dan-f", "3g"),
              ("eve", "eve-f", "3g")]
INVOCATIONS = 1000
CALLERS = 2  # at a time, of each container

Ran = collections.namedtuple("Ran", "user container partition numbers answer")


def random_numbers(draw):
    return {"seed": draw.randrange(1 << 32), "copies": draw.randint(1, 3), "bytes": draw.choice([4, 1000, 20000, 70000]),
            "kernels": draw.randint(0, 3), "rounds": draw.randint(0, 8), "cpu_us": draw.choice([0, 300, 2000]),
            "yields": draw.choice([0, 0, 1, 2]), "yields_between": draw.choice([0, 0, 0, 1]),
            "timed_rounds": draw.choice([10, 10000])}


class Load:
    """Callers that each invoke one function again and again; what they saw, and what was wrong."""

    def __init__(self, node, seed):
        self.node, self.ran, self.wrong = node, [], []
        per_caller = INVOCATIONS // (CALLERS * len(CONTAINERS))
        self._threads = [threading.Thread(target=self._call,
                                          args=(index, *container, random.Random(1000 * seed + index), per_caller))
                         for index, container in enumerate(CONTAINERS * CALLERS)]

    def run(self, watch):
        for thread in self._threads:
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            self.wrong += watch()
            for thread in self._threads:  # the next look when the first of them ends, or in a moment
                thread.join(0.05)

    def _call(self, index, user, function, size, draw, count):
        client = self.node.client()
        library = LIBRARIES[index % len(CONTAINERS) % len(LIBRARIES)]
        for _ in range(count):
            numbers = random_numbers(draw)
            answer = client.invoke(serving.request(library, function, numbers, user, function_handler="mixed",
                                                   mig_instance=size))
            if answer.status != 200:
                self.wrong.append(f"{user}: {answer.status} {answer.body!r}")
                continue
            result = json.loads(answer.body)
            if result["checksum"] != work.mixed(numbers):
                self.wrong.append(f"{user}: {numbers} gives {result} (expected {work.mixed(numbers)})")
            self.ran.append(Ran(user, answer.headers["X-MIGnificient-Container"],
                                answer.headers["X-MIGnificient-Partition"], numbers, result))
        client.close()


def inconsistencies(containers):
    """What cannot be in one look at GET /containers."""
    known = {(user, function): size for user, function, size in CONTAINERS}
    memory = {f"MIG-software-{index}": mib for index, (_, mib) in enumerate(PARTITIONS)}
    used = collections.Counter()
    for container in containers:
        size = known.get((container["user"], container["function"]))
        if size is None or not container["instance"].startswith(size) or container["partition"] not in memory:
            yield f"A container that nobody asked for: {container}"
        if container["status"] not in ("starting", "idle", "running", "lukewarm"):
            yield f"A container whose status is wrong: {container}"
        used[container["partition"]] += container["gpu-memory"]
    if len({container["id"] for container in containers}) != len(containers):
        yield f"Two containers of one name: {containers}"
    for partition, mib in used.items():
        if mib > memory.get(partition, 0):
            yield f"Partition {partition} holds {mib} MiB: {containers}"


def overlaps(intervals):
    """Pairs of (begin, end, ...) that overlap, each with one that began before."""
    latest = None
    for interval in sorted(intervals, key=lambda one: one[:2]):
        if latest is not None and interval[0] < latest[1]:
            yield latest, interval
        if latest is None or interval[1] > latest[1]:
            latest = interval


def check_kernels(model, ran):
    """Of the invocations of one partition: no two kernels run at once unless everybody may use the GPU."""
    kernels = [(begin, end, index) for index, one in enumerate(ran)
               for begin, end in zip(one.answer["kernel_times"][::2], one.answer["kernel_times"][1::2])]
    assert len(kernels) >= len(ran) and all(begin < end for begin, end, _ in kernels)
    at_once = [(ran[a[2]].user, ran[b[2]].user) for a, b in overlaps(kernels)]
    if model != "full_overlap":
        assert not at_once, f"{len(at_once)} kernels ran in another's turn: {at_once[:5]}"


def check_turns(model, ran):
    """Of the invocations of one partition: who starts in another's turn. Those that yield are left out: they give theirs
    away before they end."""
    starts = list(overlaps((one.answer["begin"], one.answer["end"], one.user)
                           for one in ran if not one.numbers["yields"] + one.numbers["yields_between"]))
    if model == "sequential":
        assert not starts, f"{len(starts)} started in another's turn: {starts[:3]}"
    elif len({one.user for one in ran}) > 1:
        assert starts, f"Nobody ever ran on the CPU in another's turn, {model} or not."


def read_timeline():
    """tests/node/timeline.py, where this tree and this node have timelines; else None."""
    path = ROOT / "tests/node/timeline.py"
    help_text = subprocess.run([BUILD / "bin/mignificient", "serve", "--help"], capture_output=True, text=True, check=True)
    if not path.exists() or "--trace" not in help_text.stdout:
        return None
    spec = importlib.util.spec_from_file_location("timeline", path)
    module = sys.modules["timeline"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_load(node, seed):
    """A thousand invocations, whose answers and whose containers are checked; what they were."""
    load = Load(node, seed)
    load.run(watch=lambda: list(inconsistencies(node.containers())))
    assert not load.wrong, f"{len(load.wrong)} are wrong: {load.wrong[:5]}\n{node.logs()}"
    assert len(load.ran) == INVOCATIONS
    containers = node.containers()
    assert sorted((c["user"], c["status"], c["invocations"]) for c in containers) == sorted(
        (user, "idle", INVOCATIONS // len(CONTAINERS)) for user, _, _ in CONTAINERS)
    assert {one.container for one in load.ran} == {container["id"] for container in containers}
    return load.ran


def end(node, shared_memory_before):
    assert node.end(signal.SIGTERM) == 0
    assert node.left_behind() == []
    # Tests that run at the same time may have some for a moment.
    until(lambda: set(pathlib.Path("/dev/shm").iterdir()) <= shared_memory_before, "no shared memory is left")


@pytest.mark.parametrize("model", MODELS)
def test_a_thousand_random_invocations_are_answered_rightly(make_node, tmp_path, model):
    before = set(pathlib.Path("/dev/shm").iterdir())
    timeline, trace = read_timeline(), tmp_path / "trace.json"
    node = make_node(serving.software_gpu(*PARTITIONS), sharing_model=model,
                     arguments=["--trace", str(trace)] if timeline else [])
    ran = run_load(node, seed=MODELS.index(model))
    for partition in {one.partition for one in ran}:
        here = [one for one in ran if one.partition == partition]
        check_kernels(model, here)
        check_turns(model, here)
    # Kernels of different partitions do run at once: what check_kernels looks for would be seen.
    with pytest.raises(AssertionError, match="in another's turn"):
        check_kernels("sequential", ran)
    end(node, before)
    if timeline:
        assert not list(timeline.check(timeline.read(trace), model))


def test_each_partition_has_its_own_model(make_node):
    before = set(pathlib.Path("/dev/shm").iterdir())
    models = {"MIG-software-0": "full_overlap", "2g": "sequential", "3g.512mb": "overlap_cpu"}
    node = make_node(serving.software_gpu(*PARTITIONS), sharing_model="overlap_cpu_memcpy", sharing_models=models)
    ran = run_load(node, seed=5)
    for (size, _), model in zip(PARTITIONS, models.values()):
        here = [one for one in ran if one.partition.startswith(size)]
        check_kernels(model, here)
        check_turns(model, here)
    end(node, before)


@pytest.mark.parametrize("model", MODELS)
def test_owners_that_are_preempted_answer_rightly(make_node, model):
    before = set(pathlib.Path("/dev/shm").iterdir())
    node = make_node(serving.software_gpu(*PARTITIONS), sharing_model=model, quantum_ms=1)
    ran = run_load(node, seed=6 + MODELS.index(model))
    for partition in {one.partition for one in ran}:
        check_kernels(model, [one for one in ran if one.partition == partition])
    end(node, before)


@pytest.mark.parametrize("intervals, pairs", [
    ([], 0),
    ([(1, 2, "a"), (2, 3, "b")], 0),
    ([(1, 3, "a"), (2, 3, "b")], 1),
    ([(1, 9, "a"), (2, 3, "b"), (4, 5, "c")], 2),
    ([(5, 6, "a"), (1, 2, "b"), (3, 4, "c")], 0),
])
def test_overlaps_are_found(intervals, pairs):
    assert len(list(overlaps(intervals))) == pairs
