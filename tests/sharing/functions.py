"""Python functions that fork, for kill_test.py."""
import os
import signal


def wait(invocation):
    """Waits until it is killed."""
    while True:
        signal.pause()


def fork_and_wait(invocation):
    """Leaves a child in the process group, one in a session of its own, and one that has lost its parent as well and has
    nothing of the environment, then waits like them. The payload names a file that is there once all are."""
    path = bytes(invocation.payload.view_readable()).decode()
    if os.fork() == 0:
        wait(None)
    if os.fork() == 0:
        os.setsid()
        wait(None)
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "1000000"], {})
        os._exit(0)
    os.waitpid(middle, 0)
    with open(path, "w") as file:
        file.write("ready")
    wait(None)
