// Events and streams that were found complete: they stay so until something is recorded or launched, whoever does that.
#include <thread>

#include "gate.h"

namespace {

// Asked more than once: what is known the second time must be what was answered the first time.
void Twice(const char* what, cudaEvent_t event) {
  for (int i = 0; i < 2; ++i) std::printf("%s: query %s\n", what, cudaGetErrorName(cudaEventQuery(event)));
}
void Complete(const char* what, cudaEvent_t event) {
  std::printf("%s: synchronize %s\n", what, cudaGetErrorName(cudaEventSynchronize(event)));
  Twice(what, event);
}
void Twice(const char* what, cudaStream_t stream) {
  for (int i = 0; i < 2; ++i) std::printf("%s: query %s\n", what, cudaGetErrorName(cudaStreamQuery(stream)));
}

void RecordedAnew(cudaStream_t stream, cudaEvent_t event) {
  Complete("never recorded", event);
  NEED(cudaEventRecord(event, stream));
  Complete("recorded", event);
  NEED(cudaEventRecord(event, stream));
  Complete("recorded where nothing is left to do", event);
  Gate gate;
  gate.CloseOn(stream);
  Twice("launched, not recorded", event);
  NEED(cudaEventRecord(event, stream));
  Twice("recorded behind a kernel", event);
  gate.Open();
  Complete("the kernel is over", event);
}

void RecordedByAnotherThread(cudaStream_t stream, cudaEvent_t event) {
  Gate gate;
  std::thread([&] {
    NEED(cudaSetDevice(0));
    gate.CloseOn(stream);
    NEED(cudaEventRecord(event, stream));
  }).join();
  Twice("recorded by another thread", event);
  std::thread([&] { gate.Open(); }).join();
  Complete("that is over", event);
}

void RecordedByAGraph(cudaStream_t stream, cudaEvent_t event) {
  cudaGraph_t graph;
  NEED(cudaGraphCreate(&graph, 0));
  cudaGraphNode_t node;
  NEED(cudaGraphAddEventRecordNode(&node, graph, nullptr, 0, event));
  cudaGraphExec_t exec;
  NEED(cudaGraphInstantiate(&exec, graph, 0));
  NEED(cudaGraphLaunch(exec, stream));
  NEED(cudaStreamSynchronize(stream));
  Complete("recorded by a graph", event);
  Gate gate;
  gate.CloseOn(stream);
  NEED(cudaGraphLaunch(exec, stream));
  Twice("recorded by a graph behind a kernel", event);
  gate.Open();
  Complete("the graph is over", event);
}

void RecordedInACapture(cudaStream_t stream, cudaEvent_t event) {
  cudaGraph_t graph;
  NEED(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  NEED(cudaEventRecordWithFlags(event, stream, cudaEventRecordExternal));
  NEED(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec;
  NEED(cudaGraphInstantiate(&exec, graph, 0));
  NEED(cudaGraphUpload(exec, stream));
  NEED(cudaStreamSynchronize(stream));
  Complete("captured as a node", event);
  Gate gate;
  gate.CloseOn(stream);
  NEED(cudaGraphLaunch(exec, stream));
  Twice("recorded by what was captured", event);
  gate.Open();
  Complete("that graph is over", event);
}

// A record in one blocking stream waits for the legacy stream, however idle it was found itself.
void RecordedBehindTheLegacyStream(cudaStream_t blocking, cudaEvent_t event) {
  NEED(cudaEventRecord(event, blocking));
  Complete("in a blocking stream", event);
  Gate gate;
  gate.CloseOn(nullptr);
  NEED(cudaEventRecord(event, blocking));
  Twice("behind the legacy stream", event);
  gate.Open();
  Complete("the legacy stream is over", event);
}

void Streams(cudaStream_t one, cudaStream_t other) {
  NEED(cudaDeviceSynchronize());
  Twice("idle", one);
  Gate gate;
  gate.CloseOn(other);
  Twice("another one is busy", one);
  Twice("busy", other);
  gate.Open();
  NEED(cudaStreamSynchronize(other));
  Twice("over", other);
  cudaEvent_t event;
  NEED(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  Gate second;
  second.CloseOn(other);
  NEED(cudaEventRecord(event, other));
  NEED(cudaStreamWaitEvent(one, event, 0));
  Twice("waits for the other", one);
  second.Open();
  NEED(cudaStreamSynchronize(one));
  Twice("has waited", one);
}

}  // namespace

int main() {
  PRELOAD(WaitAtGate);
  cudaStream_t one, other, blocking;
  NEED(cudaStreamCreateWithFlags(&one, cudaStreamNonBlocking));
  NEED(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  NEED(cudaStreamCreate(&blocking));
  for (const unsigned flags : {cudaEventDisableTiming, cudaEventDefault}) {
    cudaEvent_t event;
    NEED(cudaEventCreateWithFlags(&event, flags));
    RecordedAnew(one, event);
    RecordedByAnotherThread(one, event);
    RecordedBehindTheLegacyStream(blocking, event);
    RecordedByAGraph(one, event);
    RecordedInACapture(one, event);
  }
  Streams(one, other);
  // A name that is used again says nothing of what had it before.
  for (int i = 0; i < 2; ++i) {
    cudaEvent_t event;
    NEED(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    Gate gate;
    gate.CloseOn(one);
    NEED(cudaEventRecord(event, one));
    Twice("of a new event", event);
    gate.Open();
    Complete("it is over", event);
    NEED(cudaEventDestroy(event));
  }
  // Two events with times: what lies between them is measured, also where nothing lies between.
  cudaEvent_t begin, end;
  NEED(cudaEventCreate(&begin));
  NEED(cudaEventCreate(&end));
  float milliseconds = -1;
  NEED(cudaEventRecord(begin, one));
  NEED(cudaEventSynchronize(begin));
  NEED(cudaEventRecord(end, one));
  NEED(cudaEventSynchronize(end));
  SHOW(cudaEventElapsedTime(&milliseconds, begin, end));
  Print("not before", milliseconds >= 0);
}
