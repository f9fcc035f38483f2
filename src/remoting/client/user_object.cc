// User objects: counted references to something of the program, held by the program and by graphs. When the last one
// goes, the program's destructor runs, here, on the thread that let it go.

#include <map>
#include <memory>
#include <mutex>

#include "remoting/client/graph.h"
#include "remoting/client/handle_names.h"

using CUuserObject = struct CUuserObject_st*;

namespace mignificient::client {
namespace {

struct UserObject {
  void* pointer;
  CUhostFn destroy;
  unsigned references;
};

struct Objects {
  std::mutex lock;
  HandleNames<std::shared_ptr<UserObject>> names{wire::HandleKind::kUserObject};
  std::map<uint64_t, std::map<uint64_t, unsigned>> of_graphs;  // graph or executable -> object -> references
};

Objects& All() {
  static Objects& objects = *new Objects;
  return objects;
}

constexpr unsigned kNoDestructorSync = 1, kMove = 1;

// Gives `count` references back; the destructor to run, if they were the last, is called by the caller without the
// lock.
CUresult DropLocked(uint64_t name, unsigned count, UserObject& dead) {
  const auto object = All().names.Find(name);
  if (!object) return CUDA_ERROR_INVALID_VALUE;
  if (count == 0 || count > (*object)->references) return CUDA_ERROR_INVALID_VALUE;
  (*object)->references -= count;
  if ((*object)->references > 0) return CUDA_SUCCESS;
  dead = **object;
  All().names.Destroy(name);
  return CUDA_SUCCESS;
}

void Destroy(const UserObject& dead) {
  if (dead.destroy != nullptr) dead.destroy(dead.pointer);
}

CUresult Drop(uint64_t name, unsigned count) {
  UserObject dead{};
  CUresult result;
  {
    const std::lock_guard lock(All().lock);
    result = DropLocked(name, count, dead);
  }
  Destroy(dead);
  return result;
}

}  // namespace

void InheritUserObjects(uint64_t from, uint64_t to) {
  const std::lock_guard lock(All().lock);
  const auto held = All().of_graphs.find(from);
  if (held == All().of_graphs.end()) return;
  for (const auto& [name, count] : held->second)
    if (const auto object = All().names.Find(name)) (*object)->references += count;
  const auto copy = held->second;
  All().of_graphs[to] = copy;
}

void ReleaseUserObjectsOf(uint64_t graph) {
  std::map<uint64_t, unsigned> held;
  {
    const std::lock_guard lock(All().lock);
    if (auto node = All().of_graphs.extract(graph); !node.empty()) held = std::move(node.mapped());
  }
  for (const auto& [name, count] : held) Drop(name, count);
}

MIG_EXPORT CUresult cuUserObjectCreate(CUuserObject* object, void* pointer, CUhostFn destroy, unsigned references,
                                       unsigned flags) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (object == nullptr || destroy == nullptr || references == 0 || flags != kNoDestructorSync)
    return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(All().lock);
  const uint64_t name = All().names.Create(std::make_shared<UserObject>(UserObject{pointer, destroy, references}));
  *object = HandleOf<CUuserObject>(name);
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuUserObjectRetain(CUuserObject object, unsigned count) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(All().lock);
  const auto found = All().names.Find(NameOf(object));
  if (!found) return CUDA_ERROR_INVALID_VALUE;
  if (count == 0) return CUDA_ERROR_INVALID_VALUE;
  (*found)->references += count;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuUserObjectRelease(CUuserObject object, unsigned count) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  return Drop(NameOf(object), count);
}

MIG_EXPORT CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned count, unsigned flags) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  if (graph == nullptr || count == 0 || flags > kMove) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(All().lock);
  const auto found = All().names.Find(NameOf(object));
  if (!found) return CUDA_ERROR_INVALID_VALUE;
  if (flags != kMove)
    (*found)->references += count;
  else if (count > (*found)->references)
    return CUDA_ERROR_INVALID_VALUE;
  All().of_graphs[NameOf(graph)][NameOf(object)] += count;
  return CUDA_SUCCESS;
}

MIG_EXPORT CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned count) {
  if (const CUresult result = Initialized(); result != CUDA_SUCCESS) return result;
  {
    const std::lock_guard lock(All().lock);
    auto& held = All().of_graphs[NameOf(graph)];
    const auto found = held.find(NameOf(object));
    if (found == held.end() || count == 0 || count > found->second) return CUDA_ERROR_INVALID_VALUE;
    found->second -= count;
    if (found->second == 0) held.erase(found);
  }
  return Drop(NameOf(object), count);
}

}  // namespace mignificient::client
