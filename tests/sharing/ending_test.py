"""What a function leaves on the GPU when it returns is over before the next owner's turn begins, whether the node sees that
or has to ask; and what went wrong at the end is noticed.
"""
import json
import pathlib

import pytest

import serving
from sharing_test import overlaps

FUNCTION = pathlib.Path(__file__).with_name("ending_functions.py")
LONG, SHORT = "launch 1000000", "run 10"  # rounds of the kernel


@pytest.fixture
def ask(make_node):
    """ask(user, what): the answer of the function for this user, one container each, on one partition."""
    client = make_node(serving.software_gpu(("1g", 1024))).client()

    def invoke(user, what):
        body = serving.request(FUNCTION, "f", {}, user, function_handler="handler", function_language="python")
        answer = client.invoke({**body, "input-payload": what})
        assert answer.status == 200, answer.body
        return answer

    yield invoke
    client.close()


def times(answer):
    begin, end = json.loads(answer.body)
    assert begin < end
    return begin, end


@pytest.mark.parametrize("who", ["", "child "])
def test_work_that_goes_on_when_its_function_returns_is_over_before_the_next_owners_turn(ask, who):
    """For a child, whose commands the executor's own channel knows nothing of, as for the function itself."""
    ask("bob", SHORT)  # both have a container
    ask("ann", SHORT)
    assert json.loads(ask("ann", who + LONG).body) is True, "The kernel was over already: it shows nothing."
    bobs = times(ask("bob", SHORT))
    anns = times(ask("ann", who + "report"))
    assert anns[1] <= bobs[0]


def test_turns_that_need_no_drain_keep_kernels_apart(ask):
    kernels = [times(ask(user, SHORT)) for _ in range(50) for user in ("ann", "bob")]
    assert not list(overlaps(kernels))
    assert kernels == sorted(kernels)


def test_a_device_error_at_the_end_is_noticed_before_the_container_is_used_again(ask):
    """Also where the function has returned before anybody knows of the error."""
    first = ask("ann", SHORT)
    broken = ask("ann", "launch_wrongly")
    assert broken.headers["X-MIGnificient-Container"] == first.headers["X-MIGnificient-Container"]
    after = ask("ann", SHORT)
    assert after.headers["X-Start-Type"] == "cold"
    assert after.headers["X-MIGnificient-Container"] != first.headers["X-MIGnificient-Container"]
