#include "remoting/server/server.h"

namespace mignificient::server {
namespace {

// Turns a driver's answer into an error that names the call.
Result<> Check(const DriverTable& driver, CUresult result, std::string_view call) {
  if (result == CUDA_SUCCESS) return {};
  const char* text = nullptr;
  if (driver.cuGetErrorString(result, &text) != CUDA_SUCCESS || text == nullptr) text = "unknown error";
  return Fail(Code::kUnavailable, "{} fails: {} (CUDA error {}).", call, text, static_cast<unsigned>(result));
}

void Describe(const DriverTable& driver, CUdevice device, CUcontext context, wire::DeviceInfo& info) {
  // What cannot be asked stays zero, which is also what CUDA answers for attributes it does not know.
  driver.cuDriverGetVersion(&info.driver_version);
  driver.cuDeviceGetName(info.name, sizeof info.name, device);
  driver.cuDeviceGetUuid_v2(&info.uuid, device);
  driver.cuCtxGetApiVersion(context, &info.context_api_version);
  driver.cuCtxGetStreamPriorityRange(&info.least_priority, &info.greatest_priority);
  for (int attribute = 1; attribute < wire::kAttributeCount; ++attribute)
    if (driver.cuDeviceGetAttribute(&info.attributes[attribute], attribute, device) != CUDA_SUCCESS)
      info.attributes[attribute] = 0;
  for (int limit = 0; limit < CU_LIMIT_COUNT; ++limit) {
    size_t value = 0;
    if (driver.cuCtxGetLimit(&value, limit) == CUDA_SUCCESS) info.limits[limit] = value;
  }
}

}  // namespace

Result<Device> OpenDevice(const DriverTable& driver, int ordinal) {
  Device device;
  device.driver = &driver;
  MIG_TRY(Check(driver, driver.cuInit(0), "cuInit"));
  MIG_TRY(Check(driver, driver.cuDeviceGet(&device.ordinal, ordinal), "cuDeviceGet"));
  MIG_TRY(Check(driver, driver.cuDevicePrimaryCtxRetain(&device.context, device.ordinal), "cuDevicePrimaryCtxRetain"));
  MIG_TRY(Check(driver, driver.cuCtxSetCurrent(device.context), "cuCtxSetCurrent"));
  size_t total = 0;
  MIG_TRY(Check(driver, driver.cuDeviceTotalMem_v2(&total, device.ordinal), "cuDeviceTotalMem"));
  device.info.total_bytes = total;
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, device.ordinal};
  size_t granule = 0;
  MIG_TRY(Check(driver, driver.cuMemGetAllocationGranularity(&granule, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
                "cuMemGetAllocationGranularity"));
  device.granule_bytes = granule;
  Describe(driver, device.ordinal, device.context, device.info);
  device.marks = std::make_shared<StreamMarks>(driver);
  return device;
}

}  // namespace mignificient::server
