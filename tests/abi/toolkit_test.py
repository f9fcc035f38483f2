"""api/ and src/abi/cuda.h against the toolkit's headers and stub library. Skipped where no toolkit is installed."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release"))
CUDA = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
INCLUDE = CUDA / "include"
STUB = CUDA / "lib64/stubs/libcuda.so"

sys.path.insert(0, str(ROOT / "codegen"))
import model  # noqa: E402

pytestmark = pytest.mark.skipif(not (INCLUDE / "cuda.h").exists(), reason=f"no CUDA toolkit at {CUDA}")


@pytest.fixture(scope="module")
def entries():
    return model.load(ROOT / "api")


@pytest.fixture(scope="module")
def decided(entries):
    return {symbol for entry in entries for symbol in entry.symbols}


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in lines.splitlines()}


def test_every_function_of_the_headers_is_decided(decided):
    source = "#include <cuda.h>\n#include <cudaProfiler.h>\n"
    text = subprocess.run(
        ["g++", "-E", "-x", "c++", "-D__CUDA_API_VERSION_INTERNAL", f"-I{INCLUDE}", "-"],
        input=source, capture_output=True, text=True, check=True,
    ).stdout
    declared = set(re.findall(r"^\s*CUresult\s+(cu[A-Z]\w*)\s*\(", text, re.M))
    assert len(declared) > 400
    assert sorted(declared - decided) == []


@pytest.mark.skipif(not STUB.exists(), reason=f"no stub library at {STUB}")
def test_every_symbol_of_the_stub_is_decided(decided):
    assert sorted(s for s in exported(STUB) if s.startswith("cu") and s not in decided) == []


@pytest.mark.skipif(not STUB.exists(), reason=f"no stub library at {STUB}")
def test_our_library_exports_the_stubs_symbols_and_nothing_but_decided_ones(decided):
    library = BUILD / "lib/libcuda.so.1"
    if not library.exists():
        pytest.skip(f"{library} is not built")
    ours = exported(library)
    assert sorted(exported(STUB) - ours) == []
    assert sorted(ours - decided) == ["mignificient_finish", "mignificient_stand_in"]


def test_versions_are_those_of_the_typedefs(entries):
    """cudaTypedefs.h names each function's type by the version that it came with."""
    text = "".join((INCLUDE / name).read_text() for name in ("cudaTypedefs.h", "cudaProfilerTypedefs.h"))
    theirs = {(name, int(version), variant[1:]) for name, version, variant in
              re.findall(r"\*PFN_(cu\w+?)_v(\d+)(_ptsz|_ptds)?\)", text)}
    bases = {name for name, _, _ in theirs}
    ours = set()
    for entry in entries:
        if entry.base in bases and entry.version:
            ours.add((entry.base, entry.version, ""))
        if entry.base in bases and entry.variant:
            ours.add((entry.base, entry.variant_version, entry.variant))
    assert ours == theirs


