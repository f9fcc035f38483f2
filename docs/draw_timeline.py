"""Draws a timeline that a node wrote (docs/timeline.md) as an SVG: a row per partition, in it who owns the device, and a
lane each for the gate, the invocation, the copies and the kernels of each container.

    python3 draw_timeline.py TRACE OUT.svg [FROM_MS TO_MS]
"""
import html
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/node"))
import timeline  # noqa: E402

WIDTH, LEFT, RIGHT = 1200, 190, 20
LANE, GAP, TITLE = 18, 4, 26
COLOURS = {"Locked": "#e4e4e7", "CpuOnly": "#fde68a", "Memcpy": "#a5d8ff", "Full": "#b2f2bb", "exec": "#ffd8a8",
           "drain": "#d0bfff", "yielded": "#fff3bf", "starting": "#ced4da", "ending": "#ffa8a8", "copy": "#339af0",
           "kernel": "#2f9e44"}
OWNERS = ["#f08c00", "#7048e8", "#0c8599", "#c2255c", "#5c940d", "#1864ab"]
LEGEND = ["starting", "Locked", "CpuOnly", "Memcpy", "Full", "exec", "drain", "yielded", "copy", "kernel", "ending"]


class Picture:
    def __init__(self, start, end):
        self.start, self.end, self.y, self.parts = start, end, 0, []

    def x(self, time):
        time = min(max(time, self.start), self.end)
        return LEFT + (WIDTH - LEFT - RIGHT) * (time - self.start) / (self.end - self.start)

    def text(self, x, y, text, size=11, more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" {more}>{html.escape(text)}</text>')

    def box(self, x, y, width, height, colour, tip=""):
        title = f"<title>{html.escape(tip)}</title>" if tip else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height}" '
                          f'fill="{colour}">{title}</rect>')

    def lane(self, label, slices, colour_of, label_of=lambda found: "", height=LANE):
        self.text(LEFT - 8, self.y + height - 5, label, 11, 'text-anchor="end" fill="#495057"')
        for found in slices:
            if found.end <= self.start or found.start >= self.end:
                continue
            x, width = self.x(found.start), self.x(found.end) - self.x(found.start)
            length = "" if found.end == float("inf") else f", {(found.end - found.start) / 1000:.3f} ms"
            self.box(x, self.y, width, height, colour_of(found), f"{found.name}{length}")
            if width > 7 * len(label_of(found)) + 6:
                self.text(x + 3, self.y + height - 5, label_of(found), 11)
        self.y += height + GAP

    def axis(self):
        span = (self.end - self.start) / 1000
        step = next(s for m in (0.001, 0.01, 0.1, 1, 10, 100, 1000, 10000, 100000) for s in (m, 2 * m, 5 * m)
                    if span / s <= 12)
        for i in range(int(span / step) + 1):
            x = self.x(self.start + i * step * 1000)
            self.parts.insert(0, f'<line x1="{x:.1f}" y1="30" x2="{x:.1f}" y2="{self.y}" stroke="#f1f3f5"/>')
            self.text(x, self.y + 14, f"{i * step:g} ms", 10, 'text-anchor="middle" fill="#868e96"')
        self.y += 24

    def legend(self, owners):
        x = LEFT
        for name, colour in [*((name, COLOURS[name]) for name in LEGEND), *owners.items()]:
            if x + 30 + 7 * len(name) > WIDTH:
                x, self.y = LEFT, self.y + 18
            self.box(x, self.y, 12, 12, colour)
            self.text(x + 16, self.y + 10, name)
            x += 30 + 7 * len(name)
        self.y += 22

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y}" '
                f'viewBox="0 0 {WIDTH} {self.y}" font-family="sans-serif"><rect width="100%" height="100%" '
                f'fill="white"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def colour(found):
    return COLOURS.get(found.name) or COLOURS.get(found.category, "#ffec99")


def draw(found, start, end):
    picture = Picture(start, end)
    functions = sorted({s.args["function"] for p in found.partitions for s in p.owner})
    owners = {f"{name} owns": OWNERS[i % len(OWNERS)] for i, name in enumerate(functions)}
    for partition in found.partitions:
        if not partition.containers:
            continue
        picture.text(8, picture.y + 18, f"{partition.name}, {partition.model}", 13, 'font-weight="bold"')
        picture.y += TITLE
        picture.lane("owner", partition.owner, lambda s: owners[f"{s.args['function']} owns"], lambda s: s.name)
        for container in partition.containers.values():
            nested = [s for s in container.invocation if s.depth > 0]
            picture.y += GAP
            if any(s.end > start and s.start < end for s in container.life):
                picture.lane(f"{container.name} start, end", container.life, colour, lambda s: s.name, 10)
            picture.lane(f"{container.name} gate", container.gate, colour, lambda s: s.name)
            picture.lane(f"{container.name} invocation", nested, colour,
                         lambda s: f"{s.name} #{s.args['call']}" if s.depth == 1 else s.name)
            for kind in ("copy", "kernel"):
                picture.lane("copies" if kind == "copy" else "kernels",
                             [s for s in container.activity if s.category == kind], colour)
        picture.y += 10
    picture.axis()
    picture.legend(owners)
    return picture.svg()


def main(arguments):
    found = timeline.read(arguments[0])
    times = [t for p in found.partitions for s in p.owner for t in (s.start, s.end) if t != float("inf")]
    times += [s.start for p in found.partitions for c in p.containers.values() for s in c.life]
    start, end = min(times), max(times)
    if len(arguments) == 4:
        start, end = start + 1000 * float(arguments[2]), start + 1000 * float(arguments[3])
    pathlib.Path(arguments[1]).write_text(draw(found, start, end))


if __name__ == "__main__":
    main(sys.argv[1:])
