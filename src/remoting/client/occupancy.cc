// The block size that keeps the most threads resident: a search over the occupancy of each size, here because the
// shared memory a size needs may be told by a function of the program.

#include <algorithm>

#include "remoting/client/call.h"

extern "C" {
CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int block_size,
                                                              size_t dynamic_shared_bytes, unsigned flags);
}

namespace mignificient::client {
namespace {

using SharedBytesOf = size_t (*)(int block_size);

struct Search {
  CUfunction function;
  SharedBytesOf shared_bytes_of;
  size_t shared_bytes;
  unsigned flags;
};

CUresult Residents(const Search& search, int block_size, int& blocks) {
  const size_t shared = search.shared_bytes_of != nullptr ? search.shared_bytes_of(block_size) : search.shared_bytes;
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, search.function, block_size, shared,
                                                              search.flags);
}

// From the largest size downwards, so that of equal ones the larger wins.
CUresult FindBest(const Search& search, int largest, int& best_size, int& best_blocks) {
  const int warp = std::max(1, Device().attributes[CU_DEVICE_ATTRIBUTE_WARP_SIZE]);
  const int capacity = Device().attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR];
  for (int size = (largest + warp - 1) / warp * warp; size > 0; size -= warp) {
    const int tried = std::min(size, largest);
    int blocks = 0;
    if (const CUresult result = Residents(search, tried, blocks); result != CUDA_SUCCESS) return result;
    if (blocks * tried > best_size * best_blocks) {
      best_size = tried;
      best_blocks = blocks;
    }
    if (best_size * best_blocks >= capacity) break;
  }
  return CUDA_SUCCESS;
}

CUresult MaxPotentialBlockSize(int* grid_size, int* block_size, const Search& search, int limit) {
  if (const CUresult ready = Ready(); ready != CUDA_SUCCESS) return ready;
  if (grid_size == nullptr || block_size == nullptr || limit < 0) return CUDA_ERROR_INVALID_VALUE;
  int largest = 0;
  if (const CUresult result = cuFuncGetAttribute(&largest, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, search.function);
      result != CUDA_SUCCESS)
    return result;
  largest = std::min(largest, Device().attributes[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK]);
  if (limit != 0) largest = std::min(largest, limit);
  int best_size = 0;
  int best_blocks = 0;
  if (const CUresult result = FindBest(search, largest, best_size, best_blocks); result != CUDA_SUCCESS) return result;
  *grid_size = best_blocks * Device().attributes[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT];
  *block_size = best_size;
  return CUDA_SUCCESS;
}

}  // namespace

MIG_EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int* grid_size, int* block_size, CUfunction function,
                                                     SharedBytesOf shared_bytes_of, size_t shared_bytes, int limit) {
  return MaxPotentialBlockSize(grid_size, block_size, {function, shared_bytes_of, shared_bytes, 0}, limit);
}

MIG_EXPORT CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid_size, int* block_size, CUfunction function,
                                                              SharedBytesOf shared_bytes_of, size_t shared_bytes,
                                                              int limit, unsigned flags) {
  return MaxPotentialBlockSize(grid_size, block_size, {function, shared_bytes_of, shared_bytes, flags}, limit);
}

}  // namespace mignificient::client
