"""Unmodified CUDA programs under `mignificient run`, without a node."""
import json
import os
import pathlib
import signal
import subprocess

import pytest

import expected
from node import MIGNIFICIENT, PROGRAMS, built_programs, mignificient


def run(program, *arguments, options=()):
    return mignificient("run", *options, "--", program, *arguments)


def test_a_program_that_needs_no_nvcc_is_built():
    assert "vector_add_ptx" in built_programs()


@pytest.mark.parametrize("program", built_programs())
def test_program_gives_the_expected_result(program):
    name = program.split("-")[0]
    result = run(PROGRAMS / program, json.dumps(expected.CASES[name][0]))
    assert result.returncode == 0, result.stderr
    expected.check(name, json.loads(result.stdout))


def test_exit_status_is_the_programs_own():
    assert run("/bin/sh", "-c", "exit 7").returncode == 7
    assert run("/bin/true").returncode == 0


def test_program_that_dies_by_a_signal():
    assert run("/bin/sh", "-c", "kill -SEGV $$").returncode == 128 + signal.SIGSEGV


def test_program_that_is_not_there():
    result = run("/no/such/program")
    assert result.returncode == 127
    assert "/no/such/program" in result.stderr


def test_arguments_reach_the_program_untouched():
    result = run("/bin/echo", "--gpu-memory", "-x", "--", "a b")
    assert result.stdout == "--gpu-memory -x -- a b\n"


def test_standard_input_reaches_the_program():
    result = mignificient("run", "--", "/bin/cat", stdin="through")
    assert result.stdout == "through"


def test_our_library_comes_first_and_the_path_is_kept():
    # Some machines need a path of their own to find the NVIDIA driver.
    kept = ":".join(filter(None, ["/kept", os.environ.get("LD_LIBRARY_PATH")]))
    result = mignificient("run", "--", "/bin/sh", "-c", "echo $LD_LIBRARY_PATH", env={"LD_LIBRARY_PATH": kept})
    first, rest = result.stdout.strip().split(":", 1)
    assert (pathlib.Path(first) / "libcuda.so.1").exists()
    assert rest == kept


def test_the_program_sees_one_device_whichever_of_several_it_is(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    script = 'echo "${CUDA_VISIBLE_DEVICES-unset}"'
    assert run("/bin/sh", "-c", script).stdout == "unset\n"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert run("/bin/sh", "-c", script).stdout == "0\n"


def test_children_of_a_program_find_the_gpu():
    program = PROGRAMS / "vector_add_ptx"
    result = run("/bin/sh", "-c", f"{program} '{{\"vec-elements\": 3}}' && {program} '{{\"vec-elements\": 4}}'")
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["elements"] for line in result.stdout.splitlines()] == [3, 4]


def test_memory_limit_is_the_programs_own_error():
    # 2^24 elements are three vectors of 64 MiB.
    result = run(PROGRAMS / "vector_add_ptx", '{"vec-elements": 16777216}', options=["--gpu-memory", "64"])
    assert result.returncode in (1, 137)
    assert "OUT_OF_MEMORY" in result.stderr or "out of memory" in result.stderr


def test_instance_that_is_not_there():
    result = run("/bin/true", options=["--instance", "no-such-instance"])
    assert result.returncode in (2, 5)
    assert "no-such-instance" in result.stderr


def test_program_is_ended_when_the_device_has_less_than_it_asks_for():
    result = run("/bin/sleep", "3600", options=["--gpu-memory", str(1 << 30)])
    assert result.returncode == 4
    assert f"asks for {1 << 30} MiB" in result.stderr


def test_program_may_end_before_its_gpu_server_has_started():
    result = run("/bin/sh", "-c", "exit 3")
    assert (result.returncode, result.stdout, result.stderr) == (3, "", "")


def test_signals_are_forwarded(tmp_path):
    script = 'trap "exit 42" TERM; echo ready; while :; do sleep 0.05; done'
    process = subprocess.Popen([MIGNIFICIENT, "run", "--", "/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 42


def test_nothing_is_left_behind_when_run_is_killed():
    script = "echo $$ $PPID; exec sleep 3600"
    process = subprocess.Popen([MIGNIFICIENT, "run", "--", "/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True)
    program, parent = map(int, process.stdout.readline().split())
    assert parent == process.pid
    family = [int(pid) for path in pathlib.Path(f"/proc/{parent}/task").glob("*/children")
              for pid in path.read_text().split()]
    assert program in family and len(family) == 2  # the program and the GPU server
    descriptors = [os.pidfd_open(pid) for pid in family]
    process.kill()
    process.wait(timeout=60)
    for descriptor in descriptors:  # readable once the process has ended
        assert wait_readable(descriptor), "A process outlives `mignificient run`."


def wait_readable(descriptor):
    import select
    return bool(select.select([descriptor], [], [], 60)[0])
