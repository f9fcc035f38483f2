"""The whole path across real processes: tests/remoting/driver_program.cc under `mignificient run`."""
import contextlib
import os
import pathlib
import select
import signal
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"])
RUN = [BUILD / "bin/mignificient", "run", "--gpu-memory", "512", "--"]
PROGRAM = BUILD / "tests/driver_program"
MEMORY_PROGRAM = BUILD / "tests/memory_program"
ON_GPU = bool(os.environ.get("MIGNIFICIENT_TEST_GPU"))


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
    assert "at another address" in done.stderr  # see registered-twice
    assert done.returncode == 0


def test_work_that_never_ends_ends_with_its_program():
    program = BUILD / "tests/host_memory_program"
    started = subprocess.Popen([*RUN, program, "abandoned-wait"], stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "wait: CUDA_SUCCESS\n"
    servers = []
    for pid in children_of(started.pid):
        with contextlib.suppress(ProcessLookupError):  # the program may have ended since it was listed; the server lives
            servers.append(os.pidfd_open(pid))
    started.communicate(timeout=120)
    assert started.returncode == 0
    for end in servers:
        assert select.select([end], [], [], 60)[0], "A process is left behind."


@pytest.mark.parametrize("case", ["waiting", "copying", "thread-streams", "coming-and-going", "modules"])
def test_what_one_thread_waits_for_keeps_no_other_from_working(case):
    done = subprocess.run([*RUN, BUILD / "tests/thread_program", case], capture_output=True, text=True, timeout=120,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


# What memory_program.cc prints, as CUDA documents it. Natively on a GPU it prints the same.
POOL_LINES = """\
the default pool is current: 1
threshold 0
used 4194304
reserved as much at least: 1
pool of the pointer: 1, type 2, range 1 3145728
used after the frees 0
reserved after synchronisation 0
most used 4194304
most used since the reset 0
kept below the threshold: 1
reserved after the trim 0
"""
MAPPING_LINES = """\
aligned: 1
the range is the reservation: 1 8
the address range is the mapping: 1 2
mapped 1
cuPointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, p + 3 * granule): 1
access 3
the retained handle is the same: 1
properties 1 0 1 0
"""
OUT_OF_MEMORY_LINES = """\
cuMemAllocAsync(&none, most, stream): 2
cuMemAlloc_v2(&none, most): 2
"""


@pytest.mark.parametrize("case, lines", [
    ("attributes", "pools: 1\nvirtual memory management: 1\n"),
    ("pools", POOL_LINES),
    ("mixed-frees", ""),
    ("streams", ""),
    ("threads", "used in the end 0\n"),
    ("pressure", 3 * OUT_OF_MEMORY_LINES),
    ("fence", "other threads go on; the memory is used again before its work is over: 0\n"),
    ("mappings", MAPPING_LINES),
    ("expandable", "in the end: 2\nall of it is back: 1\n"),
])
def test_memory_is_that_of_cuda(case, lines):
    done = subprocess.run([*RUN, MEMORY_PROGRAM, case], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, lines + "ok\n"), done.stdout + done.stderr


def test_captured_allocations_are_the_graphs():
    done = subprocess.run([*RUN, MEMORY_PROGRAM, "capture"], capture_output=True, text=True, timeout=120, check=False)
    if done.stdout == "cuMemsetD32Async(p, value, bytes / 4, stream) answers 1\n" and not ON_GPU:
        pytest.skip("the software GPU does not capture work on memory that the same capture allocates")
    assert (done.returncode, done.stdout) == (0, "nodes 4\nok\n"), done.stdout + done.stderr


@pytest.mark.parametrize("case, tolerated", [
    ("pool-errors", ["cuMemAllocAsync(&p, 0, stream)", "cuMemFreeAsync(0, stream)", "cuMemPoolSetAccess(pool, &full, 1)"]),
    ("mapping-errors", ["cuMemUnmap(p + 4 * granule, granule)"]),
])
def test_what_memory_management_refuses(case, tolerated):
    done = subprocess.run([*RUN, MEMORY_PROGRAM, case], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout + done.stderr
    accepted = [line for line in done.stdout.splitlines() if line.endswith("): 0")]
    assert accepted == [f"{call}: 0" for call in tolerated]


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
