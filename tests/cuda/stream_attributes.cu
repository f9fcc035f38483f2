// Attributes of streams: synchronization policy and access policy window, copied from one stream to another.
#include "check.h"

int main() {
  cudaStream_t a, b;
  NEED(cudaStreamCreate(&a));
  NEED(cudaStreamCreate(&b));
  cudaStreamAttrValue value = {};
  SHOW(cudaStreamGetAttribute(a, cudaStreamAttributeSynchronizationPolicy, &value));
  Print("policy", value.syncPolicy);
  value.syncPolicy = cudaSyncPolicyBlockingSync;
  SHOW(cudaStreamSetAttribute(a, cudaStreamAttributeSynchronizationPolicy, &value));
  SHOW(cudaStreamCopyAttributes(b, a));
  value = {};
  SHOW(cudaStreamGetAttribute(b, cudaStreamAttributeSynchronizationPolicy, &value));
  Print("policy", value.syncPolicy);
  value = {};
  SHOW(cudaStreamGetAttribute(b, cudaStreamAttributeAccessPolicyWindow, &value));
  Print("window bytes", value.accessPolicyWindow.num_bytes);
  SHOW(cudaCtxResetPersistingL2Cache());
}
