"""The tree has only the arrows that STYLE.md allows, and the test would notice another one."""
import pathlib

import pytest

import arrows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_tree_has_only_allowed_arrows():
    assert arrows.wrong_arrows(ROOT) == []


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


GOOD = {
    "src/abi/cuda.h": "#pragma once\n",
    "src/base/result.h": "#include <string>\n",
    "src/os/child.h": '#include "base/result.h"\n',
    "src/ring/ring.h": '#include "os/child.h"\n#include "abi/cuda.h"\n',
    "src/remoting/wire/control.h": '#include "ring/ring.h"\n',
    "src/remoting/client/call.h": '#include "remoting/wire/control.h"\n#include "gen/commands.h"\n',
    "src/remoting/server/session.h": '#include "driver/driver_table.h"\n#include "remoting/wire/control.h"\n',
    "src/driver/driver_table.h": '#include "abi/cuda.h"\n',
    "src/driver/cpu/exec/launch.h": '#include "driver/driver_table.h"\n',
    "src/sched/policy.h": '#include "base/result.h"\n',
    "src/executor/protocol.h": '#include "base/result.h"\n',
    "src/executor/cpp/host.h": '#include "executor/protocol.h"\n',
    "src/node/node.h": '#include "sched/policy.h"\n#include "executor/protocol.h"\n#include <boost/asio.hpp>\n',
    "src/http/serve.h": '#include "node/node.h"\n',
    "src/cli/serve.cc": '#include "http/serve.h"\n',
    "apps/mignificient.cc": '#include "cli/serve.h"\n',
}


def test_a_tree_with_good_arrows_passes(tmp_path):
    assert arrows.wrong_arrows(tree(tmp_path, GOOD)) == []


@pytest.mark.parametrize("file, include", [
    ("src/base/result.h", "os/child.h"),
    ("src/os/child.h", "ring/ring.h"),
    ("src/ring/ring.h", "remoting/wire/control.h"),
    ("src/remoting/wire/control.h", "remoting/client/call.h"),
    ("src/remoting/client/call.h", "remoting/server/session.h"),
    ("src/remoting/server/session.h", "remoting/client/call.h"),
    ("src/remoting/server/session.h", "driver/cpu/exec/launch.h"),
    ("src/abi/cuda.h", "os/child.h"),
    ("src/sched/policy.h", "os/child.h"),
    ("src/sched/policy.h", "node/node.h"),
    ("src/node/node.h", "http/serve.h"),
    ("src/node/node.h", "executor/cpp/host.h"),
    ("src/node/node.h", "remoting/server/session.h"),
    ("src/http/serve.h", "cli/serve.cc"),
    ("src/cli/serve.cc", "remoting/server/session.h"),
    ("src/node/node.h", "gen/commands.h"),
    ("src/executor/protocol.h", "node/node.h"),
])
def test_a_bad_arrow_is_named(tmp_path, file, include):
    root = tree(tmp_path, {**GOOD, file: GOOD[file] + f'#include "{include}"\n'})
    complaints = arrows.wrong_arrows(root)
    assert len(complaints) == 1
    assert file in complaints[0] and include in complaints[0]


def test_a_bad_arrow_by_relative_path_is_named(tmp_path):
    root = tree(tmp_path, {**GOOD, "src/remoting/client/call.h": '#include "../server/session.h"\n'})
    assert len(arrows.wrong_arrows(root)) == 1


def test_a_folder_without_a_place_in_the_picture_is_named(tmp_path):
    root = tree(tmp_path, {**GOOD, "src/misc/helper.h": ""})
    assert arrows.wrong_arrows(root) == [
        "src/misc/helper.h: lies in a folder that tests/tree/arrows.py does not know."
    ]
