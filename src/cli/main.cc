#include "cli/main.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/nearest.h"
#include "cli/command.h"
#include "cli/exit_status.h"

namespace mignificient::cli {
namespace {

constexpr const char* kAbout =
    "GPU functions as a service: runs CUDA functions and programs on slices of a GPU.\n"
    "Exit status: 0 ok, 1 function error, 2 usage or configuration, 3 cannot connect, 4 refused (try again later), "
    "5 not found, 124 timeout, 137 out of memory.";

// The innermost subcommand that the command line named.
const CLI::App& Innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Innermost(*chosen.front());
}

std::vector<std::string> KnownNames(const CLI::App& app, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const CLI::Option* option : app.get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  } else {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(command->get_name());
  }
  return names;
}

std::string Spelled(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? "mignificient" : fmt::format("{} {}", Spelled(*parent), app.get_name());
}

// Says what is wrong with an argument that no option or command takes.
void ComplainOfExtra(const CLI::App& root) {
  const CLI::App& app = Innermost(root);
  const std::vector<std::string> extras = root.remaining(true);
  const std::string extra = extras.empty() ? "" : extras.front();
  const bool option = extra.starts_with('-');
  const bool has_commands = !KnownNames(app, false).empty();
  const std::string_view name = std::string_view(extra).substr(0, extra.find('='));
  fmt::print(stderr, "{}: {} ({}) is unknown.{} See `{} --help`.\n", Spelled(app),
             option         ? "Option"
             : has_commands ? "Command"
                            : "Argument",
             name, Suggestion(name, KnownNames(app, option)), Spelled(app));
}

int RunChosen(const CLI::App& root, std::span<const Command> commands) {
  const CLI::App& chosen = Innermost(root);
  const auto found = std::find_if(commands.begin(), commands.end(), [&](const Command& c) { return c.app == &chosen; });
  if (found != commands.end()) return found->run();
  fmt::print(stderr, "{}: Name a command: {}.\n", Spelled(chosen), fmt::join(KnownNames(chosen, false), ", "));
  return kExitUsage;
}

}  // namespace

int Main(std::span<const std::string> arguments) {
  // What follows `--` belongs to the program that `run` starts: none of our parsing may touch it.
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  const bool has_program = dashes != arguments.end() && arguments.front() == "run";
  const size_t ours = has_program ? static_cast<size_t>(dashes - arguments.begin()) : arguments.size();
  const auto program = has_program ? arguments.subspan(ours + 1) : std::span<const std::string>{};

  CLI::App root(kAbout, "mignificient");
  root.require_subcommand(0, 1);  // after one command its name can be an argument: a function may be called `top`
  std::vector<Command> commands = {AddServe(root),        AddInvoke(root),  AddDeploy(root), AddBench(root),
                                   AddRun(root, program), AddDevices(root), AddPs(root),     AddKill(root),
                                   AddTop(root),          AddLogs(root),    AddDoctor(root), AddTokenNew(root),
                                   AddConfig(root),       AddVersion(root)};
  for (auto add : {AddFunctions, AddCalls, AddMig})
    for (Command& command : add(root)) commands.push_back(std::move(command));
  std::vector<std::string> reversed(arguments.begin(), arguments.begin() + static_cast<ptrdiff_t>(ours));
  std::reverse(reversed.begin(), reversed.end());  // CLI11 takes them from the back
  try {
    root.parse(reversed);
  } catch (const CLI::ExtrasError&) {
    ComplainOfExtra(root);
    return kExitUsage;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);  // --help
    fmt::print(stderr, "{}: {}. See `{} --help`.\n", Spelled(Innermost(root)), error.what(), Spelled(Innermost(root)));
    return kExitUsage;
  }
  return RunChosen(root, commands);
}

}  // namespace mignificient::cli
