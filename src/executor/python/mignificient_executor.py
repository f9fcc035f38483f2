"""The process that runs one Python function: started by `mignificient serve` with the interpreter that
`executor.python` names, as executor/protocol.h says.

This file alone is written so that every Python can read it: one that is too old says so.
"""
import sys

OLDEST = (3, 9)


def main():
    if sys.version_info < OLDEST:
        sys.stderr.write("A Python function needs Python %d.%d or newer; %s (key executor.python) is Python %d.%d.\n"
                         % (OLDEST + (sys.executable,) + tuple(sys.version_info[:2])))
        sys.exit(1)
    from mignificient import host

    # What is found beside this file was needed once. It stays findable, for processes that the function starts, but
    # behind everything that the function itself may want to import.
    sys.path.append(sys.path.pop(0))
    host.main(sys.argv[1:])


if __name__ == "__main__":  # and not where multiprocessing imports the main file of its parent again
    main()
