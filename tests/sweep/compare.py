"""Compares what the sweep printed natively with what it printed behind a GPU server.

    compare.py NATIVE.txt OURS.txt [--allowed differences.txt] [--software-gpu]

Prints the differences, those of one kind together, and ends with 1 if there are any that nothing explains. Explained are:
calls that do not return natively; functions that api/ refuses; and what the file of allowed differences lists, a line each:

    STATE CASE SYMBOL NATIVE OURS: reason      (each of the words may hold `*`; a result is as the sweep prints it)

With --software-gpu every NOT_SUPPORTED of ours is explained: the software GPU lacks what it answers so.
"""

import argparse
import collections
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "codegen")]
import model  # noqa: E402
import observation  # noqa: E402


class Allowed:
    """The list of differences that have a reason."""

    def __init__(self, text):
        self.rules = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.match(r"(\S+) (\S+) (\S+) (\S+) ([^\s:]+):\s*(\S.*)$", line)
            if not match:
                raise ValueError(f"line {number}: [{line}] is not `STATE CASE SYMBOL NATIVE OURS: reason`.")
            self.rules.append(match.groups()[:5])
        self.used = set()

    def explain(self, native, ours):
        words = (*native.key, native.code, ours.code)
        for rule in self.rules:
            if all(fnmatch.fnmatchcase(word, pattern) for word, pattern in zip(words, rule)):
                self.used.add(rule)
                return True
        return False

    def unused(self):
        return [rule for rule in self.rules if rule not in self.used]


def differences(native, ours, may_refuse, allowed):
    """Pairs of observations that nothing explains, in the order of the symbols."""
    found = []
    for key in sorted(native.keys() & ours.keys()):
        there, here = native[key], ours[key]
        if not there.returned or (here.returned and there.code == here.code):
            continue
        if here.code == "NOT_SUPPORTED" and may_refuse(here.symbol):
            continue
        if not allowed.explain(there, here):
            found.append((there, here))
    return found


def report(found):
    kinds = collections.defaultdict(list)
    for there, here in found:
        answer = here.code if here.returned else " ".join(here.words)
        kinds[there.state, there.case, there.code, answer].append(there.symbol)
    lines = []
    for (state, case, native, ours), symbols in sorted(kinds.items()):
        lines.append(f"{state} {case}: CUDA answers {native}, we answer {ours}:")
        lines += [f"    {symbol}" for symbol in symbols]
    return "\n".join(lines)


def refused_symbols(root):
    return {symbol for entry in model.load(root / "api") if entry.decision == "refuse" for symbol in entry.symbols}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("native", type=pathlib.Path)
    parser.add_argument("ours", type=pathlib.Path)
    parser.add_argument("--allowed", type=pathlib.Path, default=HERE / "differences.txt")
    parser.add_argument("--software-gpu", action="store_true")
    options = parser.parse_args(arguments)
    native, ours = (observation.read(path.read_text()) for path in (options.native, options.ours))
    allowed = Allowed(options.allowed.read_text())
    refused = refused_symbols(HERE.parents[1])
    found = differences(native, ours, lambda symbol: options.software_gpu or symbol in refused, allowed)
    if found:
        print(report(found))
    for rule in allowed.unused():
        print(f"note: the allowed difference [{' '.join(rule)}] does not occur.")
    returned = sum(each.returned for each in native.values())
    print(f"{len(native.keys() & ours.keys())} calls compared, {len(native) - returned} do not return natively, "
          f"{len(found)} differences without a reason.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
