"""bench/sharing.py on the software GPU, in seconds: that it measures; not what."""
import json
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT


import sharing


def run(*arguments):
    return subprocess.run([sys.executable, ROOT / "bench/sharing.py", "--tree", BUILD, "--driver", "cpu", *arguments],
                          capture_output=True, text=True, timeout=280, check=False)


def test_functions_are_compared_natively_and_under_a_model(tmp_path):
    done = run("--models", "sequential", "--seconds", "0.2", "--group", "bfs+tiny", "--group", "half+half",
               "--partitions", "2", "--json", tmp_path / "results.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "results.json").read_text())
    assert set(result["results"]) == {"native", "sequential"} and result["wrong"] == []
    for rows in result["results"].values():
        assert set(rows) == {"bfs", "half", "tiny", "bfs+tiny", "half+half"}
        assert set(rows["bfs+tiny"]["functions"]) == {"bfs", "tiny"}
        assert all(figures["per_s"] > 0 and figures["median_ms"] <= figures["p99_ms"]
                   for row in rows.values() for figures in row["functions"].values())
    assert result["results"]["sequential"]["half+half"]["partitions"]
    assert result["half"]["rounds"] > 0
    assert "bfs+tiny" in done.stdout and "speed" in done.stdout


@pytest.mark.parametrize("arguments, words", [
    (["--functions", "dfs"], "function (dfs) is unknown"),
    (["--functions", "tiny", "--group", "bfs+bfs"], "no group is left"),
])
def test_wrong_options_are_refused(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and words in done.stderr


def rows(**medians):
    """A side's result: group -> median in ms, of groups of one kind of function."""
    return {group: {"functions": {group.split("+")[0]: {"median_ms": ms, "p99_ms": ms, "per_s": 1000 / ms}}}
            for group, ms in medians.items()}


def test_targets_are_judged_by_the_results():
    results = {"native": rows(**{"half+half": 20, "tiny+tiny": 100}),
               "sequential": rows(**{"half+half": 20, "tiny+tiny": 9}),
               "overlap_cpu": rows(**{"half+half": 10, "tiny+tiny": 20})}
    sharing.add_speeds(results)
    assert results["overlap_cpu"]["half+half"]["speed"] == pytest.approx(2)
    found = {name: (round(value, 3), met) for name, (value, _, met) in sharing.findings(results, 1).items()}
    assert found == {"half+half: overlap_cpu against sequential": (2, True),
                     "tiny+tiny: sequential against native": (11.111, True),
                     "tiny+tiny: overlap_cpu against native": (5, False),
                     "overlap_cpu against sequential, worst: tiny+tiny": (0.45, False)}


def test_instances_are_numbered_within_their_group():
    assert [tuple(one) for one in sharing.instances_of("bfs+bert+bfs")] == [("bfs", 0), ("bert", 0), ("bfs", 1)]
