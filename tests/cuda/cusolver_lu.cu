// cuSOLVER: a linear system by LU, and the singular values of a matrix.
#include <cusolverDn.h>

#include <cmath>

#include "check.h"

int main() {
  constexpr int kN = 32;
  std::vector<double> matrix(kN * kN), right(kN);
  for (int i = 0; i < kN * kN; ++i) matrix[i] = (i * 7919 % 31) / 31.0 + (i % (kN + 1) == 0 ? kN : 0);
  for (int row = 0; row < kN; ++row)
    for (int column = 0; column < kN; ++column) right[row] += matrix[column * kN + row] * (column + 1);
  cusolverDnHandle_t handle;
  Print("create", cusolverDnCreate(&handle));
  double *a = Device(matrix), *b = Device(right);
  int *pivots = Device<int>(kN), *info = Device<int>(1);
  int size = 0;
  Print("size", cusolverDnDgetrf_bufferSize(handle, kN, kN, a, kN, &size));
  double* workspace = Device<double>(size);
  Print("factor", cusolverDnDgetrf(handle, kN, kN, a, kN, workspace, pivots, info));
  Print("info", Host(info, 1));
  Print("solve", cusolverDnDgetrs(handle, CUBLAS_OP_N, kN, 1, a, kN, pivots, b, kN, info));
  double worst = 0;
  const auto solution = Host(b, kN);
  for (int i = 0; i < kN; ++i) worst = std::fmax(worst, std::fabs(solution[i] - (i + 1)));
  Print("solved", worst < 1e-9);

  double *c = Device(matrix), *s = Device<double>(kN), *u = Device<double>(kN * kN), *v = Device<double>(kN * kN);
  Print("size", cusolverDnDgesvd_bufferSize(handle, kN, kN, &size));
  workspace = Device<double>(size);
  Print("svd", cusolverDnDgesvd(handle, 'A', 'A', kN, kN, c, kN, s, u, kN, v, kN, workspace, size, nullptr, info));
  const auto values = Host(s, kN);
  double squares = 0, sum = 0;
  for (const double value : values) squares += value * value;
  for (const double value : matrix) sum += value * value;
  Print("squares add up", std::fabs(squares - sum) < 1e-8 * sum);
  Print("they fall", values[0] >= values[1] && values[kN - 2] >= values[kN - 1]);
  Print("destroy", cusolverDnDestroy(handle));
}
