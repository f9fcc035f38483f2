#!/usr/bin/env python3
"""What an invocation costs through /invoke: trees of different versions by turns in one run, each with a node of its own.

    bench/invocation.py TREE [TREE...] --functions DIR [--requests 2000] [--rounds 3] [--driver cpu|cuda] [--json FILE]

A tree has bin/ and lib/; DIR has libvector_add_ptx.so and node_test_function.so (build/release/examples and tests/node), or links
to them. One connection that is kept, one caller, warm: a function that does nothing, and the sum of two vectors of 1024 numbers.
Of each: median and 99th percentile of the latency as `mignificient bench` of the first tree measures it, and voluntary context
switches (a thread that went to sleep, and had to be woken) per invocation, of the node, the GPU server and the executor. Ratios
are of the last tree to the first; all are medians over the rounds.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import serving
from compare import gpu_name

LOADS = {"nothing": ("node_test_function.so", ""), "vector_add_ptx": ("libvector_add_ptx.so", '{"vec-elements": 1024}')}


def sleeps(pid):
    """Voluntary context switches of all threads of a process."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M).group(1))
    return total


def processes(node):
    """The node and the children of each kind, by the name of their program."""
    found = {}
    for pid in serving.marked_processes(node.mark):
        name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        found.setdefault(name, []).append(pid)
    return {"node": [node.process.pid], "gpu_server": found.get("mignificient-gp", []),
            "executor": found.get("mignificient-ex", [])}


def measure(bench, node, description, requests):
    warm = [bench, "bench", description, "--address", f"http://127.0.0.1:{node.port}", "--concurrency", "1", "--json"]
    subprocess.run([*warm, "--request-count", "50"], check=True, capture_output=True)
    kinds = processes(node)
    before = {kind: sum(map(sleeps, pids)) for kind, pids in kinds.items()}
    report = json.loads(subprocess.run([*warm, "--request-count", str(requests)], check=True, capture_output=True).stdout)
    after = {kind: sum(map(sleeps, pids)) for kind, pids in kinds.items()}
    if report["succeeded"] != requests:
        sys.exit(f"{requests - report['succeeded']} of {requests} invocations failed: {report}")
    latency = report["latency_ms"]
    return {"p50_us": 1e3 * latency["p50"], "p99_us": 1e3 * latency["p99"],
            **{f"{kind}_sleeps": (after[kind] - before[kind]) / requests for kind in kinds}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="TREE")
    parser.add_argument("--functions", required=True, type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--driver", default="cpu")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    folder = options.functions.resolve()
    settings = {"functions": {"allowed-paths": [str(folder)]}, "gpu-server": {"driver": options.driver}}
    bench = str(pathlib.Path(options.trees[0]).resolve() / "bin/mignificient")
    seen = {tree: {load: [] for load in LOADS} for tree in options.trees}
    with tempfile.TemporaryDirectory() as scratch:
        for load, (file, payload) in LOADS.items():
            (pathlib.Path(scratch) / load).write_text(json.dumps(
                {"address": "-", "mode": "independent", "iterations": 1, "parallel-requests": 1,
                 "inputs": [{"function": load, "function-path": str(folder / file), "mig-instance": "any",
                             "gpu-memory": 256, "timeout": 60, "input-payload": payload}]}))
        for _ in range(options.rounds):
            for load in LOADS:
                for tree in options.trees:
                    node = serving.Node(tree, settings)
                    try:
                        seen[tree][load].append(measure(bench, node, f"{scratch}/{load}", options.requests))
                    finally:
                        node.close()
    rows = []
    for load in LOADS:
        medians = [{key: round(statistics.median(one[key] for one in seen[tree][load]), 2) for key in seen[tree][load][0]}
                   for tree in options.trees]
        ratios = {key: round(medians[-1][key] / medians[0][key], 3) for key in ("p50_us", "p99_us")}
        rows.append({"function": load, "trees": dict(zip(options.trees, medians)), "ratio": ratios})
        print(json.dumps(rows[-1], indent=1), flush=True)
    report = {"cores": os.cpu_count(), "gpu": gpu_name() if options.driver == "cuda" else "software",
              "requests": options.requests, "rounds": options.rounds, "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
