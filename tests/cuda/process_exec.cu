// A child process, begun by fork and exec, is a CUDA program of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "check.h"

__global__ void Fill(int* to, int value) {
  to[threadIdx.x] = value + threadIdx.x;
}

void Use(const char* who, int value) {
  int* memory = Device<int>(4);
  Fill<<<1, 4>>>(memory, value);
  Print(who, Host(memory, 4));
}

int main(int argc, char** argv) {
  if (argc > 1) {
    Use(argv[1], 100);
    return 3;
  }
  Use("parent", 1);
  for (int i = 0; i < 2; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", argv[0], "child", nullptr);
      _exit(99);
    }
    int status = 0;
    waitpid(child, &status, 0);
    Print("exit status of the child", WEXITSTATUS(status));
    Use("parent", 10);
  }
}
