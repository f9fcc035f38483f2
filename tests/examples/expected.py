"""What the examples must answer, computed here in Python from the same input sequence as examples/common/example.h."""


def sequence(seed):
    state = (seed * 2654435769 + 1) & 0xFFFFFFFF
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state


def take(count, values):
    return [next(values) for _ in range(count)]


def reduction(elements, seed=1):
    values = take(elements, sequence(seed))
    return {"result": "ok", "elements": elements, "sum": sum(values), "maximum": max(values)}


def histogram(elements, seed=1):
    values = sequence(seed)
    bins = [0] * 256
    for _ in range(elements):
        bins[min(next(values) >> 24, next(values) >> 24)] += 1
    fullest = bins.index(max(bins))
    return {"result": "ok", "elements": elements, "fullest-bin": fullest, "fullest-count": bins[fullest]}


def matmul(size, seed=1):
    values = sequence(seed)
    a = [v % 17 - 8 for v in take(size * size, values)]
    b = [v % 17 - 8 for v in take(size * size, values)]
    trace = sum(a[i * size + k] * b[k * size + i] for i in range(size) for k in range(size))
    return {"result": "ok", "size": size, "trace": trace}


def bfs(vertices, degree, seed=1):
    values = sequence(seed)
    edges = [[next(values) % vertices for _ in range(next(values) % (2 * degree + 1))] for _ in range(vertices)]
    levels, queue = {0: 0}, [0]
    for vertex in queue:
        for target in edges[vertex]:
            if target not in levels:
                levels[target] = levels[vertex] + 1
                queue.append(target)
    return {"result": "ok", "vertices": vertices, "reached": len(levels), "depth": max(levels.values())}


def vector_sum(elements, seed=1):
    """The sum of a + b, exactly; the examples add 32-bit floats and print six decimals, so compare approximately."""
    return sum(v >> 8 for v in take(2 * elements, sequence(seed))) / 16777216.0


# name -> (payload, what must be in the result); sizes that no block size divides.
CASES = {
    "vector_add_ptx": ({"vec-elements": 1000, "seed": 3}, {"result": "ok", "elements": 1000}),
    "vector_add_py": ({"vec-elements": 1000, "seed": 3}, {"result": "ok", "elements": 1000}),
    "resnet50_py": ({}, {"result": "ok"}),
    "bert_py": ({}, {"result": "ok"}),
    "vector_add": ({"vec-elements": 1000, "data-transfers": 2, "sleep-time": 10, "seed": 3},
                   {"result": "ok", "elements": 1000}),
    "reduction": ({"elements": 10007, "seed": 5}, reduction(10007, 5)),
    "matmul": ({"size": 37, "seed": 2}, matmul(37, 2)),
    "histogram": ({"elements": 5003, "seed": 4}, histogram(5003, 4)),
    "bfs": ({"vertices": 1009, "degree": 3, "seed": 6}, bfs(1009, 3, 6)),
}


def check(name, result):
    """Raises AssertionError unless `result` is what the example's case must give."""
    payload, wanted = CASES[name]
    assert {key: result.get(key) for key in wanted} == wanted
    if name.startswith("vector_add"):
        exact = vector_sum(payload["vec-elements"], payload["seed"])
        assert abs(result["sum"] - exact) < 1e-3 * exact
