#!/usr/bin/env python3
"""Functions that share a GPU: through /invoke under each sharing model, and natively, as processes that the driver
time-slices; all in one run.

    bench/sharing.py [--tree package] [--python PYTHON] [--quick] [--functions bfs,hotspot,half,tiny]
                     [--group bfs+resnet50 ...] [--models sequential,full_overlap:shared] [--json bench/results/FILE.json]

A group is functions that run at the same time, each called again and again by a caller of its own for --seconds, after
every one has answered once; a function that is named twice runs in two containers, or two processes. All containers of
all models and all native processes are started once and wait while others run; native and the models take turns, in
--rounds for each group.

    bfs       C++: hundreds of small kernels, each waited for      resnet50, bert  Python: examples/*_py, which need torch
    hotspot   C++: hundreds of small kernels, waited for once      tiny            C++: tiny kernels, each waited for
    half      C++: half of the time on the CPU, then half of it on the GPU (natively and alone; measured at the start)

Of each function in a group: the median and the 99th percentile of a call, and the calls per second. The speed of a group is
the geometric mean of its functions' rates relative to native. Answers must be those of the native process.

Behind a model's name, `:shared` means `gpu-server.share: user`: all functions are one user's, and their containers use one
GPU server and context on each partition, where the device can run their kernels at the same time. Otherwise each function
has a user, a GPU server and a context of its own.

Where nvidia-smi lists several GPUs, native processes are spread over them in turns and a node uses all. Where it lists
none, or with --driver cpu, everything runs on software GPUs: the node has one partition (--partitions), native processes
run under `mignificient run`, and only the C++ functions are on by default. Exits with 1 where an answer is wrong or missing.
"""
import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import serving
from compare import commit, gpu_name

SHARED = ":shared"  # behind a model: one user's containers share a GPU server
MODELS = ("sequential", "overlap_cpu", "overlap_cpu_memcpy", "full_overlap", "full_overlap" + SHARED)
CPP = {"bfs": {"log2_vertices": 12, "degree": 4}, "hotspot": {"log2_side": 9, "steps": 300}, "tiny": {"launches": 200},
       "half": {"words": 1 << 16, "kernels": 4, "cpu_us": 5000, "asleep": 0}}
PYTHON = {"resnet50": "resnet50_py", "bert": "bert_py"}
GROUPS = ("bfs+bfs hotspot+hotspot resnet50+resnet50 bert+bert bfs+hotspot bfs+resnet50 hotspot+bert resnet50+bert "
          "half+half tiny+tiny bfs+bfs+bfs+bfs tiny+tiny+tiny+tiny half+half+half+half bfs+hotspot+resnet50+bert").split()
QUICK_GROUPS = ("bfs+bfs hotspot+hotspot resnet50+resnet50 bert+bert half+half tiny+tiny bfs+bfs+bfs+bfs "
                "bfs+hotspot+resnet50+bert").split()


def crowd(function, devices):
    """Two of a function for each device."""
    return "+".join([function] * 2 * devices)


CALLER = pathlib.Path(__file__).with_name("call_python_function.py")
SAME = ("checksum", "sum")  # what must be the same in every answer of a function

Instance = collections.namedtuple("Instance", "function number")


def instances_of(group):
    """bfs+bert+bfs -> bfs 0, bert 0, bfs 1"""
    seen = collections.Counter()
    for function in group.split("+"):
        yield Instance(function, seen[function])
        seen[function] += 1


def gist(answer):
    return {key: answer[key] for key in SAME if key in answer}


# --- functions ----------------------------------------------------------------------------------------------------

