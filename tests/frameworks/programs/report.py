"""What every program of this folder prints: `name value` lines that must be equal on every run, and `time name ms` lines
that need not be."""
import time


def value(name, *numbers):
    """Floats as hexadecimal, so that equal lines mean equal bits."""
    print(name, *(float(number).hex() if isinstance(number, float) else number for number in numbers), flush=True)


def took(name, milliseconds):
    print(f"time {name} {milliseconds:.3f}", flush=True)


def median_ms(step, synchronize, rounds=30, warmup=5):
    for _ in range(warmup):
        step()
    synchronize()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2] * 1e3
