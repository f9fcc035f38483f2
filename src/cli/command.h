// The shape of a subcommand of `mignificient`: one function that declares its options and says what to run. main.cc
// connects them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/http_client.h"

namespace mignificient::cli {

struct Command {
  CLI::App* app;             // owned by the parent it was added to
  std::function<int()> run;  // called once after the command line was parsed; returns the exit status
};

// `program` is what follows `--` on the command line; only `run` takes one.
Command AddServe(CLI::App& parent);
Command AddInvoke(CLI::App& parent);
Command AddDeploy(CLI::App& parent);
std::vector<Command> AddFunctions(CLI::App& parent);
std::vector<Command> AddCalls(CLI::App& parent);
Command AddBench(CLI::App& parent);
Command AddRun(CLI::App& parent, std::span<const std::string> program);
Command AddDevices(CLI::App& parent);
std::vector<Command> AddMig(CLI::App& parent);  // one for each of its own commands
Command AddPs(CLI::App& parent);
Command AddTop(CLI::App& parent);
Command AddLogs(CLI::App& parent);
Command AddDoctor(CLI::App& parent);
Command AddTokenNew(CLI::App& parent);  // `token new`
Command AddKill(CLI::App& parent);
Command AddConfig(CLI::App& parent);
Command AddVersion(CLI::App& parent);

// --address, also from MIGNIFICIENT_ADDRESS.
CLI::Option* AddAddress(CLI::App& app, std::string& address);

// --token, also from MIGNIFICIENT_TOKEN (which other users of the machine cannot read): who we are to a node that has a
// token file. Only what may stand in a header.
CLI::Option* AddToken(CLI::App& app, std::string& token);

// What a command needs to talk to a node: --address, --token, --ca and --insecure.
struct NodeOptions {
  std::string address = "http://127.0.0.1:10000";
  std::string token;
  Trust trust;
};
void AddNodeOptions(CLI::App& app, NodeOptions& options);
Result<HttpClient> ClientOf(const NodeOptions& options);
// --ca and --insecure alone.
void AddTrust(CLI::App& app, Trust& trust);

// Writes `mignificient COMMAND: <sentence>` to standard error; returns the exit status of the error.
int Complain(std::string_view command, const Error& error);

// The same for an answer that is not what was asked for: the node's own sentence, and its type.
int ComplainOfAnswer(std::string_view command, const Answer& answer);

}  // namespace mignificient::cli
