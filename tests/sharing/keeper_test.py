"""mignificient-keeper: ends as its program ends, and leaves nothing of it."""
import os
import pathlib
import signal
import subprocess

import pytest

from conftest import BUILD, until

KEEPER = BUILD / "bin/mignificient-keeper"


def keep(script, **options):
    return subprocess.Popen([KEEPER, "/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True, **options)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -11 $$", -11),
                                            ("kill -15 $$", -15), ("kill -17 $$; exit 5", 5)])
def test_it_ends_as_its_program_ends(script, status):
    assert keep(script).wait(60) == status


def test_descriptors_environment_and_input_are_the_programs():
    reader, writer = os.pipe()
    keeper = keep(f"cat; echo $WORD; echo through >/proc/self/fd/{writer}", pass_fds=[writer], stdin=subprocess.PIPE,
                  env={"WORD": "word"})
    os.close(writer)
    assert keeper.communicate("input\n", timeout=60)[0] == "input\nword\n"
    assert os.read(reader, 100) == b"through\n" and os.read(reader, 100) == b""
    os.close(reader)


def test_the_output_closes_when_the_program_closes_it():
    keeper = keep("exec >&- 2>&-; read line", stdin=subprocess.PIPE)
    assert keeper.stdout.read() == ""  # although both live
    assert keeper.poll() is None
    keeper.communicate("\n", timeout=60)


@pytest.mark.parametrize("end", ["exit 4", "kill -9 $$"])
def test_what_the_program_leaves_behind_is_killed_before_it_ends(end):
    keeper = keep("sleep 1000000 >&- & echo $!; setsid sleep 1000000 >&- & echo $!; "
                  f"(setsid sh -c 'sleep 1000000 >&- & echo $!'); {end}")
    pids = [int(line) for line in keeper.stdout]
    keeper.wait(60)
    assert len(pids) == 3 and not [pid for pid in pids if alive(pid)]


def test_its_programs_family_dies_with_its_parent():
    script = "echo $$; setsid sleep 1000000 >&- & echo $!; wait"
    parent = subprocess.Popen(["/bin/sh", "-c", f"{KEEPER} /bin/sh -c '{script}' & wait"], stdout=subprocess.PIPE,
                              text=True)
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    keeper = int(pathlib.Path(f"/proc/{pids[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])
    parent.kill()
    parent.wait()
    until(lambda: not [pid for pid in [keeper, *pids] if alive(pid)], "all are gone")


def test_a_program_that_ends_with_its_keeper():
    keeper = keep("echo $$; read forever", stdin=subprocess.PIPE)
    pid = int(keeper.stdout.readline())
    os.kill(keeper.pid, signal.SIGKILL)
    keeper.wait(60)
    until(lambda: not alive(pid), "the program dies with its keeper")


def test_a_program_that_cannot_be_run_is_named():
    done = subprocess.run([KEEPER, "/no/such/program"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 127 and "Program [/no/such/program] cannot be run: No such file" in done.stderr
    assert subprocess.run([KEEPER], capture_output=True, check=False).returncode == 2
