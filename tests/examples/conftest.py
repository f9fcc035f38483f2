import pytest

import node as node_module


@pytest.fixture(scope="module")
def node():
    with node_module.node() as started:
        yield started
