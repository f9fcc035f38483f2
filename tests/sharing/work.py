"""What the functions of functions.cc must answer, computed without a GPU and without touching every word: numbers are of
32 bits and wrap, so that sums over the words start + i x step have closed forms."""
MASK = 0xFFFFFFFF
MULTIPLIER, INCREMENT = 1664525, 1013904223


class Sequence:
    """example::Sequence of examples/common/example.h."""

    def __init__(self, seed):
        self.state = (seed * 2654435769 + 1) & MASK

    def next(self):
        self.state ^= (self.state << 13) & MASK
        self.state ^= self.state >> 17
        self.state ^= (self.state << 5) & MASK
        return self.state


def mixing(rounds):
    """(a, b): what `rounds` steps of the kernel Mix make of a word x is a x + b."""
    a, b = 1, 0
    step = (MULTIPLIER, INCREMENT)
    while rounds:
        if rounds & 1:
            a, b = step[0] * a & MASK, (step[0] * b + step[1]) & MASK
        step = (step[0] * step[0] & MASK, (step[0] * step[1] + step[1]) & MASK)
        rounds >>= 1
    return a, b


def checksum(start, step, count, rounds):
    """sum of (i + 1) x mixed word i"""
    a, b = mixing(rounds)
    ones = count * (count + 1) // 2  # sum of i + 1
    squares = (count - 1) * count * (count + 1) // 3  # sum of i (i + 1)
    return ((a * start + b) * ones + a * step * squares) & MASK


def mixed(numbers):
    random = Sequence(numbers["seed"])
    count, rounds = numbers["bytes"] // 4, numbers["kernels"] * numbers["rounds"]
    random.next()  # CPU time
    total = 0
    for _ in range(numbers["copies"]):
        start, step = random.next(), random.next()
        random.next()  # CPU time
        total += checksum(start, step, count, rounds)
    return total & MASK


def tiny(numbers):
    return checksum(numbers["seed"], 1, 128, numbers["launches"])


def half(numbers):
    return checksum(numbers["seed"], 1, numbers["words"], numbers["kernels"] * numbers["rounds"])


def bfs(numbers):
    """(checksum of the levels, vertices reached)"""
    vertices, degree, random = 1 << numbers["log2_vertices"], numbers["degree"], Sequence(numbers["seed"])
    targets = [(edge // degree + 1 + (random.next() & 15)) % vertices for edge in range(vertices * degree)]
    levels = [MASK] * vertices
    levels[0] = 0
    queue = [0]
    for vertex in queue:  # grows while it is read
        for target in targets[vertex * degree:(vertex + 1) * degree]:
            if levels[target] == MASK:
                levels[target] = levels[vertex] + 1
                queue.append(target)
    return sum((i + 1) * level for i, level in enumerate(levels)) & MASK, len(queue)


def hotspot(numbers):
    side = 1 << numbers["log2_side"]
    count = side * side
    cells = [(numbers["seed"] + i * 2654435761) & MASK for i in range(count)]
    for _ in range(numbers["steps"]):
        cells = [((cells[i] * 4 + cells[(i + 1) % count] + cells[i - 1] + cells[(i + side) % count] + cells[i - side])
                  & MASK) >> 3 for i in range(count)]
    return sum((i + 1) * cell for i, cell in enumerate(cells)) & MASK
