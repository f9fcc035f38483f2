"""Every built example through /invoke: results, starts, failures."""
import json

import pytest

import expected
from node import EXAMPLES, built_examples


def invoke(node, name, *more, payload=None, user="tester"):
    return node.run("invoke", EXAMPLES / f"{name}.json", "--user", user,
                    *([] if payload is None else ["-d", json.dumps(payload)]), *more)


def test_an_example_that_needs_no_nvcc_is_built():
    assert "vector_add_ptx" in built_examples()


@pytest.mark.parametrize("name", built_examples())
def test_example_gives_the_expected_result(node, name):
    result = invoke(node, name, payload=expected.CASES[name][0])
    assert result.returncode == 0, result.stderr
    expected.check(name, json.loads(result.stdout))


@pytest.mark.parametrize("name", built_examples())
def test_description_works_as_it_is(node, name):
    result = invoke(node, name)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["result"] == "ok"


def test_second_invocation_is_warm_and_notices_go_to_standard_error(node):
    first = invoke(node, "vector_add_ptx", user="warm-tester")
    second = invoke(node, "vector_add_ptx", user="warm-tester")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stderr.startswith("cold start")
    assert second.stderr.startswith("warm start")
    assert first.stdout == second.stdout


def test_containers_are_not_shared_between_users(node):
    invoke(node, "vector_add_ptx", user="alice")
    other = invoke(node, "vector_add_ptx", user="bob")
    assert other.stderr.startswith("cold start")


def test_payload_from_standard_input(node):
    result = node.run("invoke", "vector_add_ptx", "--path", EXAMPLES / "libvector_add_ptx.so",
                      stdin='{"vec-elements": 77}')
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["elements"] == 77


def test_payload_from_a_file(node, tmp_path):
    (tmp_path / "payload").write_text('{"vec-elements": 78}')
    result = invoke(node, "vector_add_ptx", "-d", f"@{tmp_path}/payload")
    assert json.loads(result.stdout)["elements"] == 78


def test_failing_function_is_a_function_error(node):
    result = invoke(node, "vector_add_ptx", payload={"vec-elements": 0})
    assert result.returncode == 1
    assert result.stdout == ""
    assert "function_error" in result.stderr


def test_container_survives_a_failed_invocation_or_is_replaced(node):
    invoke(node, "vector_add_ptx", payload={"vec-elements": 0}, user="unlucky")
    result = invoke(node, "vector_add_ptx", payload={"vec-elements": 5}, user="unlucky")
    assert result.returncode == 0, result.stderr


def test_handler_that_is_not_there(node):
    result = invoke(node, "vector_add_ptx", "--handler", "no_such_symbol")
    assert result.returncode in (1, 2)
    assert "no_such_symbol" in result.stderr


def test_library_that_is_not_allowed(node):
    result = node.run("invoke", "f", "--path", "/etc/passwd", "--language", "cpp")
    assert result.returncode == 2
    assert "403 forbidden" in result.stderr


def test_memory_that_no_partition_has(node):
    result = invoke(node, "vector_add_ptx", "--gpu-memory", str(1 << 29))
    assert result.returncode == 4
    assert "no_capacity" in result.stderr


def usable(containers):
    """Those that could still run something: a GPU server takes a moment to end, a real one longer."""
    return [container for container in containers if container["status"] != "ending"]


def test_ps_shows_the_container_and_kill_ends_it(node):
    assert invoke(node, "vector_add_ptx", user="killer").returncode == 0
    (container,) = node.containers("killer")
    assert node.run("kill", container["id"], "--user", "killer").returncode == 0
    assert not usable(node.containers("killer"))


def test_kill_of_an_unknown_container_is_not_found(node):
    result = node.run("kill", "no-such-container", "--user", "killer")
    assert result.returncode == 5
    assert "not_found" in result.stderr


@pytest.mark.skipif("vector_add" not in built_examples(), reason="vector_add needs nvcc")
def test_function_that_takes_too_long_is_ended(node):
    result = invoke(node, "vector_add", "--timeout", "0.5", payload={"sleep-time": 3600 * 1000 * 1000}, user="slow")
    assert result.returncode == 124
    assert "timeout" in result.stderr
    assert not usable(node.containers("slow"))
