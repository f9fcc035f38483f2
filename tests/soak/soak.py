#!/usr/bin/env python3
"""Runs programs again and again, and fails if anything is left that was not there before.

    soak.py [--minutes N] [--bin FOLDER] [--gpu-memory MIB] [--slack MIB]
            [--session COMMAND]... [--run COMMAND]... [--programs FILE] [--invoke DESCRIPTION.json]...

--session COMMAND     all of these in one session: many processes, one after another, on one GPU server
--run COMMAND         each time a `mignificient run` of its own
--invoke DESCRIPTION  through a node that this tool starts, as `mignificient invoke` takes it
--programs FILE       adds one command a line, both to --session and to --run

A command is one argument, split as a shell would. The parts take turns, a round of every command at a time. After the
first rounds, when what is kept on purpose has been made, and at the end, when nothing runs, it counts for each process
that stays (node, GPU servers, executors): resident memory, descriptors, mapped memfds, threads, zombies among its
children; the processes themselves, stray ones too; the device memory and channels of the session; files in /dev/shm. Growth is a
failure, of resident memory more than --slack. Also reports how often each command ran, and which failed (a failure).

Needs Python 3.8 and Linux; no GPU. Exit status: 0, 1 growth or failures, 2 usage.
"""
import argparse
import collections
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

COMMAND_LIMIT_S = 600
ANSWER = "soak-answer "


# --- what is counted -----------------------------------------------------------------------------------------------

def children_of(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def family_of(pid):
    """The process and all its descendants."""
    family = [pid]
    for member in family:  # grows while it is read
        family += children_of(member)
    return family


def name_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return "?"


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return False


def count_process(pid):
    """Numbers of one process; {} if it has just ended."""
    proc = pathlib.Path(f"/proc/{pid}")
    try:
        status = proc.joinpath("status").read_text()
        maps = proc.joinpath("maps").read_text().splitlines()
        return {
            "resident memory, KiB": int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1)),
            "descriptors": len(os.listdir(proc / "fd")),
            "mapped memfds": sum("/memfd:" in line for line in maps),
            "threads": int(re.search(r"^Threads:\s+(\d+)", status, re.M).group(1)),
            "zombies": sum(is_zombie(child) for child in children_of(pid)),
        }
    except (OSError, AttributeError):
        return {}