class Functions:
    """Where the functions are, and how each side calls them."""

    def __init__(self, options):
        self.options = options
        self._temporary = tempfile.TemporaryDirectory()
        self._devices = pathlib.Path(self._temporary.name) / "devices.json"
        self._devices.write_text(json.dumps(options.devices))
        folder = options.tree / "tests/sharing"
        self.caller = folder / "call_function"
        runtime = folder / "libsharing_runtime.so"
        self.library = runtime if runtime.exists() else folder / "libsharing_driver.so"
        self.payloads = {name: dict(numbers, seed=1) for name, numbers in CPP.items()}
        if options.software:  # slow, and the GPU is made of the cores that `half` would use
            self.payloads["half"]["asleep"] = 1
            self.payloads["bfs"]["log2_vertices"] = 9
            self.payloads["hotspot"].update(log2_side=6, steps=50)

    def folders(self):
        return [str(self.options.tree / folder) for folder in ("tests/sharing", "examples")] + [self._temporary.name]

    def _copy(self, file, number):
        """The file as a function of its own: one user's instances of a function are containers of one function else."""
        copy = pathlib.Path(self._temporary.name) / str(number) / pathlib.Path(file).name
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)
        return str(copy)

    def request(self, instance, shared=False):
        body = self._request(instance)
        user = "user-0" if shared else f"user-{instance.number}"
        if shared:
            body["function-path"] = self._copy(body["function-path"], instance.number)
        return {**body, "user": user, "timeout": serving.LIMIT_S}

    def _request(self, instance):
        name = instance.function
        if name in PYTHON:
            description = self.options.tree / "examples" / f"{PYTHON[name]}.json"
            body = json.loads(description.read_text())["inputs"][0]
            body["function-path"] = str((description.parent / body["function-path"]).resolve())
        else:
            body = serving.request(self.library, name, self.payloads[name], "", gpu_memory=512)
        return body

    def command(self, instance):
        if instance.function in PYTHON:
            name = PYTHON[instance.function]
            return [self.options.python, "-B", CALLER, self.options.tree / "lib/python",
                    self.options.tree / "examples" / f"{name}.py", name, "-"]
        return [self.caller, self.library, instance.function, json.dumps(self.payloads[instance.function])]

    def native_prefix(self):
        """Words before the native commands."""
        if not self.options.software:
            return []
        return [self.options.tree / "bin/mignificient", "run", "--devices", self._devices, "--"]

    def calibrate(self):
        """Chooses the rounds of `half` so that its GPU part alone takes as long as its CPU part; what was chosen."""
        payload = self.payloads["half"]
        cpu_us = payload["cpu_us"]

        def gpu_ms(rounds):
            payload.update(rounds=rounds, cpu_us=0)
            with Native(self, Instance("half", 0), 0) as process:
                return statistics.median(process.call_for(0.3))

        wanted, least = cpu_us / 1e3, gpu_ms(0)  # copies and launches take time, too
        rounds, taken = 0, least
        while taken < least + wanted / 2 and rounds < 1 << 24:
            rounds = max(16, rounds * 8)
            taken = gpu_ms(rounds)
        rounds = max(1, round(rounds * (wanted - least) / max(taken - least, 1e-6)))
        taken = gpu_ms(rounds)
        payload.update(cpu_us=cpu_us)
        return {"rounds": rounds, "cpu_ms": wanted, "gpu_ms": taken}


# --- the native side ----------------------------------------------------------------------------------------------

