// The first use of a large fat binary: a handle of cuBLAS and a first small product, in a process that has a context.
#include <cublas_v2.h>

#include "measure.h"

namespace {

constexpr int kSide = 64;

void Check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s fails: %s.\n", call, cublasGetStatusString(status));
  std::exit(1);
}

// Microseconds of one product of whole numbers, which is exact, until it is there.
double Multiply(cublasHandle_t handle, const float* a, float* c) {
  const float one = 1, zero = 0;
  const bench::Stopwatch watch;
  Check(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_T, kSide, kSide, kSide, &one, a, kSide, a, kSide, &zero, c, kSide),
        "cublasSgemm");
  CHECK(cudaDeviceSynchronize());
  return watch.Microseconds();
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  const bench::Stopwatch context_watch;
  float* c = bench::Zeroed<float>(kSide * kSide);
  report.Row("context and a first allocation", "ms", {context_watch.Microseconds() / 1e3});
  std::vector<float> numbers(kSide * kSide);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 7) - 3;
  float* a = bench::Zeroed<float>(numbers.size());
  CHECK(cudaMemcpy(a, numbers.data(), numbers.size() * sizeof(float), cudaMemcpyHostToDevice));
  CHECK(cudaDeviceSynchronize());

  cublasHandle_t handle;
  const bench::Stopwatch watch;
  Check(cublasCreate(&handle), "cublasCreate");
  const double created = watch.Microseconds();
  const double first = Multiply(handle, a, c);
  report.Row("cuBLAS handle", "ms", {created / 1e3});
  report.Row("first kernel of cuBLAS", "ms", {first / 1e3});
  report.Row("cuBLAS handle and first kernel", "ms", {(created + first) / 1e3});
  report.Measure(report.Times(500), std::array<std::string, 1>{"later product of cuBLAS + synchronize"},
                 [&] { return std::array{Multiply(handle, a, c)}; });
  CHECK(cudaMemcpy(numbers.data(), c, numbers.size() * sizeof(float), cudaMemcpyDeviceToHost));
  report.Answer("product", bench::Checksum(numbers.data(), numbers.size() * sizeof(float)));
  Check(cublasDestroy(handle), "cublasDestroy");
  return 0;
}
