"""The invoker against a real node: the original's description in, the original's CSV out."""
import csv
import json
import xml.etree.ElementTree

import pytest

from node import EXAMPLES


@pytest.fixture
def description(tmp_path):
    """Writes a description of three workers with small vectors; returns its file."""
    def write(**keys):
        original = json.loads((EXAMPLES / "vector_add_ptx.json").read_text())
        entry = {**original["inputs"][0], "input-payload": '{"vec-elements": 100}'}
        file = tmp_path / "load.json"
        file.write_text(json.dumps({**original, "iterations": 2, "parallel-requests": 3, "different-users": True,
                                    "inputs": [entry] * 3, **keys}))
        return file
    return write


def rows(file):
    with open(file, newline="") as stream:
        table = list(csv.DictReader(stream))
    assert all(list(row) == ["iteration", "worker", "time"] and int(row["time"]) > 0 for row in table)
    return [(int(row["iteration"]), int(row["worker"])) for row in table]


def test_independent_workers_send_a_first_round_and_their_iterations(node, description, tmp_path):
    result = node.run("bench", "--json", description(), tmp_path / "out.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    assert rows(tmp_path / "out.csv") == [(i, w) for w in range(3) for i in range(3)]
    summary = json.loads(result.stdout)
    assert (summary["succeeded"], summary["failed"]) == (9, 0)
    assert summary["starts"]["warm"] == 9 - summary["starts"]["cold"]
    ms = summary["latency_ms"]
    assert 0 < ms["p50"] <= ms["p90"] <= ms["p95"] <= ms["p99"] <= ms["max"]


def test_batches_are_in_step(node, description, tmp_path):
    result = node.run("bench", description(mode="batches"), tmp_path / "out.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    assert rows(tmp_path / "out.csv") == [(i, w) for i in range(2) for w in range(3)]
    assert "throughput" in result.stdout


def test_request_count_and_warmup(node, description, tmp_path):
    result = node.run("bench", "--json", "--concurrency", 2, "--request-count", 7, "--warmup-request-count", 3,
                      description(), tmp_path / "out.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [iteration for iteration, _ in rows(tmp_path / "out.csv")] == list(range(7))
    assert json.loads(result.stdout)["succeeded"] == 7


@pytest.mark.parametrize("distribution", ["poisson", "constant"])
def test_open_loop_sends_every_request(node, description, distribution):
    result = node.run("bench", "--json", "--request-rate", 200, "--request-distribution", distribution,
                      "--request-count", 20, description())
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["succeeded"] == 20


def test_trace_is_played_by_the_inputs_of_those_names(node, description, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("function,time\n" + "".join(f"vector_add_ptx,{i / 100}\n" for i in range(10)))
    result = node.run("bench", "--json", "--trace", trace, "--plot", tmp_path / "out.svg", "--csv", tmp_path / "out.csv",
                      description())
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["functions"]["vector_add_ptx"]["succeeded"] == 10 == len(rows(tmp_path / "out.csv"))
    assert {"queue", "exec", "total"} <= set(report["phases_ms"])
    assert report["phases_ms"]["total"]["mean"] <= report["latency_ms"]["mean"]
    xml.etree.ElementTree.parse(tmp_path / "out.svg")


def test_failures_are_counted_by_type(node, description):
    entry = json.loads(description().read_text())["inputs"][0]
    file = description(inputs=[{**entry, "input-payload": "not a payload"}])
    result = node.run("bench", "--json", file)
    assert result.returncode == 1
    assert json.loads(result.stdout)["errors"]["function_error"]["count"] == 9
