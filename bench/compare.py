#!/usr/bin/env python3
"""Speed, and what it costs: the same unmodified programs natively and behind MIGnificient, in turns in one run.

    bench/compare.py [--tree package] [--quick] [--only GROUP ...] [--rounds N] [--json bench/results/FILE.json]
                     [--program NAME=COMMAND ...] [--software]

Prints each row's medians over the rounds, the ratio (below 1: MIGnificient is faster), and whether its target is met. Answers
(sums of outputs, launches that were carried out) must be equal. docs/bench-suite.md says what each row means.

    launches waits allocation pageable pinned graphs queries threads waking cublas    single calls: bench/calls
    programs                                      whole computations, and whole processes: bench/programs
    models                                        PyTorch, one process per side; needs torch, torchvision, transformers
    cost                                          CPU time at work and when idle
    turns                                         two containers of tiny kernels: bench/sharing.py
    own                                           what --program names: wall time; equal output

Where nvidia-smi lists no GPU, or with --software, everything runs on the software GPU behind MIGnificient only, with little
work and without ratios. Exits with 1 where an answer differs or something fails; a target that is missed is no failure.
"""
import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import process_tree
import results_table
import serving
from processes import Companion, Failed, finish

CALLS = "launches waits allocation pageable pinned graphs queries threads waking cublas".split()
PROGRAMS = "bfs hotspot gaussian pathfinder srad".split()
MACHINE_CODE_ONLY = "its libraries hold machine code only, which the software GPU cannot run"
SOFTWARE_GPU = serving.software_gpu(("7g", 8192))
HERE = pathlib.Path(__file__).resolve().parent
# The kinds of work of bench/calls/steady, and what a unit of each is.
WORK = {"launches": "100 launches and a wait", "waits": "a kernel and a wait",
        "copies": "1 MiB of pageable memory there and back"}


# --- groups -------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def companions(sides, command):
    """One for each side: {side: Companion}; they start at the same time."""
    with contextlib.ExitStack() as stack:
        yield {side: stack.enter_context(Companion([*prefix, *command])) for side, prefix in sides.items()}


def with_packaged_libraries():
    """The environment, in which libraries that came as Python packages are found, too."""
    spec = importlib.util.find_spec("nvidia")
    folders = [str(folder) for place in (spec.submodule_search_locations if spec else [])
               for folder in sorted(pathlib.Path(place).glob("*/lib"))]
    path = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": ":".join([*([path] if path else []), "/usr/local/cuda/lib64", *folders])}


