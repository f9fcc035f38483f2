"""Reads a timeline that a node wrote (docs/timeline.md) and says where it contradicts its sharing model.

    python3 timeline.py TRACE [MODEL]      prints one line per contradiction, exits with 1 if there is one

MODEL is for traces of a node whose partitions do not name theirs. A trace that ends early (kill -9) is read up to there.
"""
import collections
import dataclasses
import json
import math
import pathlib
import sys

MODELS = ("sequential", "overlap_cpu", "overlap_cpu_memcpy", "full_overlap")
# What may happen on the device for a container only while an invocation of it owns the partition.
OWNED = {"sequential": {"kernel", "copy"}, "overlap_cpu": {"kernel", "copy"}, "overlap_cpu_memcpy": {"kernel"},
         "full_overlap": set()}


@dataclasses.dataclass
class Slice:
    name: str
    category: str
    start: float  # us
    end: float = math.inf  # of one that is still open where the trace ends
    depth: int = 0
    args: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Container:
    name: str
    life: list = dataclasses.field(default_factory=list)
    gate: list = dataclasses.field(default_factory=list)
    invocation: list = dataclasses.field(default_factory=list)  # with exec, drain and yielded within, by category
    activity: list = dataclasses.field(default_factory=list)  # copies and kernels


@dataclasses.dataclass
class Partition:
    name: str = ""
    model: str = ""
    owner: list = dataclasses.field(default_factory=list)
    containers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Timeline:
    partitions: list
    arrivals: list
    answers: list
    refusals: list
    problems: list  # with the form of the trace


