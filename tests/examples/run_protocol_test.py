"""What `mignificient run` does and says at each ending of its GPU server, with a server that plays them."""
import os
import pathlib
import shutil
import subprocess

import pytest

from node import COMMAND_LIMIT, MIGNIFICIENT

# Sends one packet through the door, waits for the answer, and stays until it is killed or ends.
CALL = ("import os, socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        "s.connect('\\0' + os.environ['MIGNIFICIENT_GPU_DOOR'].rsplit(':', 1)[0]); s.send(b'x'); s.recv(1); ")
CALL_AND_WAIT = ["/usr/bin/python3", "-c", CALL + "time.sleep(3600)"]
WAIT = ["/bin/sleep", "3600"]
CALL_AND_EXIT = ["/usr/bin/python3", "-c", CALL + "sys.exit(5)"]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """Our program beside the server that plays."""
    root = tmp_path_factory.mktemp("installation")
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    shutil.copy(MIGNIFICIENT, root / "bin/mignificient")
    shutil.copy(pathlib.Path(__file__).parent / "fake_gpu_server.py", root / "bin/mignificient-gpu-server")
    os.chmod(root / "bin/mignificient-gpu-server", 0o755)
    for library in ("libcuda.so.1", "libnvidia-ml.so.1"):
        (root / "lib" / library).touch()
    return root


@pytest.fixture
def run(installation):
    def start(script, program, *options):
        return subprocess.run([installation / "bin/mignificient", "run", *options, "--", *program], text=True,
                              env={**os.environ, "FAKE_GPU_SERVER": script}, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=COMMAND_LIMIT, check=False)
    return start


def test_a_program_that_never_calls_ends_with_its_own_status(run):
    result = run("ready opened close", ["/bin/sh", "-c", "exit 3"])
    assert result.returncode == 3
    assert "mignificient run:" not in result.stderr


def test_a_program_that_ends_first_waits_for_no_server(run):
    for script in ("", "await-hang-up"):
        result = run(script, ["/bin/sh", "-c", "exit 3"])
        assert (result.returncode, result.stderr) == (3, "")


def test_a_program_that_called_ends_with_its_own_status(run):
    result = run("ready opened await-program client-gone close", CALL_AND_EXIT)
    assert result.returncode == 5
    assert "mignificient run:" not in result.stderr


def test_all_free_memory_is_the_default_budget(run):
    assert "budget 1000" in run("ready opened await-program close", CALL_AND_EXIT).stderr


def test_gpu_memory_is_the_budget(run):
    assert "budget 64" in run("ready opened await-program close", CALL_AND_EXIT, "--gpu-memory", "64").stderr


def test_more_memory_than_is_free_is_refused(run):
    result = run("ready opened close", WAIT, "--gpu-memory", "1001")
    assert result.returncode == 4
    assert "asks for 1001 MiB" in result.stderr and "Fake device has 1000 MiB free (of 1024 MiB)" in result.stderr


def test_out_of_memory_ends_the_program_with_137(run):
    result = run("ready opened await-program out-of-memory close", CALL_AND_WAIT)
    assert result.returncode == 137
    assert "out of GPU memory: The budget is used up." in result.stderr


@pytest.mark.parametrize("word, sentence", [
    ("misuse", "the protocol was broken: Opcode 999 is unknown."),
    ("device-error", "The GPU context is broken: An illegal address was read."),
])
def test_a_session_that_ends_badly_is_explained_and_the_program_keeps_its_status(run, word, sentence):
    result = run(f"ready opened await-program {word} close", CALL_AND_EXIT)
    assert result.returncode == 5
    assert sentence in result.stderr


def test_a_server_that_crashes_takes_the_program_with_it(run):
    result = run("ready opened await-program crash", CALL_AND_WAIT)
    assert result.returncode == 1
    assert "The GPU server was killed by signal 11 (SIGSEGV)." in result.stderr


def test_a_device_that_cannot_be_used(run):
    result = run("failed", WAIT)
    assert result.returncode == 3
    assert "The GPU server cannot use its device: The device is on fire." in result.stderr


def test_a_server_that_dies_before_it_is_ready(run):
    result = run("crash", WAIT)
    assert result.returncode == 3
    assert "The GPU server was killed by signal 11" in result.stderr


def test_a_part_that_is_missing_is_named(installation, tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(installation / "bin/mignificient", tmp_path / "bin")
    result = subprocess.run([tmp_path / "bin/mignificient", "run", "--", "/bin/true"], capture_output=True, text=True,
                            timeout=COMMAND_LIMIT, check=False)
    assert result.returncode == 5
    assert "mignificient-gpu-server) is missing" in result.stderr
