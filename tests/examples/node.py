"""What the process-level tests share: the build tree, commands, and a node on loopback with the software GPU."""
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release"))
MIGNIFICIENT = BUILD / "bin/mignificient"
EXAMPLES = BUILD / "examples"
PROGRAMS = EXAMPLES / "programs"
COMMAND_LIMIT = 240  # seconds after which a command counts as hung


def built_examples():
    """Names of the examples that can run here: those in Python may need modules that are not installed."""
    return sorted(path.stem for path in EXAMPLES.glob("*.json") if not missing_modules(path))


def missing_modules(description):
    modules = [module for request in json.loads(description.read_text())["inputs"] for module in request["modules"]]
    return [module for module in modules if importlib.util.find_spec(module) is None]


def built_programs():
    """Names of the example programs, such as vector_add-static-sm_75."""
    return sorted(path.name for path in PROGRAMS.glob("*") if os.access(path, os.X_OK)) if PROGRAMS.exists() else []


def mignificient(*arguments, stdin="", env=None):
    """Runs one command to its end; standard output and error are text."""
    return subprocess.run([MIGNIFICIENT, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=COMMAND_LIMIT, env={**os.environ, **(env or {})}, check=False)


class Node:
    def __init__(self, address, process, log):
        self.address, self.process, self._log = address, process, log

    def log(self):
        return self._log.read_text()

    def run(self, command, *arguments, **options):
        return mignificient(command, "--address", self.address, *arguments, **options)

    def containers(self, user):
        result = self.run("ps", "--json", "--user", user)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


def children_of(pid):
    with contextlib.suppress(OSError):
        return [int(child) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
                for child in path.read_text().split()]
    return []


@contextlib.contextmanager
def node(config=None):
    """A node that is listening; ended with SIGTERM, which it must obey with status 0 and without leaving a process."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        file = folder / "orchestrator.json"
        file.write_text(json.dumps({"functions": {"allowed-paths": [str(EXAMPLES)]},
                                    "executor": {"python": sys.executable}, **(config or {})}))
        log = folder / "log"
        with open(log, "w") as out:
            process = subprocess.Popen([MIGNIFICIENT, "serve", "--config", file, "--port", "0"], stdout=out,
                                       stderr=subprocess.PIPE, text=True)
        lines = []
        for line in process.stderr:  # blocks until the node says that it listens, or ends
            lines.append(line)
            if found := re.search(r"\blistening address=(\S+) port=(\d+)", line):
                break
        else:
            raise AssertionError("The node does not listen:\n" + "".join(lines))
        # The rest of the log goes on by itself, so that the pipe never fills.
        drain = subprocess.Popen(["tee", "-a", str(log)], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield Node(f"http://{found.group(1)}:{found.group(2)}", process, log)
        finally:
            family = children_of(process.pid)
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=COMMAND_LIMIT)
            drain.wait(timeout=COMMAND_LIMIT)
        assert status == 0, f"The node ends with {status}:\n{log.read_text()}"
        alive = [pid for pid in family if pathlib.Path(f"/proc/{pid}/exe").exists()]
        assert not alive, f"The node leaves processes behind: {alive}"
