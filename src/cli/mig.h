// What the commands of `mignificient mig` share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "device/mig_apply.h"
#include "device/nvml.h"

namespace mignificient::cli {

struct MigFile {
  std::string file;  // "-": standard input
  std::string name;
};

// -f and -c, also from the variables that nvidia-mig-parted reads.
void AddMigFile(CLI::App& app, MigFile& options);
Result<device::MigConfig> ReadMigFile(const MigFile& options);

// The driver's, or the fake that MIGNIFICIENT_NVML names. kNotFound where there is no GPU.
Result<std::unique_ptr<device::Nvml>> OpenMigNvml();

Command AddMigList(CLI::App& parent);
Command AddMigApply(CLI::App& parent);
Command AddMigAssert(CLI::App& parent);
Command AddMigExport(CLI::App& parent);

}  // namespace mignificient::cli
