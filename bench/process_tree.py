"""CPU time and context switches of a process and all that descend from it, while they live."""
import collections
import contextlib
import pathlib
import re
import time


def pids(root):
    """Pids of `root` and its living descendants."""
    children = collections.defaultdict(list)
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            children[parent].append(int(folder.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children[pid]
    return found


def cpu_seconds(root):
    """User and system time of the tree, to the nanosecond; what has ended is not in it."""
    total = 0
    for pid in pids(root):
        with contextlib.suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)  # a process's CPU clock, as clock_getcpuclockid(3) names it
    return total


def sleeps(root):
    """How often threads of the tree went to sleep, and so had to be woken."""
    total = 0
    for pid in pids(root):
        for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M).group(1))
    return total
