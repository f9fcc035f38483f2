"""Asks libnvidia-ml.so.1 as real programs do, one case per argument: raises where an answer is not as it should be."""
import ctypes
import os
import re
import subprocess
import sys

from driver_api import MIB, Driver

SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND, INSUFFICIENT_SIZE, TIMEOUT = 0, 1, 2, 3, 6, 7, 10
DRIVER_NOT_LOADED, VERSION_MISMATCH = 9, 25
BUDGET = 512 * MIB

nvml = ctypes.CDLL("libnvidia-ml.so.1")
nvml.nvmlErrorString.restype = ctypes.c_char_p


# As pynvml declares them.
class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class MemoryV2(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint)] + [(n, ctypes.c_ulonglong) for n in ("total", "reserved", "free", "used")]


class PciInfo(ctypes.Structure):
    _fields_ = [("busIdLegacy", ctypes.c_char * 16), ("domain", ctypes.c_uint), ("bus", ctypes.c_uint),
                ("device", ctypes.c_uint), ("pciDeviceId", ctypes.c_uint), ("pciSubSystemId", ctypes.c_uint),
                ("busId", ctypes.c_char * 32)]


class ProcessInfo(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("usedGpuMemory", ctypes.c_ulonglong), ("gpuInstanceId", ctypes.c_uint),
                ("computeInstanceId", ctypes.c_uint)]


class FieldValue(ctypes.Structure):
    _fields_ = [("fieldId", ctypes.c_uint32), ("scopeId", ctypes.c_uint32), ("timestamp", ctypes.c_int64),
                ("latencyUsec", ctypes.c_int64), ("valueType", ctypes.c_uint), ("nvmlReturn", ctypes.c_uint),
                ("value", ctypes.c_double)]


def expect(code, wanted=SUCCESS):
    assert code == wanted, f"{code} (expected {wanted})"


def handle():
    expect(nvml.nvmlInit_v2())
    device = ctypes.c_void_p()
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)))
    return device


def text(function, *arguments, size=96):
    buffer = ctypes.create_string_buffer(size)
    expect(function(*arguments, buffer, ctypes.c_uint(size)))
    return buffer.value.decode()


def number(function, *arguments, kind=ctypes.c_uint):
    value = kind(77)
    expect(function(*arguments, ctypes.byref(value)))
    return value.value


def used(device):
    memory = Memory()
    expect(nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)))
    assert memory.total == BUDGET and memory.free + memory.used == BUDGET
    return memory.used


def processes(device):
    count = ctypes.c_uint(0)
    code = nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(count), None)
    if code == SUCCESS:
        assert count.value == 0
        return []
    expect(code, INSUFFICIENT_SIZE)
    infos = (ProcessInfo * count.value)()
    expect(nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(count), infos))
    return [(info.pid, info.usedGpuMemory) for info in infos]


def as_torch():
    """What torch.cuda.device_count and torch.cuda._raw_device_uuid_nvml call."""
    expect(nvml.nvmlInit())
    count = ctypes.c_int(-1)
    expect(nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)))
    assert count.value == 1
    device = ctypes.c_void_p()
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)))
    buffer = ctypes.create_string_buffer(96)
    expect(nvml.nvmlDeviceGetUUID(device, buffer, 96))
    uuid = buffer.raw.decode("ascii").strip("\0")
    assert re.fullmatch(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid), uuid
    bytes_ = (ctypes.c_ubyte * 16)()
    Driver().start().cuDeviceGetUuid(bytes_, 0)
    assert bytes(bytes_).hex() == uuid.removeprefix("GPU-").replace("-", "")
    again = ctypes.c_void_p()
    expect(nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(again)))
    assert again.value == device.value
    expect(nvml.nvmlDeviceGetHandleByUUID(b"GPU-of-somebody-else", ctypes.byref(again)), NOT_FOUND)


def memory_is_the_containers():
    device = handle()
    assert used(device) == 0 and processes(device) == []
    driver = Driver().start()
    address = driver.allocate(100 * MIB)
    driver.check()  # waits, so that the server has carried out what came before
    assert 100 * MIB <= used(device) <= 104 * MIB
    assert processes(device) == [(os.getpid(), used(device))]
    version2 = MemoryV2(version=ctypes.sizeof(MemoryV2) | 2 << 24)
    expect(nvml.nvmlDeviceGetMemoryInfo_v2(device, ctypes.byref(version2)))
    assert (version2.total, version2.used, version2.reserved) == (BUDGET, used(device), 0)
    expect(nvml.nvmlDeviceGetMemoryInfo_v2(device, ctypes.byref(MemoryV2(version=1))), VERSION_MISMATCH)
    driver.free(address)


