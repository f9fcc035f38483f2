"""Timelines of real nodes with the software GPU: whatever ran, they agree with the sharing model."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest

import timeline
from conftest import BUILD, Answer, until

FUNCTION = pathlib.Path(__file__).with_name("gpu_work.py")


class Traced:
    """A node that writes a timeline, and its functions."""

    def __init__(self, make_node, folder, limit=1 << 30, file=True, **overrides):
        self.file = folder / "trace.json"
        settings = {"executor": {"python": sys.executable},
                    "trace": {"file": str(self.file) if file else "", "limit": limit},
                    "functions": {"allowed-paths": [str(FUNCTION.parent)]},
                    "paths": {"gpu-server": str(BUILD / "bin/mignificient-gpu-server")}, **overrides}
        self.node = make_node(**settings)

    def start(self, name, steps, file="", **fields):
        return self.node.start(name, json.dumps({"steps": steps, "file": str(file)}), function_handler="work",
                               function_path=str(FUNCTION), **fields)

    def invoke(self, name, steps, **fields):
        answer = Answer(self.start(name, steps, **fields).getresponse())
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["right"]
        return answer

    def stop(self):
        assert self.node.stop() == 0
        return timeline.read(self.file)


@pytest.fixture
def traced(make_node, tmp_path):
    return lambda **overrides: Traced(make_node, tmp_path, **overrides)


def milliseconds(answer):
    parts = [part.strip().split(";dur=") for part in answer.headers["Server-Timing"].split(",")]
    return {name: float(value) for name, value in parts}


def only(items):
    (item,) = items
    return item


def test_a_timeline_shows_an_invocation_from_its_arrival_to_its_answer(traced):
    node = traced()
    node.invoke("work", ["cpu", "kernel", "kernels"], mig_instance="3g")
    found = node.stop()
    assert timeline.check(found) == []
    partition = only(p for p in found.partitions if p.containers)
    assert partition.name.startswith("3g") and partition.model == "sequential"
    container = partition.containers["c-1"]
    assert [s.name for s in container.life] == ["starting", "ending"]
    assert [s.name for s in container.gate] == ["Locked", "Full", "Locked"]
    assert [(s.name, s.depth) for s in container.invocation] == [("work", 0), ("exec", 1), ("drain", 1)]
    assert only(partition.owner).name == "work c-1 #1"
    copies = [s for s in container.activity if s.category == "copy"]
    assert {s.name for s in copies} == {"copy in", "copy out"}
    assert sum(s.args["bytes"] for s in copies) == 2 * 4 * 4096
    kernels = [s for s in container.activity if s.category == "kernel"]
    assert sum(s.args["commands"] for s in kernels) == 41
    assert all(s.name.startswith("add_one") for s in kernels)
    assert sum(s.args["blocks"] for s in kernels) == 41 * 32


@pytest.mark.parametrize("model", timeline.MODELS)
def test_many_invocations_at_once_agree_with_the_model(traced, model):
    node = traced(**{"sharing-model": model})
    chance = random.Random(7)
    calls = []
    for i in range(24):
        steps = chance.choices(["cpu", "in", "kernel", "kernels", "out"], k=chance.randrange(1, 8))
        if i % 3 == 0:
            steps.append("yield")
            steps += ["cpu"] * 3
        calls.append(node.start(f"work-{i % 4}", steps, mig_instance="3g"))
    for call in calls:
        answer = Answer(call.getresponse())
        assert answer.status == 200, answer.body
    found = node.stop()
    assert timeline.check(found) == []
    assert len(found.answers) == 24
    partition = only(p for p in found.partitions if p.containers)
    assert partition.model == model
    # Under the others a call may do without: one that only copies, or any.
    if model in ("sequential", "overlap_cpu"):
        assert {s.args["call"] for s in partition.owner} == {s.args["call"] for s in found.answers}
    kernels = [s for c in partition.containers.values() for s in c.activity if s.category == "kernel"]
    assert kernels and len({s.args["container"] for s in kernels}) == 4


def test_a_yield_gives_the_device_away_before_the_end(traced, tmp_path):
    node = traced()
    first = node.start("first", ["kernel", "yield", "wait"], file=tmp_path / "go", mig_instance="3g")
    until(lambda: [c for c in node.node.containers() if c["status"] == "running"], "the first runs")
    node.invoke("second", ["kernel"], mig_instance="3g")  # runs while the first still does
    (tmp_path / "go").touch()
    assert Answer(first.getresponse()).status == 200
    found = node.stop()
    assert timeline.check(found) == []
    partition = only(p for p in found.partitions if p.containers)
    assert [s.args["function"] for s in partition.owner] == ["first", "second"]
    first, second = (partition.containers[name].invocation for name in ("c-1", "c-2"))
    yielded = only(s for s in first if s.name == "yielded")
    ran = only(s for s in second if s.name == "exec")
    assert yielded.start <= ran.start and ran.end <= yielded.end


def test_a_timeline_of_a_killed_node_can_be_read_up_to_its_end(traced):
    node = traced()
    node.invoke("work", ["kernel"])
    until(lambda: timeline.read(node.file).answers, "the answer is in the file")
    node.node.stop(signal.SIGKILL)
    found = timeline.read(node.file)
    assert timeline.check(found, complete=False) == []
    assert len(found.answers) == 1
    container = only(c for p in found.partitions for c in p.containers.values())
    assert container.gate[-1].end == float("inf")


def test_a_container_that_is_killed_is_shown_ending_and_its_call_answered(traced):
    node = traced()
    call = node.start("work", ["cpu"] * 100000)
    until(lambda: [c for c in node.node.containers() if c["status"] == "running"], "it runs")
    os.kill(node.node.containers()[0]["executor-pid"], signal.SIGKILL)
    assert Answer(call.getresponse()).type == "function_crashed"
    found = node.stop()
    assert timeline.check(found) == []
    container = only(c for p in found.partitions for c in p.containers.values())
    assert "SIGKILL" in container.life[-1].args["reason"]
    assert "error" in only(found.answers).args


def test_a_timeline_keeps_to_its_limit_and_stays_well_formed(traced):
    node = traced(limit=4096)
    for _ in range(20):
        node.invoke("work", ["kernel"])
    node.node.wait_for_line("trace_drops")
    found = node.stop()
    assert found.problems == []
    # What is owed is short: names of tracks and the ends of what has begun.
    assert node.file.stat().st_size < 3 * 4096


def test_server_timing_has_copies_and_kernels_when_they_are_measured(traced):
    node = traced()
    times = milliseconds(node.invoke("work", ["kernels"]))
    assert list(times) == ["queue", "spawn", "context", "attach", "exec", "gpu-copy", "gpu-kernel", "total"]
    assert 0 < times["gpu-copy"] <= times["exec"]
    assert 0 < times["gpu-kernel"] <= times["exec"]
    # Only what this invocation did counts.
    assert milliseconds(node.invoke("work", []))["gpu-kernel"] == 0


def test_copies_and_kernels_can_be_measured_without_a_timeline(traced):
    node = traced(file=False, timing={"gpu": True})
    assert milliseconds(node.invoke("work", ["kernel"]))["gpu-kernel"] > 0
    assert not node.file.exists()


def test_nothing_is_measured_unless_asked_for(traced):
    node = traced(file=False)
    assert "gpu-kernel" not in milliseconds(node.invoke("work", ["kernel"]))


def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    command = [BUILD / "bin/mignificient", "serve", "--port", "0", "--trace", tmp_path / "none" / "trace.json"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2 and "trace.file" in refused.stderr
