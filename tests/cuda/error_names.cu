// Names and sentences of errors, of both APIs, also of numbers that are none.
#include "check.h"

int main() {
  for (const int number :
       {0,   1,   2,   3,   4,   35,  46,  98,  100, 101, 200, 201, 209, 218, 301, 304, 400, 401, 500,
        600, 700, 701, 702, 710, 715, 716, 717, 718, 719, 720, 801, 900, 901, 906, 907, 908, 911, 999})
    std::printf("%d %s: %s\n", number, cudaGetErrorName(static_cast<cudaError_t>(number)),
                cudaGetErrorString(static_cast<cudaError_t>(number)));
  for (const int number :
       {0, 1, 2, 3, 100, 101, 200, 201, 218, 400, 500, 600, 700, 701, 715, 716, 719, 720, 801, 900, 999}) {
    const char *name = nullptr, *text = nullptr;
    SHOW(cuGetErrorName(static_cast<CUresult>(number), &name));
    SHOW(cuGetErrorString(static_cast<CUresult>(number), &text));
    std::printf("%d %s: %s\n", number, name, text);
  }
  const char* name = "unchanged";
  SHOW(cuGetErrorName(static_cast<CUresult>(12345), &name));
  std::printf("%s\n", name == nullptr ? "null" : name);
  std::printf("%s: %s\n", cudaGetErrorName(static_cast<cudaError_t>(12345)),
              cudaGetErrorString(static_cast<cudaError_t>(12345)));
  Print("last", cudaGetLastError());
}
