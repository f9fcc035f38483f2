"""No call of any symbol, however absurd, ends the program or its GPU server, and the answers are of CUDA's kinds."""

import collections
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release"))
sys.path[:0] = [str(HERE), str(ROOT / "codegen")]
import model  # noqa: E402
import observation  # noqa: E402

# Work before cuInit, by their documentation.
NEED_NO_INIT = {"cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString", "cuGetExportTable",
                "cuGetProcAddress", "cuGetProcAddress_v2", "cuCoredumpGetAttributeGlobal", "cuCoredumpSetAttributeGlobal",
                "cuLogsCurrent", "cuLogsDumpToFile", "cuLogsDumpToMemory", "cuLogsRegisterCallback",
                "cuLogsUnregisterCallback"}
# Copies of host memory that does not exist: the program's own mistake, of which it dies under CUDA too.
MAY_CRASH = {(case, symbol) for case in ("bogus", "kinds") for symbol in ("cuMemcpy", "cuMemcpy_ptds")}
# End the context that is current, or begin a capture that forbids to wait, as they should.
ENDS_WORK = re.compile(r"cuDevicePrimaryCtx(Release|Reset)|cuStreamBeginCapture")
# Mean something with zeros and null pointers alone, with a context or without: nothing to free, nothing to copy, the
# default streams, the current context, device 0, outputs that nobody wants.
SUCCEED_WITH_NULLS = re.compile(
    r"cuInit|cuCtx(GetStreamPriorityRange|PopCurrent|SetCurrent|Synchronize)(_v2)?|cuCtxSet(CacheConfig|Flags|Limit|"
    r"SharedMemConfig)|cuDevicePrimaryCtx(Release|Reset|SetFlags)(_v2)?|cuMemFree(Host|_v2|Async(_ptsz)?)|cuMem(cpy|set).*|"
    r"cuMemGetInfo_v2|cuMemGetAddressRange_v2|cuProfilerSt(art|op)|cuStreamBatchMemOp_v2(_ptsz)?|"
    r"cuStream(Query|Synchronize|CopyAttributes)(_ptsz)?|cuStreamBeginCapture(_v2)?_ptsz|cuCtxResetPersistingL2Cache|"
    r"cuDeviceGraphMemTrim|cu(Tex|Surf)ObjectDestroy")
# Tell what was wrong at a later call, since they do not wait for the GPU server.
MAY_DEFER = re.compile(r"cuMem(cpy|set).*")


@pytest.fixture(scope="module")
def entries():
    return model.load(ROOT / "api")


@pytest.fixture(scope="module")
def observations():
    command = [BUILD / "bin/mignificient", "run", "--gpu-memory", "512", "--", BUILD / "tests/api_sweep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert "mignificient run:" not in done.stderr, done.stderr  # how it says that a session ended for misuse
    return observation.read(done.stdout)


def that(observations, wrong):
    """The lines of those that are wrong."""
    return [str(each) for each in observations.values() if wrong(each)]


def test_every_symbol_is_called_in_every_state(observations, entries):
    symbols = {symbol for entry in entries for symbol in entry.symbols}
    called = collections.defaultdict(set)
    for each in observations.values():
        called[each.state, each.case].add(each.symbol)
    assert sorted({state for state, _ in called}) == ["before", "context", "initialised"]
    for (state, case), names in called.items():
        assert case != "nulls" or symbols - names == set(), (state, case)
        assert len(names) > 70, (state, case)  # those of api/; nearly all where cuda.h is installed


def test_every_call_returns(observations):
    assert that(observations, lambda each: not each.returned and
                (each.state != "context" or (each.case, each.symbol) not in MAY_CRASH)) == []


def test_the_context_works_after_every_call(observations):
    assert that(observations, lambda each: each.stays and not ENDS_WORK.match(each.symbol)) == []


def test_nothing_works_before_init(observations):
    assert that(observations, lambda each: each.state == "before" and each.symbol not in NEED_NO_INIT and
                each.code != "NOT_INITIALIZED") == []


def test_zeros_and_null_pointers_are_errors(observations):
    assert that(observations, lambda each: each.case == "nulls" and each.result == "SUCCESS" and each.state != "before" and
                not SUCCEED_WITH_NULLS.fullmatch(each.symbol)) == []


def test_refused_functions_never_succeed(observations, entries):
    refused = {symbol for entry in entries if entry.decision == "refuse" for symbol in entry.symbols}
    assert that(observations, lambda each: each.symbol in refused and each.result == "SUCCESS") == []


def test_only_copies_and_sets_tell_later_what_was_wrong(observations):
    assert that(observations, lambda each: each.deferred and not MAY_DEFER.match(each.symbol) and
                not ENDS_WORK.match(each.symbol)) == []
