"""Python functions that use the GPU, through /invoke."""
import concurrent.futures
import json
import subprocess
import sys

import pytest

import node as node_module
from node import EXAMPLES, ROOT, mignificient

# A file that copies, launches and waits at its top level, and keeps device memory between invocations.
AT_THE_TOP = """
import array
import ctypes
import sys

sys.path.insert(0, {examples!r})
from vector_add_py import VectorAdd

add = VectorAdd()
early = list(add(array.array("f", [1, 2]), array.array("f", [3, 4])))
kept = ctypes.c_uint64()
add.driver.cuMemAlloc_v2(ctypes.byref(kept), ctypes.c_size_t(4))
add.driver.cuMemsetD32_v2(kept, 1, ctypes.c_size_t(1))


def top(invocation):
    counter = ctypes.c_uint32()
    add.driver.cuMemcpyDtoH_v2(ctypes.byref(counter), kept, ctypes.c_size_t(4))
    add.driver.cuMemsetD32_v2(kept, counter.value + 1, ctypes.c_size_t(1))
    return {{"early": early, "invocations": counter.value}}


def yields(invocation):
    result = list(add(array.array("f", [1]), array.array("f", [2])))
    invocation.gpu_yield()
    return result


def fails(invocation):
    add.driver.cuMemFree_v2(ctypes.c_uint64(4))


def starts_programs(invocation):
    import multiprocessing
    import subprocess
    program = subprocess.run([sys.executable, {examples!r} + "/vector_add_py.py", '{{"vec-elements": 10}}'],
                             capture_output=True, check=True)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return [program.stdout.decode(), pool.map(add_in_another_process, [[1], [2]])]


def add_in_another_process(values):
    return list(add(array.array("f", values), array.array("f", values)))


def leaves_work(invocation):
    for value in range(1000):
        add.driver.cuMemsetD32_v2(kept, value, ctypes.c_size_t(1))
    return "left"
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "top.py").write_text(AT_THE_TOP.format(examples=str(EXAMPLES)))
    with node_module.node({"functions": {"allowed-paths": [str(EXAMPLES), str(folder)]}}) as started:
        started.folder = folder
        yield started


def invoke(node, handler, user="tester", *more):
    return node.run("invoke", handler, "--path", node.folder / "top.py", "--user", user, *more)


def test_a_file_may_use_the_gpu_at_its_top_level_and_keep_memory(node):
    for count in (1, 2, 3):
        result = invoke(node, "top")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout) == {"early": [4, 6], "invocations": count}
        assert result.stderr.startswith("cold start" if count == 1 else "warm start")


def test_a_function_may_yield_the_gpu_and_go_on(node):
    for _ in range(2):
        assert json.loads(invoke(node, "yields").stdout) == [3]


def test_a_failing_call_is_an_exception_with_its_name(node):
    for _ in range(2):
        result = invoke(node, "fails")
        assert result.returncode == 1
        assert "RuntimeError: cuMemFree_v2 fails with CUDA_ERROR_INVALID_VALUE (1)." in result.stderr


def test_work_that_a_function_leaves_is_done_before_the_next(node):
    for _ in range(3):
        assert invoke(node, "leaves_work").stdout == "left"


def test_programs_and_processes_that_a_function_starts_have_the_gpu_too(node):
    result = invoke(node, "starts_programs")
    assert result.returncode == 0, result.stderr
    program, sums = json.loads(result.stdout)
    assert (json.loads(program)["elements"], sums) == (10, [[2], [4]])


def test_many_users_at_once(node):
    def one(index):
        result = invoke(node, "top", f"user-{index % 4}")
        assert result.returncode == 0, result.stderr
        return index % 4, json.loads(result.stdout)["invocations"]

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(one, range(12)))
    for user in range(4):
        # One container, or one on each partition: each counts its own invocations, and nobody else's.
        counts = [sum(answer == (user, count) for answer in answers) for count in (1, 2, 3)]
        assert sum(counts) == 3 and counts == sorted(counts, reverse=True), answers


def test_the_example_is_a_program_too():
    result = mignificient("run", "--gpu-memory", "256", "--", sys.executable, EXAMPLES / "vector_add_py.py",
                          '{"vec-elements": 1000}')
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["elements"] == 1000


def test_the_comparison_with_native_runs_agrees(tmp_path):
    """bench/python_functions.py, whose native side is `mignificient run` here."""
    done = subprocess.run(
        [sys.executable, ROOT / "bench/python_functions.py", "--tree", node_module.BUILD, "--example", "vector_add_py",
         "--rounds", "1", "--warm", "2", "--native-prefix", f"{node_module.MIGNIFICIENT} run --", "--commit", "none",
         "--json", tmp_path / "out.json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads((tmp_path / "out.json").read_text())["rows"]["vector_add_py"]
    assert row["same_answer"] and row["cold_s"]["mignificient"] > 0 and row["warm_timing_ms"]["exec"] > 0
