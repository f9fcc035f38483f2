"""The driver API as api/*.api describes it: parsed, checked, nothing emitted. api/README.md is the format's manual."""

import pathlib
import re
from dataclasses import dataclass, field


class ApiError(Exception):
    """A mistake in a description; its text begins with file:line."""


@dataclass(frozen=True)
class Type:
    c_type: str  # in the entry point's signature
    wire_type: str  # in the command's body or reply
    bytes: int
    resolver: str = ""  # handles: the server's member that turns a name into an object
    table: str = ""  # handles that the server names: its member that holds them
    is_struct: bool = False  # a plain struct of src/abi/cuda.h, passed by pointer, copied whole


def _scalar(c_type, wire_type, size):
    return Type(c_type, wire_type, size)


def _handle(c_type, resolver):
    return Type(c_type, "uint64_t", 8, resolver)


def _named(c_type, table):
    return Type(c_type, "uint64_t", 8, "Resolve", table)


def _struct(name):
    return Type(name, name, 0, is_struct=True)


TYPES = {
    "u8": _scalar("unsigned char", "uint8_t", 1),
    "u16": _scalar("unsigned short", "uint16_t", 2),
    "u32": _scalar("unsigned", "uint32_t", 4),
    "u64": _scalar("unsigned long long", "uint64_t", 8),
    "i32": _scalar("int", "int32_t", 4),
    "f32": _scalar("float", "float", 4),
    "size": _scalar("size_t", "uint64_t", 8),
    "ptr": _scalar("CUdeviceptr", "uint64_t", 8),
    "stream": _handle("CUstream", "ResolveStream"),
    "event": _handle("CUevent", "ResolveEvent"),
    "module": _handle("CUmodule", "ResolveModule"),
    "library": _handle("CUlibrary", "ResolveLibrary"),
    "function": _handle("CUfunction", "ResolveFunction"),
    "kernel": _handle("CUkernel", "ResolveKernel"),
    "graph": _handle("CUgraph", "ResolveGraph"),
    "node": _handle("CUgraphNode", "ResolveGraphNode"),
    "exec": _named("CUgraphExec", "graph_execs_"),
    "array": _handle("CUarray", "ResolveArray"),
    "mipmapped_array": _handle("CUmipmappedArray", "ResolveMipmappedArray"),
    "allocation": _named("CUmemGenericAllocationHandle", "allocations_"),
    "attribute": Type("int", "int32_t", 4, "ResolveAttribute"),  # CUlaunchAttributeID of a plain value
    "shape": Type("const CUlaunchConfig*", "LaunchShape", 56),  # what a launch configuration says about occupancy
    "device": Type("CUdevice", "", 0),  # checked in the client, never sent: a session has one device
    "context": Type("CUcontext", "", 0),  # not sent: the driver is given the one context of the server
    "string": Type("const char*", "uint32_t", 4),  # the body holds its length, the bytes follow the body
}

DECISIONS = ("forward", "client", "hand", "refuse")
DEFAULT_STREAM = "default_stream"
MAX_CACHED_BODY = 64
MAX_CACHED_REPLY = 16


@dataclass(frozen=True)
class Argument:
    type: Type
    type_name: str
    name: str
    out: bool = False
    optional: bool = False  # an out pointer that may be null


@dataclass
class Entry:
    """One exported function and its per-thread-default-stream variant, if it has one."""

    symbol: str
    decision: str
    where: str  # file:line
    version: int = 0  # 0: exported, but not answered by cuGetProcAddress
    variant: str = ""  # "ptsz" or "ptds"
    variant_version: int = 0
    reason: str = ""
    # Only of decision `forward`:
    synchronous: bool = False
    gate: str = "none"
    cached: bool = False
    forget: bool = False
    anywhere: bool = False
    destroys: bool = False  # the first handle names nothing afterwards
    noted: bool = False  # the client keeps something of the answer
    arguments: list = field(default_factory=list)
    call: str = ""  # the driver table's entry
    call_arguments: list = field(default_factory=list)
    covers: list = field(default_factory=list)  # (address, bytes in C++): memory that must lie in one allocation
    refuses: str = ""  # a condition on the arguments that the client answers with CUDA_ERROR_INVALID_VALUE

    @property
    def base(self):
        """The name under which cuGetProcAddress knows the function."""
        return re.sub(r"_v\d+$", "", self.symbol)

    @property
    def variant_symbol(self):
        return f"{self.symbol}_{self.variant}" if self.variant else ""

    @property
    def symbols(self):
        return [self.symbol] + ([self.variant_symbol] if self.variant else [])

    @property
    def inputs(self):
        return [a for a in self.arguments if not a.out and a.type.wire_type]

    @property
    def outputs(self):
        return [a for a in self.arguments if a.out]

    @property
    def structs(self):
        return [a for a in self.arguments if a.type.is_struct]

    @property
    def string(self):
        return next((a for a in self.arguments if a.type_name == "string"), None)

    @property
    def uses_default_stream(self):
        return DEFAULT_STREAM in self.call_arguments

    @property
    def stream(self):
        """The body field that names the stream the command is ordered by."""
        if self.uses_default_stream:
            return DEFAULT_STREAM
        return next((a.name for a in self.inputs if a.type_name == "stream"), "")


