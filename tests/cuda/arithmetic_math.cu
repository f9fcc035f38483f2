// Functions of the math library, which is PTX of the compiler: results to the accuracy that CUDA documents.
#include <cmath>

#include "check.h"

__global__ void Compute(double x, double* out) {
  out[0] = sin(x), out[1] = cos(x), out[2] = tan(x), out[3] = exp(x), out[4] = log(x), out[5] = pow(x, 1.5),
  out[6] = atan2(x, 2.0), out[7] = cbrt(x), out[8] = erf(x), out[9] = lgamma(x), out[10] = sinh(x),
  out[11] = hypot(x, 3.0), out[12] = log1p(x), out[13] = exp2(x);
  const float y = static_cast<float>(x);
  out[14] = sinf(y), out[15] = cosf(y), out[16] = expf(y), out[17] = logf(y), out[18] = powf(y, 2.5f),
  out[19] = tanhf(y);
  out[20] = __sinf(y), out[21] = __expf(y), out[22] = __logf(y), out[23] = rsqrtf(y);
}

int main() {
  double* out = Device<double>(24);
  const double x = 0.7;
  Compute<<<1, 1>>>(x, out);
  SHOW(cudaDeviceSynchronize());
  const double wanted[24] = {std::sin(x),      std::cos(x),        std::tan(x),   std::exp(x),      std::log(x),
                             std::pow(x, 1.5), std::atan2(x, 2.0), std::cbrt(x),  std::erf(x),      std::lgamma(x),
                             std::sinh(x),     std::hypot(x, 3.0), std::log1p(x), std::exp2(x),     std::sin(x),
                             std::cos(x),      std::exp(x),        std::log(x),   std::pow(x, 2.5), std::tanh(x),
                             std::sin(x),      std::exp(x),        std::log(x),   1 / std::sqrt(x)};
  const auto given = Host(out, 24);
  for (int i = 0; i < 24; ++i) {
    const double allowed = (i < 14 ? 1e-14 : 1e-5) * std::fabs(wanted[i]);
    std::printf("%d %s\n", i, std::fabs(given[i] - wanted[i]) <= allowed ? "close" : "far");
  }
}
