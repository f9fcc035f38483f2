"""tests/soak/soak.py finds what is left behind, and finds nothing behind what we run: a version of a few seconds."""
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import soak

BUILD = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"])
TOOL = pathlib.Path(__file__).parent / "soak.py"
DRIVER, THREADS = BUILD / "tests/driver_program", BUILD / "tests/thread_program"
DESCRIPTION = BUILD / "examples/vector_add_ptx.json"
SECONDS = 3


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, "--bin", BUILD / "bin", "--minutes", str(SECONDS / 60), "--warmup", "2",
                           *arguments], capture_output=True, text=True, timeout=200, check=False)


def numbers(table, what):
    """(before, after, more)"""
    found = re.search(rf"^{re.escape(what)} +(\d+) +(\d+) +(-?\d+)$", table, re.M)
    assert found, f"{what} is not in\n{table}"
    return tuple(map(int, found.groups()))


def test_programs_in_one_session_leave_nothing_behind():
    done = run("--session", f"{DRIVER} copies", "--session", f"{DRIVER} pinned", "--session", f"{DRIVER} fork",
               "--session", f"{THREADS} thread-streams")
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("descriptors", "mapped memfds", "threads", "zombies"):
        assert numbers(done.stdout, f"session: GPU server: {what}")[2] == 0
    assert numbers(done.stdout, "session: device memory, KiB") == (0, 0, 0)
    assert numbers(done.stdout, "session: channels") == (0, 0, 0)
    assert numbers(done.stdout, "session: processes")[0] == 3  # run, the GPU server, and the tool inside


def test_runs_and_invocations_leave_nothing_behind():
    done = run("--run", f"{DRIVER} pinned", "--run", "/bin/true", "--invoke", DESCRIPTION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert numbers(done.stdout, "node: node: descriptors")[2] == 0
    assert numbers(done.stdout, "node: GPU servers: processes")[:2] == (1, 1)
    assert numbers(done.stdout, "node: executors: descriptors")[2] == 0
    assert numbers(done.stdout, "stray processes") == (0, 0, 0)


def test_a_process_that_stays_is_found(tmp_path):
    # `run` waits for its program, not for what that leaves behind.
    pids = tmp_path / "pids"
    done = run("--run", f"/bin/sh -c 'sleep 600 > /dev/null 2>&1 & echo $! >> {pids}'")
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    assert done.returncode == 1
    assert "stray processes grew" in done.stderr
    assert "Something is left behind" in done.stdout


def test_a_program_that_fails_is_named():
    done = run("--session", "/bin/false", "--run", "/no/such/program")
    assert done.returncode == 1
    assert "session: /bin/false failed" in done.stderr and "ended with 1" in done.stderr
    assert "run: /no/such/program failed" in done.stderr and "does not exist" in done.stderr


@pytest.mark.parametrize("before, after, complaints", [
    ({"a": 1}, {"a": 1}, []),
    ({"a": 2}, {"a": 1}, []),
    ({"a": 1}, {"a": 2}, ["a grew from 1 to 2."]),
    ({}, {"a": 1}, ["a grew from 0 to 1."]),
    ({"x: resident memory, KiB": 1000}, {"x: resident memory, KiB": 1100}, []),
    ({"x: resident memory, KiB": 1000}, {"x: resident memory, KiB": 1101}, ["x: resident memory, KiB grew from 1000 to 1101."]),
    ({"x: resident memory, KiB": 100000}, {"x: resident memory, KiB": 105000}, []),
])
def test_growth_is_what_is_more_than_before(before, after, complaints):
    assert soak.growth(before, after, slack_kib=100) == complaints


def test_wrong_arguments_are_refused():
    assert subprocess.run([sys.executable, TOOL], capture_output=True, check=False).returncode == 2
    assert run("--bin", "/no/such/folder", "--run", "x").returncode == 2
