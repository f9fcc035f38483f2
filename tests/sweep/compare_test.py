"""compare.py and the table's generator, on a few lines each."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compare  # noqa: E402
import generate  # noqa: E402
import observation  # noqa: E402


def found(native, ours, refused=(), allowed=""):
    rules = compare.Allowed(allowed)
    pairs = compare.differences(observation.read(native), observation.read(ours), lambda symbol: symbol in refused, rules)
    return [(there.symbol, there.code, here.code) for there, here in pairs], rules.unused()


def test_other_code_is_a_difference():
    assert found("context nulls cuA INVALID_VALUE\n", "context nulls cuA SUCCESS\n")[0] == [("cuA", "INVALID_VALUE", "SUCCESS")]


def test_code_that_comes_later_is_the_same_code():
    assert found("context huge cuA INVALID_VALUE\n", "context huge cuA SUCCESS then INVALID_VALUE\n")[0] == []


def test_native_crash_allows_everything_but_ours_allows_nothing():
    assert found("context huge cuA crashes SIGSEGV\n", "context huge cuA SUCCESS\n")[0] == []
    assert found("context huge cuA SUCCESS\n", "context huge cuA crashes SIGSEGV\n")[0] != []
    assert found("context huge cuA SUCCESS\n", "context huge cuA SUCCESS\ncontext huge cuA crashes SIGSEGV\n")[0] != []


def test_refusal_by_decision_is_explained():
    lines = "context nulls cuA INVALID_VALUE\n", "context nulls cuA NOT_SUPPORTED\n"
    assert found(*lines, refused={"cuA"})[0] == []
    assert found(*lines)[0] != []


def test_allowed_difference_needs_a_reason_and_is_noted_when_unused():
    lines = "context nulls cuA INVALID_VALUE\n", "context nulls cuA SUCCESS\n"
    assert found(*lines, allowed="# text\n* nulls cu* INVALID_VALUE SUCCESS: because\n") == ([], [])
    assert found(*lines, allowed="before * * * *: because\n")[1] != []
    with pytest.raises(ValueError, match="line 1"):
        compare.Allowed("context nulls cuA INVALID_VALUE SUCCESS:\n")


def test_committed_list_is_well_formed():
    compare.Allowed((compare.HERE / "differences.txt").read_text())


HEADER = generate.Header("""
typedef struct CUevent_st *CUevent;
typedef struct CUstream_st * CUstream;
typedef unsigned long long CUdeviceptr_v2;
typedef CUdeviceptr_v2 CUdeviceptr;
typedef enum CUmode_enum
{ CU_A = 0,
  CU_B = 1
} CUmode;
typedef void ( *CUhostFn)(void *userData);
CUresult cuAll(CUdeviceptr p, const char *name, char *text, CUevent e, CUstream s, CUmode m, CUhostFn f, float x,
               unsigned int n, const unsigned long long *q, CUipcMemHandle h);
CUresult cuNone(void);
CUresult cuStrange(CUnobody x);
""")


def test_kinds_follow_the_declaration():
    assert HEADER.kinds("cuAll") == ["Address", "Text", "Pointer", "Event", "Handle", "Number<int>", "Callback", "Real",
                                     "Number<unsigned>", "Pointer", "Struct<64>"]
    assert HEADER.kinds("cuNone") == []
    assert HEADER.kinds("cuStrange") is None
    assert HEADER.kinds("cuNotDeclared") is None
