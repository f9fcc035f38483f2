#!/usr/bin/env python3
"""Unmodified programs of the big frameworks, natively and behind `mignificient run`, on a machine with an NVIDIA GPU.

    python3 tests/frameworks/frameworks.py [--install build/release] [--json FILE] [--only NAME...] [--rounds N]

Each program runs natively and remoted, in turns; what it prints must be equal bit for bit, except `time NAME MS` lines, of
which the table shows the last one natively, remoted, and the ratio. C++ programs are built here with nvcc. Needs PyTorch, Triton,
CuPy and JAX in the python3 that runs this; a program whose module is missing is listed as skipped.
"""
import argparse
import concurrent.futures
import datetime
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
GPU_MEMORY_MIB = 20000

# name -> (module it needs, arguments)
PYTHON = {
    "resnet50": ("torchvision", "torch_models.py resnet50"),
    "alexnet": ("torchvision", "torch_models.py alexnet"),
    "vgg19": ("torchvision", "torch_models.py vgg19"),
    "bert": ("transformers", "torch_models.py bert"),
    "resnet18 training": ("torchvision", "torch_train.py"),
    "torch.compile": ("torch", "torch_compile.py"),
    "torch.cuda.graphs": ("torch", "torch_graphs.py"),
    "autocast": ("torch", "torch_autocast.py"),
    "data loader": ("torch", "torch_dataloader.py"),
    "operations": ("torch", "torch_operations.py"),
    "operations, expandable": ("torch", "torch_operations.py"),
    "operations, async allocator": ("torch", "torch_operations.py"),
    "triton": ("triton", "triton_kernels.py"),
    "cupy": ("cupy", "cupy_programs.py"),
    "jax": ("jax", "jax_programs.py"),
}
ENVIRONMENT = {
    "operations, expandable": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
    "operations, async allocator": {"PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync"},
    # Natively too, two runs differ where XLA chooses algorithms by timing them.
    "jax": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "XLA_FLAGS": "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0"},
}
CPP = {"cublasLt": "cublaslt_gemm", "cudnn": "cudnn_convolution", "nccl": "nccl_one_rank"}
LIBRARIES = {"cublasLt": ["cublas", "cublasLt"], "cudnn": ["cudnn"], "nccl": ["nccl"]}


def packaged(library):
    """Include and library folders of a library that came as a Python package."""
    for spec in (importlib.util.find_spec("nvidia"),):
        for folder in (spec.submodule_search_locations if spec else []):
            for include in pathlib.Path(folder).glob(f"**/include/{library}.h"):
                for shared in pathlib.Path(folder).glob(f"**/lib/lib{library}.so*"):
                    return include.parent, shared
    return None


def build_cpp(name, folder):
    source = PROGRAMS / f"{CPP[name]}.cu"
    program = folder / CPP[name]
    command = ["nvcc", "-O1", "-std=c++17", "-arch=sm_90", str(source), "-o", str(program)]
    found = packaged(CPP[name].split("_", maxsplit=1)[0]) if name in ("cudnn", "nccl") else None
    if found:
        include, shared = found
        command += ["-I", str(include), "-Xlinker", str(shared), "-Xlinker", f"-rpath={shared.parent}"]
    else:
        command += [f"-l{library}" for library in LIBRARIES[name]]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode != 0:
        raise RuntimeError((built.stderr or built.stdout).strip().splitlines()[-1])
    return [str(program)]


def commands(only, folder):
    for name, (module, arguments) in PYTHON.items():
        if only and name not in only:
            continue
        if importlib.util.find_spec(module) is None:
            yield name, None, f"no module {module}"
        else:
            script, *rest = arguments.split()
            yield name, [sys.executable, str(PROGRAMS / script), *rest], ""
    for name in CPP:
        if only and name not in only:
            continue
        try:
            yield name, build_cpp(name, folder), ""
        except (RuntimeError, FileNotFoundError) as error:
            yield name, None, f"does not build: {error}"


