#include <gtest/gtest.h>

#include "remoting/client/fake_call.h"
#include "remoting/client/versions.h"

extern "C" {
CUresult cuInit(unsigned);
CUresult cuDriverGetVersion(int*);
CUresult cuDeviceGet(CUdevice*, int);
CUresult cuDeviceGetName(char*, int, CUdevice);
CUresult cuDeviceTotalMem_v2(size_t*, CUdevice);
CUresult cuDeviceGetAttribute(int*, int, CUdevice);
CUresult cuDeviceGetPCIBusId(char*, int, CUdevice);
CUresult cuDeviceGetByPCIBusId(CUdevice*, const char*);
CUresult cuDeviceCanAccessPeer(int*, CUdevice, CUdevice);
CUresult cuDeviceGetProperties(void*, CUdevice);
}

namespace mignificient::client {
namespace {

class DeviceTest : public testing::Test {
 protected:
  void SetUp() override { fake::Reset(); }
};

TEST_F(DeviceTest, InitAttachesAndTakesNoFlags) {
  attached = Attached::kNo;
  EXPECT_EQ(cuInit(1), CUDA_ERROR_INVALID_VALUE);
  fake::Get().attach = CUDA_ERROR_NO_DEVICE;
  EXPECT_EQ(cuInit(0), CUDA_ERROR_NO_DEVICE);
  fake::Get().attach = CUDA_SUCCESS;
  EXPECT_EQ(cuInit(0), CUDA_SUCCESS);
}

TEST_F(DeviceTest, VersionIsTheLowerOfOursAndTheServers) {
  int version = 0;
  EXPECT_EQ(cuDriverGetVersion(&version), CUDA_SUCCESS);
  EXPECT_EQ(version, 13000);
  fake::Get().device.driver_version = 12040;
  EXPECT_EQ(DriverVersion(), 12040);
  fake::Get().device.driver_version = 14000;
  EXPECT_EQ(DriverVersion(), kApiVersion);
  attached = Attached::kNo;
  EXPECT_EQ(cuDriverGetVersion(&version), CUDA_SUCCESS);
  EXPECT_EQ(version, kApiVersion);
}

TEST_F(DeviceTest, ThereIsOneDeviceWithTheBudgetAsItsMemory) {
  CUdevice device = -1;
  EXPECT_EQ(cuDeviceGet(&device, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
  size_t bytes = 0;
  EXPECT_EQ(cuDeviceTotalMem_v2(&bytes, 0), CUDA_SUCCESS);
  EXPECT_EQ(bytes, size_t{8} << 30);
}

TEST_F(DeviceTest, NameIsCutToFit) {
  char name[5] = "xxxx";
  EXPECT_EQ(cuDeviceGetName(name, 4, 0), CUDA_SUCCESS);
  EXPECT_STREQ(name, "Fak");
  EXPECT_EQ(cuDeviceGetName(name, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DeviceTest, AttributesAreTheServersUnlessTheyPromiseWhatIsMissing) {
  int value = -1;
  EXPECT_EQ(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0), CUDA_SUCCESS);
  EXPECT_EQ(value, 132);
  EXPECT_EQ(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, 0), CUDA_SUCCESS);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(cuDeviceGetAttribute(&value, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(&value, 148, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(&value, -1, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(nullptr, 1, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DeviceTest, PciAddressIsWrittenAndRead) {
  char text[32];
  EXPECT_EQ(cuDeviceGetPCIBusId(text, 8, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetPCIBusId(text, sizeof text, 0), CUDA_SUCCESS);
  EXPECT_STREQ(text, "0000:1b:06.0");
  CUdevice device = -1;
  for (const char* form : {"0000:1b:06.0", "0000:1B:06", "1b:06.0", "0:1b:6.0"})
    EXPECT_EQ(cuDeviceGetByPCIBusId(&device, form), CUDA_SUCCESS) << form;
  EXPECT_EQ(cuDeviceGetByPCIBusId(&device, "0000:1c:06.0"), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuDeviceGetByPCIBusId(&device, "zzz"), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DeviceTest, DeviceIsNoPeerOfItself) {
  int can = 1;
  EXPECT_EQ(cuDeviceCanAccessPeer(&can, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(can, 0);
  EXPECT_EQ(cuDeviceCanAccessPeer(&can, 0, 1), CUDA_ERROR_INVALID_DEVICE);
}

}  // namespace
}  // namespace mignificient::client
