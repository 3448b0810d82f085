"""Every fixture that has a runner, at the fixture's own tolerance.

GOLDEN_DIR=/another/folder checks other fixtures of the same names.
"""

import os
import pathlib

import jax
import pytest

from tests import toy
from tests.golden import golden
from tests.golden_runners import RUNNERS

FOLDER = os.environ.get("GOLDEN_DIR") or str(pathlib.Path(__file__).parent / "golden")


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.mark.parametrize("name", [name for name in golden.names(FOLDER) if name in RUNNERS])
def test_equals_the_original(name):
    state, inputs, _, notes = golden.load(name, FOLDER)
    with jax.default_matmul_precision("highest"):
        golden.assert_close(name, RUNNERS[name](state, inputs, notes), folder=FOLDER)


def test_every_packaged_fixture_has_a_runner():
    packaged = golden.names(str(pathlib.Path(__file__).parent / "golden"))
    assert packaged and not set(packaged) - RUNNERS.keys()
