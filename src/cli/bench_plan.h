// From the command line of `bench` to what RunLoad takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include "base/result.h"
#include "cli/load.h"

namespace mignificient::cli {

struct BenchOptions {
  std::string address, token;
  Trust trust;
  std::string description;
  std::vector<std::string> functions;
  std::optional<std::string> payload, user;
  std::optional<int> concurrency, warmup, max_connections;
  std::optional<uint64_t> request_count, seed;
  std::optional<double> request_rate, interval_ms, replay_speed, latency_threshold_ms;
  std::optional<std::string> distribution;
  std::string intervals_file, trace_file;
  std::string csv, csv_option, plot;
  bool as_json = false;
};

void AddBenchOptions(CLI::App& app, BenchOptions& options);

struct BenchPlan {
  LoadPlan load;
  boost::json::object parameters;    // what is measured, for the JSON report; never the token
  std::vector<std::string> notices;  // sentences for a person
};

// Reads the files that the options name. kInvalidArgument where they contradict each other, naming both.
Result<BenchPlan> MakeBenchPlan(const BenchOptions& options);

}  // namespace mignificient::cli
