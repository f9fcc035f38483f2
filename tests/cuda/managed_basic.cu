// Managed memory: the program and kernels take turns on one pointer.
#include "check.h"

__global__ void Square(int* values, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) values[i] *= values[i];
}

struct List {
  List* next;
  int value;
};

__global__ void Sum(const List* list, int* sum) {
  for (; list != nullptr; list = list->next) *sum += list->value;
}

int main() {
  constexpr int kCount = 10'000;
  int* values;
  SHOW(cudaMallocManaged(&values, kCount * sizeof(int)));
  for (int turn = 0; turn < 3; ++turn) {
    for (int i = 0; i < kCount; ++i) values[i] = i + turn;
    Square<<<(kCount + 255) / 256, 256>>>(values, kCount);
    SHOW(cudaDeviceSynchronize());
    Print("squares", values, 5);
    Print("last", values[kCount - 1]);
  }

  List* list = nullptr;
  for (int i = 1; i <= 4; ++i) {
    List* link;
    NEED(cudaMallocManaged(&link, sizeof *link));
    *link = {list, i * i};
    list = link;
  }
  int* sum;
  SHOW(cudaMallocManaged(&sum, sizeof *sum, cudaMemAttachGlobal));
  *sum = 0;
  Sum<<<1, 1>>>(list, sum);
  SHOW(cudaDeviceSynchronize());
  Print("sum over a list", *sum);

  int host[4] = {1, 2, 3, 4};
  SHOW(cudaMemcpy(values, host, sizeof host, cudaMemcpyDefault));
  SHOW(cudaMemset(values + 1, 0, 4));
  SHOW(cudaDeviceSynchronize());
  Print("copied and set", values, 4);
  SHOW(cudaFree(values));
  SHOW(cudaMallocManaged(&values, 0));
  SHOW(cudaMallocManaged(&values, 16, 99));
}