def it_is_the_device_of_the_driver():
    driver, device = Driver().start(), handle()
    name = ctypes.create_string_buffer(96)
    driver.cuDeviceGetName(name, 96, 0)
    assert text(nvml.nvmlDeviceGetName, device) == name.value.decode()
    pci, bus = PciInfo(), ctypes.create_string_buffer(32)
    expect(nvml.nvmlDeviceGetPciInfo_v3(device, ctypes.byref(pci)))
    driver.cuDeviceGetPCIBusId(bus, 32, 0)
    assert pci.busId.decode()[4:].lower() == pci.busIdLegacy.decode().lower() == bus.value.decode().lower()
    short = (ctypes.c_char * 68)(*b"\xee" * 68)
    expect(nvml.nvmlDeviceGetPciInfo(device, short))
    assert bytes(short)[:32] == bytes(pci)[:32] and bytes(short)[32:] == b"\xee" * 36
    same = ctypes.c_void_p()
    for spelling in (pci.busId, pci.busIdLegacy, bus.value):
        expect(nvml.nvmlDeviceGetHandleByPciBusId_v2(spelling, ctypes.byref(same)))
        assert same.value == device.value
    expect(nvml.nvmlDeviceGetHandleByPciBusId_v2(b"0001:ff:1f.0", ctypes.byref(same)), NOT_FOUND)
    major, minor = ctypes.c_int(), ctypes.c_int()
    expect(nvml.nvmlDeviceGetCudaComputeCapability(device, ctypes.byref(major), ctypes.byref(minor)))
    want = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceComputeCapability(ctypes.byref(want[0]), ctypes.byref(want[1]), 0)
    assert (major.value, minor.value) == (want[0].value, want[1].value)
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    assert number(nvml.nvmlSystemGetCudaDriverVersion_v2, kind=ctypes.c_int) == version.value
    assert text(nvml.nvmlSystemGetNVMLVersion).startswith(f"{version.value // 1000}.")
    assert text(nvml.nvmlSystemGetDriverVersion, size=80)
    for function in (nvml.nvmlDeviceGetIndex, nvml.nvmlDeviceGetMinorNumber, nvml.nvmlDeviceGetMaxMigDeviceCount):
        assert number(function, device) == 0
    current, pending = ctypes.c_uint(9), ctypes.c_uint(9)
    expect(nvml.nvmlDeviceGetMigMode(device, ctypes.byref(current), ctypes.byref(pending)))
    assert (current.value, pending.value) == (0, 0)
    cpus = (ctypes.c_ulong * 16)()
    expect(nvml.nvmlDeviceGetCpuAffinity(device, 16, cpus))
    assert {64 * i + bit for i, word in enumerate(cpus) for bit in range(64) if word >> bit & 1} == os.sched_getaffinity(0)


def as_nccl():
    """What ncclNvmlEnsureInitialized and ncclNvmlGetCCStatus fail without."""
    device = handle()
    for index in (0, 1):
        assert number(lambda *a: nvml.nvmlDeviceGetP2PStatus(device, device, index, *a)) == 5  # not supported
    settings = (ctypes.c_uint * 5)(20 | 1 << 24, 9, 9, 9, 9)
    expect(nvml.nvmlSystemGetConfComputeSettings(settings))
    assert list(settings)[1:] == [0, 0, 0, 0]
    active = ctypes.c_uint()
    expect(nvml.nvmlDeviceGetNvLinkState(device, 0, ctypes.byref(active)), NOT_SUPPORTED)
    fields = (FieldValue * 2)(FieldValue(fieldId=91), FieldValue(fieldId=146))
    expect(nvml.nvmlDeviceGetFieldValues(device, 2, fields))
    assert [field.nvmlReturn for field in fields] == [NOT_SUPPORTED, NOT_SUPPORTED]


def nothing_of_the_host():
    device = handle()
    Driver().start()
    buffer = ctypes.create_string_buffer(96)
    for function in ("nvmlDeviceGetSerial", "nvmlDeviceGetVbiosVersion", "nvmlDeviceGetBoardPartNumber"):
        expect(getattr(nvml, function)(device, buffer, 96), NOT_SUPPORTED)
    for function in ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTotalEnergyConsumption"):
        expect(getattr(nvml, function)(device, buffer), NOT_SUPPORTED)
    expect(nvml.nvmlSystemGetProcessName(1, buffer, 96), NOT_FOUND)
    expect(nvml.nvmlSystemGetProcessName(os.getpid(), buffer, 96))
    assert "python" in buffer.value.decode()
    expect(nvml.nvmlSystemGetProcessName(os.getpid(), buffer, 4))
    assert len(buffer.value) == 3


