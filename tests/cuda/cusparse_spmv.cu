// cuSPARSE: a sparse matrix times a vector and times a dense matrix, in whole numbers.
#include <cusparse.h>

#include "check.h"

int main() {
  constexpr int kRows = 100;
  std::vector<int> offsets = {0}, columns;
  std::vector<float> values;
  for (int row = 0; row < kRows; ++row) {
    for (const int column : {row - 1, row, row + 1})
      if (column >= 0 && column < kRows) columns.push_back(column), values.push_back(column == row ? 2.0f : -1.0f);
    offsets.push_back(static_cast<int>(columns.size()));
  }
  std::vector<float> vector(kRows);
  for (int i = 0; i < kRows; ++i) vector[i] = static_cast<float>(i * i);
  cusparseHandle_t handle;
  cusparseSpMatDescr_t matrix;
  cusparseDnVecDescr_t x, y;
  float* result = Device<float>(kRows);
  Print("create", cusparseCreate(&handle));
  Print("matrix", cusparseCreateCsr(&matrix, kRows, kRows, static_cast<int64_t>(values.size()), Device(offsets),
                                    Device(columns), Device(values), CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                                    CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F));
  Print("x", cusparseCreateDnVec(&x, kRows, Device(vector), CUDA_R_32F));
  Print("y", cusparseCreateDnVec(&y, kRows, result, CUDA_R_32F));
  const float one = 1, zero = 0;
  size_t bytes = 0;
  Print("buffer", cusparseSpMV_bufferSize(handle, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix, x, &zero, y,
                                          CUDA_R_32F, CUSPARSE_SPMV_ALG_DEFAULT, &bytes));
  void* buffer = Device<char>(bytes + 1);
  Print("product", cusparseSpMV(handle, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, matrix, x, &zero, y, CUDA_R_32F,
                                CUSPARSE_SPMV_ALG_DEFAULT, buffer));
  SHOW(cudaDeviceSynchronize());
  const auto product = Host(result, kRows);
  Print("first", product.data(), 4);
  Print("last", product.data() + kRows - 2, 2);
  Print("destroy", cusparseDestroy(handle));
}
