// cuFFT: forward and back in one, two and many dimensions; of a constant, where the result is known.
#include <cufft.h>

#include <cmath>

#include "check.h"

int main() {
  constexpr int kN = 256;
  std::vector<cufftComplex> values(kN);
  for (int i = 0; i < kN; ++i) values[i] = {static_cast<float>(i % 4), static_cast<float>(i % 3)};
  cufftComplex* device = Device(values);
  cufftHandle plan;
  Print("plan", cufftPlan1d(&plan, kN, CUFFT_C2C, 1));
  Print("forward", cufftExecC2C(plan, device, device, CUFFT_FORWARD));
  Print("inverse", cufftExecC2C(plan, device, device, CUFFT_INVERSE));
  SHOW(cudaDeviceSynchronize());
  const auto back = Host(device, kN);
  float worst = 0;
  for (int i = 0; i < kN; ++i)
    worst = std::fmax(worst, std::fabs(back[i].x / kN - values[i].x) + std::fabs(back[i].y / kN - values[i].y));
  Print("back where it was", worst < 1e-4f);
  Print("destroy", cufftDestroy(plan));

  cudaStream_t stream;
  NEED(cudaStreamCreate(&stream));
  float* real = Device(std::vector<float>(64 * 32 * 2, 1.0f));
  cufftComplex* spectrum = Device<cufftComplex>(64 * 17 * 2);
  int shape[] = {64, 32};
  Print("plan", cufftPlanMany(&plan, 2, shape, nullptr, 1, 0, nullptr, 1, 0, CUFFT_R2C, 2));
  Print("stream", cufftSetStream(plan, stream));
  Print("forward", cufftExecR2C(plan, real, spectrum));
  SHOW(cudaStreamSynchronize(stream));
  const auto given = Host(spectrum, 64 * 17 * 2);
  Print("sum", given[0].x);
  Print("second batch", given[64 * 17].x);
  float rest = 0;
  for (int i = 1; i < 64 * 17; ++i) rest += std::fabs(given[i].x) + std::fabs(given[i].y);
  Print("nothing else", rest < 1e-3f);
  cufftHandle odd;
  Print("prime", cufftPlan1d(&odd, 1009, CUFFT_Z2Z, 1));
  Print("none", cufftPlan1d(&odd, -1, CUFFT_C2C, 1));
}