_SYMBOL = r"(?P<symbol>cu[A-Z]\w*)"
_VERSIONS = r"\s+(?P<version>\d+\.\d|exported)(?:\s+(?P<variant>ptsz|ptds)\s+(?P<variant_version>\d+\.\d))?"
_HEADER = re.compile(r"(client|hand|refuse):\s*(\S.*)$")
_LISTED = re.compile(rf"\s+{_SYMBOL}{_VERSIONS}$")
_PLAIN = re.compile(rf"(?P<decision>client|hand|refuse)\s+{_SYMBOL}{_VERSIONS}\s*:\s*(?P<reason>\S.*)$")
_FORWARD = re.compile(rf"forward\s+(?P<options>[a-z() ]+?)\s+{_SYMBOL}\((?P<arguments>[^)]*)\){_VERSIONS}$")
_CALLS = re.compile(r"\s+calls\s+(?P<call>cu[A-Z]\w*)\((?P<arguments>[^)]*)\)$")
_COVERS = re.compile(r"\s+covers\s+(?P<address>\w+)\s+(?P<bytes>\S.*)$")
_REFUSES = re.compile(r"\s+refuses\s+(?P<condition>\S.*)$")
_ARGUMENT = re.compile(r"(?:(?P<out>out\??)\s+)?(?P<type>\w+)\s+(?P<name>[a-z]\w*)$")


def _version(text):
    if text == "exported":
        return 0
    major, minor = text.split(".")
    return int(major) * 1000 + int(minor) * 10


def _entry(match, decision, reason, where):
    groups = match.groupdict()
    entry = Entry(groups["symbol"], decision, where, _version(groups["version"]), reason=reason)
    if groups["variant"]:
        entry.variant = groups["variant"]
        entry.variant_version = _version(groups["variant_version"])
    return entry


def _split(text):
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _argument(text, where):
    match = _ARGUMENT.match(text)
    if not match:
        raise ApiError(f"{where}: Argument [{text}] is not `[out|out?] type name`.")
    type_name = match["type"]
    if type_name not in TYPES and not type_name.startswith("CU"):
        raise ApiError(f"{where}: Type [{type_name}] is unknown (known: {', '.join(TYPES)}).")
    out = bool(match["out"])
    type_ = TYPES.get(type_name) or _struct(type_name)
    if out and ((type_.resolver and not type_.table) or type_name in ("device", "context", "shape", "string")):
        raise ApiError(f"{where}: A value of type [{type_name}] cannot be an output.")
    return Argument(type_, type_name, match["name"], out, match["out"] == "out?")


def _set_options(entry, text):
    words = text.split()
    if words[0] not in ("sync", "async"):
        raise ApiError(f"{entry.where}: A forward entry begins with sync or async, not [{words[0]}].")
    entry.synchronous = words[0] == "sync"
    for word in words[1:]:
        gate = re.match(r"gate\((none|copy|kernel)\)$", word)
        if gate:
            entry.gate = gate[1]
        elif word in ("cached", "forget", "anywhere", "destroys", "noted"):
            setattr(entry, word, True)
        else:
            raise ApiError(f"{entry.where}: Option [{word}] is unknown.")


def _forward(match, where):
    entry = _entry(match, "forward", "", where)
    _set_options(entry, match["options"])
    entry.arguments = [_argument(text, where) for text in _split(match["arguments"])]
    entry.call = entry.symbol
    entry.call_arguments = [a.name for a in entry.arguments]
    return entry


def _check_forward(entry):
    where = entry.where
    names = [a.name for a in entry.arguments]
    if len(set(names)) != len(names):
        raise ApiError(f"{where}: Two arguments of [{entry.symbol}] have one name.")
    if entry.outputs and not entry.synchronous:
        raise ApiError(f"{where}: [{entry.symbol}] has outputs, so it must be sync.")
    if sum(a.type_name == "string" for a in entry.arguments) > 1:
        raise ApiError(f"{where}: [{entry.symbol}] has more than one string.")
    for name in entry.call_arguments:
        if name not in names and name != DEFAULT_STREAM and not re.match(r"\d+$", name):
            raise ApiError(f"{where}: [{name}] is no argument of [{entry.symbol}].")
    if any(a.type_name == "device" and a.name in entry.call_arguments for a in entry.arguments):
        raise ApiError(f"{where}: A device is not sent; `calls` an entry point that needs none.")
    if entry.variant and not entry.stream:
        raise ApiError(f"{where}: [{entry.symbol}] has a {entry.variant} variant but no stream.")
    for name in re.findall(r"\b[a-z]\w*", entry.refuses):
        if name not in names:
            raise ApiError(f"{where}: [{name}] is no argument of [{entry.symbol}].")
    for address, expression in entry.covers:
        if not any(a.name == address and a.type_name == "ptr" for a in entry.inputs):
            raise ApiError(f"{where}: [{address}] is no address that [{entry.symbol}] takes.")
        for name in re.findall(r"\b[a-z]\w*", expression):
            if name not in names:
                raise ApiError(f"{where}: [{name}] is no argument of [{entry.symbol}].")
    if entry.covers and not entry.stream:
        raise ApiError(f"{where}: [{entry.symbol}] covers memory, but for no stream.")
    if entry.destroys and not any(a.type.table and not a.out for a in entry.arguments):
        raise ApiError(f"{where}: [{entry.symbol}] destroys nothing that the server has named.")
    if entry.cached:
        _check_cached(entry)


