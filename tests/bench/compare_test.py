"""bench/compare.py on the software GPU, with little work: that it measures and judges; not what."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release")).resolve()
sys.path.insert(0, str(ROOT / "bench"))

import compare  # noqa: E402
import process_tree  # noqa: E402
import processes  # noqa: E402
import results_table  # noqa: E402
import targets  # noqa: E402

needs_nvcc = pytest.mark.skipif(not (BUILD / "bench/calls/waits").exists(), reason="bench/calls is built where nvcc is")


def run(*arguments):
    return subprocess.run([sys.executable, ROOT / "bench/compare.py", "--tree", BUILD, "--software", *arguments],
                          capture_output=True, text=True, timeout=280, check=False)


@needs_nvcc
def test_groups_are_measured_on_the_software_gpu(tmp_path):
    done = run("--only", "waits", "--only", "programs", "--json", tmp_path / "results.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["gpu"] == "software" and result["wrong"] == [] and result["effort"] == "smoke"
    rows = result["rows"]
    assert {row["group"] for row in rows.values()} == {"waits", "programs"}
    assert {f"{name}, computation" for name in compare.PROGRAMS} < set(rows)
    assert all(row["mignificient"] >= 0 and "ratio" not in row for row in rows.values())
    assert len(result["answers"]["programs: bfs, checksum"]) == 1
    assert "event record + synchronize" in done.stdout


def two_sides(rounds, monkeypatch):
    """A comparison whose native side is a GPU server, too: there is no GPU."""
    monkeypatch.setattr(processes, "LIMIT_S", 100)
    comparison = compare.Comparison(compare.parse(["--tree", str(BUILD), "--software", "--rounds", str(rounds)]))
    comparison.sides = {"native": comparison.sides["mignificient"], **comparison.sides}
    return comparison


@needs_nvcc
def test_sides_take_turns_and_answer_the_same(monkeypatch):
    comparison = two_sides(2, monkeypatch)
    for group in ("threads", "cost"):
        comparison.run(group)
    results = comparison.results
    assert results.wrong == [] and results.different_answers() == []
    rows = results.rows()
    drained = rows["launch by 8 threads on 8 streams, drained"]
    assert {side: len(values) for side, values in drained["rounds"].items()} == {"native": 2, "mignificient": 2}
    assert drained["ratio"] == pytest.approx(drained["mignificient"] / drained["native"], abs=1e-4)
    assert drained["met"] == (drained["ratio"] <= 1.0)
    assert rows["CPU seconds per second of launches"]["mignificient"] > 0
    assert rows["CPU time while idle"]["of"] == "value"


@needs_nvcc
def test_the_cpu_time_of_a_process_has_that_of_its_gpu_server_in_it():
    comparison = compare.Comparison(compare.parse(["--tree", str(BUILD), "--software"]))
    prefix = comparison.sides["mignificient"]
    with processes.Companion([*prefix, BUILD / "bench/calls/steady"]) as process:
        assert process.read() == "ready"
        process.ask("waits 0.2")  # kernels, which the server's threads interpret
        names = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip(): pid for pid in process_tree.pids(process.pid)}
        assert len(names) == 3
        server = next(pid for name, pid in names.items() if name.startswith("mignificient-gp"))
        assert process_tree.cpu_seconds(process.pid) > process_tree.cpu_seconds(server) > 0
        assert process_tree.sleeps(process.pid) > process_tree.sleeps(server) > 0


def test_what_differs_or_fails_is_told(tmp_path):
    odd = tmp_path / "odd"
    odd.write_text("#!/bin/sh\necho $$\n")
    odd.chmod(0o755)
    done = run("--only", "own", "--rounds", "2", "--program", f"odd={odd}", "--program", "absent=/nonexistent")
    assert done.returncode == 1
    assert "wrong: own: output of odd is" in done.stdout
    assert "/nonexistent" in done.stdout and "2 things are wrong" in done.stdout


@pytest.mark.parametrize("arguments, words", [
    (["--only", "lunches"], "lunches"), (["--rounds", "0"], "--rounds (0)"), (["--tree", "/nonexistent"], "/nonexistent"),
])
def test_wrong_options_are_refused(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and words in done.stderr


@pytest.mark.parametrize("group, row, highest", [
    ("launches", "launch, 40 parameters, burst of 256, returns", 0.05),
    ("launches", "launch, 8 parameters, burst of 16, drained", 1.0),
    ("launches", "launch + synchronize, 8 parameters", 1.08),
    ("launches", "reading the clock twice", None),
    ("waits", "event query, complete", 1.3),
    ("waits", "launch + stream query in a loop", 1.3),
    ("waits", "synchronize, nothing to wait for", None),
    ("allocation", "cudaMallocAsync 256 B, returns", 0.1),
    ("allocation", "cudaMalloc + launch + synchronize + cudaFree 4 MiB", 1.0),
    ("pageable", "pageable H2D 64 KiB, returns", 0.2),
    ("pageable", "pageable H2D 64 KiB, complete", None),
    ("pageable", "pageable D2H 4 KiB", 1.0),
    ("pageable", "pageable H2D 16 MiB, complete", 0.6),
    ("pageable", "pageable D2H 1 GiB", 0.6),
    ("pinned", "pinned H2D 4 KiB, async, returns", None),
    ("pinned", "pinned H2D 4 KiB, async, complete", 1.02),
    ("graphs", "graph of 10 kernels, replay + synchronize", 1.05),
    ("programs", "bfs, whole process", None),
    ("programs", "bfs, computation", 1.02),
])
def test_rows_have_the_targets_that_they_should(group, row, highest):
    assert targets.limit(targets.RATIOS, group, row) == highest


def test_rows_are_judged_by_the_medians_of_their_rounds(capsys):
    results = results_table.Results(["native", "mignificient"])
    for native, remoted in ((10, 9), (12, 30), (10, 10)):
        results.add("programs", "bfs, computation", "native", "ms", native, native * 2)
        results.add("programs", "bfs, computation", "mignificient", "ms", remoted)
    results.add("cost", "CPU time while idle", "mignificient", "ms/s", 0.2)
    rows = results.rows()
    assert rows["bfs, computation"] | {"rounds": None} == {
        "group": "programs", "unit": "ms", "native": 10, "native_p99": 20, "mignificient": 10, "rounds": None, "ratio": 1.0,
        "ratio_of_rounds": [0.9, 2.5], "target": 1.02, "of": "ratio", "met": True}
    assert rows["CPU time while idle"]["met"] is False
    assert results_table.summary(rows, []) == "2 rows, 1 of 2 targets are met, answers are the same"
    results_table.print_rows(rows)
    assert "MISSED" in capsys.readouterr().out