def arguments_are_checked():
    device = ctypes.c_void_p()
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)), UNINITIALIZED)
    expect(nvml.nvmlShutdown(), UNINITIALIZED)
    expect(nvml.nvmlInit_v2())
    expect(nvml.nvmlInit_v2())
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)))
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(1, ctypes.byref(device)), INVALID_ARGUMENT)
    expect(nvml.nvmlDeviceGetHandleByIndex_v2(0, None), INVALID_ARGUMENT)
    stray = ctypes.c_void_p(0x1234)
    memory, buffer = Memory(), ctypes.create_string_buffer(96)
    for wrong in (stray, None):
        expect(nvml.nvmlDeviceGetMemoryInfo(wrong, ctypes.byref(memory)), INVALID_ARGUMENT)
        expect(nvml.nvmlDeviceGetName(wrong, buffer, 96), INVALID_ARGUMENT)
    expect(nvml.nvmlDeviceGetMemoryInfo(device, None), INVALID_ARGUMENT)
    expect(nvml.nvmlDeviceGetName(device, buffer, 3), INSUFFICIENT_SIZE)
    expect(nvml.nvmlShutdown())
    used(device)  # as often as it was initialised
    expect(nvml.nvmlShutdown())
    expect(nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)), UNINITIALIZED)
    assert nvml.nvmlErrorString(DRIVER_NOT_LOADED) == b"Driver Not Loaded"
    assert nvml.nvmlErrorString(999) == nvml.nvmlErrorString(-1) == b"Unknown Error"


def every_other_function_says_not_supported():
    own = subprocess.run(["nm", "-D", "--defined-only", sys.argv[2]], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in own.splitlines()}
    with open(sys.argv[3]) as file:
        listed = re.findall(r"^MIG_UNSUPPORTED\((\w+)\)", file.read(), re.M)
    assert len(listed) > 300 and set(listed) < exported
    for name in listed:
        expect(getattr(nvml, name)(None, None, None, None), NOT_SUPPORTED)


def after_fork():
    device = handle()
    driver = Driver().start()
    driver.allocate(16 * MIB)
    driver.check()
    child = os.fork()
    if child == 0:
        same = used(device) >= 16 * MIB and [pid for pid, _ in processes(device)] == [os.getppid()]
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    used(device)


def asking_opens_no_channel():
    device = handle()
    for _ in range(100):
        used(device)
    assert processes(device) == []
    assert len(os.listdir("/proc/self/fd")) < 20


def without_a_door():
    del os.environ["MIGNIFICIENT_GPU_DOOR"]
    expect(nvml.nvmlInit_v2(), DRIVER_NOT_LOADED)
    expect(nvml.nvmlDeviceGetCount_v2(ctypes.byref(ctypes.c_uint())), UNINITIALIZED)


def private_table():
    """How nvidia-smi of driver 580 asks for the processes."""
    handle()
    driver = Driver().start()
    driver.allocate(16 * MIB)
    driver.check()
    table = ctypes.POINTER(ctypes.c_void_p)()
    guid = bytes.fromhex("c4fe3e6cc98f6c4ea327ee696e12f7c4")
    expect(nvml.nvmlInternalGetExportTable(ctypes.byref(table), guid))
    assert table[0] == 4096
    device = ctypes.c_void_p()
    expect(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)(table[81])(0, ctypes.addressof(device)))
    entry = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    count, entries = ctypes.c_uint(2), ctypes.create_string_buffer(2 * 4128)
    expect(entry(table[213])(device, ctypes.addressof(count), ctypes.addressof(entries)))
    assert count.value == 1
    assert int.from_bytes(entries.raw[:4], "little") == os.getpid()
    assert b"python" in entries.raw[32:4128].split(b"\0")[0]
    expect(entry(table[100])(device, None, None), NOT_SUPPORTED)
    expect(nvml.nvmlInternalGetExportTable(ctypes.byref(table), bytes(16)), NOT_FOUND)
    assert not table


def event_sets_stay_empty():
    """nvidia-smi makes one before it prints anything."""
    events, event = ctypes.c_void_p(), ctypes.create_string_buffer(64)
    expect(nvml.nvmlEventSetCreate(ctypes.byref(events)), UNINITIALIZED)
    device = handle()
    expect(nvml.nvmlEventSetCreate(None), INVALID_ARGUMENT)
    expect(nvml.nvmlEventSetCreate(ctypes.byref(events)))
    expect(nvml.nvmlDeviceRegisterEvents(device, ctypes.c_ulonglong(8), events), NOT_SUPPORTED)
    expect(nvml.nvmlEventSetWait_v2(events, event, 0), TIMEOUT)
    expect(nvml.nvmlEventSetWait_v2(events, None, 0), INVALID_ARGUMENT)
    expect(nvml.nvmlEventSetWait_v2(device, event, 0), INVALID_ARGUMENT)
    expect(nvml.nvmlEventSetFree(events))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("ok")
