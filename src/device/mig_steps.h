// The steps of a change of MIG, each remembered so that all can be undone.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "device/mig_state.h"

namespace mignificient::device {

// "3g.40gb at 4", "3g.40gb at 0 with compute instances of 2, 1"
std::string InstanceText(const ProfileTable& table, uint32_t profile_id, Placement placement,
                         const std::vector<uint32_t>& compute);

class Steps {
 public:
  explicit Steps(Nvml& nvml) : nvml_(nvml) {}

  // A change that stays pending is no error: it is in `pending()`.
  Result<> SetMode(const GpuMig& gpu, bool on);
  // A GPU instance and its compute instances.
  Result<> Destroy(uint32_t gpu, uint32_t id);
  Result<> Create(uint32_t gpu, const CreateInstance& create);

  // Undoes what was done, newest first. What cannot be undone is left: the caller looks at the GPUs.
  void Undo();

  const std::vector<std::string>& done() const { return done_; }
  const std::vector<std::string>& pending() const { return pending_; }

 private:
  struct ModeSet {
    uint32_t gpu;
    bool before;
  };
  struct Destroyed {
    uint32_t gpu;
    MigInstance instance;
  };
  struct Created {
    uint32_t gpu;
    uint32_t id;
  };

  // Compute instances of these sizes, in whatever order the driver finds room for them.
  Result<> CreateCompute(uint32_t gpu, uint32_t instance, std::vector<uint32_t> slices);
  Result<> TryCreateCompute(uint32_t gpu, uint32_t instance, const std::vector<uint32_t>& slices);
  Result<> DestroyAll(uint32_t gpu, uint32_t instance);
  Result<> Undo(const ModeSet& step);
  Result<> Undo(const Destroyed& step);
  Result<> Undo(const Created& step);

  Nvml& nvml_;
  std::vector<std::variant<ModeSet, Destroyed, Created>> journal_;
  std::vector<std::string> done_;
  std::vector<std::string> pending_;
};

}  // namespace mignificient::device
