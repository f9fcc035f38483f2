"""bench/overload.py in seconds: what must hold whatever the machine's speed."""
import json
import subprocess
import sys

from conftest import BUILD, ROOT

TOOL = ROOT / "bench/overload.py"


def test_an_overloaded_node_answers_rightly_or_refuses_properly(tmp_path):
    done = subprocess.run([sys.executable, TOOL, "--tree", BUILD, "--seconds", "2", "--times", "5", "--function-us", "10000",
                           "--json", tmp_path / "row.json"], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads((tmp_path / "row.json").read_text())
    assert row["wrong"] == []
    assert row["answered"] > 0 and row["rejected"] > 0
    assert row["offered_per_s"] > row["peak_per_s"]
    assert row["memory_growth_mib"] < 32
    assert "recovery" in done.stdout


def test_wrong_options_are_refused():
    assert subprocess.run([sys.executable, TOOL, "--times", "much"], capture_output=True, check=False).returncode == 2
