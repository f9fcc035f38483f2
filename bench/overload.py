#!/usr/bin/env python3
"""Offers a node ten times what it can do, open loop, and tells what becomes of it.

    bench/overload.py [--tree build/release] [--times 10] [--seconds 10] [--json bench/results/FILE.json]

Peak is the goodput of callers that wait for their answers, two per user and partition. Then requests are sent at --times
the peak, each when it is due, whatever has been answered. Goodput counts right answers; a reject is a 429 with Retry-After,
timed from when it was sent. The node's resident memory is read before and after. When the last request has been sent, one
caller asks again and again: recovery is the time until an answer takes no more than twice the slowest of an idle node.

Exits with 1 where an answer is neither right nor a proper reject, or the node stops serving; with --strict also where a
target is missed. Everything runs on this machine, so the caller takes CPU from the node. Needs Python 3.9.
"""
import argparse
import asyncio
import datetime
import json
import os
import pathlib
import platform
import statistics
import sys
import time

import serving
from compare import commit, gpu_name

TARGETS = {"goodput_ratio": (">=", 0.9), "reject_p99_ms": ("<=", 10), "memory_growth_mib": ("<=", 8),
           "recovery_s": ("<=", 1)}


class Connection:
    """One at a time; as little work as possible for each request, so that a small machine can offer enough."""

    async def open(self, port):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def post(self, message):
        """(status, whether it has Retry-After, body)"""
        self._writer.write(message)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), b"\r\nretry-after:" in head, await self._reader.readexactly(length)

    def close(self):
        self._writer.close()


def message(body):
    text = json.dumps(body).encode()
    return (f"POST /invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n").encode() + text


class Tally:
    def __init__(self, expected):
        self._expected = expected
        self.good, self.rejected, self.wrong = [], [], []

    def add(self, milliseconds, status, retry_after, body):
        if status == 200 and json.loads(body)["checksum"] == self._expected:
            self.good.append(milliseconds)
        elif status == 429 and retry_after:
            self.rejected.append(milliseconds)
        else:
            self.wrong.append(f"{status} {body[:200]!r}")


async def call(connection, text, tally):
    begin = time.perf_counter()
    answer = await connection.post(text)
    tally.add((time.perf_counter() - begin) * 1e3, *answer)


async def closed_loop(port, texts, seconds, tally):
    end = time.perf_counter() + seconds

    async def caller(text):
        connection = await Connection().open(port)
        while time.perf_counter() < end:
            await call(connection, text, tally)
        connection.close()

    begin = time.perf_counter()
    await asyncio.gather(*(caller(text) for text in texts))
    return len(tally.good) / (time.perf_counter() - begin)


