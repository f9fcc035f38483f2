"""Kernels of our own in Triton: an elementwise one and a tiled matrix product."""
import torch
import triton
import triton.language as tl
from report import value


@triton.jit
def scale_add(x, y, out, n, alpha, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(out + offsets, tl.load(x + offsets, mask) * alpha + tl.load(y + offsets, mask), mask)


@triton.jit
def product(a, b, c, K, M: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    rows, columns, inner = tl.arange(0, M), tl.arange(0, N), tl.arange(0, TILE)
    sum = tl.zeros((M, N), dtype=tl.float32)
    for k in range(0, K, TILE):
        left = tl.load(a + rows[:, None] * K + (k + inner)[None, :])
        right = tl.load(b + (k + inner)[:, None] * N + columns[None, :])
        sum += tl.dot(left, right)
    tl.store(c + rows[:, None] * N + columns[None, :], sum)


torch.manual_seed(0)
x, y = torch.randn(100_000, device="cuda"), torch.randn(100_000, device="cuda")
out = torch.empty_like(x)
scale_add[(triton.cdiv(x.numel(), 1024),)](x, y, out, x.numel(), 2.0, BLOCK=1024)
value("scale_add", bool(torch.allclose(out, 2 * x + y)), float(out.double().sum()))
a, b = torch.randn(64, 256, device="cuda").half(), torch.randn(256, 64, device="cuda").half()
c = torch.empty(64, 64, device="cuda")
product[(1,)](a, b, c, 256, M=64, N=64, TILE=32)
value("product", bool(torch.allclose(c, (a.float() @ b.float()), atol=1e-2)), float(c.double().sum()))
