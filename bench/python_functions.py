#!/usr/bin/env python3
"""Runs Python functions natively and through a node's /invoke, in turns; compares answers and times.

    bench/python_functions.py --tree package --python /opt/torch/.venv/bin/python3 \\
                              [--example resnet50_py ...] [--rounds 3] [--warm 30] [--json bench/results/FILE.json]

`--tree` is what `./dev package` or `./dev build` makes: bin/, lib/, examples/. Natively a function runs in one
process of the same interpreter, called with an invocation of its own. Cold is from the start of the process, or from
the request that starts the container, to the first answer; warm is one more call. Medians over the rounds; a ratio
below 1 means that MIGnificient is faster. Exits with 1 where answers differ or an invocation fails.

Where there is no GPU: --tree build/release --example vector_add_py \\
                       --native-prefix 'build/release/bin/mignificient run --'
"""
import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from compare import commit, gpu_name

CALLER = pathlib.Path(__file__).with_name("call_python_function.py")


# --- the native side ----------------------------------------------------------------------------------------------

def run_natively(options, request):
    command = [*shlex.split(options.native_prefix), options.python, "-B", CALLER, options.tree / "lib/python",
               request["function-path"], request.get("function-handler", request["function"]), str(options.warm)]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        answer = process.stdout.readline()
        cold = time.perf_counter() - begin
        times = process.stdout.readline()
    if process.returncode != 0 or not times:
        sys.exit(f"{request['function']} natively exits with {process.returncode}.")
    return {"answer": json.loads(answer), "cold_s": cold, "warm_ms": statistics.median(json.loads(times))}


# --- through the node ---------------------------------------------------------------------------------------------

class Node:
    def __init__(self, port, logs):
        self._port, self._logs = port, logs

    def post(self, path, body):
        """(answer's text, headers, milliseconds); ends the program where the node refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        begin = time.perf_counter()
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        text = response.read().decode()
        milliseconds = (time.perf_counter() - begin) * 1e3
        if response.status != 200:
            for log in sorted(self._logs.glob("*")):
                print(f"--- {log.name}\n{log.read_text()}", file=sys.stderr)
            sys.exit(f"{path} is answered with {response.status}: {text}")
        return text, response.headers, milliseconds


@contextlib.contextmanager
def start_node(options):
    with tempfile.TemporaryDirectory() as folder:
        settings = {"functions.allowed-paths": options.tree / "examples", "executor.python": options.python,
                    "paths.logs": folder}
        command = [options.tree / "bin/mignificient", "serve", "--port", "0"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if listening := re.search(r"\blistening .*port=(\d+)", line):
                break
        else:
            sys.exit("The node does not start:\n" + "".join(lines))
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield Node(int(listening.group(1)), pathlib.Path(folder))
        finally:
            process.terminate()
            process.wait()
            drain.wait()


def timing(headers):
    """Server-Timing as a dictionary of milliseconds."""
    return {name: float(ms) for name, ms in re.findall(r"([\w-]+);dur=([\d.]+)", headers["Server-Timing"])}


def run_through_node(options, node, request, user):
    request = {**request, "user": user}
    answer, cold_headers, cold = node.post("/invoke", request)
    times = []
    for _ in range(options.warm):
        _, headers, milliseconds = node.post("/invoke", request)
        times.append(milliseconds)
    starts = (cold_headers["X-Start-Type"], headers["X-Start-Type"])
    if starts != ("cold", "warm"):
        sys.exit(f"{request['function']} starts {starts} (cold, then warm, are expected).")
    node.post("/kill", {"user": user, "container": headers["X-MIGnificient-Container"]})
    return {"answer": json.loads(answer), "cold_s": cold / 1e3, "warm_ms": statistics.median(times),
            "cold_timing_ms": timing(cold_headers), "warm_timing_ms": timing(headers)}


# --- both ---------------------------------------------------------------------------------------------------------

def read_request(options, name):
    description = options.tree / "examples" / f"{name}.json"
    request = json.loads(description.read_text())["inputs"][0]
    request["function-path"] = str((description.parent / request["function-path"]).resolve())
    return {**request, "input-payload": "{}"}


def compare(options, node, name):
    request = read_request(options, name)
    # Once for the page cache, which neither side should pay for.
    subprocess.run([options.python, "-c", "".join(f"import {m}\n" for m in request["modules"])], check=True)
    native, remoted = [], []
    for index in range(options.rounds):
        native.append(run_natively(options, request))
        remoted.append(run_through_node(options, node, request, f"round-{index}"))
    row = {"same_answer": all(run["answer"].get("sum") == native[0]["answer"].get("sum") for run in native + remoted),
           "native_answer": native[0]["answer"], "answer": remoted[0]["answer"]}
    for key in ("cold_s", "warm_ms"):
        row[key] = {"native": statistics.median(run[key] for run in native),
                    "mignificient": statistics.median(run[key] for run in remoted)}
        row[key]["ratio"] = round(row[key]["mignificient"] / row[key]["native"], 4)
    for key in ("cold_timing_ms", "warm_timing_ms"):
        row[key] = {part: statistics.median(run[key][part] for run in remoted) for part in remoted[0][key]}
    return row


def print_rows(rows):
    print(f"{'':14} {'native':>11} {'mignificient':>13} {'ratio':>7}")
    for name, row in rows.items():
        for key, unit in (("cold_s", "s"), ("warm_ms", "ms")):
            values = row[key]
            print(f"{name:14} {values['native']:8.3f} {unit:2} {values['mignificient']:10.3f} {unit:2} "
                  f"{values['ratio']:7.3f}   {key.split('_')[0]}")
        for key in ("cold_timing_ms", "warm_timing_ms"):
            print(f"{'':14} {key.split('_')[0]}: " + ", ".join(f"{part} {ms:.2f}" for part, ms in row[key].items()))
        verdict = "the same" if row["same_answer"] else f"DIFFERENT: {row['native_answer']} and {row['answer']}"
        print(f"{'':14} answers: {verdict}, sum {row['answer'].get('sum')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of both sides (default: this one)")
    parser.add_argument("--example", action="append", help="default: resnet50_py and bert_py")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=30, help="warm calls in each round")
    parser.add_argument("--native-prefix", default="", help="words before the native command")
    parser.add_argument("--commit", default=None, help="recorded in the result; default: the checkout's")
    parser.add_argument("--json")
    options = parser.parse_args()
    with start_node(options) as node:
        rows = {name: compare(options, node, name) for name in options.example or ["resnet50_py", "bert_py"]}
    print_rows(rows)
    if options.json:
        result = {"date": datetime.date.today().isoformat(), "gpu": gpu_name(), "machine": platform.platform(),
                  "cpus": len(os.sched_getaffinity(0)), "commit": options.commit or commit(options.tree),
                  "rounds": options.rounds, "warm": options.warm, "rows": rows}
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    return 0 if all(row["same_answer"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