class OpenLoop:
    """Requests that are sent when they are due; `finish` waits for the answers that are still to come."""

    def __init__(self, port, texts, rate, tally):
        self._port, self._texts, self._rate, self._tally = port, texts, rate, tally
        self._free, self._all, self._tasks = [], [], set()

    async def send_for(self, seconds):
        """The requests sent, and the right answers that came, per second meanwhile."""
        begin, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - begin) < seconds:
            while sent <= now * self._rate:
                self._send(self._texts[sent % len(self._texts)])
                sent += 1
            await asyncio.sleep(max(0, sent / self._rate - (time.perf_counter() - begin)))
        return sent / now, len(self._tally.good) / now

    def _send(self, text):
        task = asyncio.ensure_future(self._request(text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(self, text):
        if not self._free:
            self._all.append(await Connection().open(self._port))
            self._free.append(self._all[-1])
        connection = self._free.pop()
        await call(connection, text, self._tally)
        self._free.append(connection)

    async def finish(self):
        await asyncio.gather(*self._tasks)
        for connection in self._all:
            connection.close()
        return len(self._all)


async def recover(port, text, tally, normal_ms):
    """Seconds until an answer takes no more than `normal_ms`."""
    connection = await Connection().open(port)
    begin = time.perf_counter()
    while time.perf_counter() < begin + serving.LIMIT_S:
        asked = time.perf_counter()
        answer = await connection.post(text)
        taken = (time.perf_counter() - asked) * 1e3
        tally.add(taken, *answer)
        if answer[0] == 200 and taken <= normal_ms:
            break
    connection.close()
    return asked - begin


def percentile(values, fraction):
    return sorted(values)[min(len(values) - 1, int(len(values) * fraction))] if values else None


async def measure(node, options):
    library = options.tree / "tests/sharing/libsharing_driver.so"
    numbers = {"seed": 1, "words": 4096, "kernels": 1, "rounds": 4, "cpu_us": options.function_us, "asleep": 1}
    texts = [message(serving.request(library, "half", numbers, f"user-{index}")) for index in range(options.users)]
    first = node.client().invoke(serving.request(library, "half", numbers, "user-0"))
    if first.status != 200:
        sys.exit(f"The function fails: {first.body.decode()}")
    expected = json.loads(first.body)["checksum"]

    tally = {part: Tally(expected) for part in ("warm", "idle", "peak", "overload", "recovery")}
    await closed_loop(node.port, texts * 4, 1, tally["warm"])  # every container that there will be
    await closed_loop(node.port, texts[:1], options.seconds / 5, tally["idle"])
    peak = await closed_loop(node.port, texts * 4, options.seconds / 2, tally["peak"])

    # The caller's connections and queues are made once, as they would be in an hour of overload.
    load = OpenLoop(node.port, texts, peak * options.times, Tally(expected))
    await load.send_for(options.seconds / 5)
    await load.finish()
    before = node.resident_kib()
    load = OpenLoop(node.port, texts, peak * options.times, tally["overload"])
    offered, goodput = await load.send_for(options.seconds)
    recovery = await recover(node.port, texts[0], tally["recovery"], 2 * max(tally["idle"].good))
    connections = await load.finish()
    await closed_loop(node.port, texts, 1, tally["warm"])
    after = node.resident_kib()

    rejected = tally["overload"].rejected
    return {"peak_per_s": peak, "offered_per_s": offered, "goodput_per_s": goodput, "goodput_ratio": goodput / peak,
            "answered": len(tally["overload"].good), "rejected": len(rejected), "connections": connections,
            "reject_p50_ms": percentile(rejected, 0.5), "reject_p99_ms": percentile(rejected, 0.99),
            "idle_p50_ms": statistics.median(tally["idle"].good), "idle_max_ms": max(tally["idle"].good),
            "accepted_p99_ms": percentile(tally["overload"].good, 0.99),
            "memory_before_mib": before / 1024, "memory_after_mib": after / 1024,
            "memory_growth_mib": (after - before) / 1024, "recovery_s": recovery,
            "wrong": sum((part.wrong for part in tally.values()), [])}


def missed_targets(row):
    for name, (relation, bound) in TARGETS.items():
        value = row[name]
        if value is None or not (value >= bound if relation == ">=" else value <= bound):
            yield f"{name} is {value if value is None else round(value, 3)} (target {relation} {bound})"


def print_row(row, times):
    print(f"""peak            {row['peak_per_s']:9.1f} /s
offered         {row['offered_per_s']:9.1f} /s   {row['offered_per_s'] / row['peak_per_s']:.2f} x peak ({times:g} wanted)
goodput         {row['goodput_per_s']:9.1f} /s   {row['goodput_ratio']:.3f} x peak
rejects         {row['rejected']:9d}      p50 {row['reject_p50_ms'] or 0:.2f} ms, p99 {row['reject_p99_ms'] or 0:.2f} ms
answers         {row['answered']:9d}      p99 {row['accepted_p99_ms'] or 0:.1f} ms; of an idle node p50 {row['idle_p50_ms']:.1f} ms
node's memory   {row['memory_after_mib']:9.1f} MiB  {row['memory_growth_mib']:+.1f} MiB under overload
recovery        {row['recovery_s']:9.3f} s""")
    for sentence in row["wrong"][:5]:
        print(f"wrong: {sentence}")
    for sentence in missed_targets(row):
        print(f"missed: {sentence}")


def main():
    here = pathlib.Path(__file__).resolve().parents[1]
    default = here if (here / "bin/mignificient").exists() else here / "build/release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=lambda text: pathlib.Path(text).resolve(), default=default)
    parser.add_argument("--driver", default="cpu", choices=("cpu", "cuda", "auto"), help="default: the software GPU")
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--users", type=int, default=2)
    parser.add_argument("--queue", type=int, default=12, help="limits.queue: of each user")
    parser.add_argument("--function-us", type=int, default=20000, help="how long the function keeps its turn, asleep")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--commit", default=None, help="recorded in the result; default: the checkout's")
    parser.add_argument("--json")
    options = parser.parse_args()
    settings = {"functions": {"allowed-paths": [str(options.tree / "tests/sharing")]},
                "limits": {"queue": options.queue}, "gpu-server": {"driver": options.driver}}
    with serving.Node(options.tree, settings) as node:
        row = asyncio.run(measure(node, options))
        status = node.stop()
    print_row(row, options.times)
    if options.json:
        result = {"date": datetime.date.today().isoformat(), "gpu": gpu_name() if options.driver != "cpu" else "software",
                  "machine": platform.platform(), "cpus": len(os.sched_getaffinity(0)),
                  "commit": options.commit or commit(options.tree), "times": options.times, "seconds": options.seconds, **row}
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    return 1 if row["wrong"] or status != 0 or (options.strict and any(missed_targets(row))) else 0


if __name__ == "__main__":
    sys.exit(main())
