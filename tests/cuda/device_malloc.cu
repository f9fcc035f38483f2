// Memory that kernels allocate lives from one kernel to another and is freed by kernels.
#include "check.h"

struct Cell {
  Cell* next;
  int value;
};
__device__ Cell* list;

__global__ void Push(int value) {
  auto* cell = static_cast<Cell*>(malloc(sizeof(Cell)));
  *cell = {list, value};
  list = cell;
}
__global__ void Sum(int* sum) {
  for (Cell* cell = list; cell != nullptr;) {
    *sum += cell->value;
    Cell* next = cell->next;
    free(cell);
    cell = next;
  }
  list = nullptr;
  int* more = new int[100];
  for (int i = 0; i < 100; ++i) more[i] = i;
  sum[1] = more[99];
  delete[] more;
}
__global__ void TooMuch(int* out) {
  *out = malloc(size_t{1} << 40) == nullptr;
}

int main() {
  SHOW(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 16 << 20));
  int* sum = Device<int>(3);
  for (int i = 1; i <= 5; ++i) Push<<<1, 1>>>(i * i);
  Sum<<<1, 1>>>(sum);
  TooMuch<<<1, 1>>>(sum + 2);
  SHOW(cudaDeviceSynchronize());
  Print("sum", Host(sum, 3));
}
