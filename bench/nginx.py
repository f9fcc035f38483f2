#!/usr/bin/env python3
"""What a node adds: a function that does nothing beside nginx that answers a static file, and payloads beside memcpy.

    bench/nginx.py TREE [TREE...] --functions DIR [--connections 1 8 64] [--containers 1 8] [--payloads 1024 ...]
                   [--model full_overlap] [--seconds 2] [--rounds 3] [--json FILE]

Needs the Debian package wrk, and for its column nginx (nginx-light); without nginx that column is left out. A tree has bin/
and lib/; DIR has node_test_function.so (build/release/tests/node). nginx and nodes of all trees take turns, each loaded by the
same wrk (one thread, kept connections) on the same machine. nginx answers a file of as many bytes as the function (none), with
as many workers as there are cores, and writes its access log, as the node writes a line for each invocation, to a file;
`nginx_no_log` is the same without. Containers are of as many users, on one software GPU, under --model. Printed: median and 99th percentile of
the latency, requests per second, and microseconds of processor time per request of the server and of the executors, medians
over the rounds; `rate_ratio` is each tree's rate to nginx's.

Payloads: a registered function that copies its payload to its result, one caller on one kept connection; beside it a bare server
that reads the same bytes from the same kind of socket and writes them back, and memcpy of the bytes, twice, in memory that was
touched before. `added_us_per_memcpy` is what the node takes longer than the bare server, in units of those two copies, and
`added_cpu_us_per_memcpy` what node and executor take of processors; the function's own copy is in both.
"""
import argparse
import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import serving

