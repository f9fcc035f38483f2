"""A node of its own for a measurement or a test: started from a tree with bin/ and lib/, on loopback, with everything it
starts marked, so that what it leaves behind is found. Needs nothing but Python.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

LIMIT_S = 300  # after which an answer or an end counts as missing


def software_gpu(*partitions):
    """devices.json with one software GPU of (mig size, memory in MiB) partitions."""
    instances = [{"uuid": f"MIG-software-{index}", "mig_size": size, "instance_size": f"{size}.{memory}mb",
                  "memory": memory, "compute_units": 14 * int(size[0])} for index, (size, memory) in enumerate(partitions)]
    return {"gpus": [{"uuid": "GPU-software-0", "index": 0, "name": "MIGnificient software GPU", "driver": "cpu",
                      "memory": sum(memory for _, memory in partitions), "compute_capability": "9.0",
                      "instances": instances}]}


def marked_processes(mark):
    """Pids of living processes whose environment has `mark` (NAME=value): the node's and all they started."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                if (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
                    found.append(int(folder.name))
    return found


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def timing(self):
        """Server-Timing as a dictionary of milliseconds."""
        return {name: float(ms) for name, ms in re.findall(r"([\w-]+);dur=([\d.]+)", self.headers["Server-Timing"] or "")}


class Client:
    """One connection that is kept, for one thread."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)

    def request(self, method, path, body=None):
        self._connection.request(method, path, None if body is None else json.dumps(body))
        return Answer(self._connection.getresponse())

    def invoke(self, body):
        return self.request("POST", "/invoke", body)

    def close(self):
        self._connection.close()


def request(file, handler, payload, user, **fields):
    """The body of an /invoke."""
    return {"function": handler, "function-path": str(file), "user": user, "mig-instance": "any", "gpu-memory": 100,
            "timeout": LIMIT_S, "input-payload": json.dumps(payload),
            **{key.replace("_", "-"): value for key, value in fields.items()}}


class Node:
    """Settings are those of orchestrator.json. Ended with SIGTERM by `stop`, or whenever this is closed. What it logs is in
    `lines`; with `log_to_file` it writes a file instead, as a service does, and nobody is woken for it."""

    def __init__(self, tree, settings, devices=None, arguments=(), log_to_file=False):
        self._log_to_file = log_to_file
        self._temporary = tempfile.TemporaryDirectory(prefix="mignificient-node-")
        self.folder = pathlib.Path(self._temporary.name)
        self.mark = f"TMPDIR={self.folder}"
        settings = {"http": {"port": 0}, "paths": {"logs": str(self.folder / "logs")}, **settings}
        if devices is not None:
            (self.folder / "devices.json").write_text(json.dumps(devices))
            settings["devices"] = str(self.folder / "devices.json")
        (self.folder / "orchestrator.json").write_text(json.dumps(settings))
        self._command = [str(pathlib.Path(tree) / "bin/mignificient"), "serve", "--config",
                         str(self.folder / "orchestrator.json"), *arguments]
        self.lines = []
        self.start()

    def start(self, port=0):
        with open(self.folder / "node.log", "a") as file:
            begin = file.tell()
            self.process = subprocess.Popen([*self._command, "--port", str(port)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL,
                                            stderr=file if self._log_to_file else subprocess.PIPE, text=True,
                                            env={**os.environ, "TMPDIR": str(self.folder)})
        log = open(self.folder / "node.log") if self._log_to_file else self.process.stderr
        if self._log_to_file:
            log.seek(begin)
        for line in self._lines_of(log):
            self.lines.append(line)
            if found := re.search(r"\blistening .*port=(\d+)", line):
                break
        else:
            raise RuntimeError(f"The node does not listen; it ends with {self.process.wait()}:\n{''.join(self.lines)}")
        self.port = int(found.group(1))
        self._log = log
        self._reader = threading.Thread(target=lambda: None if self._log_to_file else self.lines.extend(log), daemon=True)
        self._reader.start()

    def _lines_of(self, log):
        """Until the node has ended."""
        while line := log.readline() or (self._log_to_file and self.process.poll() is None):
            if line is True:
                time.sleep(0.01)
            else:
                yield line

    def client(self):
        return Client(self.port)

    def get(self, path):
        client = self.client()
        try:
            return json.loads(client.request("GET", path).body)
        finally:
            client.close()

    def containers(self):
        return self.get("/containers")["containers"]

    def resident_kib(self):
        return resident_kib(self.process.pid)

    def left_behind(self):
        return marked_processes(self.mark)

    def logs(self):
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
                       for path in sorted((self.folder / "logs").glob("*")))

    def end(self, how):
        """Sends the signal; the exit status of the node once it has ended."""
        self.process.send_signal(how)
        status = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        self._log.close()
        return status

    def stop(self):
        return self.end(signal.SIGTERM)

    def close(self):
        if self.process.returncode is None:
            self.end(signal.SIGKILL)
        # Who still writes into the folder is one of ours, being killed.
        end = time.monotonic() + 10
        while self.left_behind() and time.monotonic() < end:
            time.sleep(0.01)
        self._temporary.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def refused_setting(tree, settings):
    """Why the node would not start with these settings, a sentence; empty when it would."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(settings, file)
        file.flush()
        done = subprocess.run([pathlib.Path(tree) / "bin/mignificient", "config", "check", file.name],
                              capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stderr.strip()