def count_machine(known):
    """What belongs to no process that stays: shared memory with a name, and processes that lost their parent."""
    strays = [pid for pid in children_of(os.getpid()) if pid not in known]
    return {"files in /dev/shm": len(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else 0,
            "stray processes": sum(len(family_of(pid)) for pid in strays)}


def adopt_orphans():
    """Descendants that lose their parent become our children, so that count_machine sees them."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


class SessionMemory:
    """Device memory of the session that this process is in, by NVML; a look opens no channel."""
    class Memory(ctypes.Structure):
        _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]

    def __init__(self):
        self.nvml = ctypes.CDLL("libnvidia-ml.so.1")
        self.device = ctypes.c_void_p()
        if self.nvml.nvmlInit_v2() or self.nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device)):
            raise OSError("NVML does not show a device.")

    def count(self):
        memory = self.Memory()
        if self.nvml.nvmlDeviceGetMemoryInfo(self.device, ctypes.byref(memory)):
            raise OSError("The GPU server is gone.")
        processes = ctypes.c_uint(0)
        self.nvml.nvmlDeviceGetComputeRunningProcesses_v3(self.device, ctypes.byref(processes), None)
        return {"device memory, KiB": memory.used // 1024, "channels": processes.value}


def labelled(counts, label):
    return {f"{label}: {what}": number for what, number in counts.items()}


def settled(count, limit_s=30):
    """Counts once two counts in a row are alike: the last of what ran may take a moment to go."""
    before = count()
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        time.sleep(0.2)
        now = count()
        if {k: v for k, v in now.items() if "resident" not in k} == {k: v for k, v in before.items() if "resident" not in k}:
            return now
        before = now
    return before


def growth(before, after, slack_kib):
    """Sentences about what is more than it was."""
    complaints = []
    for what in sorted(before.keys() | after.keys()):
        old, new = before.get(what, 0), after.get(what, 0)
        allowed = max(slack_kib, old // 20) if "resident memory" in what else 0
        if new > old + allowed:
            complaints.append(f"{what} grew from {old} to {new}.")
    return complaints


# --- what is run ---------------------------------------------------------------------------------------------------

class Tally:
    """How often each command ran and failed."""
    def __init__(self):
        self.runs, self.failures, self.said = collections.Counter(), collections.Counter(), {}

    def run(self, label, arguments, **options):
        self.runs[label] += 1
        try:
            done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=COMMAND_LIMIT_S, check=False, **options)
            status, text = done.returncode, done.stderr
        except subprocess.TimeoutExpired as late:
            status, text = "a timeout", late.stderr or b""
        except OSError as error:
            status, text = error.strerror, b""
        if status != 0:
            self.failures[label] += 1
            self.said[label] = f"ended with {status}: {text.decode(errors='replace').strip()[-400:]}"

    def complaints(self):
        return [f"{label} failed {count} of {self.runs[label]} times; it {self.said[label]}"
                for label, count in self.failures.items()]

    def as_json(self):
        return [self.runs, self.failures, self.said]


class Session:
    """One `mignificient run`, inside which this tool runs again (--inside) and obeys lines on its standard input."""
    title = "session"

    def __init__(self, options):
        self.process = subprocess.Popen(
            [options.bin / "mignificient", "run", "--gpu-memory", str(options.gpu_memory), "--", sys.executable, __file__,
             "--inside", json.dumps(options.session)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(ANSWER):  # kernels may print there too
                return json.loads(line.removeprefix(ANSWER))
        raise SystemExit(f"soak: the session ended with {self.process.wait()}.")

    def round(self, tally):
        runs, failures, said = self.ask("round")
        tally.runs.update(runs)
        tally.failures.update(failures)
        tally.said.update(said)

    def pids(self):
        return [self.process.pid]

    def count(self):
        server = next(pid for pid in children_of(self.process.pid) if name_of(pid).startswith("mignificient-gp"))
        counts = self.ask("count")
        counts.update(labelled(count_process(server), "GPU server"))
        counts["processes"] = len(family_of(self.process.pid))
        return counts

    def close(self):
        self.process.stdin.close()
        if (status := self.process.wait(60)) != 0:
            raise SystemExit(f"soak: the session ended with {status}.")


def inside(commands):
    """The part of Session that is inside of it."""
    memory = SessionMemory()
    for line in sys.stdin:
        if line.strip() == "count":
            print(ANSWER + json.dumps(memory.count()), flush=True)
            continue
        tally = Tally()
        for command in commands:
            tally.run(f"session: {command}", shlex.split(command))
        print(ANSWER + json.dumps(tally.as_json()), flush=True)


class Runs:
    """Each command in a `mignificient run` of its own."""
    title = "run"

    def __init__(self, options):
        self.options = options

    def round(self, tally):
        for command in self.options.run:
            tally.run(f"run: {command}", [self.options.bin / "mignificient", "run", "--gpu-memory",
                                          str(self.options.gpu_memory), "--", *shlex.split(command)])

    def pids(self):
        return []

    def count(self):
        return {}

    def close(self):
        pass


class Node:
    """Invocations through a node; its containers stay, so their processes are counted one by one."""
    title = "node"

    def __init__(self, options):
        self.options = options
        folders = sorted({str(pathlib.Path(path).resolve().parent) for path in options.invoke})
        allowed = ",".join(folders)
        self.process = subprocess.Popen(
            [options.bin / "mignificient", "serve", "--port", "0", "--set", f"functions.allowed-paths={allowed}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"\blistening address=(\S+) port=(\d+)", line):
                self.address = f"http://{found.group(1)}:{found.group(2)}"
                break
        else:
            raise SystemExit(f"soak: the node does not listen; it ended with {self.process.wait()}.")
        self.log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def round(self, tally):
        for description in self.options.invoke:
            tally.run(f"invoke: {description}", [self.options.bin / "mignificient", "invoke", "--address", self.address,
                                                 "--user", "soak", description])

    def pids(self):
        return [self.process.pid, self.log.pid]

    def count(self):
        counts = labelled(count_process(self.process.pid), "node")
        totals = collections.Counter()
        for pid in family_of(self.process.pid)[1:]:
            kind = "GPU servers" if name_of(pid).startswith("mignificient-gp") else "executors"
            totals.update(labelled(count_process(pid), kind))
            totals[f"{kind}: processes"] += 1
        return {**counts, **totals}

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.log.wait(60)
        if status != 0:
            raise SystemExit(f"soak: the node ended with {status}.")


# --- putting it together -------------------------------------------------------------------------------------------

def print_table(before, after):
    width = max(len(what) for what in after)
    print(f"{'':{width}}  {'before':>12}  {'after':>12}  {'more':>8}")
    for what in sorted(before.keys() | after.keys()):
        old, new = before.get(what, 0), after.get(what, 0)
        print(f"{what:{width}}  {old:>12}  {new:>12}  {new - old:>8}")


def soak(options):
    adopt_orphans()
    parts = [kind(options) for kind, wanted in
             ((Session, options.session), (Runs, options.run), (Node, options.invoke)) if wanted]
    tally = Tally()

    def count():
        counts = settled(lambda: count_machine([pid for part in parts for pid in part.pids()]))
        for part in parts:
            counts.update(labelled(settled(part.count), part.title))
        return counts

    for _ in range(options.warmup):
        for part in parts:
            part.round(tally)
    before, end, rounds = count(), time.monotonic() + options.minutes * 60, 0
    while rounds == 0 or time.monotonic() < end:
        for part in parts:
            part.round(tally)
        rounds += 1
    after = count()
    for part in parts:
        part.close()
    print(f"{rounds} rounds after {options.warmup} to warm up")
    for label, runs in sorted(tally.runs.items()):
        print(f"{runs:>8} x {label}")
    print_table(before, after)
    complaints = growth(before, after, options.slack * 1024) + tally.complaints()
    for complaint in complaints:
        print(f"soak: {complaint}", file=sys.stderr)
    print("Something is left behind or failed." if complaints else "Nothing is left behind.")
    return 1 if complaints else 0


def parse(arguments):
    here = pathlib.Path(__file__).resolve()
    found = [folder for folder in (here.parents[1] / "bin", here.parents[2] / "build/release/bin")
             if (folder / "mignificient").exists()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warmup", type=int, default=3, metavar="ROUNDS")
    parser.add_argument("--bin", type=pathlib.Path, default=found[0] if found else None, help="where mignificient is")
    parser.add_argument("--gpu-memory", type=int, default=1024, metavar="MIB")
    parser.add_argument("--slack", type=int, default=16, metavar="MIB", help="resident memory that a process may gain")
    parser.add_argument("--session", action="append", default=[], metavar="COMMAND")
    parser.add_argument("--run", action="append", default=[], metavar="COMMAND")
    parser.add_argument("--invoke", action="append", default=[], metavar="DESCRIPTION")
    parser.add_argument("--programs", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside is not None:
        return options
    if options.programs:
        commands = [line for line in options.programs.read_text().splitlines() if line.strip() and line[0] != "#"]
        options.session += commands
        options.run += commands
    if options.bin is None or not (options.bin / "mignificient").exists():
        parser.error("there is no mignificient; say where with --bin")
    if not (options.session or options.run or options.invoke):
        parser.error("nothing to run: give --session, --run, --invoke or --programs")
    options.bin = options.bin.resolve()
    return options


def main(arguments=None):
    options = parse(arguments)
    if options.inside is not None:
        inside(json.loads(options.inside))
        return 0
    return soak(options)


if __name__ == "__main__":
    sys.exit(main())
