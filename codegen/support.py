"""Writes docs/cuda-support.md: every driver function, what is done with it, why, and which test calls it.

    support.py ROOT           writes the file
    support.py ROOT --check   ends with 1 if the committed file is not what would be written

Tests are found by reading their sources: a call of the driver function itself, or of a runtime function that reaches it
by api/runtime.map. Nothing is claimed for a function whose name no test calls, except the sweep, which calls all.
"""

import argparse
import collections
import pathlib
import re
import sys

import model

OUTPUT = "docs/cuda-support.md"
FAILING = "docs/programs-that-do-not-pass.md"
RUNTIME_MAP = "api/runtime.map"
SWEEP = "sweep"
ANY = "any"
SHOWN_TESTS = 2

HEADER_EXCEPTIONS = {"cuGraphInstantiate": "cuGraphInstantiateWithFlags", "cuStreamGetCtx": "cuStreamGetCtx"}

# Where tests are, and how a test is named in the table. The first that matches a path names it.
SOURCES = [
    ("tests/cuda", ("*.cu", "*.cc"), "cuda/{}"),
    ("tests/remoting", ("*.cc",), "remoting/{}"),
    ("examples", ("*.cu", "*.cc"), "example {}"),
    ("src/remoting/client", ("*_test.cc",), "unit {}"),
]


# --- What tests call --------------------------------------------------------------------------------------------------


def code_of(text):
    """The text without comments and without what string literals hold."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', lambda m: '""' if m[0][0] == '"' else " ", text, flags=re.S)


def called(text, prefix):
    """Names that begin with the prefix and are called; neither declared nor members of something."""
    pattern = rf"(?<![\w.>])(?<!CUresult )(?<!unsigned )({prefix}[A-Z]\w*)\s*\("
    return set(re.findall(pattern, code_of(text)))


def runtime_called(text):
    """Runtime functions, also as `cudaMemcpy:HostToDevice` where the call names a direction; `any` if there is one."""
    code = code_of(text)
    names = called(text, "cuda") | ({"cudaLaunchKernel"} if "<<<" in code else set())
    for name, arguments in re.findall(r"\b(cuda[A-Z]\w*)\s*\(([^;]*)", code):
        names |= {f"{name}:{direction}" for direction in re.findall(r"\bcudaMemcpy(\w+To\w+|Default)\b", arguments)}
    return names | {ANY} if names else names


def read_runtime_map(text):
    """Runtime function -> driver symbols."""
    reached = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) == 1 or not re.match(r"cuda[A-Z]|any$", words[0]):
            raise model.ApiError(f"{RUNTIME_MAP}:{number}: [{line}] is not `cudaFunction cuFunction...`.")
        reached.setdefault(words[0], []).extend(words[1:])
    return reached


def symbols_of_header(entries):
    """What a name of cuda.h means: the newest symbol of that name, but for some."""
    newest = {}
    for entry in entries:
        known = newest.get(entry.base)
        if entry.version and (known is None or entry.version > known.version):
            newest[entry.base] = entry
    symbols = {base: entry.symbol for base, entry in newest.items()}
    return symbols | {base: symbol for base, symbol in HEADER_EXCEPTIONS.items() if base in symbols}


class Coverage:
    """Symbol -> names of tests, those that call it first, then those that reach it through the runtime."""

    def __init__(self, entries, reached):
        self.symbols = {symbol: entry.symbol for entry in entries for symbol in entry.symbols}
        self.by_header = symbols_of_header(entries)
        self.reached = reached
        self.direct = collections.defaultdict(set)
        self.through_runtime = collections.defaultdict(set)

    def add(self, test, text, uses_cuda_header):
        for name in called(text, "cu"):
            symbol = self.by_header.get(name, name) if uses_cuda_header else name
            if symbol in self.symbols:
                self.direct[self.symbols[symbol]].add(test)
        for name in runtime_called(text):
            for symbol in self.reached.get(name, ()):
                self.through_runtime[self.symbols[symbol]].add(test)

    def tests(self, symbol):
        """Names to show, best evidence first; a test that only goes through the runtime says so."""
        direct = sorted(self.direct[symbol], key=rank)
        through = sorted(self.through_runtime[symbol] - self.direct[symbol], key=rank)
        return direct + [f"{test} (runtime)" for test in through]


def rank(test):
    """Programs that run against a GPU server before unit tests, which stand alone."""
    return (test.startswith("unit"), test)


def scan(root, coverage):
    for folder, patterns, name in SOURCES:
        for path in sorted(p for pattern in patterns for p in (root / folder).rglob(pattern)):
            stem = path.parent.name if folder == "examples" else path.stem
            if stem != "common":
                coverage.add(name.format(stem), path.read_text(), path.suffix == ".cu")


# --- The page -------------------------------------------------------------------------------------------------------


def families(root):
    """(title, entries) of each description, in order of its file name."""
    for path in sorted((root / "api").glob("*.api")):
        text = path.read_text()
        title = re.match(r"#\s*([^.\n:]+)", text)
        yield (title[1] if title else path.stem), model.parse(path.name, text)


def reason(entry):
    if entry.decision != "forward":
        return entry.reason
    text = "sent, and waited for" if entry.synchronous else "sent; its error comes with a later call"
    if entry.cached:
        text = "sent once, then answered from memory"
    return f"{text}; through `{entry.call}`" if entry.call != entry.symbol else text


def shown(tests):
    if not tests:
        return SWEEP
    rest = len(tests) - SHOWN_TESTS
    return ", ".join(tests[:SHOWN_TESTS]) + (f", {rest} more" if rest > 0 else "")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def summary(named, coverage):
    rows = []
    for title, entries in named:
        decisions = collections.Counter(entry.decision for entry in entries)
        carried = [entry for entry in entries if entry.decision != "refuse"]
        tested = sum(bool(coverage.tests(entry.symbol)) for entry in carried)
        rows.append([title, len(entries), *(decisions[d] for d in model.DECISIONS), f"{tested} of {len(carried)}"])
    total = [sum(row[i] for row in rows) for i in range(1, 6)]
    tested = [sum(int(row[6].split()[i]) for row in rows) for i in (0, 2)]
    rows.append(["**all**", *total, f"{tested[0]} of {tested[1]}"])
    return table(["family", "functions", *model.DECISIONS, "carried out and called by a test of its own"], rows)


def name_of(entry):
    return f"`{entry.symbol}`" + (f" `_{entry.variant}`" if entry.variant else "")


INTRODUCTION = """# CUDA support

