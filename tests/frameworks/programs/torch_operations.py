"""One operation of each library behind PyTorch: SVD, inverse, FFT, sparse, attention, sort, random numbers, pinned copies."""
import torch
from report import value

torch.manual_seed(0)
a = torch.randn(256, 256, device="cuda")


def checksum(name, tensor):
    tensor = tensor.double() if not tensor.is_complex() else torch.view_as_real(tensor).double()
    value(name, float(tensor.sum()), float(tensor.abs().max()))


checksum("svd", torch.linalg.svdvals(a))
checksum("inverse", torch.linalg.inv(a + 16 * torch.eye(256, device="cuda")))
checksum("cholesky", torch.linalg.cholesky(a @ a.T + 256 * torch.eye(256, device="cuda")))
checksum("eigh", torch.linalg.eigvalsh(a + a.T))
checksum("fft", torch.fft.fft2(a))
checksum("rfft", torch.fft.rfft(torch.randn(1000, 1000, device="cuda")))
sparse = torch.sparse_coo_tensor(torch.randint(0, 256, (2, 4000), device="cuda"), torch.randn(4000, device="cuda"), (256, 256)).coalesce()
checksum("sparse csr", (sparse.to_sparse_csr() @ a))
q, k, v = (torch.randn(2, 8, 512, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
checksum("attention bf16", torch.nn.functional.scaled_dot_product_attention(q, k, v))
checksum("attention causal", torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
checksum("matmul fp16", (a.half() @ a.half()))
checksum("matmul bf16", (a.bfloat16() @ a.bfloat16()))
torch.backends.cuda.matmul.allow_tf32 = True
checksum("matmul tf32", a @ a)
checksum("sort", torch.randn(100_000, device="cuda").sort().values[::997])
checksum("topk", torch.randn(100_000, device="cuda").topk(100).values)
checksum("cumsum", torch.randint(-9, 9, (100_000,), device="cuda").cumsum(0))  # of floats it differs from run to run
checksum("unique", torch.randint(0, 1000, (100_000,), device="cuda").unique())
checksum("randn", torch.randn(100_000, device="cuda"))
checksum("multinomial", torch.multinomial(torch.rand(1000, device="cuda"), 100).float())
checksum("convolution", torch.nn.functional.conv2d(torch.randn(4, 8, 64, 64, device="cuda"), torch.randn(16, 8, 3, 3, device="cuda")))
checksum("lstm", torch.nn.LSTM(32, 64, 2).cuda()(torch.randn(20, 4, 32, device="cuda"))[0].detach())
pinned = torch.randn(1 << 22).pin_memory()
checksum("pinned copy", pinned.cuda(non_blocking=True))
value("round trip", bool(torch.equal(pinned.cuda().cpu(), pinned)))
start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
stream = torch.cuda.Stream(priority=-1)
with torch.cuda.stream(stream):
    start.record()
    b = a @ a
    end.record()
stream.synchronize()
value("events in order", start.elapsed_time(end) >= 0)
value("memory accounted", torch.cuda.mem_get_info()[0] <= torch.cuda.mem_get_info()[1])
try:
    torch.empty(1 << 42, device="cuda")
except torch.OutOfMemoryError:
    value("out of memory", "raised")
