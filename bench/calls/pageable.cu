// Copies between the device and ordinary memory, which has been touched before.
#include "measure.h"

namespace {

int TimesOf(const bench::Report& report, size_t bytes) {
  if (bytes <= 64 << 10) return report.Times(1000);
  if (bytes <= 1 << 20) return report.Times(300);
  if (bytes <= 16 << 20) return report.Times(40);
  return report.Times(bytes <= 256 << 20 ? 8 : 4);
}

void MeasureSize(bench::Report& report, size_t bytes, char* device, std::vector<char>& host) {
  const std::string size = bench::SizeName(bytes);
  report.Measure(TimesOf(report, bytes),
                 std::array{"pageable H2D " + size + ", returns", "pageable H2D " + size + ", complete"}, [&] {
                   const bench::Stopwatch watch;
                   CHECK(cudaMemcpy(device, host.data(), bytes, cudaMemcpyHostToDevice));
                   const double returned = watch.Microseconds();
                   CHECK(cudaDeviceSynchronize());
                   return std::array{returned, watch.Microseconds()};
                 });
  std::memset(host.data(), 0, bytes);
  report.Measure(TimesOf(report, bytes), std::array{"pageable D2H " + size}, [&] {
    const bench::Stopwatch watch;
    CHECK(cudaMemcpy(host.data(), device, bytes, cudaMemcpyDeviceToHost));
    return std::array{watch.Microseconds()};
  });
  report.Answer("pageable " + size + " there and back", bench::Checksum(host.data(), bytes));
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report(bench::ParseEffort(argc, argv));
  std::vector<size_t> sizes{64, 4 << 10, 64 << 10, 1 << 20};
  if (report.effort() != bench::Effort::kSmoke) sizes.insert(sizes.end(), {16 << 20, 256 << 20});
  if (report.effort() == bench::Effort::kFull) sizes.push_back(1 << 30);
  std::vector<char> host(sizes.back());
  bench::Fill(host.data(), host.size());
  char* device = bench::Zeroed<char>(host.size());
  for (const size_t bytes : sizes) MeasureSize(report, bytes, device, host);
  return 0;
}
