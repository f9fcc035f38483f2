"""A program that starts others in every way that Python has, one case per argument; raises where CUDA is not there as it
should be. Run as `processes_program.py --one` it is the program that is started: memory there and back."""
import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

from driver_api import MIB, NO_DEVICE, NOT_INITIALIZED, OUT_OF_MEMORY, CudaError, Driver

ONE = [sys.executable, __file__, "--one"]
BUDGET = 512 * MIB


def run_one(**options):
    return subprocess.run(ONE, timeout=60, check=False, **options).returncode


def in_child(function):
    """What `function` returns in a forked child, as an exit status; 99 for an exception."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(function() or 0)
        except CudaError as error:
            os._exit(error.code)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(condition, what):
    """The server hears of the end of a process a moment later, and nobody tells us when."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.005)


def check_anew():
    Driver().start().check()


def refused_after_fork(driver):
    """In a child that was forked after cuInit: every code is NOT_INITIALIZED, and what needs no device still works."""
    count, address, version, text = ctypes.c_int(), ctypes.c_uint64(), ctypes.c_int(), ctypes.c_char_p()
    codes = [driver.code("cuInit", 0), driver.code("cuDeviceGetCount", ctypes.byref(count)),
             driver.code("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(64)),
             driver.code("cuCtxSynchronize"), driver.code("cuStreamQuery", None)]
    assert codes == [NOT_INITIALIZED] * 5, codes
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuGetErrorName(NOT_INITIALIZED, ctypes.byref(text))
    assert version.value >= 12000 and text.value == b"CUDA_ERROR_NOT_INITIALIZED"


# --- exec ---

def subprocesses_find_the_gpu():
    """subprocess closes every descriptor above 2."""
    assert run_one() == 0
    driver = Driver().start()
    assert run_one() == 0
    assert run_one(close_fds=False) == 0
    assert run_one(start_new_session=True) == 0
    driver.check()


def grandchildren_find_the_gpu():
    line = f"import subprocess, sys; sys.exit(subprocess.run({ONE!r}).returncode)"
    assert subprocess.run([sys.executable, "-c", line], timeout=60, check=False).returncode == 0


def an_emptied_environment_has_no_gpu():
    # Neither the folder of libcuda.so.1 nor the door is known to it; with the folder alone there is no device.
    folder = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}
    assert run_one(env=folder) == NO_DEVICE
    assert run_one(env={**folder, "MIGNIFICIENT_GPU_DOOR": os.environ["MIGNIFICIENT_GPU_DOOR"]}) == 0


def a_forked_child_gets_its_own_by_exec():
    driver = Driver().start()

    def child():
        refused_after_fork(driver)
        os.execv(ONE[0], ONE)
    assert in_child(child) == 0
    driver.check()


# --- fork ---

def fork_before_init_works_anew():
    library = Driver()
    assert in_child(check_anew) == 0
    library.start().check()


def fork_after_init_is_refused():
    driver = Driver().start()
    assert in_child(lambda: refused_after_fork(driver)) == 0
    assert in_child(lambda: in_child(lambda: refused_after_fork(driver))) == 0
    driver.check()


def fork_while_other_threads_work():
    """Children of a process whose threads attach and call must find no lock taken."""
    import threading
    stop = threading.Event()
    first = Driver()

    def work():
        driver = Driver().start()
        while not stop.is_set():
            driver.check()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            # Whether the fork came before cuInit or after it, cuInit returns.
            assert in_child(lambda: 0 if first.code("cuInit", 0) in (0, NOT_INITIALIZED) else 1) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def memory_of_a_parent_that_ends_is_free():
    """Although a child that it forked lives on, as workers do."""
    hold, release = os.pipe()
    ready, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(release)
        driver = Driver().start()
        driver.allocate(300 * MIB)
        driver.check()
        if os.fork() == 0:
            os.write(tell, b"x")
            os.read(hold, 1)  # until the end of the test
            os._exit(0)
        os._exit(0)
    assert os.read(ready, 1) == b"x"
    os.waitpid(parent, 0)
    driver = Driver().start()
    until(lambda: driver.memory()[0] == BUDGET, "the memory of a parent that ended is free")
    driver.allocate(400 * MIB)
    driver.check()
    os.close(release)


