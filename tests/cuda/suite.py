#!/usr/bin/env python3
"""Runs the CUDA programs beside it and compares what they print, and their exit status.

    suite.py                    on a GPU: each program natively against `mignificient run`
    suite.py --expected         each program under `mignificient run` against expected/NAME.txt (the software GPU)
    suite.py --record-native    writes expected/NAME.txt from native runs on a GPU
    suite.py --record-remoted   writes expected/NAME.txt from runs under `mignificient run`

Needs nothing but Python. Exits with 0 when every program that was run agrees, else with 1.
"""
import argparse
import concurrent.futures
import dataclasses
import difflib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NATIVE_SECONDS, REMOTED_SECONDS = 60, 120
DIFF_LINES = 16  # of one program, that are shown


@dataclasses.dataclass
class Outcome:
    """What one run of a program gave: its standard output, and its exit status as a shell would name it."""
    stdout: str
    status: int
    stderr: str = ""
    timed_out: bool = False

    def text(self):
        return f"{self.stdout}exit status {self.status}\n"

    def missing_library(self):
        found = re.search(r"error while loading shared libraries: ([^:]+):", self.stderr)
        return found and found[1]


@dataclasses.dataclass
class Verdict:
    program: str
    word: str  # equal, DIFFERS, skipped, recorded
    why: str = ""
    details: list = dataclasses.field(default_factory=list)


