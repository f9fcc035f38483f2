// Elapsed times order as the work does, and are about as long as the kernel says it ran.
#include "check.h"

__global__ void Spin(unsigned long long nanoseconds) {
  unsigned long long begin, now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}

int main() {
  PRELOAD(Spin);
  cudaEvent_t begin, middle, end;
  NEED(cudaEventCreate(&begin));
  NEED(cudaEventCreate(&middle));
  NEED(cudaEventCreate(&end));
  SHOW(cudaEventRecord(begin));
  Spin<<<1, 1>>>(3'000'000);
  SHOW(cudaEventRecord(middle));
  Spin<<<1, 1>>>(30'000'000);
  SHOW(cudaEventRecord(end));
  SHOW(cudaEventSynchronize(end));
  float first, second, whole, back, none;
  SHOW(cudaEventElapsedTime(&first, begin, middle));
  SHOW(cudaEventElapsedTime(&second, middle, end));
  SHOW(cudaEventElapsedTime(&whole, begin, end));
  SHOW(cudaEventElapsedTime(&back, end, begin));
  SHOW(cudaEventElapsedTime(&none, end, end));
  Print("first is at least 2.9 ms", first >= 2.9f);
  Print("second is at least 29 ms", second >= 29.0f);
  Print("they add up", whole > first + second - 0.1f && whole < first + second + 0.1f);
  Print("backwards is negative", back < -29.0f);
  Print("of an event to itself", none);
}