# Names of ours that the toolkit spells otherwise.
RENAMED = {"CU_LIMIT_COUNT": "CU_LIMIT_MAX", "CU_FUNC_ATTRIBUTE_COUNT": "CU_FUNC_ATTRIBUTE_MAX"}
EXPRESSIONS = {
    "kLaunchParamEnd": "CU_LAUNCH_PARAM_END",
    "kLaunchParamBufferPointer": "CU_LAUNCH_PARAM_BUFFER_POINTER",
    "kLaunchParamBufferSize": "CU_LAUNCH_PARAM_BUFFER_SIZE",
    "CuStreamLegacy()": "CU_STREAM_LEGACY",
    "CuStreamPerThread()": "CU_STREAM_PER_THREAD",
}
# Type: members of ours and the toolkit's name of each.
LAYOUTS = {
    ("CUuuid", "CUuuid"): {"bytes": "bytes"},
    ("CUmemLocation", "CUmemLocation"): {"type": "type", "id": "id"},
    ("CUmemAllocationProp", "CUmemAllocationProp"): {
        "type": "type",
        "requested_handle_types": "requestedHandleTypes",
        "location": "location",
        "win32_handle_meta_data": "win32HandleMetaData",
        "alloc_flags": "allocFlags",
    },
    ("CUmemAccessDesc", "CUmemAccessDesc"): {"location": "location", "flags": "flags"},
    ("CUDA_MEMCPY3D", "CUDA_MEMCPY3D"): {
        "src_x_bytes": "srcXInBytes", "src_y": "srcY", "src_z": "srcZ", "src_lod": "srcLOD",
        "src_memory_type": "srcMemoryType", "src_host": "srcHost", "src_device": "srcDevice", "src_array": "srcArray",
        "src_pitch": "srcPitch", "src_height": "srcHeight",
        "dst_x_bytes": "dstXInBytes", "dst_y": "dstY", "dst_z": "dstZ", "dst_lod": "dstLOD",
        "dst_memory_type": "dstMemoryType", "dst_host": "dstHost", "dst_device": "dstDevice", "dst_array": "dstArray",
        "dst_pitch": "dstPitch", "dst_height": "dstHeight",
        "width_bytes": "WidthInBytes", "height": "Height", "depth": "Depth",
    },
    ("CUlaunchAttributeValue", "CUlaunchAttributeValue"): {"bytes": "pad"},
    ("CUDA_KERNEL_NODE_PARAMS", "CUDA_KERNEL_NODE_PARAMS_v3"): {
        "function": "func", "shared_bytes": "sharedMemBytes", "params": "kernelParams", "extra": "extra",
        "kernel": "kern", "context": "ctx",
    },
    ("CUDA_MEMCPY_NODE_PARAMS", "CUDA_MEMCPY_NODE_PARAMS"): {"flags": "flags", "context": "copyCtx", "copy": "copyParams"},
    ("CUDA_MEMSET_NODE_PARAMS", "CUDA_MEMSET_NODE_PARAMS_v2"): {
        "dst": "dst", "pitch": "pitch", "value": "value", "element_bytes": "elementSize", "width": "width",
        "height": "height", "context": "ctx",
    },
    ("CUDA_HOST_NODE_PARAMS", "CUDA_HOST_NODE_PARAMS_v2"): {"function": "fn", "user_data": "userData"},
    ("CUDA_CHILD_GRAPH_NODE_PARAMS", "CUDA_CHILD_GRAPH_NODE_PARAMS"): {"graph": "graph", "ownership": "ownership"},
    ("CUDA_EVENT_RECORD_NODE_PARAMS", "CUDA_EVENT_RECORD_NODE_PARAMS"): {"event": "event"},
    ("CUmemPoolProps", "CUmemPoolProps"): {
        "type": "allocType", "handle_types": "handleTypes", "location": "location",
        "win32_security_attributes": "win32SecurityAttributes", "max_bytes": "maxSize", "usage": "usage",
    },
    ("CUDA_MEM_ALLOC_NODE_PARAMS", "CUDA_MEM_ALLOC_NODE_PARAMS_v2"): {
        "pool": "poolProps", "access": "accessDescs", "access_count": "accessDescCount", "bytes": "bytesize",
        "address": "dptr",
    },
    ("CUDA_MEM_FREE_NODE_PARAMS", "CUDA_MEM_FREE_NODE_PARAMS"): {"address": "dptr"},
    ("CUDA_CONDITIONAL_NODE_PARAMS", "CUDA_CONDITIONAL_NODE_PARAMS"): {
        "handle": "handle", "type": "type", "size": "size", "graphs": "phGraph_out", "context": "ctx",
    },
    ("CUDA_BATCH_MEM_OP_NODE_PARAMS", "CUDA_BATCH_MEM_OP_NODE_PARAMS_v2"): {
        "context": "ctx", "count": "count", "operations": "paramArray", "flags": "flags",
    },
    ("CUstreamBatchMemOpParams", "CUstreamBatchMemOpParams"): {
        "operation": "operation", "value.address": "waitValue.address", "value.value": "waitValue.value",
        "value.value64": "writeValue.value64", "value.flags": "waitValue.flags", "value.alias": "writeValue.alias",
        "barrier.flags": "memoryBarrier.flags",
    },
    ("CUgraphNodeParams", "CUgraphNodeParams"): {
        "type": "type", "kernel": "kernel", "memcpy": "memcpy", "memset": "memset", "host": "host", "graph": "graph",
        "memory_operations": "memOp",
        "event": "eventRecord", "alloc": "alloc", "free": "free", "conditional": "conditional", "reserved2": "reserved2",
    },
    ("CUgraphEdgeData", "CUgraphEdgeData"): {"from_port": "from_port", "to_port": "to_port", "type": "type"},
    ("CUgraphExecUpdateResultInfo", "CUgraphExecUpdateResultInfo"): {
        "result": "result", "error_node": "errorNode", "error_from_node": "errorFromNode",
    },
    ("CUDA_GRAPH_INSTANTIATE_PARAMS", "CUDA_GRAPH_INSTANTIATE_PARAMS"): {
        "flags": "flags", "upload_stream": "hUploadStream", "error_node": "hErrNode_out", "result": "result_out",
    },
    ("CUDA_MEMCPY2D", "CUDA_MEMCPY2D"): {
        "src_x_bytes": "srcXInBytes", "src_y": "srcY", "src_memory_type": "srcMemoryType", "src_host": "srcHost",
        "src_device": "srcDevice", "src_array": "srcArray", "src_pitch": "srcPitch", "dst_x_bytes": "dstXInBytes",
        "dst_y": "dstY", "dst_memory_type": "dstMemoryType", "dst_host": "dstHost", "dst_device": "dstDevice",
        "dst_array": "dstArray", "dst_pitch": "dstPitch", "width_bytes": "WidthInBytes", "height": "Height",
    },
    ("CUDA_ARRAY_DESCRIPTOR", "CUDA_ARRAY_DESCRIPTOR"): {
        "width": "Width", "height": "Height", "format": "Format", "channels": "NumChannels",
    },
    ("CUDA_ARRAY3D_DESCRIPTOR", "CUDA_ARRAY3D_DESCRIPTOR"): {
        "width": "Width", "height": "Height", "depth": "Depth", "format": "Format", "channels": "NumChannels",
        "flags": "Flags",
    },
    ("CUDA_ARRAY_MEMORY_REQUIREMENTS", "CUDA_ARRAY_MEMORY_REQUIREMENTS"): {"bytes": "size", "alignment": "alignment"},
    ("CUDA_RESOURCE_DESC", "CUDA_RESOURCE_DESC"): {"type": "resType", "resource": "res", "flags": "flags"},
    ("CUDA_TEXTURE_DESC", "CUDA_TEXTURE_DESC"): {
        "address_mode": "addressMode", "filter_mode": "filterMode", "flags": "flags", "max_anisotropy": "maxAnisotropy",
        "mipmap_filter_mode": "mipmapFilterMode", "mipmap_level_bias": "mipmapLevelBias",
        "min_mipmap_level_clamp": "minMipmapLevelClamp", "max_mipmap_level_clamp": "maxMipmapLevelClamp",
        "border_color": "borderColor",
    },
    ("CUDA_RESOURCE_VIEW_DESC", "CUDA_RESOURCE_VIEW_DESC"): {
        "format": "format", "width": "width", "height": "height", "depth": "depth",
        "first_mipmap_level": "firstMipmapLevel", "last_mipmap_level": "lastMipmapLevel", "first_layer": "firstLayer",
        "last_layer": "lastLayer",
    },
    ("CUtensorMap", "CUtensorMap"): {"opaque": "opaque"},
    ("CUlaunchAttribute", "CUlaunchAttribute"): {"id": "id", "pad": "pad", "value": "value"},
    ("CUlaunchConfig", "CUlaunchConfig"): {
        "grid_x": "gridDimX",
        "grid_y": "gridDimY",
        "grid_z": "gridDimZ",
        "block_x": "blockDimX",
        "block_y": "blockDimY",
        "block_z": "blockDimZ",
        "shared_bytes": "sharedMemBytes",
        "stream": "hStream",
        "attributes": "attrs",
        "attribute_count": "numAttrs",
    },
}
SCALARS = ["CUresult", "CUdevice", "CUdeviceptr", "CUcontext", "CUmodule", "CUfunction", "CUlibrary", "CUkernel",
           "CUstream", "CUevent", "CUarray", "CUmipmappedArray", "CUgraph", "CUgraphNode", "CUgraphExec", "CUlinkState",
           "CUmemoryPool", "CUmemGenericAllocationHandle", "CUhostFn", "CUstreamCallback"]


