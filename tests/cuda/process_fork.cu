// A child that is forked without exec has no CUDA; one that is forked before CUDA begins has.
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

int Wait(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int main() {
  const pid_t early = fork();
  if (early == 0) {
    int* memory = Device(std::vector<int>{1, 2, 3});
    Print("forked before", Host(memory, 3));
    _exit(0);
  }
  Print("status", Wait(early));

  int* memory = Device(std::vector<int>{4, 5, 6});
  const pid_t late = fork();
  if (late == 0) {
    void* more;
    SHOW(cudaMalloc(&more, 16));
    int value;
    SHOW(cudaMemcpy(&value, memory, 4, cudaMemcpyDeviceToHost));
    SHOW(cudaDeviceSynchronize());
    int count = 0;
    SHOW(cudaGetDeviceCount(&count));
    _exit(0);
  }
  Print("status", Wait(late));
  Print("parent", Host(memory, 3));
  SHOW(cudaFree(memory));
}