def _check_cached(entry):
    body = -(-sum(a.type.bytes for a in entry.inputs) // 8) * 8
    reply = -(-sum(a.type.bytes for a in entry.outputs) // 8) * 8
    if not entry.synchronous or not entry.outputs or entry.string or entry.structs or body > MAX_CACHED_BODY or reply > MAX_CACHED_REPLY:
        raise ApiError(
            f"{entry.where}: [{entry.symbol}] cannot be cached: it must be sync, without strings and structs, with at most "
            f"{MAX_CACHED_BODY} bytes in and 1 to {MAX_CACHED_REPLY} out."
        )


class _Parser:
    def __init__(self, name):
        self.name = name
        self.entries = []
        self.header = None  # (decision, reason) of the block we are in

    def line(self, number, text):
        where = f"{self.name}:{number}"
        text = text.split("#", 1)[0].rstrip()
        if not text:
            self.header = None
        elif text[0].isspace():
            self.indented(text, where)
        else:
            self.top(text, where)

    def indented(self, text, where):
        if match := _CALLS.match(text):
            last = self.entries[-1] if self.entries else None
            if self.header or not last or last.decision != "forward":
                raise ApiError(f"{where}: `calls` belongs under a forward entry.")
            last.call = match["call"]
            last.call_arguments = _split(match["arguments"])
        elif match := _COVERS.match(text):
            last = self.entries[-1] if self.entries else None
            if self.header or not last or last.decision != "forward":
                raise ApiError(f"{where}: `covers` belongs under a forward entry.")
            last.covers.append((match["address"], match["bytes"]))
        elif match := _REFUSES.match(text):
            last = self.entries[-1] if self.entries else None
            if self.header or not last or last.decision != "forward":
                raise ApiError(f"{where}: `refuses` belongs under a forward entry.")
            last.refuses = match["condition"]
        elif self.header and (match := _LISTED.match(text)):
            self.entries.append(_entry(match, *self.header, where))
        else:
            raise ApiError(f"{where}: [{text.strip()}] is not `symbol version [ptsz|ptds version]` under a decision.")

    def top(self, text, where):
        self.header = None
        if match := _HEADER.match(text):
            self.header = (match[1], match[2])
        elif match := _PLAIN.match(text):
            self.entries.append(_entry(match, match["decision"], match["reason"], where))
        elif match := _FORWARD.match(text):
            self.entries.append(_forward(match, where))
        else:
            raise ApiError(f"{where}: [{text}] is no entry: a decision ({', '.join(DECISIONS)}), a symbol, its versions.")


def parse(name, text):
    parser = _Parser(name)
    for number, line in enumerate(text.splitlines(), 1):
        parser.line(number, line)
    for entry in parser.entries:
        if entry.decision == "forward":
            _check_forward(entry)
    return parser.entries


def check_unique(entries):
    seen = {}
    for entry in entries:
        for symbol in entry.symbols:
            if symbol in seen:
                raise ApiError(f"{entry.where}: [{symbol}] is already decided at {seen[symbol]}.")
            seen[symbol] = entry.where


def check_driver_table(entries, header_text):
    """Every forward entry must end in an entry point that DriverTable has, with as many arguments."""
    table = {}
    for match in re.finditer(r"X\((cu\w+)((?:,[^,)]*)*)\)", header_text.replace("\\\n", " ")):
        table[match[1]] = match[2].count(",")
    for entry in entries:
        if entry.decision != "forward":
            continue
        if entry.call not in table:
            raise ApiError(f"{entry.where}: [{entry.call}] is not in the driver table.")
        if len(entry.call_arguments) != table[entry.call]:
            raise ApiError(
                f"{entry.where}: [{entry.call}] takes {table[entry.call]} arguments, not {len(entry.call_arguments)}."
            )


def load(directory):
    entries = []
    for path in sorted(pathlib.Path(directory).glob("*.api")):
        entries += parse(path.name, path.read_text())
    check_unique(entries)
    return entries
