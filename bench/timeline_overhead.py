"""What measuring copies and kernels (docs/timeline.md) costs a function: the same invocations on two nodes in turns, one
that measures and one that does not, and the ratio of their `exec` times.

    python3 bench/timeline_overhead.py [--tree build/release] [--driver auto|cuda|cpu] [--rounds 15]
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request

FUNCTION = pathlib.Path(__file__).resolve().parents[1] / "tests/node/gpu_work.py"
CASES = {
    "2000 launches in a row": ["kernels"] * 50,
    "500 times launch + synchronize": ["kernel", "sync"] * 500,
    "500 copies of 16 KiB to the device": ["in"] * 500,
    "200 times copy in, launch, copy out": ["in", "kernel", "out"] * 200,
}


class Node:
    def __init__(self, tree, driver, *arguments):
        command = [f"{tree}/bin/mignificient", "serve", "--port", "0", "--driver", driver, "--set",
                   f"functions.allowed-paths={FUNCTION.parent}", "--set", f"executor.python={sys.executable}", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"\blistening address=(\S+) port=(\d+)", line):
                self.address = f"http://{found[1]}:{found[2]}/invoke"
                break
        else:
            raise SystemExit("The node does not start.")
        # A reader, so that the pipe never fills.
        self.log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def exec_ms(self, steps):
        body = {"function": "work", "user": "bench", "mig-instance": "any", "gpu-memory": 256, "timeout": 300,
                "function-path": str(FUNCTION), "input-payload": json.dumps({"steps": steps})}
        with urllib.request.urlopen(self.address, json.dumps(body).encode()) as answer:
            assert json.load(answer)["right"]
            return float(re.search(r"exec;dur=([\d.]+)", answer.headers["Server-Timing"])[1])

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", default="build/release")
    parser.add_argument("--driver", default="auto")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nodes = [Node(options.tree, options.driver),
                 Node(options.tree, options.driver, "--trace", f"{folder}/trace.json")]
        for node in nodes:
            node.exec_ms(["kernel"])
        print(f"{'case':38} {'without':>10} {'measured':>10} {'ratio':>6}")
        for name, steps in CASES.items():
            times = [[], []]
            for _ in range(options.rounds):
                for node, of_node in zip(nodes, times):
                    of_node.append(node.exec_ms(steps))
            plain, measured = map(statistics.median, times)
            print(f"{name:38} {plain:7.2f} ms {measured:7.2f} ms {measured / plain:6.2f}", flush=True)
        for node in nodes:
            node.stop()


if __name__ == "__main__":
    main()
