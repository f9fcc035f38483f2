"""CUDA graphs and stream capture across real processes: tests/remoting/graph_program.cc under `mignificient run`.

graph_expected.txt holds what each case prints on the software GPU, in the order of the file. To compare with CUDA itself, run the program
natively on a GPU: `for case in ...; do build/release/tests/graph_program $case; done | diff tests/remoting/graph_expected.txt -`
"""
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"])
RUN = [BUILD / "bin/mignificient", "run", "--gpu-memory", "512", "--"]
PROGRAM = BUILD / "tests/graph_program"
EXPECTED = (pathlib.Path(__file__).parent / "graph_expected.txt").read_text().split("== ")[1:]
CASES = {text.split("\n", 1)[0]: "== " + text for text in EXPECTED}


@pytest.mark.parametrize("case", CASES)
def test_graphs_behave_as_expected(case):
    done = subprocess.run([*RUN, PROGRAM, case], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == CASES[case]
    assert done.returncode == 0, done.stderr


def test_every_case_is_expected():
    usage = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=60, check=False,
                           env={"LD_LIBRARY_PATH": str(BUILD / "lib")})
    assert sorted(line.strip() for line in usage.stderr.splitlines()[1:]) == sorted(CASES)
