"""The invoker against a node that answers as a script says: every field of the report, and how each pace sends."""
import collections
import csv
import datetime
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree

import numpy
import pytest

from fake_node import error, fake_node, ok
from node import MIGNIFICIENT, mignificient


def bench(node, *arguments, **options):
    return mignificient("bench", "--address", node.address, *arguments, **options)


def report(node, *arguments, expect=0):
    result = bench(node, "--json", *arguments)
    assert result.returncode == expect, result.stdout + result.stderr
    return json.loads(result.stdout)


def times_ms(file):
    with open(file, newline="") as stream:
        return [int(row["time"]) / 1000 for row in csv.DictReader(stream)]


def test_every_field_of_the_report(tmp_path):
    answers = [ok("cold", "queue;dur=1, spawn;dur=20, exec;dur=4, total;dur=25"),
               ok("warm", "queue;dur=2, exec;dur=3, total;dur=5"),
               ok("swapped", "queue;dur=3, swap;dur=7, exec;dur=5, total;dur=15"),
               error(429, "queue_full", "The queue is full."),
               error(500, "function_error", "It failed."),
               error(200, "timeout", "Too slow."),  # compatible-status
               ok("warm", "queue;dur=2, exec;dur=4, total;dur=6"),
               None]
    with fake_node(lambda number, _: answers[number]) as node:
        got = report(node, "--function", "f", "--concurrency", 1, "--request-count", 8, "-d", "abc",
                     "--csv", tmp_path / "out.csv", expect=1)
    assert (got["succeeded"], got["failed"]) == (4, 4)
    assert got["starts"] == {"cold": 1, "swapped": 1, "warm": 2}
    assert {kind: ms["count"] for kind, ms in got["start_latency_ms"].items()} == got["starts"]
    assert got["statuses"] == {"0": 1, "200": 5, "429": 1, "500": 1}
    errors = got["errors"]
    assert {kind: (entry["count"], entry["first"]) for kind, entry in errors.items() if kind != "connection"} == {
        "queue_full": (1, "The queue is full."), "function_error": (1, "It failed."), "timeout": (1, "Too slow.")}
    assert errors["queue_full"]["statuses"] == {"429": 1} and errors["timeout"]["statuses"] == {"200": 1}
    assert "hung up" in errors["connection"]["first"]
    assert got["phases_ms"] == {"queue": {"count": 4, "mean": 2, "max": 3}, "spawn": {"count": 1, "mean": 20, "max": 20},
                                "exec": {"count": 4, "mean": 4, "max": 5}, "swap": {"count": 1, "mean": 7, "max": 7},
                                "total": {"count": 4, "mean": 12.75, "max": 25}}
    assert got["bytes_received"] > 7 * len("result") and got["bytes_sent"] > 7 * len("abc")
    assert got["functions"]["f"]["succeeded"] == 4 and got["functions"]["f"]["failed"] == 4
    ms = got["latency_ms"]
    assert ms["count"] == 4
    assert 0 < ms["min"] <= ms["p50"] <= ms["p90"] <= ms["p95"] <= ms["p99"] <= ms["max"]
    assert got["requests_per_second"] == pytest.approx(4 / got["seconds"])
    assert got["answers_per_second"] == pytest.approx(7 / got["seconds"])
    assert got["end"] == {"signal": 0, "abandoned": 0, "warmup_failed": 0, "connections": 1}
    assert got["late"] == 0
    assert got["parameters"] == {"mode": "closed", "address": node.address, "functions": ["f"], "payload_bytes": 3,
                                 "workers": 1, "warmup_request_count": 0, "request_count": 8}
    assert got["version"] == json.loads(mignificient("version", "--json").stdout)["version"]
    date = datetime.datetime.strptime(got["date"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    assert abs(datetime.datetime.now(datetime.timezone.utc) - date) < datetime.timedelta(days=1)
    assert len(times_ms(tmp_path / "out.csv")) == 8


def test_text_says_the_same(tmp_path):
    answers = [ok("cold", "exec;dur=4"), ok("warm", "exec;dur=2"), error(429, "queue_full", "The queue is full.")]
    with fake_node(lambda number, _: answers[number]) as node:
        result = bench(node, "--function", "f", "--concurrency", 1, "--request-count", 3)
    assert result.returncode == 4  # refused only
    assert result.stderr == ""  # no progress bar in a pipe
    for line in [r"requests +2 ok, 1 failed, in \d+\.\d{3} s", r"throughput +[\d.]+ answers/s", r"goodput +[\d.]+ ok/s",
                 r"latency ms +p50 [\d.]+  p90 [\d.]+  p95 [\d.]+  p99 [\d.]+  max [\d.]+  mean [\d.]+",
                 r"starts +1 cold  1 warm", r"  cold ms +p50", r"phases ms +exec 3\.000  \(means, on the node\)",
                 r"bytes +.*B sent, .*B received",
                 r"error +1 x queue_full \[429\], p50 [\d.]+ ms, max [\d.]+ ms: The queue is full\."]:
        assert re.search("^" + line, result.stdout, re.MULTILINE), line


def test_percentiles_are_those_of_numpy(tmp_path):
    with fake_node(lambda *_: ok()) as node:
        got = report(node, "--function", "f", "--concurrency", 4, "--request-count", 500, "--csv", tmp_path / "out.csv")
    times = times_ms(tmp_path / "out.csv")  # whole microseconds, cut off
    for name, percent in {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100, "min": 0}.items():
        assert 0 <= got["latency_ms"][name] - numpy.percentile(times, percent) < 0.001 + 1e-9
    assert 0 <= got["latency_ms"]["mean"] - numpy.mean(times) < 0.001 + 1e-9


@pytest.mark.parametrize("status, kind, exit_status", [
    (429, "queue_full", 4), (503, "no_capacity", 4), (500, "function_error", 1), (404, "not_found", 5),
    (401, "unauthenticated", 2), (504, "timeout", 124), (507, "gpu_out_of_memory", 137)])
def test_failures_of_one_kind_exit_as_invoke_does(status, kind, exit_status):
    with fake_node(lambda *_: error(status, kind, "So.")) as node:
        result = bench(node, "--function", "f", "--request-count", 2)
    assert result.returncode == exit_status


def test_payload_token_and_name_of_a_registered_function(tmp_path):
    (tmp_path / "payload").write_bytes(b"\0\xff\r\n\r\n")
    with fake_node(lambda *_: ok()) as node:
        report(node, "--function", "a/b", "--request-count", 2, "-d", f"@{tmp_path}/payload", "--token", "secret")
    assert [request.path for request in node.requests] == ["/function/a%2Fb"] * 2
    assert [request.body for request in node.requests] == [b"\0\xff\r\n\r\n"] * 2
    assert {request.headers["Authorization"] for request in node.requests} == {"Bearer secret"}


def test_the_token_is_not_in_the_report():
    with fake_node(lambda *_: ok()) as node:
        result = bench(node, "--json", "--function", "f", "--request-count", 1, env={"MIGNIFICIENT_TOKEN": "secret"})
    assert node.requests[0].headers["Authorization"] == "Bearer secret"
    assert "secret" not in result.stdout + result.stderr


def test_several_functions_are_sent_by_a_worker_each():
    with fake_node(lambda *_: ok()) as node:
        got = report(node, "--function", "a", "--function", "b", "--request-count", 40)
    sent = collections.Counter(request.path for request in node.requests)
    assert set(sent) == {"/function/a", "/function/b"}
    assert {name: entry["succeeded"] for name, entry in got["functions"].items()} == {
        "a": sent["/function/a"], "b": sent["/function/b"]}


def test_users_of_a_description(tmp_path):
    description = tmp_path / "load.json"
    description.write_text(json.dumps({"inputs": {"function": "f", "input-payload": "old"}, "parallel-requests": 2,
                                       "iterations": 3, "different-users": True}))
    with fake_node(lambda *_: ok()) as node:
        got = report(node, description, "--user", "ann", "-d", "new")
    assert {request.json()["user"] for request in node.requests} == {"ann-0", "ann-1"}
    assert {request.json()["input-payload"] for request in node.requests} == {"new"}
    assert {name: entry["succeeded"] for name, entry in got["users"].items()} == {"ann-0": 4, "ann-1": 4}


def test_warm_up_is_sent_first_and_not_measured():
    with fake_node(lambda number, _: error(500, "function_error", "Cold.") if number < 3 else ok()) as node:
        got = report(node, "--function", "f", "--warmup-request-count", 3, "--request-count", 5)
    assert (got["succeeded"], got["failed"], len(node.requests)) == (5, 0, 8)
    assert got["end"]["warmup_failed"] == 3


def test_measurement_interval_ends_the_load():
    with fake_node(lambda *_: ok()) as node:
        got = report(node, "--function", "f", "--concurrency", 2, "--measurement-interval", 50)
    assert got["succeeded"] == len(node.requests) > 0
    assert got["parameters"]["measurement_interval_ms"] == 50


def test_batches_wait_for_each_other(tmp_path):
    open_requests, most, lock = set(), [0], threading.Lock()

    def script(number, request):
        iteration = request.json()["uuid"].split("-")[1]
        with lock:
            open_requests.add((iteration, number))
            most[0] = max(most[0], len({i for i, _ in open_requests}))
        node.wait_for(3 * (int(iteration) + 1))  # all of the round are there before one is answered
        with lock:
            open_requests.discard((iteration, number))
        return ok()

    description = tmp_path / "load.json"
    description.write_text(json.dumps({"inputs": {"function": "f"}, "parallel-requests": 3, "iterations": 4,
                                       "mode": "batches"}))
    with fake_node(script) as node:
        assert report(node, description)["succeeded"] == 12
    assert most[0] == 1


# --- open loop -----------------------------------------------------------------------------------------------------

def test_open_loop_sends_without_answers():
    """The first answer comes when the last request has arrived: a closed loop would wait for ever."""
    def script(*_):
        node.wait_for(20)
        return ok()

    with fake_node(script) as node:
        got = report(node, "--function", "f", "--request-rate", 2000, "--request-count", 20)
    assert got["succeeded"] == 20
    assert got["end"]["connections"] == 20
    # Measured from when it was due: the first one waited for the last, which was due 19 gaps later.
    assert got["latency_ms"]["max"] >= 9.5


def test_delays_of_the_node_are_not_omitted():
    """One connection, whose first answer takes 60 ms: what was due meanwhile is late, and its wait is measured."""
    def script(number, _):
        if number == 0:
            time.sleep(0.06)  # the node's slowness, not the test's wait
        return ok()

    with fake_node(script) as node:
        result = bench(node, "--json", "--function", "f", "--request-rate", 1000, "--request-count", 30,
                       "--max-connections", 1)
        text = bench(node, "--function", "f", "--request-rate", 1000, "--request-count", 1).stdout
    got = json.loads(result.stdout)
    assert got["end"]["connections"] == 1
    assert got["late"] >= 29 and got["late_ms"]["queued"] >= 29
    assert got["late_ms"]["max"] >= 59
    assert got["latency_ms"]["p50"] >= 30  # a closed loop would have measured one slow request of 30
    assert "raise --max-connections" not in text


def test_intervals_are_replayed_and_begin_anew(tmp_path):
    intervals = tmp_path / "intervals"
    intervals.write_text("0\n500\n\n1500\n")
    with fake_node(lambda *_: ok()) as node:
        once = report(node, "--function", "f", "--request-intervals", intervals)
        again = report(node, "--function", "f", "--request-intervals", intervals, "--request-count", 8,
                       "--replay-speed", 2)
    assert (once["succeeded"], again["succeeded"]) == (3, 8)
    assert again["parameters"]["request_intervals"] == str(intervals)
    assert again["parameters"]["replay_speed"] == 2


def test_trace_names_the_functions(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("function,time\nb,10.002\na,10\na,10.001\n")
    with fake_node(lambda *_: ok()) as node:
        got = report(node, "--trace", trace)
    assert sorted(request.path for request in node.requests) == ["/function/a", "/function/a", "/function/b"]
    assert {name: entry["succeeded"] for name, entry in got["functions"].items()} == {"a": 2, "b": 1}


def test_anonymous_trace_is_played_by_the_inputs_in_turn(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("app,func,end_timestamp,duration\n" + "".join(f"x,hash{i},{1 + i / 1000},0.5\n" for i in range(6)))
    description = tmp_path / "load.json"
    description.write_text(json.dumps({"inputs": [{"function": "a"}, {"function": "b"}]}))
    with fake_node(lambda *_: ok()) as node:
        result = bench(node, "--json", "--trace", trace, description)
    assert result.returncode == 0, result.stderr
    assert "The 6 functions of the trace are played by the 2 given, in turn." in result.stderr
    assert collections.Counter(request.json()["function"] for request in node.requests) == {"a": 3, "b": 3}


# --- its ends ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_prints_what_was_measured(tmp_path, number, status):
    def script(number, _):
        if number >= 5:
            release.wait()
        return ok()

    release = threading.Event()
    with fake_node(script) as node:
        command = [MIGNIFICIENT, "bench", "--address", node.address, "--json", "--function", "f", "--concurrency", "2",
                   "--request-count", "100", "--csv", tmp_path / "out.csv", "--plot", tmp_path / "out.svg"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            node.wait_for(7)  # five are answered, or will be; both workers hang in the next
            process.send_signal(number)
            got = json.loads(process.stdout.read())
        release.set()
    assert process.returncode == status
    assert got["end"]["signal"] == number and got["end"]["abandoned"] == 2
    assert got["succeeded"] == len(times_ms(tmp_path / "out.csv")) == 5
    xml.etree.ElementTree.parse(tmp_path / "out.svg")


def test_a_node_that_leaves_is_counted_and_comes_back():
    with fake_node(lambda number, _: None if number % 3 == 1 else ok()) as node:
        got = report(node, "--function", "f", "--request-count", 9, expect=3)
    assert got["errors"]["connection"]["count"] == 3
    assert got["succeeded"] == 6


def test_unix_socket(tmp_path):
    with fake_node(lambda *_: ok(), unix_socket=tmp_path / "socket") as node:
        got = report(node, "--function", "f", "--request-count", 20, "--concurrency", 2)
    assert got["succeeded"] == 20
    assert got["parameters"]["address"] == f"unix:{tmp_path}/socket"


def test_large_payload_and_answer():
    with fake_node(lambda _, request: ok(body=request.body)) as node:
        result = bench(node, "--json", "--function", "f", "--request-count", 3, "-d", "@-", stdin="x" * (8 << 20))
    got = json.loads(result.stdout)
    assert got["succeeded"] == 3
    assert got["bytes_sent"] > 3 * (8 << 20) and got["bytes_received"] > 3 * (8 << 20)


def test_plot_is_xml_with_a_mark_for_each_kind(tmp_path):
    answers = [ok("cold"), ok("warm"), ok("swapped"), error(429, "queue_full", "Full.")]
    with fake_node(lambda number, _: answers[number % 4]) as node:
        result = bench(node, "--function", "f<&>", "--request-count", 40, "--plot", tmp_path / "out.svg")
    assert result.returncode == 4
    svg = (tmp_path / "out.svg").read_text()
    root = xml.etree.ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"cold (10)", "warm (10)", "swapped (10)", "failed (10)"} <= set(texts)
    assert texts[0].startswith("f<&>, 1 workers")


def test_progress_bar_on_a_terminal():
    terminal, its_end = pty.openpty()
    with fake_node(lambda *_: ok()) as node:
        subprocess.run([MIGNIFICIENT, "bench", "--address", node.address, "--function", "f", "--request-count", "5"],
                       check=True, stdout=subprocess.DEVNULL, stderr=its_end)
    os.close(its_end)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert re.search(r"\r\[-+\] +0 %  0 requests", shown)
    assert shown.endswith("\r\x1b[K")  # wiped


# --- what it refuses -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, complaint", [
    ([], "Name what to load: a description file, --function or --trace."),
    (["--function", "f", "--concurrency", "0"], "--concurrency: (0) is not allowed (allowed: a whole number from 1 to"),
    (["--function", "f", "--concurrency", "1e2"], "--concurrency: (1e2) is not allowed"),
    (["--function", "f", "--request-rate", "fast"], "--request-rate: (fast) is not allowed (allowed: a number from 0.001"),
    (["--function", "f", "--request-rate", "nan"], "--request-rate: (nan) is not allowed"),
    (["--function", "f", "--measurement-interval", "-5"], "--measurement-interval: (-5) is not allowed"),
    (["--function", "f", "--concurrency", "1", "--request-rate", "5"],
     "Options --concurrency and --request-rate exclude each other"),
    (["--function", "f", "--request-distribution", "poisson"], "Option --request-distribution needs --request-rate."),
    (["--function", "f", "--request-rate", "5", "--random-seed", "5"],
     "Option --random-seed needs --request-distribution poisson."),
    (["--function", "f", "--max-connections", "5"], "Option --max-connections needs --request-rate,"),
    (["--function", "f", "--user", "u"], "Option --user needs a description."),
    (["--function", "f", "--request-intervals", "/no/such/file"], "/no/such/file"),
    (["--function", "f", "-d", "@/no/such/file"], "/no/such/file"),
    (["--function", "f", "--function", "g", "--concurrency", "1"], "Concurrency (1) is less than the number of functions (2)"),
    (["--function", "f", "--address", "http://x/y"], "has a path"),
])
def test_bad_options_exit_with_2_and_say_what_is_allowed(arguments, complaint):
    result = mignificient("bench", *arguments)
    assert result.returncode == 2, result.stderr
    assert complaint in result.stderr
    assert result.stdout == ""


def test_bad_files_are_named_with_their_line(tmp_path):
    intervals, trace = tmp_path / "intervals", tmp_path / "trace.csv"
    intervals.write_text("5\nx\n")
    trace.write_text("function,time\nf,0\nh,1\n")
    result = mignificient("bench", "--function", "f", "--request-intervals", intervals)
    assert result.returncode == 2
    assert "Line 2 is (x) (allowed: whole microseconds from 0)" in result.stderr and str(intervals) in result.stderr
    result = mignificient("bench", "--function", "f", "--function", "g", "--trace", trace)
    assert result.returncode == 2
    assert "Function (h) of the trace is none of those given (allowed: f, g)" in result.stderr


@pytest.mark.parametrize("option", ["--csv", "--plot"])
def test_a_file_that_cannot_be_written_is_noticed_before_the_load(option):
    with fake_node(lambda *_: ok()) as node:
        result = bench(node, "--function", "f", "--request-count", 1, option, "/no/such/folder/out")
    assert result.returncode == 1
    assert "/no/such/folder/out" in result.stderr
    assert node.requests == []