def events_of(text):
    """The events, whether or not the array is closed. Each lies on a line of its own."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        events = []
        lines = [line.strip().rstrip(",") for line in text.splitlines()]
        lines = [line for line in lines if line not in ("", "[", "]")]
        for number, line in enumerate(lines):
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                if number + 1 != len(lines):  # the last one may have been cut
                    raise
        return events


def slices_of(events, problems):
    """Finished and open slices by (process, thread), from B, E and X events."""
    slices, stacks = collections.defaultdict(list), collections.defaultdict(list)
    for event in events:
        key = (event.get("pid"), event.get("tid"))
        if event["ph"] in "BX":
            found = Slice(event["name"], event["cat"], event["ts"], args=event.get("args", {}))
            found.depth = len(stacks[key])
            slices[key].append(found)
            if event["ph"] == "X":
                found.end = found.start + event["dur"]
            else:
                stacks[key].append(found)
        elif event["ph"] == "E":
            if stacks[key]:
                stacks[key].pop().end = event["ts"]
            else:
                problems.append(f"thread {key}: a slice ends at {event['ts']} that has not begun")
    return slices


def parse(text):
    problems = []
    events = events_of(text)
    slices = slices_of(events, problems)
    names = {(e["pid"], e.get("tid")): e["args"]["name"] for e in events if e["ph"] == "M" and "name" in e["args"]}
    partitions = {e["pid"]: Partition(names[e["pid"], None], e["args"]["labels"])
                  for e in events if e["ph"] == "M" and e["name"] == "process_labels"}
    timeline = Timeline(list(partitions.values()), [], [], [], problems)
    for (process, thread), track in slices.items():
        if process not in partitions:
            for found in track:
                {"arrival": timeline.arrivals, "answer": timeline.answers, "refusal": timeline.refusals}[
                    found.category].append(found)
            continue
        partition, track_name = partitions[process], names.get((process, thread), "")
        if track_name == "owner":
            partition.owner = track
            continue
        container = track_name.split(" ")[0]
        container = partition.containers.setdefault(container, Container(container))
        for found in track:
            {"container": container.life, "gate": container.gate, "copy": container.activity,
             "kernel": container.activity}.get(found.category, container.invocation).append(found)
    return timeline


def read(path):
    return parse(pathlib.Path(path).read_text())


# --- What must hold ---------------------------------------------------------------------------------------------------


def merged(slices):
    """The times that the slices cover, as intervals in order that do not touch."""
    intervals = []
    for start, end in sorted((s.start, s.end) for s in slices):
        if intervals and start <= intervals[-1][1]:
            intervals[-1][1] = max(intervals[-1][1], end)
        else:
            intervals.append([start, end])
    return intervals


def without(interval, holes):
    """What is left of (start, end) outside of the slices `holes`."""
    start, end = interval
    left = []
    for hole_start, hole_end in merged(holes):
        if hole_start > start:
            left.append((start, min(hole_start, end)))
        start = max(start, hole_end)
    return left + [(start, end)] if start < end else left


def within(start, end, intervals, tolerance):
    return any(start >= low - tolerance and end <= high + tolerance for low, high in intervals)


def overlaps(labelled, tolerance):
    """Pairs of ((start, end), label) that share more than `tolerance` us, in order of time."""
    latest = None
    for interval, label in sorted(labelled, key=lambda entry: entry[0]):
        if latest is not None and min(latest[0][1], interval[1]) - interval[0] > tolerance:
            yield latest[1], label, interval[0]
        if latest is None or interval[1] > latest[0][1]:
            latest = (interval, label)


def call_problems(timeline):
    arrived = collections.Counter(s.args["call"] for s in timeline.arrivals)
    answered = collections.Counter(s.args["call"] for s in timeline.answers)
    for call in sorted(arrived.keys() | answered.keys()):
        if (arrived[call], answered[call]) != (1, 1):
            yield f"call {call} arrived {arrived[call]} times and was answered {answered[call]} times"


def sequence_problems(partition, tolerance):
    """Functions run one at a time, except for those that have given the device up."""
    running = []
    for container in partition.containers.values():
        yields = collections.defaultdict(list)
        for found in container.invocation:
            if found.category == "yield":
                yields[found.args["call"]].append(found)
        for found in container.invocation:
            if found.category == "exec":
                for part in without((found.start, found.end), yields[found.args["call"]]):
                    running.append((part, f"call {found.args['call']} in {container.name}"))
    for first, second, when in overlaps(running, tolerance):
        yield f"{partition.name}: {first} and {second} both run at {when:.3f} us"


def container_problems(partition, container, model, tolerance):
    owned = merged(s for s in partition.owner if s.args["container"] == container.name)
    invoked = merged(s for s in container.invocation if s.category in ("exec", "drain"))
    ending = min((s.start for s in container.life if s.name == "ending"), default=math.inf)
    where = f"{partition.name}, {container.name}"
    for found in container.activity:
        what = f"{where}: {found.category} [{found.name}] from {found.start:.3f} to {found.end:.3f} us"
        if found.end < found.start:
            yield f"{what} ends before it starts"
        if found.end >= ending:
            continue  # of a container that is being killed
        if not within(found.start, found.end, invoked, tolerance):
            yield f"{what} is outside of its invocation"
        if found.category in OWNED[model] and not within(found.start, found.end, owned, tolerance):
            yield f"{what} is outside of its ownership"
    for found in container.gate:
        if found.name == "Full" and model != "full_overlap" and not within(found.start, found.end, owned, tolerance):
            yield f"{where}: the gate is open from {found.start:.3f} to {found.end:.3f} us outside of its ownership"


def check(timeline, model=None, tolerance=1.0, complete=True):
    """Sentences about what contradicts the sharing model: `model` for all partitions, or what each names.

    tolerance: us by which the device's clock may be off. complete: the node has ended of itself, so everything that
    arrived must have been answered.
    """
    problems = list(timeline.problems)
    if complete:
        problems += call_problems(timeline)
    for partition in timeline.partitions:
        used = model or partition.model
        owners = [((s.start, s.end), f"{s.name}") for s in partition.owner]
        problems += [f"{partition.name}: {first} and {second} both own the device at {when:.3f} us"
                     for first, second, when in overlaps(owners, 0)]
        if used == "sequential":
            problems += sequence_problems(partition, 0)
        for container in partition.containers.values():
            problems += container_problems(partition, container, used, tolerance)
    return problems


def main(arguments):
    problems = check(read(arguments[0]), *arguments[1:2])
    print("\n".join(problems) or "consistent")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
