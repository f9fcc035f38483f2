"""NVML as tenants see it: tests/remoting/nvml_program.py under `mignificient run`; and that we never take it for the host's."""
import os
import pathlib
import subprocess

import pytest

from remoting_test import BUILD, PROGRAM, RUN, children_of

HERE = pathlib.Path(__file__).parent
LIBRARY = BUILD / "lib/libnvidia-ml.so.1"
UNSUPPORTED = HERE / "../../src/remoting/client/nvml/unsupported.c"


def ask(case):
    return subprocess.run([*RUN, "/usr/bin/python3", HERE / "nvml_program.py", case, LIBRARY, UNSUPPORTED],
                          capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("case", [
    "as_torch", "memory_is_the_containers", "it_is_the_device_of_the_driver", "as_nccl", "nothing_of_the_host",
    "arguments_are_checked", "every_other_function_says_not_supported", "after_fork", "asking_opens_no_channel",
    "without_a_door", "private_table", "event_sets_stay_empty"])
def test_nvml_answers_for_the_container(case):
    done = ask(case)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


def test_it_needs_libc_alone():
    needed = subprocess.run(["readelf", "-d", LIBRARY], capture_output=True, text=True, check=True).stdout
    assert {line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line} <= {
        "libc.so.6", "ld-linux-x86-64.so.2", "libm.so.6"}


def test_discovery_does_not_take_it_for_the_hosts():
    ours_first = {**os.environ, "LD_LIBRARY_PATH": f"{BUILD / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    plain, tempted = (subprocess.run([BUILD / "bin/mignificient", "devices"], env=env, capture_output=True, text=True,
                                     timeout=120, check=True).stdout for env in (os.environ, ours_first))
    assert tempted == plain


def test_a_gpu_server_does_not_take_our_driver_for_the_hosts():
    here, there = os.pipe()
    os.close(there)  # the control socket of a server without an owner
    server = subprocess.run([BUILD / "bin/mignificient-gpu-server", "--control-fd", str(here), "--driver", "cuda"],
                            pass_fds=[here], env={**os.environ, "LD_LIBRARY_PATH": str(BUILD / "lib")},
                            capture_output=True, text=True, timeout=120, check=False)
    os.close(here)
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("there is a driver that it finds")
    assert server.returncode == 1
    assert "own, for the programs of tenants" in server.stderr + server.stdout, server


def test_the_server_of_a_run_inside_a_run_loads_neither():
    program = subprocess.Popen([*RUN, *RUN, PROGRAM, "copy-forever"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        assert program.stdout.readline() == "copying\n"
        outer = children_of(program.pid)
        inner = [pid for child in outer for pid in children_of(child)]
        servers = [pid for pid in outer + inner
                   if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("mignificient-gp")]
        assert len(servers) == 2
        for pid in servers:
            maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
            assert str(BUILD.resolve() / "lib/libcuda.so") not in maps
            assert str(BUILD.resolve() / "lib/libnvidia-ml.so") not in maps
    finally:
        program.kill()
        program.communicate()
