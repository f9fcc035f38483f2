"""CuPy: elementwise, matmul, FFT, sort, a RawKernel through NVRTC, memory pools."""
import cupy
from report import value

random = cupy.random.RandomState(0)
a = random.standard_normal((512, 512), dtype=cupy.float32)
value("elementwise", float(cupy.sin(a * 2 + 1).sum()))
value("matmul", float((a @ a).sum()))
value("fft", float(cupy.abs(cupy.fft.fft2(a)).sum()))
value("sort", float(cupy.sort(a.ravel())[::101].sum()))
kernel = cupy.RawKernel(r"""
extern "C" __global__ void scale(const float* x, float* y, int n) {
  int i = blockDim.x * blockIdx.x + threadIdx.x;
  if (i < n) y[i] = 3 * x[i];
}""", "scale")
b = cupy.empty_like(a)
kernel((1024,), (256,), (a, b, a.size))
value("raw kernel", bool(cupy.all(b == 3 * a)))
value("solve", float(cupy.linalg.solve(a + 32 * cupy.eye(512, dtype=cupy.float32), a).sum()))
with cupy.cuda.Stream(non_blocking=True) as stream:
    c = a + 1
    stream.synchronize()
value("stream", float(c.sum()))
pool = cupy.get_default_memory_pool()
value("pool", pool.used_bytes() > 0)
asynchronous = cupy.cuda.MemoryAsyncPool()
with cupy.cuda.using_allocator(asynchronous.malloc):
    value("async pool", float(cupy.arange(1000, dtype=cupy.float64).sum()))