class Native:
    """A process that calls one function when it is told to."""

    def __init__(self, functions, instance, gpu):
        options = functions.options
        environment = dict(os.environ)
        if options.gpus > 1:
            environment["CUDA_VISIBLE_DEVICES"] = str(gpu % options.gpus)
        self.label = f"{instance.function} {instance.number}"
        self._process = subprocess.Popen([*functions.native_prefix(), *functions.command(instance)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, env=environment)

    def first_answer(self):
        return json.loads(self._line())

    def _line(self):
        if not (line := self._process.stdout.readline()):
            sys.exit(f"{self.label} ends natively with {self._process.wait()}.")
        return line

    def tell(self, seconds):
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def times(self):
        return json.loads(self._line())

    def call_for(self, seconds):
        """For one process alone."""
        self.first_answer()
        self.tell(0.05)
        self.times()
        self.tell(seconds)
        return self.times()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


class NativeSide:
    name = "native"

    def __init__(self, functions, instances):
        self._processes = {instance: Native(functions, instance, index) for index, instance in enumerate(instances)}
        self.answers = {instance: process.first_answer() for instance, process in self._processes.items()}

    def settle(self, instances):
        pass

    def run(self, instances, seconds):
        chosen = [self._processes[instance] for instance in instances]
        for process in chosen:
            process.tell(seconds)
        return [process.times() for process in chosen], []

    def close(self):
        for process in self._processes.values():
            process.__exit__()


# --- through the node ---------------------------------------------------------------------------------------------

class NodeSide:
    def __init__(self, model, functions, instances):
        self.name = model
        options = functions.options
        self._shared = model.endswith(SHARED)
        settings = {"sharing-model": model.removesuffix(SHARED), "functions": {"allowed-paths": functions.folders()},
                    "executor": {"python": options.python},
                    "gpu-server": {"driver": "cpu" if options.software else "cuda", "start-timeout": serving.LIMIT_S,
                                   "share": "user" if self._shared else "none"}}
        self._functions = functions
        self._node = serving.Node(options.tree, settings, options.devices)
        self.wrong, self.partitions, self.answers = [], {}, {}
        self._all_at_once(instances, self._start)

    @staticmethod
    def _all_at_once(instances, work):
        threads = [threading.Thread(target=work, args=(instance,)) for instance in instances]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _start(self, instance):
        client = self._node.client()
        for _ in range(2):  # the second is warm
            answer = self._call(client, instance)
        client.close()
        self.partitions[instance] = answer.headers["X-MIGnificient-Partition"]
        if answer.status == 200:
            self.answers[instance] = json.loads(answer.body)

    def _call(self, client, instance):
        answer = client.invoke(self._functions.request(instance, self._shared))
        if answer.status != 200:
            self.wrong.append(f"{self.name}: {instance.function} is answered with {answer.status}: {answer.body[:300]!r}")
        return answer

    def run(self, instances, seconds):
        """Milliseconds of the calls of each; and the partitions that were used."""
        barrier = threading.Barrier(len(instances))
        times, used = {}, set()

        def caller(instance):
            mine = times.setdefault(instance, [])
            client = self._node.client()
            barrier.wait()
            end = time.perf_counter() + seconds
            while (begin := time.perf_counter()) < end:
                answer = self._call(client, instance)
                mine.append((time.perf_counter() - begin) * 1e3)
                used.add(answer.headers["X-MIGnificient-Partition"])
                if answer.status != 200:
                    return
                if gist(json.loads(answer.body)) != gist(self.answers.get(instance, {})):
                    self.wrong.append(f"{self.name}: {instance.function} answers {answer.body!r} now")
            client.close()

        self._all_at_once(instances, caller)
        return [times[instance] for instance in instances], sorted(part for part in used if part)

    def settle(self, instances):
        """Calls until no container is on its way: who ran beside others while a partition was idle gets one there."""
        while True:
            self.run(instances, 0.2)
            if all(container["status"] != "starting" for container in self._node.get("/containers")["containers"]):
                return

    def close(self):
        if self.wrong:
            print(self._node.logs(), file=sys.stderr)
        if (status := self._node.stop()) != 0:
            self.wrong.append(f"{self.name}: the node ends with {status}.")
        self._node.close()


# --- measuring ----------------------------------------------------------------------------------------------------

def summary(group, times):
    """function -> its figures; instances of one function are taken together."""
    by_function = collections.defaultdict(list)
    for instance, milliseconds in zip(instances_of(group), times):
        by_function[instance.function].append(milliseconds)
    return {function: {"median_ms": statistics.median(sum(lists, [])),
                       "p99_ms": sorted(sum(lists, []))[int(0.99 * len(sum(lists, [])))],
                       # the last call of each may end after the time is over, so its rate is that of whole calls
                       "per_s": sum(1e3 * len(one) / max(sum(one), 1e-9) for one in lists)}
            for function, lists in by_function.items()}


def measure(sides, groups, options, log):
    """Side -> group -> figures. Every group is measured on each side in turns, so that what the machine does meanwhile
    is the same for all."""
    results = {name: {} for name in sides}
    for group in groups:
        instances = list(instances_of(group))
        times = {name: [[] for _ in instances] for name in sides}
        used = {name: set() for name in sides}
        for side in sides.values():
            side.settle(instances)
        for _ in range(options.rounds):
            for name, side in sides.items():
                round_times, partitions = side.run(instances, options.seconds / options.rounds)
                for mine, more in zip(times[name], round_times):
                    mine += more
                used[name].update(partitions)
        for name in sides:
            if not all(times[name]):
                log(f"{name}: {group} is not answered.")
                continue
            results[name][group] = {"functions": summary(group, times[name])}
            if used[name]:
                results[name][group]["partitions"] = sorted(used[name])
    return results


def add_speeds(results):
    """The geometric mean of the rates relative to native."""
    for rows in results.values():
        for group, row in rows.items():
            if native := results["native"].get(group):
                ratios = [figures["per_s"] / native["functions"][name]["per_s"]
                          for name, figures in row["functions"].items()]
                row["speed"] = math.exp(statistics.fmean(map(math.log, ratios)))


def ratio(results, group, function, slow, fast):
    """How many times shorter the median of a call is."""
    try:
        return (results[slow][group]["functions"][function]["median_ms"] /
                results[fast][group]["functions"][function]["median_ms"])
    except KeyError:
        return None


def findings(results, devices):
    """What the targets speak of: name -> (value, target, met)"""
    found = {}
    halves, tinies = crowd("half", devices), crowd("tiny", devices)
    half = ratio(results, halves, "half", "sequential", "overlap_cpu")
    if half is not None:
        found[f"{halves}: overlap_cpu against sequential"] = (half, ">= 1.8", half >= 1.8)
    for model in MODELS:
        tiny = ratio(results, tinies, "tiny", "native", model)
        if tiny is not None:
            promised = model != "full_overlap"  # whose separate processes are time-sliced as native ones are
            found[f"{tinies}: {model} against native"] = (tiny, ">= 10" if promised else "none",
                                                          tiny >= 10 or not promised)
    present = [model for model in MODELS if model in results]
    for before, after in zip(present, present[1:]):
        worst = min(((results[after][group]["speed"] / results[before][group]["speed"], group)
                     for group in results[after] if group in results[before]), default=None)
        if worst:
            found[f"{after} against {before}, worst: {worst[1]}"] = (worst[0], ">= 0.97", worst[0] >= 0.97)
    used = [len(row["partitions"]) for rows in results.values() for group, row in rows.items()
            if "+" in group and "partitions" in row]
    if devices > 1 and used:
        found["partitions used by a group, least"] = (min(used), ">= 2", min(used) >= 2)
    for model in ("full_overlap", "full_overlap" + SHARED):
        worst = min(((row["speed"], group) for group, row in results.get(model, {}).items() if "+" in group),
                    default=None)
        if worst:
            found[f"{model} against native, worst: {worst[1]}"] = (worst[0], ">= 1", worst[0] >= 1)
    return found


def print_results(results, found):
    sides = list(results)
    width = max(len(group) for rows in results.values() for group in rows) + 2
    print("median / 99th percentile of a call in ms; below, speed of the group relative to native")
    print(f"{'':{width}}{'':10}" + "".join(f"{side:>21}" for side in sides))
    for group in results["native"]:
        for index, function in enumerate(results["native"][group]["functions"]):
            cells = ""
            for side in sides:
                row = results[side].get(group)
                figures = row and row["functions"][function]
                cells += f"{figures['median_ms']:>12.3f} /{figures['p99_ms']:>7.2f}" if figures else f"{'-':>21}"
            print(f"{group if index == 0 else '':{width}}{function:10}{cells}")
        speeds = [results[side].get(group, {}).get("speed") for side in sides]
        cells = "".join(f"{'-' if speed is None else format(speed, '.3f'):>21}" for speed in speeds)
        print(f"{'':{width}}{'speed':10}{cells}")
    for name, (value, target, met) in found.items():
        print(f"{'met   ' if met else 'MISSED'} {value:8.3f} (target {target})  {name}")


def parse(arguments):
    here = pathlib.Path(__file__).resolve().parents[1]
    default = here if (here / "bin/mignificient").exists() else here / "build/release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=lambda text: pathlib.Path(text).resolve(), default=default)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of both sides (default: this one)")
    parser.add_argument("--driver", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--partitions", type=int, default=1, help="of the software GPU")
    parser.add_argument("--functions", type=lambda text: text.split(","), help="only groups of these")
    parser.add_argument("--group", action="append", metavar="A+B", help="instead of the usual groups")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--seconds", type=float, help="for each group (default 4, with --quick 1.5)")
    parser.add_argument("--rounds", type=int, default=3, help="in which each group's time is measured (default 3)")
    parser.add_argument("--quick", action="store_true", help="fewer groups, shorter")
    parser.add_argument("--commit", default=None, help="recorded in the result; default: the checkout's")
    parser.add_argument("--json")
    options = parser.parse_args(arguments)
    options.gpus = count_gpus()
    options.software = options.driver == "cpu" or (options.driver == "auto" and options.gpus == 0)
    if options.software:
        options.gpus = 0
    options.devices = serving.software_gpu(*[("7g", 8192)] * options.partitions) if options.software else None
    options.seconds = options.seconds or (1.5 if options.quick else 4)
    options.functions = options.functions or [*CPP, *([] if options.software else PYTHON)]
    for name in options.functions:
        if name not in CPP and name not in PYTHON:
            parser.error(f"function ({name}) is unknown; there are {', '.join([*CPP, *PYTHON])}")
    groups = options.group or list(QUICK_GROUPS if options.quick else GROUPS)
    if not options.group and options.gpus > 1:
        groups += [group for function in CPP if (group := crowd(function, options.gpus)) not in groups]
    options.groups = [group for group in groups if set(group.split("+")) <= set(options.functions)]
    if not options.groups:
        parser.error("no group is left")
    return options


def count_gpus():
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("GPU") for line in listed.splitlines())


