"""Python functions that behave and misbehave."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

from mignificient import BufferStringWriter, BufferWriter

calls = 0


def text(invocation):
    return bytes(invocation.payload.view_readable()).decode()


def echo(invocation):
    payload = invocation.payload.view_readable()
    invocation.result.view_writable()[:len(payload)] = payload
    return len(payload)


def count(invocation):
    global calls
    calls += 1
    print("call", calls)
    return str(calls)


def own_pid(invocation):
    return str(os.getpid())


def returns(invocation):
    """What the payload, an expression, evaluates to."""
    return eval(text(invocation), {"invocation": invocation})


def writers(invocation):
    BufferWriter(invocation.result).write(b"bytes, ")
    writer = BufferStringWriter(invocation.result)
    json.dump({"text": "größe"}, writer, ensure_ascii=False)
    return writer.buffer.size


def leaves_it_to_the_size(invocation):
    BufferStringWriter(invocation.result).write("written")


def big(invocation):
    """A result of as many MiB as the payload says."""
    return b"0123456789abcdef" * (int(text(invocation)) << 16)


def digest(invocation):
    payload = invocation.payload.view_readable()
    return {"bytes": len(payload), "sum": sum(memoryview(payload)[::4096]), "last": payload[-1]}


def raises(invocation):
    print("about to fail")
    raise ValueError("kein Papier: größe")


def no_arguments():
    pass


def two_arguments(one, two):
    pass


def exits(invocation):
    sys.exit(3)


def exits_hard(invocation):
    print("last words", end="")
    os._exit(3)


def segfaults(invocation):
    print("last words")
    signal.raise_signal(signal.SIGSEGV)


def aborts(invocation):
    os.abort()


def killed(invocation):
    os.kill(os.getpid(), signal.SIGKILL)


def closes_its_descriptors(invocation):
    os.closerange(3, 100)
    return "closed"


def hangs(invocation):
    while True:
        pass


def waits(invocation):
    threading.Event().wait()


def ignores_signals(invocation):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    hangs(invocation)


def nothing(invocation):
    pass


def calls_what_the_payload_names(invocation):
    return globals()[text(invocation)](invocation)


def waits_for_file(invocation):
    """Touches the file that the payload names, then waits until the file NAME.go exists."""
    name = text(invocation)
    open(name, "w").close()
    while not os.path.exists(name + ".go"):
        time.sleep(0.001)
    return "done"


def yields(invocation):
    invocation.gpu_yield()
    return waits_for_file(invocation)


def yields_twice(invocation):
    invocation.gpu_yield()
    invocation.gpu_yield()


def negative(invocation):
    return -7


def gate(invocation):
    """The state of the gate, as the fake GPU server sees it."""
    import socket
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.connect("\0" + os.environ["MIGNIFICIENT_GPU_DOOR"].rsplit(":", 1)[0])
    door.send(b"g")
    return door.recv(1)


def leaves_a_thread(invocation):
    threading.Thread(target=threading.Event().wait).start()
    return str(threading.active_count())


def leaves_a_process(invocation):
    return str(subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)


def environment(invocation):
    return dict(os.environ, executable=sys.executable, prefix=sys.prefix, encoding=sys.stdout.encoding)


def loaded(invocation):
    return [name for name in text(invocation).split() if name in sys.modules]


def prints(invocation):
    for i in range(20000):
        print("line", i, "of many")
