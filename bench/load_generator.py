#!/usr/bin/env python3
"""Is `mignificient bench` ever the bottleneck? Loads a server that answers at once, in turns with wrk (one thread too).

    bench/load_generator.py --build build/release [--connections 1 16 128] [--rounds 3] [--seconds 2] [--json FILE.json]

Needs `ninja bench_trivial_server mignificient`, and the Debian package wrk; without wrk it compares with a loop that
writes the same request and reads its answer on one blocking socket (--connections 1 only). Prints requests per second
and the generator's own processor time per request; medians over the rounds. Ratios are
ours to the other's: a rate above 1, a processor time below 1 are good. bench builds each request anew, reads the timing
headers of each answer and files each latency; wrk does none of that.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

LUA = 'wrk.method = "POST"\nwrk.body = "payload"\nwrk.path = "/function/f"\n'
LOOP = "--loop"


def measure(command):
    """(standard output, seconds of processor time) of one run."""
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        out = process.stdout.read()
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} exits with {process.returncode}: {out}{errors}")
    return out, usage.ru_utime + usage.ru_stime


def run_ours(options, port, connections):
    out, cpu = measure([options.build / "bin/mignificient", "bench", "--json", "--address", f"127.0.0.1:{port}",
                        "--function", "f", "-d", "payload", "--concurrency", connections, "--measurement-interval",
                        options.seconds * 1000])
    report = json.loads(out)
    if report["failed"]:
        sys.exit(f"{report['failed']} requests failed: {report['errors']}")
    return {"per_second": report["requests_per_second"], "cpu_us": 1e6 * cpu / report["succeeded"]}


def run_wrk(options, port, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(LUA)
        lua.flush()
        out, cpu = measure(["wrk", "-t1", f"-c{connections}", f"-d{options.seconds}s", "-s", lua.name,
                            f"http://127.0.0.1:{port}/"])
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return {"per_second": float(re.search(r"Requests/sec: +([\d.]+)", out).group(1)), "cpu_us": 1e6 * cpu / requests}


def run_loop(options, port, _):
    out, cpu = measure([sys.executable, __file__, LOOP, port, options.seconds])
    requests, seconds = json.loads(out)
    return {"per_second": requests / seconds, "cpu_us": 1e6 * cpu / requests}


def loop(port, seconds):
    """The raw loop, in a process of its own."""
    request = b"POST /function/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\npayload"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin, requests = time.perf_counter(), 0
        while time.perf_counter() < begin + seconds:
            connection.sendall(request)
            if not connection.recv(4096).endswith(b"result"):
                sys.exit("An answer is cut in two: this loop cannot read it.")
            requests += 1
        print(json.dumps([requests, time.perf_counter() - begin]))


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def compare(options, other_name, run_other):
    rows = []
    with subprocess.Popen([options.build / "bench/trivial_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as server:
        port = int(server.stdout.readline())
        print(f"{'connections':>11}  {'bench/s':>9}  {'us cpu':>7}  {other_name + '/s':>9}  {'us cpu':>7}  {'rate ratio':>10}"
              f"  {'cpu ratio':>9}")
        for connections in options.connections:
            ours, others = [], []
            for _ in range(options.rounds):
                ours.append(run_ours(options, port, connections))
                others.append(run_other(options, port, connections))
            row = {"connections": connections, "bench": medians(ours), other_name: medians(others)}
            row["rate_ratio"] = row["bench"]["per_second"] / row[other_name]["per_second"]
            row["cpu_ratio"] = row["bench"]["cpu_us"] / row[other_name]["cpu_us"]
            rows.append(row)
            print(f"{connections:>11}  {row['bench']['per_second']:>9.0f}  {row['bench']['cpu_us']:>7.2f}  "
                  f"{row[other_name]['per_second']:>9.0f}  {row[other_name]['cpu_us']:>7.2f}  {row['rate_ratio']:>10.2f}  "
                  f"{row['cpu_ratio']:>9.2f}")
        server.stdin.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    name, run_other = ("wrk", run_wrk) if shutil.which("wrk") else ("loop", run_loop)
    if name == "loop":
        options.connections = [1]
    rows = compare(options, name, run_other)
    if options.json:
        options.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "cores": os.cpu_count(),
                                            "machine": platform.machine(), "rounds": options.rounds, "rows": rows},
                                           indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [LOOP]:
        loop(int(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