LUA = """
local bodies, at = {}, 0
function init(args)
  for i = 2, #args do
    local file = io.open(args[i], "rb")
    bodies[i - 1] = wrk.format("POST", args[1], {["Content-Type"] = "application/json"}, file:read("*a"))
    file:close()
  end
  if #bodies == 0 then bodies[1] = wrk.format("GET", args[1]) end
end
function request()
  at = at % #bodies + 1
  return bodies[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %f, "failed": %d, "p50_us": %d, "p99_us": %d}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""

NGINX = """
daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/nginx.error;
events {{ worker_connections 1024; }}
http {{
  access_log {log}; sendfile on; keepalive_requests 1000000000; open_file_cache max=16;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def processor_us(pids):
    """Microseconds of processor time of these processes, all their living threads together."""
    total = 0
    for pid in pids:
        for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e3


def load(port, connections, seconds, target, bodies, groups):
    """One run of wrk, with the processor time per request of each group of processes."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(LUA)
        lua.flush()
        before = {name: processor_us(pids) for name, pids in groups.items()}
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", lua.name, f"http://127.0.0.1:{port}",
                               "--", target, *bodies], capture_output=True, text=True, check=True)
        after = {name: processor_us(pids) for name, pids in groups.items()}
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["failed"]:
        sys.exit(f"{seen['failed']} of {seen['requests']} requests failed.")
    return {"p50_us": seen["p50_us"], "p99_us": seen["p99_us"], "per_second": seen["requests"] / seen["seconds"],
            **{f"{name}_cpu_us": (after[name] - before[name]) / max(1, seen["requests"]) for name in groups}}


class Nginx:
    """With a static file that has no bytes."""

    def __init__(self, log):
        self._temporary = tempfile.TemporaryDirectory(prefix="mignificient-nginx-")
        folder = pathlib.Path(self._temporary.name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        (folder / "www/body").touch()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=self.port, log=folder / "access" if log else "off"))
        self.process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                break
            time.sleep(0.01)
        else:
            sys.exit(f"nginx does not start: {self.process.stderr.read()}")

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()
        self._temporary.cleanup()


def start_node(tree, options):
    return serving.Node(tree, {"functions": {"allowed-paths": [str(options.functions)]}, "sharing-model": options.model,
                               "software-gpus": "7g", "gpu-server": {"driver": "cpu"}}, log_to_file=True)


def groups_of(node):
    executors = [pid for pid in serving.marked_processes(node.mark)
                 if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "mignificient-ex"]
    return {"server": [node.process.pid], "executors": executors}


def run_nginx(options, log):
    with Nginx(log) as nginx:
        return {connections: load(nginx.port, connections, options.seconds, "/body", [], {"server": nginx.pids()})
                for connections in options.connections}


def run_node(tree, options, scratch):
    seen = {}
    for containers in options.containers:
        bodies = [str(scratch / str(user)) for user in range(containers)]
        with start_node(tree, options) as node:
            load(node.port, containers, 1, "/invoke", bodies, {})  # starts them
            for connections in options.connections:
                seen[containers, connections] = load(node.port, connections, options.seconds, "/invoke", bodies, groups_of(node))
    return seen


def exchange(connection, head, payload, answer):
    """Sends a request; its answer's body lies in `answer`, as long as the payload, then."""
    connection.sendall(head)
    connection.sendall(payload)
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(65536)
    fields, rest = text.split(b"\r\n\r\n", 1)
    if not fields.startswith(b"HTTP/1.1 200"):
        sys.exit(fields.decode())
    view = memoryview(answer)
    view[:len(rest)] = rest
    have = len(rest)
    while have < len(payload):
        have += connection.recv_into(view[have:])


def time_exchanges(port, target, size, count):
    payload, answer = os.urandom(size), bytearray(size)
    head = f"POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode()
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            begin = time.perf_counter()
            exchange(connection, head, payload, answer)
            times.append(time.perf_counter() - begin)
    if answer != payload:
        sys.exit("An answer is not its payload.")
    return 1e6 * statistics.median(times[len(times) // 4:])  # the first touch memory


def echo(listener, size):
    """The bare server: one connection, payloads of one size, memory that is used again."""
    body = memoryview(bytearray(size + 65536))
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while True:
            have = 0
            while b"\r\n\r\n" not in bytes(body[:min(have, 200)]):
                got = connection.recv_into(body[have:])
                if got == 0:
                    return
                have += got
            begin = bytes(body[:200]).index(b"\r\n\r\n") + 4
            while have < begin + size:
                have += connection.recv_into(body[have:])
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            connection.sendall(body[begin:begin + size])


def time_bare(size, count):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            echo(listener, size)
            os._exit(0)
        try:
            wall_us = time_exchanges(listener.getsockname()[1], "/", size, count)
        finally:
            usage = os.wait4(child, 0)[2]
    return {"us": wall_us, "cpu_us": 1e6 * (usage.ru_utime + usage.ru_stime) / count}


def time_two_copies(size, count):
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    times, cpu = [], time.process_time()
    for _ in range(count):
        begin = time.perf_counter()
        ctypes.memmove(target, source, size)
        ctypes.memmove(source, target, size)
        times.append(time.perf_counter() - begin)
    cpu = (time.process_time() - cpu) / count
    return {"us": 1e6 * statistics.median(times), "cpu_us": 1e6 * cpu}


def run_payloads(options):
    """{size: {tree or "bare" or "memcpy_twice": {us, cpu_us}}} of one round; cpu_us is of the server and its executors."""
    counts = {size: max(12, min(400, (256 << 20) // size)) for size in options.payloads}
    seen = {size: {"memcpy_twice": time_two_copies(size, count), "bare": time_bare(size, count)}
            for size, count in counts.items()}
    for tree in options.trees:
        with start_node(tree, options) as node:
            client = node.client()
            file = options.functions / "node_test_function.so"
            client.request("PUT", "/v1/functions/echo", {"path": str(file), "gpu-memory": 100})
            client.close()
            time_exchanges(node.port, "/function/echo", 1, 1)  # starts it
            served = sum(groups_of(node).values(), [])
            for size, count in counts.items():
                before = processor_us(served)
                wall_us = time_exchanges(node.port, "/function/echo", size, count)
                seen[size][tree] = {"us": wall_us, "cpu_us": (processor_us(served) - before) / count}
    return seen


def median_of(rows):
    return {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}


def report_rates(options, nginx, nodes):
    rows = []
    for containers in options.containers:
        for connections in options.connections:
            row = {"containers": containers, "connections": connections}
            for name, runs in nginx.items():
                row[name] = median_of([run[connections] for run in runs])
            row["trees"] = {tree: median_of([run[containers, connections] for run in nodes[tree]]) for tree in options.trees}
            if nginx:
                row["rate_ratio"] = {name: {tree: round(row["trees"][tree]["per_second"] / row[name]["per_second"], 3)
                                            for tree in options.trees} for name in nginx}
            rows.append(row)
            print(json.dumps(row, indent=1), flush=True)
    return rows


def report_payloads(options, rounds):
    rows = []
    for size in options.payloads:
        row = {"bytes": size, **{key: median_of([seen[size][key] for seen in rounds]) for key in rounds[0][size]}}
        for unit in ("us", "cpu_us"):
            row[f"added_{unit}_per_memcpy"] = {
                tree: round((row[tree][unit] - row["bare"][unit]) / row["memcpy_twice"][unit], 2) for tree in options.trees}
        rows.append(row)
        print(json.dumps(row, indent=1), flush=True)
    return rows


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="TREE")
    parser.add_argument("--functions", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--containers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--payloads", type=int, nargs="*", default=[1 << 10, 1 << 20, 32 << 20])
    parser.add_argument("--model", default="full_overlap")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = parse_options()
    if shutil.which("wrk") is None:
        sys.exit("There is no wrk in the PATH; it is the Debian package wrk.")
    names = {"nginx": True, "nginx_no_log": False} if shutil.which("nginx") else {}
    if not names:
        print("There is no nginx in the PATH (Debian: nginx-light): its column is left out.", file=sys.stderr)
    nginx, nodes, payloads = {name: [] for name in names}, {tree: [] for tree in options.trees}, []
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for user in range(max(options.containers)):
            body = serving.request(options.functions / "node_test_function.so", "nothing", "", f"user-{user}")
            (scratch / str(user)).write_text(json.dumps(body))
        for _ in range(options.rounds):
            for name, log in names.items():
                nginx[name].append(run_nginx(options, log))
            for tree in options.trees:
                nodes[tree].append(run_node(tree, options, scratch))
            if options.payloads:
                payloads.append(run_payloads(options))
    report = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "model": options.model,
              "rounds": options.rounds, "seconds": options.seconds, "load_average": os.getloadavg(),
              "rates": report_rates(options, nginx, nodes)}
    if payloads:
        report["payloads"] = report_payloads(options, payloads)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
