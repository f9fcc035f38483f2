"""The checker itself: it must see each contradiction, and none where there is none."""
import json

import pytest

import timeline

HEAD = [{"ph": "M", "pid": 2, "name": "process_name", "args": {"name": "3g"}},
        {"ph": "M", "pid": 2, "name": "process_labels", "args": {"labels": "sequential"}},
        {"ph": "M", "pid": 2, "tid": 10, "name": "thread_name", "args": {"name": "owner"}}]


class Writer:
    """Events of a trace with few words."""

    def __init__(self):
        self.events = list(HEAD)
        self.containers = {}

    def slice(self, thread, category, name, start, end, **args):
        self.events.append({"ph": "X", "pid": 2, "tid": thread, "ts": start, "dur": end - start, "cat": category,
                            "name": name, "args": args})

    def owner(self, container, start, end):
        self.slice(10, "owner", container, start, end, container=container)

    def thread(self, container, kind, offset):
        first = self.containers.setdefault(container, 1000 * (len(self.containers) + 1))
        self.events.append({"ph": "M", "pid": 2, "tid": first + offset, "name": "thread_name",
                            "args": {"name": f"{container} {kind}"}})
        return first + offset

    def runs(self, container, call, start, end, yielded=None):
        thread = self.thread(container, "invocation", 2)
        self.slice(thread, "exec", "exec", start, end, call=call)
        if yielded is not None:
            self.slice(thread, "yield", "yielded", yielded, end, call=call)

    def did(self, container, category, start, end):
        self.slice(self.thread(container, category, 10), category, "it", start, end)

    def gate(self, container, name, start, end):
        self.slice(self.thread(container, "gate", 1), "gate", name, start, end)

    def call(self, call, answered=True):
        for thread, category in ((1, "arrival"), (2, "answer")) if answered else ((1, "arrival"),):
            self.events.append({"ph": "X", "pid": 1, "tid": thread, "ts": 0, "dur": 1, "cat": category, "name": "f",
                                "args": {"call": call}})

    def problems(self, model="sequential"):
        return timeline.check(timeline.parse(json.dumps(self.events)), model)


@pytest.fixture
def trace():
    return Writer()


@pytest.mark.parametrize("model", timeline.MODELS)
def test_a_well_behaved_trace_has_no_problem(trace, model):
    for call, start in ((1, 0), (2, 100)):
        trace.call(call)
        trace.owner(f"c-{call}", start, start + 90)
        trace.gate(f"c-{call}", "Full", start, start + 90)
        trace.runs(f"c-{call}", call, start, start + 90)
        trace.did(f"c-{call}", "copy", start + 10, start + 20)
        trace.did(f"c-{call}", "kernel", start + 20, start + 80)
    assert trace.problems(model) == []


def test_two_that_run_at_once_contradict_sequential_alone(trace):
    trace.runs("c-1", 1, 0, 100)
    trace.runs("c-2", 2, 50, 150)
    assert "both run at 50.000" in trace.problems("sequential")[0]
    assert trace.problems("overlap_cpu") == []


def test_who_has_yielded_may_run_beside_the_next(trace):
    trace.runs("c-1", 1, 0, 100, yielded=40)
    trace.runs("c-2", 2, 50, 150)
    assert trace.problems("sequential") == []


@pytest.mark.parametrize("category, forbidden", [
    ("kernel", {"sequential", "overlap_cpu", "overlap_cpu_memcpy"}), ("copy", {"sequential", "overlap_cpu"})])
@pytest.mark.parametrize("model", timeline.MODELS)
def test_work_outside_of_ownership_contradicts_some_models(trace, category, forbidden, model):
    trace.runs("c-1", 1, 0, 100)
    trace.owner("c-1", 50, 100)
    trace.did("c-1", category, 40, 60)
    assert any("outside of its ownership" in problem for problem in trace.problems(model)) == (model in forbidden)


def test_the_device_has_one_owner(trace):
    trace.owner("c-1", 0, 100)
    trace.owner("c-2", 99, 200)
    assert "both own" in trace.problems("full_overlap")[0]


def test_work_of_nobody_is_seen(trace):
    trace.runs("c-1", 1, 0, 100)
    trace.did("c-1", "kernel", 120, 130)
    assert "outside of its invocation" in trace.problems("full_overlap")[0]


def test_an_open_gate_without_ownership_is_seen(trace):
    trace.gate("c-1", "Full", 0, 10)
    assert "gate is open" in trace.problems("overlap_cpu")[0]


def test_a_call_without_an_answer_is_seen_unless_the_node_was_killed(trace):
    trace.call(1, answered=False)
    assert "call 1 arrived 1 times and was answered 0 times" in trace.problems()
    assert timeline.check(timeline.parse(json.dumps(trace.events)), complete=False) == []


def test_a_trace_that_is_cut_anywhere_can_be_read(trace):
    trace.call(1)
    text = "[\n" + ",\n".join(json.dumps(event) for event in trace.events)
    whole = len(timeline.events_of(text))
    assert whole == len(trace.events)
    for cut in range(3, len(text)):
        assert len(timeline.events_of(text[:cut])) in range(whole + 1)
