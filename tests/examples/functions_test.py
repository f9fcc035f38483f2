"""deploy, functions, calls and invoke of a registered function, with a node and the software GPU."""
import json

import pytest

from node import EXAMPLES

LIBRARY = EXAMPLES / "libvector_add_ptx.so"
NAME = "vector_add_ptx"


@pytest.fixture(scope="module")
def payload():
    return json.loads((EXAMPLES / f"{NAME}.json").read_text())["inputs"][0]["input-payload"]


def test_a_function_is_deployed_listed_invoked_and_deleted(node, payload):
    result = node.run("deploy", NAME, "--path", LIBRARY, "--content-type", "application/json")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "registered" in result.stderr
    assert "changed" in node.run("deploy", NAME, "--path", LIBRARY).stderr

    listed = node.run("functions", "--json")
    assert [f["name"] for f in json.loads(listed.stdout)] == [NAME]
    table = node.run("functions", "list").stdout.splitlines()
    assert table[0].split()[:2] == ["name", "user"] and table[1].split()[:2] == [NAME, "default"]
    shown = json.loads(node.run("functions", "show", NAME, "--json").stdout)
    assert shown["path"] == str(LIBRARY) and shown["gpu-memory"] == 256

    result = node.run("invoke", NAME, "-d", payload)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["result"] == "ok"
    assert result.stderr.startswith("cold start, ")

    assert node.run("functions", "delete", NAME).returncode == 0
    missing = node.run("invoke", NAME, "-d", payload)
    assert missing.returncode == 5 and f"has no function [{NAME}]" in missing.stderr
    assert node.run("functions", "show", NAME).returncode == 5


def test_a_specification_is_a_file_and_its_path_is_relative_to_it(node, payload, tmp_path):
    (tmp_path / "f.json").write_text(json.dumps({"path": str(LIBRARY), "handler": NAME, "gpu-memory": 64}))
    result = node.run("deploy", tmp_path / "f.json", "--user", "bob", "--gpu-memory", 128, "--json")
    assert result.returncode == 0, result.stderr
    spec = json.loads(result.stdout)
    assert (spec["name"], spec["user"], spec["gpu-memory"]) == ("f", "bob", 128)
    assert json.loads(node.run("invoke", "f", "--user", "bob", "-d", payload).stdout)["result"] == "ok"
    (tmp_path / "g.json").write_text(json.dumps({"path": "g.so", "gpu-memroy": 64}))
    result = node.run("deploy", tmp_path / "g.json")
    assert result.returncode == 2 and "`gpu-memory`" in result.stderr
    (tmp_path / "h.json").write_text(json.dumps({"path": "h.so", "gpu-memory": 64}))
    result = node.run("deploy", tmp_path / "h.json")
    assert result.returncode == 2 and str(tmp_path / "h.so") in result.stderr


def test_a_call_is_made_now_and_awaited_later(node, payload):
    assert node.run("deploy", NAME, "--path", LIBRARY).returncode == 0
    later = node.run("invoke", NAME, "--async", "-d", payload)
    assert later.returncode == 0, later.stderr
    call = later.stdout.strip()
    waited = node.run("calls", "wait", call)
    assert json.loads(waited.stdout)["result"] == "ok"
    assert json.loads(node.run("calls", "show", call, "--json").stdout)["status"] == "done"
    listed = json.loads(node.run("calls", "list", "--function", NAME, "--json").stdout)
    assert call in [c["id"] for c in listed]
    cancelled = node.run("calls", "cancel", call, "--json")  # too late: it stays as it is
    assert json.loads(cancelled.stdout)["status"] == "done"
    assert node.run("calls", "wait", "no-such-call").returncode == 5
    assert json.loads(node.run("invoke", NAME, "--async", "--json", "-d", payload).stdout)["function"] == NAME


def test_options_that_the_registration_fixes_are_refused(node):
    result = node.run("invoke", NAME, "--gpu-memory", "7")
    assert result.returncode == 2 and "--gpu-memory" in result.stderr
    result = node.run("invoke", EXAMPLES / f"{NAME}.json", "--async")
    assert result.returncode == 2 and "mignificient deploy" in result.stderr
