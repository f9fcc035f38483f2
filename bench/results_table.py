"""What bench/compare.py has measured: rows, answers and what went wrong; judged, printed and written."""
import collections
import statistics

import targets


class Results:
    """Filled by the groups, a value per side and round."""

    def __init__(self, sides):
        self.sides = sides
        self.wrong, self.skipped, self.seconds = [], {}, {}
        self._rows = {}
        self._answers = collections.defaultdict(lambda: collections.defaultdict(set))

    def add(self, group, name, side, unit, median, p99=None):
        row = self._rows.setdefault(name, {"group": group, "unit": unit, "median": {}, "p99": {}})
        row["median"].setdefault(side, []).append(median)
        if p99 is not None:
            row["p99"].setdefault(side, []).append(p99)

    def add_report(self, group, side, report):
        """What a program of bench/calls or bench/programs prints."""
        for name, figures in report["rows"].items():
            several = figures["samples"] > 1
            self.add(group, name, side, figures["unit"], figures["median"], figures["p99"] if several else None)
        for name, value in report["answers"].items():
            self.answer(group, name, side, value)

    def answer(self, group, name, side, value):
        self._answers[f"{group}: {name}"][side].add(str(value))

    def different_answers(self):
        """Sentences about answers that are not the same on each side and in each round."""
        def told(values):
            return " or ".join(value.strip()[:80] for value in sorted(values))

        return [f"{name} is " + ", ".join(f"{told(values)} ({side})" for side, values in sides.items())
                for name, sides in self._answers.items() if len(set().union(*sides.values())) != 1]

    def answers(self):
        return {name: sorted(set().union(*sides.values())) for name, sides in self._answers.items()}

    def rows(self):
        """name -> {"group", "unit", SIDE: median over the rounds, SIDE_p99, "rounds", "ratio", "ratio_of_rounds": [least,
        highest], and targets.judge()}"""
        rows = {}
        for name, measured in self._rows.items():
            row = {"group": measured["group"], "unit": measured["unit"]}
            for side, medians in measured["median"].items():
                row[side] = statistics.median(medians)
                if side in measured["p99"]:
                    row[f"{side}_p99"] = statistics.median(measured["p99"][side])
            row["rounds"] = measured["median"]
            if row.get("native") and "mignificient" in row:
                row["ratio"] = round(row["mignificient"] / row["native"], 4)
                pairs = zip(measured["median"]["mignificient"], measured["median"]["native"])
                ratios = [round(remoted / native, 4) for remoted, native in pairs if native]
                row["ratio_of_rounds"] = [min(ratios), max(ratios)]
            if "mignificient" in row:
                row.update(targets.judge(row["group"], name, row.get("ratio"), row["mignificient"]))
            rows[name] = row
        return rows


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 10000 else f"{value:.4g}"


def verdict(row):
    if "met" not in row:
        return ""
    return f"<= {row['target']:<5} {'met' if row['met'] else 'MISSED'}"


def print_rows(rows):
    width = max((len(name) for name in rows), default=0) + 2
    print(f"{'':{width}}{'median':>23}{'':13}{'ratio of rounds':>17}{'99th percentile':>23}")
    print(f"{'':{width}}{'native':>10}{'MIGnificient':>13}{'unit':>5}{'ratio':>8}{'least':>9}{'highest':>8}{'native':>10}"
          f"{'MIGnificient':>13}  target")
    group = None
    for name, row in rows.items():
        if row["group"] != group:
            group = row["group"]
            print(f"-- {group}")
        ratio = format(row["ratio"], ".3f") if "ratio" in row else "-"
        least, highest = (format(ratio, ".3f") for ratio in row["ratio_of_rounds"]) if "ratio" in row else ("-", "-")
        cells = f"{number(row.get('native')):>10}{number(row.get('mignificient')):>13}{row['unit']:>5}{ratio:>8}"
        cells += f"{least:>9}{highest:>8}{number(row.get('native_p99')):>10}{number(row.get('mignificient_p99')):>13}"
        print(f"{name:{width}}{cells}  {verdict(row)}".rstrip())


def summary(rows, wrong):
    judged = [row for row in rows.values() if "met" in row]
    met = sum(row["met"] for row in judged)
    answers = "answers are the same" if not wrong else f"{len(wrong)} things are wrong"
    return f"{len(rows)} rows, {met} of {len(judged)} targets are met, {answers}"
