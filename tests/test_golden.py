"""Every fixture at its own tolerance; one that has no runner fails.

Those in `golden` come from the original networks. Those in `golden_other` have the same names and
other sizes, and come from the published formulas in PyTorch and float64: a runner must not know a
size by heart. GOLDEN_DIR=/another/folder checks others; those for which there is no runner are
skipped then, and `conftest.py` lists them at the end.
"""

import functools
import os
import pathlib
import types

import jax
import pytest

from tests import conftest, toy
from tests.golden import golden
from tests.golden_latent import RUNNERS

GIVEN = os.environ.get("GOLDEN_DIR")
HERE = pathlib.Path(__file__).parent
FOLDERS = [GIVEN] if GIVEN else [str(HERE / "golden"), str(HERE / "golden_other")]


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch):
    """Weights are not drawn again to compare what came out."""
    monkeypatch.setattr(golden, "load", functools.lru_cache(maxsize=1)(golden.load))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        pytest.param(name, folder, id=name if folder == FOLDERS[0] else f"{name}-other")
        for folder in FOLDERS
        for name in golden.names(folder)
    ],
)
def test_equals_the_original(name, folder):
    if name not in RUNNERS:
        why = f"the golden fixture {name} {conftest.NO_RUNNER}"
        pytest.skip(why) if GIVEN else pytest.fail(why)
    state, inputs, _, notes = golden.load(name, folder)
    with jax.default_matmul_precision("highest"):
        golden.assert_close(name, RUNNERS[name](state, inputs, notes), folder=folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_there_are_fixtures(folder):
    assert golden.names(folder), f"{folder} holds no fixture (NAME.npz); set GOLDEN_DIR to one"


def test_what_has_no_runner_is_listed():
    lines = []
    reasons = ["the golden fixture b " + conftest.NO_RUNNER, "needs a GPU"]
    skipped = [types.SimpleNamespace(longrepr=("file", 1, f"Skipped: {why}")) for why in reasons]
    recorder = {"stats": {"skipped": skipped}, "section": lines.append, "write_line": lines.append}
    conftest.pytest_terminal_summary(types.SimpleNamespace(**recorder))
    assert lines == ["golden fixtures that were not checked: 1", reasons[0]]
