"""What the functions compute is what work.py says, through either interface to the GPU."""
import json

import pytest

import serving
import work
from conftest import LIBRARIES

CASES = {
    "mixed": {"seed": 11, "copies": 3, "bytes": 5000, "kernels": 2, "rounds": 5, "cpu_us": 10, "yields": 2},
    "tiny": {"seed": 3, "launches": 20},
    "half": {"seed": 4, "words": 1000, "kernels": 3, "rounds": 7, "cpu_us": 100, "asleep": 1},
    "bfs": {"seed": 5, "log2_vertices": 8, "degree": 3},
    "hotspot": {"seed": 6, "log2_side": 5, "steps": 9},
}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.stem)
def test_functions_compute_what_is_expected_of_them(make_node, library):
    client = make_node().client()
    for name, numbers in CASES.items():
        answer = client.invoke(serving.request(library, name, numbers, "alice"))
        assert answer.status == 200, answer.body
        result = json.loads(answer.body)
        expected = getattr(work, name)(numbers)
        if name == "bfs":
            assert (result["checksum"], result["reached"]) == expected
        else:
            assert result["checksum"] == expected, name


@pytest.mark.parametrize("payload, words", [("[1]", "not a JSON object"), ('{"copies": 0}', "copies is 0 (allowed: 1 to")])
def test_wrong_numbers_are_refused(make_node, payload, words):
    body = {**serving.request(LIBRARIES[0], "mixed", {}, "alice"), "input-payload": payload}
    answer = make_node().client().invoke(body)
    assert answer.status == 500 and words in json.loads(answer.body)["error"]