def limits(path=HERE / "where.txt"):
    """{program: (place, reason)} of the programs that do not run everywhere; the file says how it is written."""
    lines = [line.split(None, 2) for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {name: (place, reason) for name, place, reason in lines}


def sources():
    return sorted(path.stem for path in HERE.glob("*") if path.suffix in (".cu", ".cc"))


def built(folder):
    """The programs in `folder`."""
    return sorted(path.name for path in folder.iterdir()
                  if path.is_file() and os.access(path, os.X_OK) and "." not in path.name)


class Suite:
    def __init__(self, programs, mignificient, expected=HERE / "expected", gpu_memory=1024, seconds=None):
        self.programs, self.expected, self.limits = programs, expected, limits()
        self.native_seconds, self.remoted_seconds = seconds or NATIVE_SECONDS, seconds or REMOTED_SECONDS
        self.remoting = [str(mignificient), "run", "--gpu-memory", str(gpu_memory), "--"]

    def native(self, program):
        return self._run([], program, self.native_seconds)

    def remoted(self, program):
        return self._run(self.remoting, program, self.remoted_seconds)

    def _run(self, prefix, program, seconds):
        process = subprocess.Popen([*prefix, str(self.programs / program)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="backslashreplace",
                                   start_new_session=True)
        try:
            stdout, stderr = process.communicate(timeout=seconds)
            timed_out = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            timed_out = True
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Outcome(stdout, status, stderr, timed_out)

    def compare(self, program):
        """Natively against remoted."""
        place, reason = self.limits.get(program, ("", ""))
        if place == "remoted":
            return Verdict(program, "skipped", reason)
        native = self.native(program)
        if native.missing_library():
            return Verdict(program, "skipped", f"{native.missing_library()} is not on this machine")
        if native.timed_out:
            return Verdict(program, "DIFFERS", f"natively not done after {self.native_seconds} s")
        verdict = self._agree(program, native.text(), self.remoted(program))
        wanted = self._expected(program)
        if wanted is not None and wanted != native.text():
            verdict.why += "; natively it is not what expected/ says"
            verdict.details += diff(wanted, native.text(), "expected", "native")
        return verdict

    def check(self, program, everywhere=False):
        """Remoted against the committed output."""
        place, reason = self.limits.get(program, ("", ""))
        if place == "gpu" and not everywhere:
            return Verdict(program, "skipped", reason)
        wanted = self._expected(program)
        if wanted is None:
            return Verdict(program, "skipped" if place else "DIFFERS", f"expected/{program}.txt is missing")
        outcome = self.remoted(program)
        if outcome.missing_library():
            return Verdict(program, "skipped", f"{outcome.missing_library()} is not on this machine")
        return self._agree(program, wanted, outcome)

    def record(self, program, run):
        outcome = run(program)
        if outcome.timed_out or outcome.missing_library():
            return Verdict(program, "skipped", f"{outcome.missing_library()} is not on this machine"
                           if outcome.missing_library() else "not done in time")
        self.expected.mkdir(parents=True, exist_ok=True)
        changed = self._expected(program) != outcome.text()
        (self.expected / f"{program}.txt").write_text(outcome.text())
        return Verdict(program, "recorded", "changed" if changed else "")

    def _expected(self, program):
        path = self.expected / f"{program}.txt"
        return path.read_text() if path.exists() else None

    def _agree(self, program, wanted, outcome):
        if outcome.timed_out:
            return Verdict(program, "DIFFERS", f"remoted not done after {self.remoted_seconds} s",
                           diff(wanted, outcome.text(), "wanted", "remoted") + tail(outcome.stderr))
        if wanted == outcome.text():
            return Verdict(program, "equal")
        return Verdict(program, "DIFFERS", "", diff(wanted, outcome.text(), "wanted", "remoted") + tail(outcome.stderr))


def diff(wanted, given, wanted_name, given_name):
    lines = list(difflib.unified_diff(wanted.splitlines(), given.splitlines(), wanted_name, given_name, n=0, lineterm=""))
    lines = [line for line in lines if not line.startswith("@@")]
    return lines[:DIFF_LINES] + (["..."] if len(lines) > DIFF_LINES else [])


def tail(stderr):
    return [f"stderr: {line}" for line in stderr.splitlines()[-3:]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--expected", action="store_true")
    mode.add_argument("--record-native", action="store_true")
    mode.add_argument("--record-remoted", action="store_true")
    parser.add_argument("--everywhere", action="store_true", help="with --expected: run those marked `gpu` too")
    parser.add_argument("--programs", type=pathlib.Path, default=HERE, help="the folder with the built programs")
    parser.add_argument("--mignificient", type=pathlib.Path, default=HERE.parents[1] / "bin/mignificient")
    parser.add_argument("--expected-dir", type=pathlib.Path, default=HERE / "expected")
    parser.add_argument("--gpu-memory", type=int, default=1024, help="MiB for each remoted program (1024)")
    parser.add_argument("--seconds", type=int, help=f"for each run ({NATIVE_SECONDS} natively, {REMOTED_SECONDS} remoted)")
    parser.add_argument("-j", "--jobs", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    parser.add_argument("--json", type=pathlib.Path, help="where to write the verdicts")
    parser.add_argument("names", nargs="*", help="programs to run (all)")
    options = parser.parse_args()

    if not (options.expected or options.record_remoted or pathlib.Path("/dev/nvidiactl").exists()):
        print("suite.py: no NVIDIA driver is visible here (/dev/nvidiactl): native runs will fail.", file=sys.stderr)
    suite = Suite(options.programs, options.mignificient, options.expected_dir, options.gpu_memory,
                  options.seconds)
    names = options.names or built(options.programs)
    if options.expected:
        job = lambda name: suite.check(name, options.everywhere)
    elif options.record_native:
        job = lambda name: suite.record(name, suite.native)
    elif options.record_remoted:
        job = lambda name: suite.record(name, suite.remoted)
    else:
        job = suite.compare

    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(job, names):
            verdicts.append(verdict)
            print(f"{verdict.word:9} {verdict.program}{': ' if verdict.why else ''}{verdict.why.removeprefix('; ')}")
            for line in verdict.details:
                print(f"            {line}")
            sys.stdout.flush()
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in ("equal", "DIFFERS", "recorded", "skipped")}
    print(f"{len(verdicts)} programs: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count))
    if options.json:
        options.json.write_text(json.dumps({"counts": counts, "programs": [dataclasses.asdict(v) for v in verdicts]}, indent=1))
    return 1 if counts["DIFFERS"] or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