def headers():
    return "".join((ROOT / "src/abi" / name).read_text() for name in ("cuda.h", "graph.h", "array.h"))


def constants():
    text = headers()
    names = re.findall(r"^  (CU(?:DA)?_[A-Z0-9_]+) = -?\w+", text, re.M)
    names += re.findall(r"^inline constexpr \w+ (CU_[A-Z0-9_]+) =", text, re.M)
    return names


def values(tmp_path, name, includes, lines):
    body = "\n".join(lines)
    source = tmp_path / f"{name}.cc"
    source.write_text(f"{includes}\n#include <cstddef>\n#include <cstdio>\nint main() {{\n{body}\n}}\n")
    program = tmp_path / name
    subprocess.run(["g++", "-std=c++20", "-w", f"-I{INCLUDE}", f"-I{ROOT / 'src'}", source, "-o", program], check=True)
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()


def line(label, expression):
    return f'  std::printf("{label} %lld\\n", (long long)({expression}));'


def lines_of(ours):
    side = 0 if ours else 1
    lines = [line(n, n if ours else RENAMED.get(n, n)) for n in constants()]
    lines += [line(a, a if ours else b) for a, b in EXPRESSIONS.items()]
    lines += [line(t, f"sizeof({t})") for t in SCALARS]
    for types, members in LAYOUTS.items():
        lines.append(line(f"sizeof {types[0]}", f"sizeof({types[side]})"))
        for names in members.items():
            member = f"{types[side]}, {names[side]}"
            label = f"{types[0]}.{names[0]}"
            lines.append(line(label, f"offsetof({member})"))
            lines.append(line(f"{label} size", f"sizeof((({types[side]}*)nullptr)->{names[side]})"))
    return lines


def test_constants_and_layouts_agree_with_cuda_h(tmp_path):
    assert len(constants()) > 250
    ours = values(tmp_path, "ours", '#include "abi/array.h"\n#include "abi/graph.h"', lines_of(True))
    theirs = values(tmp_path, "theirs", "#include <cuda.h>", lines_of(False))
    assert ours == theirs


def test_every_layout_of_ours_is_compared():
    structs = re.findall(r"^(?:struct|union) (?:alignas\(\d+\) )?(\w+) \{", headers(), re.M)
    assert sorted(structs) == sorted(ours for ours, _ in LAYOUTS)