def a_child_outlives_its_parent():
    ready, tell = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", "import subprocess, sys; subprocess.Popen("
                               f"['/bin/sh', '-c', 'read line; exec {ONE[0]} {ONE[1]} --one --tell {tell}'],"
                               f" pass_fds=[{tell}])"], stdin=subprocess.PIPE, pass_fds=[tell])
    os.close(tell)
    assert parent.wait(60) == 0
    parent.stdin.write(b"\n")  # inherited by the orphan, which begins now
    parent.stdin.close()
    assert os.read(ready, 1) == b"0"


# --- multiprocessing, as torch's DataLoader and compile workers ---

def _worker(queue):
    check_anew()
    queue.put(os.getpid())


def _idle_worker(queue):
    queue.put(sum(range(1000)))


def spawned_workers_have_the_gpu():
    driver = Driver().start()
    _in_workers("spawn", _worker)
    driver.check()


def forkserver_workers_have_the_gpu():
    driver = Driver().start()
    _in_workers("forkserver", _worker)
    driver.check()


def forked_workers_without_cuda_do_their_work():
    driver = Driver().start()
    for _ in range(2):
        _in_workers("fork", _idle_worker)
        driver.check()


def _in_workers(method, target):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=target, args=[queue]) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0], [worker.exitcode for worker in workers]
    assert len([queue.get(timeout=60) for _ in workers]) == 3


# --- limits of the session ---

def processes_share_the_budget():
    """Together they have what one alone would have; who comes too late gets CUDA's error, and nobody is harmed."""
    ask, hear = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        driver = Driver().start()
        kept = []
        while (words := hear.recv()) is not None:
            try:
                kept.append(driver.allocate(words * MIB)) if words > 0 else driver.free(kept.pop())
                driver.check()
                hear.send(0)
            except CudaError as error:
                hear.send(error.code)
        os._exit(0)

    def other(mib):
        ask.send(mib)
        return ask.recv()
    driver = Driver().start()
    first = driver.allocate(300 * MIB)
    for _ in range(3):  # a refusal costs nothing of what is left
        assert other(300) == OUT_OF_MEMORY
    assert other(200) == 0
    try:
        driver.allocate(100 * MIB)
        raise AssertionError("more than the budget is allocated")
    except CudaError as error:
        assert error.code == OUT_OF_MEMORY
    driver.check()
    assert driver.memory()[0] <= BUDGET - 500 * MIB
    # What a process has freed and kept for later goes before it is refused.
    driver.free(first)
    driver.check()
    driver.free(driver.allocate(80 * MIB))
    driver.free(driver.allocate(240 * MIB))
    driver.free(driver.allocate(300 * MIB))
    assert other(0) == 0
    ask.send(None)
    os.waitpid(child, 0)
    until(lambda: driver.memory()[0] == BUDGET, "the memory of a child that ended is free")
    driver.free(driver.allocate(500 * MIB))
    driver.check()


def channels_are_bounded():
    """32 processes have a channel; the next one is told that there is no room, and gets one when another has ended."""
    hold, release = os.pipe()
    children = []
    for _ in range(32):
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(release)
            os.write(tell, bytes([Driver().code("cuInit", 0)]))
            os.read(hold, 1)
            os._exit(0)
        os.close(tell)
        assert os.read(ready, 1) == b"\0"
        os.close(ready)
        children.append(child)
    assert in_child(lambda: Driver().code("cuInit", 0)) == OUT_OF_MEMORY
    os.kill(children[7], signal.SIGKILL)
    os.waitpid(children.pop(7), 0)
    until(lambda: in_child(check_anew) == 0, "the channel of a process that ended is free")
    os.close(release)
    for child in children:
        os.waitpid(child, 0)


def silent_callers_keep_nobody_out():
    name = os.environ["MIGNIFICIENT_GPU_DOOR"].rsplit(":", 1)[0]
    callers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
    for caller in callers:
        caller.connect("\0" + name)
    check_anew()


def the_key_is_needed():
    name, key = os.environ["MIGNIFICIENT_GPU_DOOR"].rsplit(":", 1)
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert run_one(env={**os.environ, "MIGNIFICIENT_GPU_DOOR": f"{name}:{wrong}"}, stderr=subprocess.DEVNULL) != 0
    assert run_one(env={**os.environ, "MIGNIFICIENT_GPU_DOOR": name}, stderr=subprocess.DEVNULL) != 0
    assert run_one() == 0


def one():
    code = 0
    try:
        check_anew()
    except CudaError as error:
        print(error, file=sys.stderr)
        code = error.code % 256
    if "--tell" in sys.argv:
        os.write(int(sys.argv[-1]), b"0" if code == 0 else b"1")
    sys.exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one()
    globals()[sys.argv[1]]()
    print("ok")