class Comparison:
    def __init__(self, options):
        self.options = options
        self.mignificient = options.tree / "bin/mignificient"
        self.sides = {"mignificient": [self.mignificient, "run", "--"]}
        if not options.software:
            self.sides = {"native": [], **self.sides}
        self.effort = "smoke" if options.software else "quick" if options.quick else "full"
        self.results = results_table.Results(list(self.sides))
        self._temporary = tempfile.TemporaryDirectory()
        if options.software:
            self._use_software_gpu()

    def _use_software_gpu(self):
        devices = pathlib.Path(self._temporary.name) / "devices.json"
        devices.write_text(json.dumps(SOFTWARE_GPU))
        self.sides["mignificient"][2:2] = ["--devices", devices]

    def run(self, group):
        work = getattr(self, f"_{group}", None) or (lambda: self._calls(group))
        start = time.perf_counter()
        self._attempt(group, work)
        self.results.seconds[group] = round(time.perf_counter() - start, 1)

    def _attempt(self, what, work):
        """What fails is noted, and does not keep the rest from being measured."""
        try:
            work()
        except Failed as failure:
            self.results.wrong.append(f"{what}: {failure}")
        except (OSError, ValueError, KeyError) as failure:  # what it printed is no report
            self.results.wrong.append(f"{what}: {failure!r}")

    def skip(self, what, why):
        self.results.skipped[what] = why

    def _rounds(self):
        """(side, words before the command), each side once a round, the first of one round second in the next."""
        for number in range(self.options.rounds):
            yield from list(self.sides.items())[::-1 if number % 2 else 1]

    def _built(self, folder, name):
        path = self.options.tree / "bench" / folder / name
        if path.exists():
            return path
        self.skip(name, f"{path} is not there: it is built where nvcc is")
        return None

    def _calls(self, group):
        program = self._built("calls", group)
        if program is None:
            return
        for side, prefix in self._rounds():
            output, _, _ = finish([*prefix, program, self.effort])
            self.results.add_report(group, side, json.loads(output))

    def _cublas(self):
        if self.options.software:
            return self.skip("cublas", MACHINE_CODE_ONLY)
        program = self._built("calls", "cublas")
        environment = with_packaged_libraries()
        if program is None:
            return None
        if subprocess.run(["ldd", program], env=environment, capture_output=True, text=True).stdout.count("not found"):
            return self.skip("cublas", "libcublas is not found")
        for side, prefix in self._rounds():
            output, _, _ = finish([*prefix, program, self.effort], environment)
            self.results.add_report("cublas", side, json.loads(output))
        return None

    def _programs(self):
        for name in PROGRAMS:
            program = self._built("programs", name)
            if program is not None:
                self._attempt(f"programs: {name}", lambda: self._program(name, program))

    def _program(self, name, program):
        for side, prefix in self._rounds():
            output, wall_ms, cpu_ms = finish([*prefix, program, self.effort])
            report = json.loads(output)
            report["answers"] = {f"{name}, {answer}": value for answer, value in report["answers"].items()}
            self.results.add_report("programs", side, report)
            self.results.add("programs", f"{name}, whole process", side, "ms", wall_ms)
            self.results.add("programs", f"{name}, CPU time of the whole process", side, "ms", cpu_ms)

    def _models(self):
        if self.options.software:
            return self.skip("models", MACHINE_CODE_ONLY)
        if importlib.util.find_spec("torch") is None:
            return self.skip("models", "this Python has no torch")
        with companions(self.sides, [sys.executable, "-B", HERE / "models.py"]) as processes:
            ready = {side: json.loads(process.read()) for side, process in processes.items()}
            for side, loaded in ready.items():
                for name, answer in loaded["answers"].items():
                    self.results.answer("models", name, side, answer)
                for name, why in loaded["skipped"].items():
                    self.skip(name, why)
            for name in ready["mignificient"]["answers"]:
                for side, _ in self._rounds():
                    figures = json.loads(processes[side].ask(f"{30 if self.options.quick else 60} {name}"))
                    self.results.add("models", name, side, "ms", figures["median"], figures["p99"])
        return None

    def _sharing(self, what):
        """Where the functions of tests/sharing are, or None."""
        folder = self.options.tree / "tests/sharing"
        if (folder / "call_function").exists():
            return folder
        self.skip(what, f"the target sharing is not built in {folder}")
        return None

    def _cost(self):
        program, functions = self._built("calls", "steady"), self._sharing("cost")
        if program is None or functions is None:
            return
        smoke = self.effort == "smoke"
        with companions(self.sides, [program]) as processes, self._node(functions) as node:
            for process in processes.values():
                process.read()
            for kind in WORK:
                for side, _ in self._rounds():
                    self._measure_work(kind, side, processes[side], 0.1 if smoke else 0.5 if self.options.quick else 1)
            self._measure_invocations(node, functions / "libsharing_driver.so", 3 if smoke else 10 if self.options.quick else 30)
            places = {("", side): process.pid for side, process in processes.items()}
            self._measure_idleness({**places, (" (a node with a container)", "mignificient"): node.process.pid},
                                   1 if smoke else 10)

    @contextlib.contextmanager
    def _node(self, functions):
        software = self.options.software
        settings = {"functions": {"allowed-paths": [str(functions)]},
                    "gpu-server": {"driver": "cpu" if software else "cuda", "start-timeout": serving.LIMIT_S}}
        try:
            node = serving.Node(self.options.tree, settings, SOFTWARE_GPU if software else None)
        except RuntimeError as error:
            raise Failed(str(error)) from error
        with node:
            yield node

    def _measure_work(self, kind, side, process, seconds):
        cpu, start = process_tree.cpu_seconds(process.pid), time.perf_counter()
        units = int(process.ask(f"{kind} {seconds}"))
        wall, cpu = time.perf_counter() - start, process_tree.cpu_seconds(process.pid) - cpu
        self.results.add("cost", f"{WORK[kind]}, wall", side, "us", wall / units * 1e6)
        self.results.add("cost", f"{WORK[kind]}, CPU time", side, "us", cpu / units * 1e6)
        self.results.add("cost", f"CPU seconds per second of {kind}", side, "s/s", cpu / wall)

    def _measure_invocations(self, node, library, count):
        """Of a function that launches one tiny kernel and waits for it, in a warm container."""
        body = serving.request(library, "tiny", {"launches": 1, "seed": 1}, "somebody", gpu_memory=512)
        client = node.client()
        for number in range(-2, count):
            for row, pause in (("invocation of a warm container, at once", 0),
                               ("invocation of a warm container after 100 ms of idleness", 0.1)):
                time.sleep(pause)
                start = time.perf_counter()
                answer = client.invoke(body)
                taken = time.perf_counter() - start
                if answer.status != 200:
                    raise Failed(f"tiny is answered with {answer.status}: {answer.body[:300]!r}")
                if number >= 0:
                    self.results.add("cost", row, "mignificient", "us", taken * 1e6)
        client.close()

    def _measure_idleness(self, places, seconds):
        """`places`: (words in the row's name, side) -> pid of the root of the processes that are looked at."""
        time.sleep(0.5)  # who has just worked looks for more work for a while
        before = {place: (process_tree.cpu_seconds(pid), process_tree.sleeps(pid)) for place, pid in places.items()}
        time.sleep(seconds)
        for (words, side), pid in places.items():
            cpu, sleeps = before[words, side]
            cpu, sleeps = process_tree.cpu_seconds(pid) - cpu, process_tree.sleeps(pid) - sleeps
            self.results.add("cost", f"CPU time while idle{words}", side, "ms/s", cpu * 1e3 / seconds)
            self.results.add("cost", f"threads woken while idle{words}", side, "1/s", sleeps / seconds)

    def _turns(self):
        if self._sharing("turns") is None:
            return
        models = ["sequential", "overlap_cpu"]
        path = pathlib.Path(self._temporary.name) / "sharing.json"
        seconds = 0.3 if self.options.software else 1 if self.options.quick else 3
        finish([sys.executable, "-B", HERE / "sharing.py", "--tree", self.options.tree, "--functions", "tiny", "--group",
                "tiny+tiny", "--models", ",".join(models), "--seconds", seconds, "--json", path,
                *(["--driver", "cpu"] if self.options.software else [])])
        measured = {name: rows["tiny+tiny"]["functions"]["tiny"]
                    for name, rows in json.loads(path.read_text())["results"].items()}
        for model in models:
            row = f"200 tiny kernels in turns with another container, {model}"
            for side, name in {"native": "native", "mignificient": model}.items():
                if side in self.sides:
                    self.results.add("turns", row, side, "ms", measured[name]["median_ms"], measured[name]["p99_ms"])

    def _own(self):
        for program in self.options.program:
            name, _, command = program.partition("=")
            for side, prefix in self._rounds():
                output, wall_ms, cpu_ms = finish([*prefix, *command.split()])
                self.results.answer("own", f"output of {name}", side, output)
                self.results.add("own", f"{name}, whole process", side, "ms", wall_ms)
                self.results.add("own", f"{name}, CPU time of the whole process", side, "ms", cpu_ms)


