"""The arrows of the tree: which folder of src/ and apps/ may include which.

    python3 arrows.py [ROOT]      prints one line per wrong arrow, exits with 1 if there is one
"""
import pathlib
import re
import sys

# room -> rooms it may include, besides itself. A room is the longest prefix listed here. abi is for everyone.
ALLOWED = {
    "abi": {"base"},  # cuda.h itself depends on nothing
    "base": set(),
    "os": {"base"},
    "ring": {"base", "os"},
    "remoting/wire": {"base", "os", "ring"},
    "remoting/client": {"base", "os", "ring", "remoting/wire"},
    "remoting/server": {"base", "os", "ring", "remoting/wire", "driver/driver_table.h"},
    "driver": {"base", "os"},
    "driver/cuda": {"base", "os", "driver/driver_table.h"},
    "driver/cpu": {"base", "os", "driver/driver_table.h"},
    "device": {"base", "os"},
    "sched": {"base"},
    "executor": {"base", "os"},
    "node": {"base", "os", "sched", "device", "remoting/wire", "executor/protocol.h"},
    "http": {"base", "os", "node"},
    "cli": {"base", "os", "device", "node", "http", "remoting/wire"},
    # An app connects the parts it is made of.
    "apps": {"base", "os", "ring", "driver", "driver/cuda", "driver/cpu", "remoting/wire", "remoting/server", "device",
             "sched", "executor", "node", "http", "cli"},
}
# Generated headers belong to remoting and may be included by it alone.
GENERATED = "gen/"
GENERATED_FOR = {"remoting/wire", "remoting/client", "remoting/server"}

SOURCE = {".h", ".hpp", ".cc", ".cpp", ".c", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def room_of(path):
    """The longest room that `path` (relative to src/, or apps/...) lies in; None if it lies in none."""
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        room = "/".join(parts[:length])
        if room in ALLOWED:
            return room
    return None


def may_include(room, target):
    if target.startswith(GENERATED):
        return room in GENERATED_FOR
    target_room = room_of(target)
    if target_room in (None, room, "abi"):
        return True
    # A test lives with what it tests, and a room may name single headers of another one.
    return target_room in ALLOWED[room] or target in ALLOWED[room]


def wrong_arrows(root):
    """Sentences about the includes below `root` that should not be there."""
    root = pathlib.Path(root)
    complaints = []
    files = [f for top in ("src", "apps") for f in sorted((root / top).rglob("*")) if f.suffix in SOURCE]
    for file in files:
        inside = file.relative_to(root)
        name = inside.relative_to("src").as_posix() if inside.parts[0] == "src" else inside.as_posix()
        room = room_of(name)
        if room is None:
            complaints.append(f"{inside}: lies in a folder that tests/tree/arrows.py does not know.")
            continue
        for target in INCLUDE.findall(file.read_text(errors="replace")):
            if not (root / "src" / target).exists() and not target.startswith(GENERATED):
                if not (file.parent / target).exists():
                    continue  # a header of someone else
                target = (file.parent / target).resolve().relative_to((root / "src").resolve()).as_posix() \
                    if inside.parts[0] == "src" else target
            if not may_include(room, target):
                complaints.append(f"{inside}: includes {target}, but {room} may not include {room_of(target) or 'it'}.")
    return complaints


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    complaints = wrong_arrows(root)
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
