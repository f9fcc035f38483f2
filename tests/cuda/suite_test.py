"""The conformance suite as one test per program: on the software GPU against expected/, on a GPU against the program's
own native run."""
import os
import pathlib

import pytest

import suite

BUILD = pathlib.Path(os.environ["MIGNIFICIENT_BUILD"])
PROGRAMS = BUILD / "tests/cuda"
ON_GPU = bool(os.environ.get("MIGNIFICIENT_TEST_GPU"))


@pytest.fixture(scope="module")
def programs():
    return suite.Suite(PROGRAMS, BUILD / "bin/mignificient")


@pytest.mark.parametrize("program", suite.sources())
def test_program_prints_what_cuda_gives(programs, program):
    if not (PROGRAMS / program).exists():
        pytest.skip("not built: it needs nvcc or a library of the toolkit")
    verdict = programs.compare(program) if ON_GPU else programs.check(program)
    if verdict.word == "skipped":
        pytest.skip(verdict.why)
    assert verdict.word == "equal", "\n".join([verdict.why, *verdict.details])


def test_table_of_limits_names_programs_and_places():
    assert set(suite.limits()) <= set(suite.sources())
    assert {place for place, _ in suite.limits().values()} <= {"gpu", "remoted"}


def test_no_expected_output_is_without_its_program():
    assert {path.stem for path in (suite.HERE / "expected").glob("*.txt")} <= set(suite.sources())
