#!/usr/bin/env bash
# Everything that needs a real GPU, in one run, from a tree that `./dev package` made: what programs print natively and behind
# MIGnificient, misuse, Python functions, speed, and what is left behind. A short table on standard output, the rest in FOLDER.
#
#   tests/on_gpu.sh FOLDER [PACKAGE] [SOAK_MINUTES]      (defaults: package, 5; about 12 minutes and the soak)
#
# Needs Python 3 with PyTorch for the frameworks, and nvcc for three of their programs. Exit status: 0 when all agree.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
out=${1:?where results go} package=$(readlink -f "${2:-package}") minutes=${3:-5}
mkdir -p "$out"
out=$(readlink -f "$out")
mig=$package/bin/mignificient
failed=0

# check NAME COMMAND...: its output in FOLDER/NAME.txt, the last line in the table
check() {
  local name=$1
  shift
  "$@" >"$out/$name.txt" 2>&1
  local status=$?
  [ $status = 0 ] || failed=1
  printf '%-18s %-6s %s\n' "$name" "$([ $status = 0 ] && echo ok || echo "rc $status")" "$(tail -n 1 "$out/$name.txt" | cut -c1-110)"
}

libraries=$(python3 -c 'import nvidia.cudnn as c; print(c.__path__[0] + "/lib")' 2>/dev/null)
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64${libraries:+:$libraries}
check conformance python3 "$package/tests/cuda/suite.py" --json "$out/conformance.json"
check nvidia-smi "$mig" run --gpu-memory 4096 -- nvidia-smi
check sweep "$mig" run --gpu-memory 4096 -- "$package/tests/api_sweep"
check frameworks python3 tests/frameworks/frameworks.py --install "$package" --jobs 6 --json "$out/frameworks.json"
check models python3 tests/frameworks/frameworks.py --install "$package" --json "$out/models.json" \
  --only resnet50 alexnet vgg19 bert "resnet18 training" torch.cuda.graphs
check comparison python3 "$package/bench/compare.py" --quick --json "$out/comparison.json"
check python-functions python3 bench/python_functions.py --tree "$package" --python "$(command -v python3)" --json "$out/python-functions.json"
check soak python3 "$package/tools/soak.py" --minutes "$minutes" --bin "$package/bin" --gpu-memory 8000 \
  --session "$package/tests/cuda/texture_2d" --session "$package/tests/cuda/pool_default" \
  --session "$package/tests/cuda/stream_priority" --run "$package/tests/cuda/graph_many" \
  --run "$package/tests/cuda/managed_basic" --run "python3 tests/frameworks/programs/torch_autocast.py" \
  --invoke "$package/examples/vector_add_ptx.json"
exit $failed
