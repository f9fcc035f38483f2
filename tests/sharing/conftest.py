"""Where the functions are and how a test gets a node; the programs of bench/ that these tests try out can be imported."""
import os
import pathlib
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MIGNIFICIENT_BUILD", ROOT / "build/release")).resolve()
FOLDER = BUILD / "tests/sharing"
sys.path.insert(0, str(ROOT / "bench"))

import serving  # noqa: E402  (of bench/)

DRIVER, RUNTIME = FOLDER / "libsharing_driver.so", FOLDER / "libsharing_runtime.so"
LIBRARIES = [path for path in (DRIVER, RUNTIME) if path.exists()]


@pytest.fixture
def make_node():
    """make_node(devices=..., sharing_model=...): a node that is ended, and must have left nothing, after the test."""
    nodes = []

    def make(devices=None, arguments=(), **settings):
        settings = {key.replace("_", "-"): value for key, value in settings.items()}
        settings = {"functions": {"allowed-paths": [str(FOLDER), str(pathlib.Path(__file__).parent)]},
                    "executor": {"python": sys.executable}, "gpu-server": {"driver": "cpu"}, **settings}
        refusal = serving.refused_setting(BUILD, settings)
        if "does not exist yet" in refusal or "is not known" in refusal:  # a version that lacks the model or the key
            pytest.skip(refusal)
        nodes.append(serving.Node(BUILD, settings, devices, arguments))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()


def until(condition, what, limit_s=60):
    """Polls where no event exists that a test could wait for."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    pytest.fail(f"not within {limit_s} s: {what}")
