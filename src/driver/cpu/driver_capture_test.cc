#include <thread>

#include "driver/cpu/graph_fixture.h"

namespace mignificient::cpu {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr int kGlobal = 0, kThreadLocal = 1, kRelaxed = 2;
constexpr int kNone = 0, kActive = 1, kInvalidated = 2;
constexpr unsigned kExternal = 1;

class DriverCaptureTest : public GraphTest {
 protected:
  void SetUp() override {
    GraphTest::SetUp();
    stream = NewStream(1);
    other = NewStream(1);
    event = NewEvent();
  }

  CUresult Begin(int mode = kRelaxed) { return cu->cuStreamBeginCapture_v2(stream, mode); }
  CUresult End() { return cu->cuStreamEndCapture(stream, &graph); }
  int Status(CUstream of) {
    int status = -1;
    EXPECT_OK(cu->cuStreamIsCapturing(of, &status));
    return status;
  }
  CUresult Affine(CUstream in, unsigned factor, unsigned term) {
    return Launch("affine", {.stream = in}, word, factor, term);
  }
  // The capture in `stream` is invalidated, and ends so.
  void ExpectInvalidated() {
    EXPECT_EQ(Status(stream), kInvalidated);
    EXPECT_CUDA(Affine(stream, 1, 1), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    graph = reinterpret_cast<CUgraph>(1);
    EXPECT_CUDA(End(), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(Status(stream), kNone);
    EXPECT_OK(Affine(stream, 1, 0));
    EXPECT_OK(cu->cuStreamSynchronize(stream));
  }

  CUstream stream = nullptr, other = nullptr;
  CUevent event = nullptr;
  CUgraph graph = nullptr;
};

TEST_F(DriverCaptureTest, WorkBecomesAChainOfNodes) {
  EXPECT_EQ(Status(stream), kNone);
  EXPECT_OK(Begin());
  EXPECT_EQ(Status(stream), kActive);
  EXPECT_EQ(Status(other), kNone);
  static std::atomic<int> ran;
  ran = 0;
  unsigned target = 0;
  EXPECT_OK(cu->cuMemsetD32Async(word, 2, 1, stream));
  EXPECT_OK(Affine(stream, 3, 1));
  EXPECT_OK(cu->cuMemcpyDtoHAsync_v2(&target, word, 4, stream));
  EXPECT_OK(cu->cuLaunchHostFunc(stream, [](void*) { ran.fetch_add(1); }, nullptr));
  EXPECT_OK(End());
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(Word(), 0u);  // nothing has run
  const auto nodes = Nodes(graph);
  std::vector<int> types;
  for (const CUgraphNode node : nodes) types.push_back(Type(node));
  EXPECT_THAT(types, ElementsAre(CU_GRAPH_NODE_TYPE_MEMSET, CU_GRAPH_NODE_TYPE_KERNEL, CU_GRAPH_NODE_TYPE_MEMCPY,
                                 CU_GRAPH_NODE_TYPE_HOST));
  EXPECT_EQ(EdgeCount(graph), 3u);
  const CUgraphExec exec = Instantiate(graph);
  EXPECT_EQ(RunAndRead(exec), 7u);
  EXPECT_EQ(target, 7u);
  EXPECT_EQ(ran.load(), 1);
}

TEST_F(DriverCaptureTest, EventsForkAndJoinStreams) {
  const CUevent back = NewEvent();
  EXPECT_OK(Begin());
  EXPECT_OK(cu->cuMemsetD32Async(word, 2, 1, stream));
  EXPECT_OK(cu->cuEventRecord(event, stream));
  EXPECT_OK(cu->cuStreamWaitEvent(other, event, 0));
  EXPECT_EQ(Status(other), kActive);
  EXPECT_OK(cu->cuMemsetD32Async(word + 4, 5, 1, other));
  EXPECT_OK(Affine(stream, 3, 0));
  EXPECT_OK(cu->cuEventRecord(back, other));
  EXPECT_OK(cu->cuStreamWaitEvent(stream, back, 0));
  EXPECT_OK(Affine(stream, 1, 1));
  EXPECT_OK(End());
  EXPECT_EQ(Status(other), kNone);
  const auto nodes = Nodes(graph);
  ASSERT_EQ(nodes.size(), 4u);  // set, set in the other stream, triple, add
  CUgraphNode found[4];
  size_t count = 4;
  EXPECT_OK(cu->cuGraphNodeGetDependencies_v2(nodes[3], found, nullptr, &count));
  EXPECT_THAT(std::vector(found, found + count), UnorderedElementsAre(nodes[1], nodes[2]));
  EXPECT_EQ(RunAndRead(Instantiate(graph)), 7u);
}

TEST_F(DriverCaptureTest, AForkThatIsNotJoinedIsAnError) {
  EXPECT_OK(Begin());
  EXPECT_OK(Affine(stream, 1, 1));
  EXPECT_OK(cu->cuEventRecord(event, stream));
  EXPECT_OK(cu->cuStreamWaitEvent(other, event, 0));
  EXPECT_OK(Affine(other, 1, 1));
  EXPECT_CUDA(cu->cuStreamEndCapture(other, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  EXPECT_CUDA(End(), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  EXPECT_EQ(graph, nullptr);
  EXPECT_EQ(Status(stream), kNone);
  EXPECT_EQ(Status(other), kNone);
}

TEST_F(DriverCaptureTest, AskingTheStreamInvalidates) {
  EXPECT_OK(Begin());
  EXPECT_CUDA(cu->cuStreamQuery(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ExpectInvalidated();
  EXPECT_OK(Begin());
  EXPECT_CUDA(cu->cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ExpectInvalidated();
  EXPECT_OK(Begin());
  EXPECT_CUDA(cu->cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ExpectInvalidated();
  EXPECT_OK(Begin());
  EXPECT_CUDA(cu->cuStreamAddCallback(
                  stream, [](CUstream, CUresult, void*) {}, nullptr, 0),
              CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ExpectInvalidated();
}

TEST_F(DriverCaptureTest, AskingACapturedEventInvalidates) {
  EXPECT_OK(Begin());
  EXPECT_OK(cu->cuEventRecord(event, stream));
  EXPECT_CUDA(cu->cuEventQuery(event), CUDA_ERROR_CAPTURED_EVENT);
  ExpectInvalidated();
  EXPECT_CUDA(cu->cuEventSynchronize(event), CUDA_ERROR_CAPTURED_EVENT);
  EXPECT_OK(cu->cuEventRecord(event, stream));  // an ordinary record again
  EXPECT_OK(cu->cuEventSynchronize(event));
}

TEST_F(DriverCaptureTest, TheLegacyStreamMayNotDependOnACapture) {
  stream = NewStream(0);
  EXPECT_OK(Begin());
  int status = 0;
  EXPECT_CUDA(cu->cuStreamIsCapturing(nullptr, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  EXPECT_EQ(Status(stream), kActive);  // asking is harmless
  EXPECT_CUDA(cu->cuMemsetD32Async(word, 1, 1, nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  ExpectInvalidated();
  EXPECT_CUDA(cu->cuStreamBeginCapture_v2(nullptr, kRelaxed), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

TEST_F(DriverCaptureTest, DependenciesMayNotCrossTheBoundary) {
  EXPECT_OK(cu->cuEventRecord(event, other));
  EXPECT_OK(Begin());
  EXPECT_CUDA(cu->cuStreamWaitEvent(stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
  ExpectInvalidated();
}

TEST_F(DriverCaptureTest, TwoCapturesMayNotMerge) {
  EXPECT_OK(Begin());
  EXPECT_OK(cu->cuStreamBeginCapture_v2(other, kRelaxed));
  EXPECT_OK(cu->cuEventRecord(event, other));
  EXPECT_CUDA(cu->cuStreamWaitEvent(stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
  EXPECT_EQ(Status(other), kInvalidated);
  ExpectInvalidated();
  EXPECT_CUDA(cu->cuStreamEndCapture(other, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

TEST_F(DriverCaptureTest, ExternalEventsBecomeNodes) {
  EXPECT_CUDA(cu->cuEventRecordWithFlags(event, stream, kExternal), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cu->cuStreamWaitEvent(stream, event, kExternal), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(Begin());
  EXPECT_OK(cu->cuStreamWaitEvent(stream, event, kExternal));
  EXPECT_OK(cu->cuEventRecordWithFlags(event, stream, kExternal));
  EXPECT_OK(cu->cuEventQuery(event));
  EXPECT_OK(End());
  const auto nodes = Nodes(graph);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(Type(nodes[0]), CU_GRAPH_NODE_TYPE_WAIT_EVENT);
  EXPECT_EQ(Type(nodes[1]), CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}

TEST_F(DriverCaptureTest, InfoTellsTheGraphAndWhatComesNext) {
  EXPECT_OK(Begin());
  EXPECT_OK(Affine(stream, 1, 1));
  int status = 0;
  unsigned long long id = 0;
  CUgraph inside = nullptr;
  const CUgraphNode* nodes = nullptr;
  size_t count = 0;
  EXPECT_OK(cu->cuStreamGetCaptureInfo_v3(stream, &status, &id, &inside, &nodes, nullptr, &count));
  EXPECT_EQ(status, kActive);
  EXPECT_NE(id, 0u);
  ASSERT_EQ(count, 1u);
  EXPECT_THAT(Nodes(inside), ElementsAre(nodes[0]));
  EXPECT_CUDA(cu->cuGraphDestroy(inside), CUDA_ERROR_INVALID_VALUE);
  // A node of the program's own, between what is captured before and after.
  const auto own = Add(inside, GraphTest::Affine(10, 0), {nodes[0]});
  CUgraphNode after[] = {own};
  EXPECT_OK(cu->cuStreamUpdateCaptureDependencies_v2(stream, after, nullptr, 1, 1));
  EXPECT_OK(Affine(stream, 1, 1));
  EXPECT_CUDA(cu->cuStreamUpdateCaptureDependencies_v2(other, after, nullptr, 1, 1), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_OK(End());
  EXPECT_EQ(graph, inside);
  EXPECT_EQ(EdgeCount(graph), 2u);
  EXPECT_EQ(RunAndRead(Instantiate(graph)), 11u);
}

TEST_F(DriverCaptureTest, CapturesIntoAGraphThatIsThere) {
  const CUgraph given = NewGraph();
  const auto set = Add(given, Memset(5));
  EXPECT_OK(cu->cuStreamBeginCaptureToGraph(stream, given, &set, nullptr, 1, kRelaxed));
  EXPECT_OK(Affine(stream, 2, 0));
  EXPECT_OK(End());
  EXPECT_EQ(graph, given);
  EXPECT_EQ(RunAndRead(Instantiate(given)), 10u);
  EXPECT_OK(cu->cuStreamBeginCaptureToGraph(stream, given, &set, nullptr, 1, kRelaxed));
  EXPECT_CUDA(cu->cuStreamQuery(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  ExpectInvalidated();
  EXPECT_EQ(NodeCount(given), 2u);  // the program's graph stays
}

TEST_F(DriverCaptureTest, LaunchedGraphsBecomeChildren) {
  const CUgraph inner = NewGraph();
  Add(inner, GraphTest::Affine(3, 0));
  const CUgraphExec exec = Instantiate(inner);
  EXPECT_OK(Begin());
  EXPECT_OK(cu->cuMemsetD32Async(word, 2, 1, stream));
  EXPECT_OK(cu->cuGraphLaunch(exec, stream));
  EXPECT_OK(End());
  const auto nodes = Nodes(graph);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(Type(nodes[1]), CU_GRAPH_NODE_TYPE_GRAPH);
  EXPECT_EQ(RunAndRead(Instantiate(graph)), 6u);
}

TEST_F(DriverCaptureTest, CallsOutOfPlaceAreRefused) {
  EXPECT_CUDA(End(), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_CUDA(Begin(3), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(Begin(kThreadLocal));
  EXPECT_CUDA(Begin(), CUDA_ERROR_ILLEGAL_STATE);
  std::thread([this] {
    EXPECT_OK(cu->cuCtxSetCurrent(context));
    EXPECT_CUDA(End(), CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  }).join();
  EXPECT_OK(End());
  EXPECT_EQ(NodeCount(graph), 0u);
  EXPECT_OK(Begin(kGlobal));
  EXPECT_OK(cu->cuStreamDestroy_v2(stream));
  EXPECT_OK(cu->cuCtxSynchronize());  // its capture ended with it
  int mode = kRelaxed;
  EXPECT_OK(cu->cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, kGlobal);
  EXPECT_OK(cu->cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, kRelaxed);
}

}  // namespace
}  // namespace mignificient::cpu
