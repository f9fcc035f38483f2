"""What the rows of bench/compare.py should come to: for each group, patterns of row names and the highest value that is
allowed. It is a ratio, MIGnificient / native, unless the row has nothing native to be compared with. A row that no pattern
matches has no target and is only told."""
import re

RATIOS = {
    "launches": [(r"launch, .*, returns", 0.05), (r"launch, .*, drained", 1.0), (r"launch \+ synchronize, .*", 1.08)],
    "waits": [(r"launch \+ stream synchronize", 1.08), (r".*(event|stream).*", 1.3)],
    "allocation": [(r".*, returns", 0.1), (r".*synchronize.*", 1.0)],
    "pageable": [(r"pageable H2D (64 B|4 KiB|64 KiB), returns", 0.2), (r"pageable D2H (64 B|4 KiB|64 KiB)", 1.0),
                 (r"pageable H2D \d+ [MG]iB, complete", 0.6), (r"pageable D2H \d+ [MG]iB", 0.6)],
    "pinned": [(r".*, (sync|async, complete|both directions)", 1.02)],
    "graphs": [(r".*, replay \+ synchronize", 1.05)],
    "cublas": [(r"cuBLAS handle and first kernel", 1.1)],
    "queries": [(r".*", 0.5)],
    "threads": [(r".*, drained", 1.0)],
    "models": [(r".*", 1.0)],
    "programs": [(r".*, computation", 1.02)],
    "turns": [(r".*", 0.1)],
}
# Of MIGnificient's own value, in the row's unit.
VALUES = {
    "cost": [(r"CPU time while idle.*", 0.1)],  # milliseconds per second, the nearest to none that can be told from noise
}


def limit(table, group, row):
    """The highest value that is allowed, or None."""
    return next((highest for pattern, highest in table.get(group, []) if re.fullmatch(pattern, row)), None)


def judge(group, row, ratio, value):
    """{"target", "of", "met"} of a row, or {} where it has no target; `ratio` is None where nothing ran natively."""
    for table, of, figure in ((VALUES, "value", value), (RATIOS, "ratio", ratio)):
        highest = limit(table, group, row)
        if highest is not None and figure is not None:
            return {"target": highest, "of": of, "met": figure <= highest}
    return {}
