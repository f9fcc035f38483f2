"""cuGetProcAddress of our library: for every name, version and kind of default stream, the symbol that CUDA means.

What it means is read twice: from api/, and, where a toolkit is installed, from cudaTypedefs.h, which names each function's
type by the version it came with, and cuda.h, which declares the symbols of each name.
"""

import collections
import ctypes
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release"))
LIBRARY = BUILD / "lib/libcuda.so.1"
INCLUDE = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "include"

sys.path.insert(0, str(ROOT / "codegen"))
import model  # noqa: E402

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason=f"{LIBRARY} is not built")

SUCCESS, INVALID_VALUE, NOT_FOUND = 0, 1, 500
FOUND, SYMBOL_NOT_FOUND, VERSION_NOT_SUFFICIENT = 0, 1, 2
DEFAULT, LEGACY, PER_THREAD = 0, 1, 2
NEWEST = 13000


class Library:
    def __init__(self):
        self.library = ctypes.CDLL(str(LIBRARY))
        self.get = self.library.cuGetProcAddress_v2
        self.get.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p]
        self.names = {}

    def address(self, symbol):
        return ctypes.cast(getattr(self.library, symbol), ctypes.c_void_p).value

    def ask(self, name, version, flags):
        """(result, address or None, status)"""
        address, status = ctypes.c_void_p(1), ctypes.c_int(-1)
        result = self.get(name.encode(), ctypes.byref(address), version, flags, ctypes.byref(status))
        return result, address.value, status.value


@pytest.fixture(scope="module")
def library():
    return Library()


def newest(symbols, version):
    """The symbol of the highest version that is not above `version`; null without one."""
    fitting = [each for each in symbols if each <= version]
    return symbols[max(fitting)] if fitting else None


def expected(library, name, version, flags):
    """`name` is {variant or "": {version: symbol}}"""
    per_thread = next((symbols for variant, symbols in name.items() if variant), None)
    symbol = newest(per_thread if flags & PER_THREAD and per_thread else name.get("", {}), version)
    return (SUCCESS, library.address(symbol), FOUND) if symbol else (SUCCESS, None, VERSION_NOT_SUFFICIENT)


def check_all(library, names):
    versions = sorted({version for name in names.values() for symbols in name.values() for version in symbols})
    asked = sorted({around for version in versions for around in (version - 10, version, version + 5)} | {1, NEWEST})
    wrong = []
    for name, variants in names.items():
        for version in (version for version in asked if version <= NEWEST):
            for flags in (DEFAULT, LEGACY, PER_THREAD):
                answer = library.ask(name, version, flags)
                if answer != expected(library, variants, version, flags):
                    wrong.append((name, version, flags, answer))
    assert wrong == []
    return len(names) * len(asked) * 3


def test_every_name_of_api(library):
    names = collections.defaultdict(lambda: collections.defaultdict(dict))
    for entry in model.load(ROOT / "api"):
        if entry.version:
            names[entry.base][""][entry.version] = entry.symbol
        if entry.variant:
            names[entry.base][entry.variant][entry.variant_version] = entry.variant_symbol
    assert check_all(library, names) > 50_000


def typedef_versions():
    text = "".join((INCLUDE / name).read_text() for name in ("cudaTypedefs.h", "cudaProfilerTypedefs.h"))
    for name, version, variant in re.findall(r"\*PFN_(cu\w+?)_v(\d+)(_ptsz|_ptds)?\)", text):
        yield name, (variant or "")[1:], int(version)


def declared_symbols():
    """What cuda.h declares, all versions of it."""
    source = "#include <cuda.h>\n#include <cudaProfiler.h>\n"
    text = subprocess.run(
        ["g++", "-E", "-P", "-x", "c++", "-D__CUDA_API_VERSION_INTERNAL", f"-I{INCLUDE}", "-"],
        input=source, capture_output=True, text=True, check=True,
    ).stdout
    return set(re.findall(r"\b(cu[A-Z]\w*)\s*\(", text))


@pytest.mark.skipif(not (INCLUDE / "cudaTypedefs.h").exists(), reason=f"no CUDA toolkit at {INCLUDE.parent}")
def test_every_name_of_the_toolkit(library):
    """The n-th version of a name is the n-th of its symbols: cuX, cuX_v2, cuX_v3."""
    versions = collections.defaultdict(lambda: collections.defaultdict(set))
    for name, variant, version in typedef_versions():
        versions[name][variant].add(version)
    declared = declared_symbols()
    names = {}
    for name, variants in versions.items():
        names[name] = {}
        for variant, known in variants.items():
            suffix = f"_{variant}" if variant else ""
            symbols = [name + middle + suffix for middle in ("", "_v2", "_v3", "_v4")]
            symbols = [symbol for symbol in symbols if symbol in declared]
            if len(symbols) != len(known):  # one is older than the typedefs or was removed: the latest are meant
                symbols = symbols[-len(known):]
            names[name][variant] = dict(zip(sorted(known), symbols))
    assert all(len(symbols) == len(versions[name][variant]) for name, each in names.items() for variant, symbols in each.items())
    assert check_all(library, names) > 50_000


def test_unknown_name_is_a_success_that_found_nothing(library):
    for name in ("", "cuNoSuchThing", "cuMemAlloc_v2", "cuMemcpyHtoD_ptds", "malloc", "cuInit "):
        for flags in (DEFAULT, LEGACY, PER_THREAD):
            assert library.ask(name, 12000, flags) == (SUCCESS, None, SYMBOL_NOT_FOUND), name


def test_version_below_the_first_says_so(library):
    assert library.ask("cuGraphCreate", 9020, DEFAULT) == (SUCCESS, None, VERSION_NOT_SUFFICIENT)
    assert library.ask("cuMemcpyHtoD", 6050, PER_THREAD) == (SUCCESS, None, VERSION_NOT_SUFFICIENT)


def test_flags_and_versions_that_cuda_does_not_know_are_refused(library):
    for flags in (4, 8, 1 << 63):
        assert library.ask("cuInit", 12000, flags)[0] == INVALID_VALUE, flags
    assert library.ask("cuInit", NEWEST + 10, DEFAULT)[0] == INVALID_VALUE


def test_old_form_without_a_status_tells_by_its_result(library):
    get = library.library.cuGetProcAddress
    get.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]
    address = ctypes.c_void_p()
    assert get(b"cuMemAlloc", ctypes.byref(address), 3020, DEFAULT) == SUCCESS
    assert address.value == library.address("cuMemAlloc_v2")
    assert get(b"cuNoSuchThing", ctypes.byref(address), 12000, DEFAULT) == NOT_FOUND
    assert get(b"cuGraphCreate", ctypes.byref(address), 9020, DEFAULT) == NOT_FOUND
