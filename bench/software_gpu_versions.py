#!/usr/bin/env python3
"""The speed of two versions of the software GPU: their software_gpu_bench by turns in one run.

    bench/software_gpu_versions.py BEFORE AFTER [--rounds 5] [--filter /1] [--json FILE]

Of each kernel: millions of PTX instructions that warps executed in a second, by CPU time and by the clock, the ratio to the
compiled loop on one core, by CPU time, and how many times faster AFTER is. Each figure is the best of its rounds, which in turn
is of the fastest run of the kernel: the cores are seldom ours alone.
"""
import argparse
import json
import os
import pathlib
import subprocess


def measure(program, pattern):
    command = [program, f"--benchmark_filter={pattern}", "--benchmark_format=json", "--benchmark_min_time=0.1"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {one["name"].removesuffix("/manual_time").removesuffix("/real_time"): one for one in report["benchmarks"]}


def best(runs):
    """The best of several measurements of one line."""
    if "cpu_insts" not in runs[0]:
        return {"us": round(min(run["real_time"] for run in runs), 2), "cpu_us": round(min(run["cpu_time"] for run in runs), 2)}
    return {"cpu_minsts": round(max(run["cpu_insts"] for run in runs) / 1e6, 1),
            "minsts": round(max(run["insts"] for run in runs) / 1e6, 1),
            "mlanes": round(max(run["lanes"] for run in runs) / 1e6),
            "cpu_ratio": round(min(run["cpu_ratio"] for run in runs), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--filter", default=".")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    seen = {"before": [], "after": []}
    for _ in range(options.rounds):
        for version in seen:
            seen[version].append(measure(getattr(options, version), options.filter))
    rows = []
    for name in seen["before"][0]:
        before, after = (best([run[name] for run in seen[version]]) for version in ("before", "after"))
        key = "cpu_minsts" if "cpu_minsts" in before else "cpu_us"
        faster = after[key] / before[key] if key == "cpu_minsts" else before[key] / after[key]
        rows.append({"name": name, "before": before, "after": after, "times_faster": round(faster, 2)})
        print(json.dumps(rows[-1]), flush=True)
    if options.json:
        report = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "rounds": options.rounds, "rows": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
