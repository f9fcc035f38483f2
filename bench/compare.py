#!/usr/bin/env python3
"""Runs programs natively and behind MIGnificient, in turns, and prints the ratios.

    bench/compare.py --mignificient build/release/bin/mignificient --micro build/release/bench/micro \
                     [--program NAME=PATH ...] [--rounds 5] [--json bench/results/FILE.json]

Medians over the rounds of one run; a ratio below 1 means that MIGnificient is faster. `--micro` is bench/micro.cu, which
measures itself; of each `--program` the wall time from start to exit is taken, and both outputs must be equal.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time


def run(command):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall_ms = (time.perf_counter() - start) * 1e3
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} exits with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout, wall_ms


def collect_micro(prefixes, program, rounds):
    samples = {}
    for _ in range(rounds):
        for side, prefix in prefixes.items():
            output, _ = run(prefix + [program])
            for name, value in json.loads(output).items():
                samples.setdefault(name, {}).setdefault(side, []).append(value)
    return {name: {"unit": "us", **{side: statistics.median(values) for side, values in sides.items()}}
            for name, sides in samples.items()}


def collect_program(prefixes, name, program, rounds):
    walls, outputs = {}, {}
    for _ in range(rounds):
        for side, prefix in prefixes.items():
            output, wall_ms = run(prefix + program.split())
            walls.setdefault(side, []).append(wall_ms)
            outputs.setdefault(side, set()).add(output)
    same = outputs["native"] == outputs["mignificient"] and len(outputs["native"]) == 1
    row = {"unit": "ms", "same_output": same, **{side: statistics.median(values) for side, values in walls.items()}}
    return {f"wall time of {name}": row}


def gpu_name():
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mignificient", required=True)
    parser.add_argument("--micro")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commit", default=None, help="recorded in the result; default: the checkout's")
    parser.add_argument("--json")
    options = parser.parse_args()

    prefixes = {"native": [], "mignificient": [options.mignificient, "run", "--"]}
    rows = {}
    if options.micro:
        rows.update(collect_micro(prefixes, options.micro, options.rounds))
    for program in options.program:
        name, _, command = program.partition("=")
        rows.update(collect_program(prefixes, name, command, options.rounds))

    print(f"{'':44} {'native':>12} {'mignificient':>12} {'ratio':>8}")
    for name, row in rows.items():
        row["ratio"] = round(row["mignificient"] / row["native"], 4)
        note = "" if row.get("same_output", True) else "   OUTPUT DIFFERS"
        print(f"{name:44} {row['native']:9.3f} {row['unit']} {row['mignificient']:9.3f} {row['unit']} {row['ratio']:8.3f}{note}")
    if options.json:
        result = {"date": datetime.date.today().isoformat(), "gpu": gpu_name(), "machine": platform.platform(),
                  "cpus": len(os.sched_getaffinity(0)), "commit": options.commit or commit(),
                  "rounds": options.rounds, "rows": rows}
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    return 0 if all(row.get("same_output", True) for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