Written by `./dev docs` from `api/`, the sources of the tests and `{failing}`. Do not edit.

A function has one decision (`api/README.md`): *forward*, sent to the GPU server by generated code; *client*, answered in
the program's process; *hand*, carried out by hand-written code; *refuse*, answered with an error and logged by name.

The column *test* names tests that call the function: programs behind a GPU server (`cuda/`, `remoting/`, `example`), then
unit tests of the client (`unit`). *(runtime)* says that the test calls a function of the runtime API which reaches this
one by `{runtime_map}`. The sweep (`tests/sweep`) calls every function with null and absurd arguments in three states; where
only it does, the column says *{sweep}*.
"""


def render(root):
    named = list(families(root))
    entries = [entry for _, each in named for entry in each]
    reached = read_runtime_map((root / RUNTIME_MAP).read_text())
    coverage = Coverage(entries, reached)
    for name, symbols in reached.items():
        unknown = [symbol for symbol in symbols if symbol not in coverage.symbols]
        if unknown:
            raise model.ApiError(f"{RUNTIME_MAP}: [{name}] reaches {unknown}, which api/ does not know.")
    scan(root, coverage)
    parts = [
        INTRODUCTION.format(failing=FAILING, runtime_map=RUNTIME_MAP, sweep=SWEEP),
        "## Summary\n\n" + summary(named, coverage),
        "## Programs that do not pass\n\n" + (root / FAILING).read_text().strip() + "\n",
    ]
    for title, each in named:
        rows = [[name_of(e), e.decision, reason(e), shown(coverage.tests(e.symbol))] for e in each]
        parts.append(f"## {title}\n\n" + table(["function", "decision", "reason", "test"], rows))
    return "\n".join(parts)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    try:
        text = render(options.root)
    except model.ApiError as error:
        print(error, file=sys.stderr)
        return 1
    path = options.root / OUTPUT
    if not options.check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        print(f"{OUTPUT} is not what api/ and the tests say. Write it anew: ./dev docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
