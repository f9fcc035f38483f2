// The binary interface of CUDA graphs: nodes, edges and results, as the CUDA 13.0 driver API reference documents them.
// tests/abi compares it with cuda.h.
#pragma once

#include "abi/cuda.h"

enum CUgraphNodeType : int {
  CU_GRAPH_NODE_TYPE_KERNEL = 0,
  CU_GRAPH_NODE_TYPE_MEMCPY = 1,
  CU_GRAPH_NODE_TYPE_MEMSET = 2,
  CU_GRAPH_NODE_TYPE_HOST = 3,
  CU_GRAPH_NODE_TYPE_GRAPH = 4,
  CU_GRAPH_NODE_TYPE_EMPTY = 5,
  CU_GRAPH_NODE_TYPE_WAIT_EVENT = 6,
  CU_GRAPH_NODE_TYPE_EVENT_RECORD = 7,
  CU_GRAPH_NODE_TYPE_MEM_ALLOC = 10,
  CU_GRAPH_NODE_TYPE_MEM_FREE = 11,
  CU_GRAPH_NODE_TYPE_BATCH_MEM_OP = 12,
  CU_GRAPH_NODE_TYPE_CONDITIONAL = 13,
};

inline constexpr int CU_STREAM_CAPTURE_MODE_GLOBAL = 0;
inline constexpr int CU_STREAM_CAPTURE_MODE_RELAXED = 2;
inline constexpr int CU_STREAM_CAPTURE_STATUS_NONE = 0;

// How the older entry points pass a kernel: without the last two members.
struct CUDA_KERNEL_NODE_PARAMS {
  CUfunction function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  void** params;
  void** extra;
  CUkernel kernel;
  CUcontext context;
};

struct CUDA_MEMCPY_NODE_PARAMS {
  int flags;
  int reserved;
  CUcontext context;
  CUDA_MEMCPY3D copy;
};

// How the older entry points pass a memset: without the last member.
struct CUDA_MEMSET_NODE_PARAMS {
  CUdeviceptr dst;
  size_t pitch;
  unsigned value;
  unsigned element_bytes;
  size_t width;
  size_t height;
  CUcontext context;
};

struct CUDA_HOST_NODE_PARAMS {
  CUhostFn function;
  void* user_data;
};

struct CUDA_CHILD_GRAPH_NODE_PARAMS {
  CUgraph graph;
  int ownership;
};

struct CUDA_EVENT_RECORD_NODE_PARAMS {
  CUevent event;
};

struct CUmemPoolProps {
  int type;
  int handle_types;
  CUmemLocation location;
  void* win32_security_attributes;
  size_t max_bytes;
  unsigned short usage;
  unsigned char reserved[54];
};

struct CUDA_MEM_ALLOC_NODE_PARAMS {
  CUmemPoolProps pool;
  const CUmemAccessDesc* access;
  size_t access_count;
  size_t bytes;
  CUdeviceptr address;
};

struct CUDA_MEM_FREE_NODE_PARAMS {
  CUdeviceptr address;
};

struct CUDA_CONDITIONAL_NODE_PARAMS {
  unsigned long long handle;
  int type;
  unsigned size;
  CUgraph* graphs;
  CUcontext context;
};

enum CUstreamBatchMemOpType : int {
  CU_STREAM_MEM_OP_WAIT_VALUE_32 = 1,
  CU_STREAM_MEM_OP_WRITE_VALUE_32 = 2,
  CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES = 3,
  CU_STREAM_MEM_OP_WAIT_VALUE_64 = 4,
  CU_STREAM_MEM_OP_WRITE_VALUE_64 = 5,
  CU_STREAM_MEM_OP_BARRIER = 6,
};

inline constexpr unsigned CU_STREAM_WAIT_VALUE_GEQ = 0;
inline constexpr unsigned CU_STREAM_WAIT_VALUE_EQ = 1;
inline constexpr unsigned CU_STREAM_WAIT_VALUE_AND = 2;
inline constexpr unsigned CU_STREAM_WAIT_VALUE_NOR = 3;
inline constexpr unsigned CU_STREAM_WAIT_VALUE_FLUSH = 1u << 30;
inline constexpr unsigned CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER = 1;

union CUstreamBatchMemOpParams {
  int operation;
  struct {  // of waits and writes
    int operation;
    CUdeviceptr address;
    union {
      unsigned value;
      unsigned long long value64;
    };
    unsigned flags;
    CUdeviceptr alias;
  } value;
  struct {  // of flushes and barriers
    int operation;
    unsigned flags;
  } barrier;
  unsigned long long pad[6];
};

struct CUDA_BATCH_MEM_OP_NODE_PARAMS {
  CUcontext context;
  unsigned count;
  CUstreamBatchMemOpParams* operations;
  unsigned flags;
};

struct CUgraphNodeParams {
  int type;
  int reserved0[3];
  union {
    long long reserved1[29];
    CUDA_KERNEL_NODE_PARAMS kernel;
    CUDA_MEMCPY_NODE_PARAMS memcpy;
    CUDA_MEMSET_NODE_PARAMS memset;
    CUDA_HOST_NODE_PARAMS host;
    CUDA_CHILD_GRAPH_NODE_PARAMS graph;
    CUDA_EVENT_RECORD_NODE_PARAMS event;
    CUDA_MEM_ALLOC_NODE_PARAMS alloc;
    CUDA_MEM_FREE_NODE_PARAMS free;
    CUDA_CONDITIONAL_NODE_PARAMS conditional;
    CUDA_BATCH_MEM_OP_NODE_PARAMS memory_operations;
  };
  long long reserved2;
};

struct CUgraphEdgeData {
  unsigned char from_port;
  unsigned char to_port;
  unsigned char type;
  unsigned char reserved[5];
};

struct CUgraphExecUpdateResultInfo {
  int result;
  CUgraphNode error_node;
  CUgraphNode error_from_node;
};

struct CUDA_GRAPH_INSTANTIATE_PARAMS {
  unsigned long long flags;
  CUstream upload_stream;
  CUgraphNode error_node;
  int result;
};
