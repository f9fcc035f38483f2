"""`mig.auto`: GPUs that are partitioned anew for what waits. Fake NVML, software GPU."""
import concurrent.futures
import contextlib
import fcntl
import json
import re
import signal
import time
import urllib.request

import pytest

import node as node_module
from mig_test import Gpus, ok
from node import EXAMPLES

SEVEN = {"mig": True, "instances": [
    {"id": 7 + i, "profile": "1g.10gb", "start": i, "compute_instances": [{"id": 0, "slices": 1, "start": 0}]}
    for i in range(7)]}
HALF = {"mig": True, "instances": [
    {"id": 1, "profile": "3g.40gb", "start": 0, "compute_instances": [{"id": 0, "slices": 3, "start": 0}]}]}


def until(condition, what):
    """Polls where no event exists that a test could wait for."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"not within 60 s: {what}")


class Asking:
    """A node with `mig.auto` and what is asked of it."""

    def __init__(self, node, gpus):
        self.node, self.gpus = node, gpus
        self.threads = concurrent.futures.ThreadPoolExecutor(32)

    def invoke(self, instance, *options, user="u"):
        return self.node.run("invoke", "--user", user, "--mig-instance", instance, *options,
                             EXAMPLES / "vector_add_ptx.json")

    def start(self, instance, *options, **named):
        return self.threads.submit(self.invoke, instance, *options, **named)

    def status(self):
        return json.loads(ok(self.node.run("top", "--json")).stdout)

    def instances(self):
        return sorted(p["instance"] for p in self.status()["partitions"] if p["open"])

    def metric(self, name):
        return float(re.search(rf"^mignificient_{name} (\S+)$", self.get("/metrics"), re.M).group(1))

    def get(self, path):
        with urllib.request.urlopen(self.node.address + path, timeout=60) as answer:
            return answer.read().decode()

    def rescan(self):
        urllib.request.urlopen(self.node.address + "/v1/devices/rescan", b"", timeout=60).close()

    def wait_for_line(self, pattern):
        return until(lambda: re.search(pattern, self.node.log()), pattern)


@pytest.fixture
def asking(tmp_path):
    with contextlib.ExitStack() as stack:
        def start(description, mig=None, **config):
            gpus = Gpus(tmp_path, description)
            node = stack.enter_context(node_module.node(
                {"nvml": gpus.nvml, "mig": {"auto": True, "after-ms": 50, "retry-after": 0.2, **(mig or {})}, **config}))
            return Asking(node, gpus)
        yield start


def device_of(result):
    return json.loads(ok(result).stdout)["device"]


def test_an_invocation_that_no_partition_can_hold_waits_until_one_is_made_of_an_idle_gpu(asking):
    asks = asking({"gpus": [SEVEN]})
    assert asks.instances() == ["1g.10gb"] * 7
    assert "MIG-" in device_of(asks.invoke("3g"))
    assert asks.instances() == ["1g.10gb"] * 4 + ["3g.40gb"], "what was not in the way is still there"
    mig = asks.status()["mig"]
    assert (mig["auto"], mig["repartitioning"], mig["repartitions"], mig["failures"]) == (True, None, 1, 0)
    assert asks.metric("mig_repartitions_total") == 1
    ok(asks.invoke("3g.40gb"))
    ok(asks.invoke("1g"))
    assert asks.status()["mig"]["repartitions"] == 1
    asks.wait_for_line(r"mig_repartition gpu=\S+ for=\"1 x 3g with .*create 3g.40gb at")
    asks.wait_for_line(r"mig_repartitioned gpu=\S+ seconds=")


def test_what_can_never_be_made_is_refused_at_once_with_what_can(asking):
    asks = asking({"gpus": [SEVEN]}, {"after-ms": 1e7})
    for arguments in (["5g"], ["3g.71gb"], ["any", "--gpu-memory", "90000"]):
        refused = asks.invoke(*arguments)
        assert refused.returncode == 4 and "[503 no_capacity]" in refused.stderr
        assert "It can make: " in refused.stderr and "3g.40gb with 40448 MiB" in refused.stderr


def test_without_mig_auto_it_is_refused(asking):
    asks = asking({"gpus": [SEVEN]}, {"auto": False})
    assert asks.invoke("3g").returncode == 4
    assert asks.status()["mig"]["auto"] is False


def test_the_mix_is_what_waits(asking):
    asks = asking({"gpus": [{"mig": True}]}, {"after-ms": 300})
    waiting = [asks.start("3g"), asks.start("2g.20gb", user="v"), asks.start("any", "--gpu-memory", "15000", user="w")]
    for each in waiting:
        ok(each.result())
    assert asks.status()["mig"]["repartitions"] >= 1
    assert {"3g.40gb", "2g.20gb"} <= set(asks.instances())


def test_an_instance_of_the_same_uuid_and_another_size_is_another_partition(asking):
    asks = asking({"gpus": [HALF]})
    three = device_of(asks.invoke("3g"))
    four = device_of(asks.invoke("4g"))
    assert three == four, "the fake gives an instance of the same ids the same UUID"
    assert asks.instances() == ["4g.40gb"]
    four, = [p for p in asks.status()["partitions"] if p["open"]]
    assert (four["memory"], four["containers"]) == (40448, 1)
    assert device_of(asks.invoke("3g")) != three, "there was room beside it"
    assert asks.instances() == ["3g.40gb", "4g.40gb"]


def test_idle_containers_are_ended_for_it(asking):
    asks = asking({"gpus": [SEVEN]})
    ok(asks.invoke("1g"))
    ok(asks.invoke("3g", user="v"))
    assert asks.node.containers("u") == []
    asks.wait_for_line(r"container_gone id=c-1")
    ok(asks.invoke("1g"))


def keep_one(asks):
    """Deploys a function that has a container ahead; returns that."""
    ok(asks.node.run("deploy", "--name", "kept", "--path", EXAMPLES / "libvector_add_ptx.so", "--handler", "vector_add_ptx",
                     "--mig-instance", "1g", "--min-containers", "1", "--user", "k"))
    return until(lambda: [c for c in asks.node.containers("k") if c["status"] == "idle"], "a kept container")[0]


def test_a_gpu_with_a_container_that_is_kept_is_left_alone(asking):
    asks = asking({"gpus": [SEVEN]})
    kept = keep_one(asks)
    assert asks.invoke("3g", "--timeout", "1").returncode == 124
    assert asks.node.containers("k")[0]["id"] == kept["id"]


def test_another_gpu_is_taken(asking):
    asks = asking({"gpus": [SEVEN, SEVEN]})
    kept = keep_one(asks)
    gpu, = [p["gpu"] for p in asks.status()["partitions"] if p["uuid"] == kept["partition"]]
    ok(asks.invoke("7g"))
    assert asks.node.containers("k")[0]["id"] == kept["id"]
    assert [p["gpu"] != gpu for p in asks.status()["partitions"] if p["instance"] == "7g.80gb"] == [True]


def test_a_timeout_says_that_it_waited_for_a_partition(asking):
    asks = asking({"gpus": [SEVEN]}, {"after-ms": 1e7})
    late = asks.invoke("3g", "--timeout", "0.3")
    assert late.returncode == 124
    assert "[504 timeout]" in late.stderr and "waited for a partition that is a mig-instance [3g]" in late.stderr
    assert asks.status()["waiting"] == 0


def test_a_failure_is_told_and_tried_again_and_nothing_is_lost(asking):
    asks = asking({"gpus": [SEVEN], "failures": [
        {"function": "nvmlDeviceCreateGpuInstanceWithPlacement", "status": "NVML_ERROR_UNKNOWN", "after": 0}]})
    waiting = [asks.start("3g"), asks.start("3g", user="v")]
    for each in waiting:
        ok(each.result())
    assert re.search(r"mig_repartition_failed .*NVML_ERROR_UNKNOWN", asks.node.log())
    status = asks.status()
    assert status["mig"]["failures"] == 1 and status["mig"]["repartitions"] == 1
    assert "NVML_ERROR_UNKNOWN" in status["mig"]["last-failure"]
    assert asks.metric("mig_repartition_failures_total") == 1
    ok(asks.invoke("1g"))


def test_while_a_process_of_somebody_else_runs_on_the_gpu_it_stays_as_it_is_and_is_used(asking):
    asks = asking({"gpus": [{**SEVEN, "processes": [{"pid": 4711, "gpu_instance": 7, "compute_instance": 0}]}]})
    waits = asks.start("3g")
    asks.wait_for_line(r"mig_repartition_failed .*Process 4711 runs on GPU 0")
    ok(asks.invoke("1g"))
    assert asks.instances() == ["1g.10gb"] * 7
    state = asks.gpus.state()
    state["gpus"][0]["processes"] = []
    asks.gpus.change(**state)
    ok(waits.result())


def test_while_somebody_else_partitions_gpus_it_waits_and_is_made_afterwards(asking):
    asks = asking({"gpus": [SEVEN]})
    with open(f"{asks.gpus.file}.mig-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        waits = asks.start("3g")
        asks.wait_for_line(r"mig_repartition_failed .*Process 4711 is partitioning GPUs")
        assert asks.instances() == ["1g.10gb"] * 7
    ok(waits.result())


def test_without_rights_nothing_can_be_made_and_that_is_said(asking):
    asks = asking({"root": False, "gpus": [SEVEN]})
    assert asks.invoke("3g").returncode == 4
    assert "NVML_ERROR_NO_PERMISSION" in asks.status()["mig"]["last-failure"]
    ok(asks.invoke("1g"))


def test_gpus_that_are_not_named_are_left_alone(asking):
    asks = asking({"gpus": [SEVEN, SEVEN]}, {"gpus": ["1"]})
    ok(asks.invoke("3g"))
    first, second = (gpu["instances"] for gpu in asks.gpus.state()["gpus"])
    assert len(first) == 7 and "3g.40gb" in [instance["profile"] for instance in second]


def test_rescans_and_changes_from_outside_do_no_harm_meanwhile(asking):
    asks = asking({"gpus": [SEVEN, {"mig": False}]})
    sizes = ["3g", "1g", "7g.80gb", "2g"]
    waiting = [asks.start(sizes[i % len(sizes)], "--timeout", "200", user=f"u{i % 3}") for i in range(12)]
    for i in range(40):
        if i % 2:
            asks.rescan()
        else:
            asks.node.process.send_signal(signal.SIGHUP)
        asks.status()
    # Refused, because containers are in the way or the node is at it; or done, or undone.
    outside = asks.gpus.run("mig", "apply", "-f", asks.gpus.configs, "-c", "mixed", "--address", asks.node.address)
    assert outside.returncode in (0, 3, 4), outside.stderr
    asks.rescan()
    for each in waiting:
        ok(each.result())
    assert asks.status()["waiting"] == 0
    until(lambda: asks.status()["mig"]["repartitioning"] is None, "nothing is under way")
    there = sorted(instance["profile"] for instance in asks.gpus.state()["gpus"][0]["instances"])
    assert [instance for instance in asks.instances() if instance != "7g"] == there


def test_a_node_that_ends_meanwhile_leaves_no_half_of_a_change(asking, tmp_path):
    asks = asking({"gpus": [SEVEN]})
    waits = asks.start("3g")
    asks.wait_for_line(r"mig_repartition gpu=")
    asks.node.process.send_signal(signal.SIGTERM)
    waits.result()
    asks.node.process.wait(60)
    assert [i["profile"] for i in asks.gpus.state()["gpus"][0]["instances"]].count("1g.10gb") in (4, 7)


def test_the_trace_shows_it(asking, tmp_path):
    trace = tmp_path / "trace.json"
    asks = asking({"gpus": [SEVEN]}, trace={"file": str(trace)})
    ok(asks.invoke("3g"))
    until(lambda: '"cat":"repartition"' in trace.read_text(), "a slice of the repartition")
