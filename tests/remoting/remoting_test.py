"""The whole path across real processes: tests/remoting/driver_program.cc under `mignificient run`."""
import os
import pathlib
import select
import signal
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"])
RUN = [BUILD / "bin/mignificient", "run", "--gpu-memory", "512", "--"]
PROGRAM = BUILD / "tests/driver_program"


@pytest.mark.parametrize("case", ["copies", "threads", "pinned", "illegal-address", "misuse", "fork",
                                  "library-without-context", "endless-kernel"])
def test_answers_are_those_of_cuda(case):
    done = subprocess.run([*RUN, PROGRAM, case], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


def test_host_memory_is_as_cuda_has_it():
    program = BUILD / "tests/host_memory_program"
    done = subprocess.run([*RUN, program, "all"], capture_output=True, text=True, timeout=240, check=False)
    expected = (pathlib.Path(__file__).parent / "host_memory_expected.txt").read_text()
    assert done.stdout == expected, done.stderr
    assert done.returncode == 0


def test_work_that_never_ends_ends_with_its_program():
    program = BUILD / "tests/host_memory_program"
    started = subprocess.Popen([*RUN, program, "abandoned-wait"], stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "wait: CUDA_SUCCESS\n"
    servers = [os.pidfd_open(pid) for pid in children_of(started.pid)]
    started.communicate(timeout=120)
    assert started.returncode == 0
    for end in servers:
        assert select.select([end], [], [], 60)[0], "A process is left behind."


@pytest.mark.parametrize("case", ["waiting", "copying", "thread-streams", "coming-and-going"])
def test_what_one_thread_waits_for_keeps_no_other_from_working(case):
    done = subprocess.run([*RUN, BUILD / "tests/thread_program", case], capture_output=True, text=True, timeout=120,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


def test_gpu_server_killed_in_the_middle_of_a_copy():
    program = subprocess.Popen([*RUN, PROGRAM, "copy-forever"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "copying\n"
    children = {pid: pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in children_of(program.pid)}
    server = next(pid for pid, name in children.items() if name.startswith("mignificient-gp"))
    ends = [os.pidfd_open(pid) for pid in children]
    os.kill(server, signal.SIGKILL)
    _, errors = program.communicate(timeout=120)
    assert program.returncode != 0
    assert "GPU server" in errors, errors
    for end in ends:  # readable once the process has ended
        assert select.select([end], [], [], 60)[0], "A process is left behind."


def children_of(pid):
    return [int(child) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for child in path.read_text().split()]