def run(command, environment, timeout):
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        try:
            status = subprocess.run(command, stdout=out, stderr=errors, env=environment, timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            status = "timeout"
        out.seek(0), errors.seek(0)
        lines, error_text = out.read().splitlines(), errors.read()
    times = {}
    for line in lines:
        if line.startswith("time "):
            _, name, milliseconds = line.split()
            times[name] = float(milliseconds)
    return {
        "status": status,
        "values": [line for line in lines if not line.startswith("time ")],
        "times_ms": times,
        "wall_s": time.perf_counter() - start,
        "errors": error_text,
    }


def medians(runs):
    return {name: statistics.median(r["times_ms"][name] for r in runs if name in r["times_ms"])
            for name in runs[-1]["times_ms"]}


def tail(text, count=12):
    return "\n".join("      " + line for line in text.strip().splitlines()[-count:])


def compare(native, remoted):
    if native["status"] != 0:
        return f"native fails ({native['status']})"
    if remoted["status"] != 0:
        return f"FAILS ({remoted['status']})"
    if native["values"] != remoted["values"]:
        different = [f"{a} | {b}" for a, b in zip(native["values"], remoted["values"]) if a != b]
        return f"DIFFERS in {len(different)} of {len(native['values'])}: {different[:3]}"
    return "equal"


def measure(name, command, skipped, mignificient, folder, options):
    """(name, result for the table, what the failing side wrote to standard error)."""
    if command is None:
        return name, {"verdict": f"skipped: {skipped}"}, ""
    environment = {**os.environ, **ENVIRONMENT.get(name, {}), "TOKENIZERS_PARALLELISM": "false"}
    remote = [mignificient, "run", "--gpu-memory", str(GPU_MEMORY_MIB), "--"]
    natives, remoteds = [], []
    for _ in range(options.rounds):
        for kind, runs, prefix in (("native", natives, []), ("remoted", remoteds, remote)):
            # Compiled kernels are kept apart, so that neither finds what the other has compiled.
            caches = folder / "caches" / name.replace(" ", "_") / kind
            environment.update(TORCHINDUCTOR_CACHE_DIR=str(caches / "inductor"), TRITON_CACHE_DIR=str(caches / "triton"),
                               CUPY_CACHE_DIR=str(caches / "cupy"), CUDA_CACHE_PATH=str(caches / "cuda"))
            runs.append(run([*prefix, *command], environment, options.timeout))
    verdict = compare(natives[-1], remoteds[-1])
    failing = natives if verdict.startswith("native") else remoteds
    return name, {
        "verdict": verdict,
        "native_ms": medians(natives),
        "remoted_ms": medians(remoteds),
        "native_wall_s": round(statistics.median(r["wall_s"] for r in natives), 2),
        "remoted_wall_s": round(statistics.median(r["wall_s"] for r in remoteds), 2),
    }, failing[-1]["errors"]


def show(name, result, errors):
    shown = ""
    for key, native_ms in result.get("native_ms", {}).items():
        if remoted_ms := result["remoted_ms"].get(key):
            shown += f" {key} {native_ms:.2f}/{remoted_ms:.2f} ms = {remoted_ms / native_ms:.2f}"
    if "native_wall_s" in result:
        shown = f" wall {result['native_wall_s']}/{result['remoted_wall_s']} s{shown}"
    print(f"{name:28} {result['verdict']}{shown}", flush=True)
    if errors and result["verdict"] != "equal":
        print(tail(errors), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", default="build/release", help="where bin/ and lib/ are")
    parser.add_argument("--json", help="write the results here")
    parser.add_argument("--only", nargs="*", help="programs by name")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="programs at once: for verdicts, not for times")
    parser.add_argument("--timeout", type=float, default=240)
    parser.add_argument("--commit", default="", help="noted in the results")
    options = parser.parse_args()
    mignificient = str(pathlib.Path(options.install).resolve() / "bin/mignificient")

    results = {}
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            pending = [pool.submit(measure, name, command, skipped, mignificient, folder, options)
                       for name, command, skipped in commands(options.only, folder)]
            for future in concurrent.futures.as_completed(pending):
                name, result, errors = future.result()
                results[name] = result
                show(name, result, errors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    count = sum(r["verdict"] == "equal" for r in results.values())
    print(f"{count} of {len(results)} programs are equal")
    if options.json:
        machine = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                                 capture_output=True, text=True).stdout.strip()
        pathlib.Path(options.json).write_text(json.dumps(
            {"what": "frameworks, native and remoted", "date": datetime.date.today().isoformat(), "machine": machine,
             "commit": options.commit, "rounds": options.rounds, "programs": results}, indent=1) + "\n")
    return 0 if count == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
