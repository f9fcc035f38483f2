"""Programs of several processes: tests/remoting/processes_program.py under `mignificient run`."""
import pathlib
import subprocess

import pytest

from remoting_test import RUN

PROGRAM = pathlib.Path(__file__).parent / "processes_program.py"


@pytest.mark.parametrize("case", [
    "subprocesses_find_the_gpu", "grandchildren_find_the_gpu", "an_emptied_environment_has_no_gpu",
    "a_forked_child_gets_its_own_by_exec", "fork_before_init_works_anew", "fork_after_init_is_refused",
    "fork_while_other_threads_work", "memory_of_a_parent_that_ends_is_free", "a_child_outlives_its_parent",
    "spawned_workers_have_the_gpu", "forkserver_workers_have_the_gpu", "forked_workers_without_cuda_do_their_work",
    "processes_share_the_budget", "channels_are_bounded", "silent_callers_keep_nobody_out", "the_key_is_needed"])
def test_processes_share_the_session_as_cuda_processes_share_a_device(case):
    done = subprocess.run([*RUN, "/usr/bin/python3", PROGRAM, case], capture_output=True, text=True, timeout=200,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr
