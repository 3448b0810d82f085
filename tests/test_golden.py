"""Every fixture at its own tolerance; one that has no runner fails, and is told.

GOLDEN_DIR=/another/folder checks other fixtures of the same names, of other sizes too. Those for
which there is no runner are skipped there, and `conftest.py` lists them at the end.
"""

import os
import pathlib
import types

import jax
import pytest

from tests import conftest, toy
from tests.golden import golden
from tests.golden_runners import RUNNERS

GIVEN = os.environ.get("GOLDEN_DIR")
FOLDER = GIVEN or str(pathlib.Path(__file__).parent / "golden")


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.mark.parametrize("name", golden.names(FOLDER))
def test_equals_the_original(name):
    if name not in RUNNERS:
        why = f"the golden fixture {name} {conftest.NO_RUNNER}"
        pytest.skip(why) if GIVEN else pytest.fail(why)
    state, inputs, _, notes = golden.load(name, FOLDER)
    with jax.default_matmul_precision("highest"):
        golden.assert_close(name, RUNNERS[name](state, inputs, notes), folder=FOLDER)


def test_there_are_fixtures():
    assert golden.names(FOLDER), f"{FOLDER} holds no fixture (NAME.npz); set GOLDEN_DIR to one"


def test_what_has_no_runner_is_listed():
    lines = []
    reasons = ["the golden fixture b " + conftest.NO_RUNNER, "needs a GPU"]
    skipped = [types.SimpleNamespace(longrepr=("file", 1, f"Skipped: {why}")) for why in reasons]
    recorder = {"stats": {"skipped": skipped}, "section": lines.append, "write_line": lines.append}
    conftest.pytest_terminal_summary(types.SimpleNamespace(**recorder))
    assert lines == ["golden fixtures that were not checked: 1", reasons[0]]