GROUPS = [*CALLS, "programs", "models", "cost", "turns", "own"]


# --- the run ------------------------------------------------------------------------------------------------------

def gpu_name():
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"


def commit(tree):
    """What the tree was built from: a package says so; else the checkout that this runs in."""
    said = pathlib.Path(tree) / "COMMIT"
    if said.exists():
        return said.read_text().strip()
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def parse(arguments):
    here = HERE.parent
    default = here if (here / "bin/mignificient").exists() else here / "build/release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=lambda text: pathlib.Path(text).resolve(), default=default,
                        help="a build tree or a package (default: the one this file belongs to)")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and rounds, nothing of 1 GiB")
    parser.add_argument("--only", action="append", metavar="GROUP", choices=GROUPS, help="this group; can be repeated")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 3, on the software GPU 1")
    parser.add_argument("--software", action="store_true", help="the software GPU, behind MIGnificient only")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--commit", default=None, help="recorded in the result; default: the checkout's")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    if not (options.tree / "bin/mignificient").exists():
        parser.error(f"tree ({options.tree}) has no bin/mignificient")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds ({options.rounds}) must be 1 or more")
    options.software = options.software or gpu_name() == "none"
    options.rounds = options.rounds or (1 if options.software else 3 if options.quick else 5)
    return options


def write(path, comparison, rows, wrong):
    options, results = comparison.options, comparison.results
    result = {"date": datetime.date.today().isoformat(), "gpu": "software" if options.software else gpu_name(),
              "machine": platform.platform(), "cpus": len(os.sched_getaffinity(0)), "commit": options.commit or commit(options.tree),
              "rounds": options.rounds, "effort": comparison.effort, "seconds": results.seconds, "wrong": wrong,
              "skipped": results.skipped, "answers": results.answers(), "rows": rows}
    pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n")


def main(arguments=None):
    options = parse(arguments)
    comparison = Comparison(options)
    results = comparison.results
    rows, wrong = {}, []
    for group in GROUPS:
        if group not in (options.only or GROUPS) or (group == "own" and not options.program):
            continue
        comparison.run(group)
        rows, wrong = results.rows(), results.wrong + results.different_answers()
        print(f"{group}: {results.seconds[group]} s", file=sys.stderr, flush=True)
        if options.json:  # after each group, so that what interrupts a long run does not cost all of it
            write(options.json, comparison, rows, wrong)
    results_table.print_rows(rows)
    for what, why in results.skipped.items():
        print(f"skipped: {what}: {why}")
    for sentence in wrong:
        print(f"wrong: {sentence}")
    print(results_table.summary(rows, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
