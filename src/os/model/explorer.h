// Runs a few threads in every order in which their shared accesses can take place, and with every value that the C++
// memory model lets a load return, and says which of these executions breaks a check, races, or leaves everybody
// asleep.
//
// The threads are plain functions that use os::Atomic, os::ReadShared, os::FutexWait and so on, built with
// MIGNIFICIENT_MODEL (os/atomic.h). Each runs on a stack of its own; before each shared access the explorer decides who
// goes on. An execution is the list of these decisions; the next one differs in the last decision that has another
// option. Orders that differ only in accesses that do not touch each other are tried once (sleep sets: Godefroid,
// "Partial-Order Methods for the Verification of Concurrent Systems").
//
// Memory: an atomic is the list of the values it has had. A thread may read any of them that is not older than what it
// has already seen or been told of; it is told by acquiring what was released, by fences and by seq_cst accesses. So
// stores are seen late, and in different orders by different threads, unless something forbids it. Plain memory is
// checked for races: two accesses, one a write, that nothing orders. Stores enter the list in the order in which they
// are executed, which hides one thing that C++ would allow (a store that ends up older than one executed before it).
// os::BarrierEverywhere makes each thread execute a fence at the last CompilerFence() that it has passed. Futexes sleep
// until they are woken; their timeouts never end, so that a lost wake-up is a deadlock.
//
// A mutation weakens or drops accesses, without a change to the code: a test that finds none of them shows nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mignificient::os::model {

enum class Op : uint8_t { kLoad, kStore, kUpdate, kFence, kCompilerFence, kBarrier, kWait, kWake };

// Which accesses to change: those of kind `op`, to the atomic of that name (empty: any), of one thread (-1: any).
struct Mutation {
  Op op{};
  std::string name;
  int thread = -1;
  // Dropped accesses do nothing (a load then returns the oldest value that it may); others become relaxed.
  bool drop = false;
};

// What one execution starts with.
struct World {
  std::vector<std::function<void()>> threads;  // at most kMostThreads
  std::function<void()> at_end = [] {};        // checks, once all threads have ended
};
inline constexpr int kMostThreads = 4;
inline constexpr int kMostAtomics = 16;

struct Options {
  std::vector<Mutation> mutations;
  int spurious_wakes = 0;                 // so many times per execution a futex may return without having been woken
  uint64_t most_executions = 20'000'000;  // exceeding it is a failure
  uint32_t most_steps = 500;              // of one execution; exceeding it is a failure
};

struct Outcome {
  std::string failure;  // empty: none. What went wrong, and the accesses that led there
  uint64_t executions = 0;
  uint64_t pruned = 0;  // begun, and found to be equal to another one
};

// Builds the world anew for each execution; atomics that it makes belong to that execution.
Outcome Explore(const std::function<World()>& build, const Options& options = {});

// In a thread or at_end: the execution has failed unless `holds`.
void Check(bool holds, const char* what);
// In build(): how mutations and traces call an atomic.
void Name(const void* atomic, std::string name);

// --- For os/model/atomic.h
// ---------------------------------------------------------------------------------------------

using Combine = uint64_t (*)(uint64_t old, uint64_t operand);

void Register(const void* atomic);  // value 0
uint64_t Load(const void* atomic, std::memory_order order);
void Store(const void* atomic, uint64_t value, std::memory_order order);
uint64_t Update(const void* atomic, Combine combine, uint64_t operand, std::memory_order order);
bool CompareExchange(const void* atomic, uint64_t& expected, uint64_t desired, std::memory_order success,
                     std::memory_order failure);
void Fence();
void CompilerFence();
void AccessPlain(const void* address, size_t bytes, bool write);

}  // namespace mignificient::os::model