def measure_everything(options, log):
    functions = Functions(options)
    half = functions.calibrate() if "half" in options.functions else None
    alone = sorted({function for group in options.groups for function in group.split("+")})
    groups = [*alone, *options.groups]
    instances = sorted({instance for group in groups for instance in instances_of(group)})
    sides, wrong, expected = {}, [], {}
    for name in ["native", *options.models]:
        if name != "native" and (why := serving.refused_setting(options.tree,
                                                                {"sharing-model": name.removesuffix(SHARED)})):
            log(f"{name} is left out: {why.splitlines()[0]}")
            continue
        began = time.perf_counter()
        side = NativeSide(functions, instances) if name == "native" else NodeSide(name, functions, instances)
        sides[name] = side
        expected = expected or side.answers
        wrong += [f"{name}: {instance.function} answers {side.answers.get(instance)}, natively {expected[instance]}"
                  for instance in instances if gist(side.answers.get(instance, {})) != gist(expected[instance])]
        log(f"{name}: started in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    results = measure(sides, groups, options, wrong.append)
    log(f"measured in {time.perf_counter() - began:.1f} s")
    for side in sides.values():
        side.close()
        wrong += getattr(side, "wrong", [])
    add_speeds(results)
    return results, half, wrong


def main(arguments=None):
    options = parse(arguments)
    results, half, wrong = measure_everything(options, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    found = findings(results, max(options.gpus, options.partitions))
    print_results(results, found)
    for sentence in wrong[:10]:
        print(f"wrong: {sentence}")
    if options.json:
        result = {"date": datetime.date.today().isoformat(), "gpu": "software" if options.software else gpu_name(),
                  "machine": platform.platform(), "cpus": len(os.sched_getaffinity(0)),
                  "commit": options.commit or commit(options.tree), "seconds": options.seconds, "half": half, "wrong": wrong,
                  "findings": {name: {"value": value, "target": target, "met": met}
                               for name, (value, target, met) in found.items()}, "results": results}
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
