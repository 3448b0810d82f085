"""What is installed: the wheel's files, what it depends on, and from which versions on."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

import oldphoto_jax

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Those that `test` brings along; the others need other machines, or gigabytes, or no test does.
BROUGHT = {
    e for r in map(Requirement, EXTRAS["test"]) if r.name == PROJECT["name"] for e in r.extras
}
ELSEWHERE = {"compare", "cuda", "docs", "tpu"}
OPTIONAL = (
    "tensorboard",
    "heic",
    "codecs",
    "ray",
)  # extras whose packages are imported where they are used

DISTRIBUTIONS = {  # where the name differs from that of the module
    "PIL": "pillow",
    "absl": "absl-py",
    "cv2": "opencv-python-headless",
    "markdown_it": "markdown-it-py",
    "orbax": "orbax-checkpoint",
    "skimage": "scikit-image",
}
UNSEEN = {"array-record", "flatbuffers"}  # TFDS reads with one, jax.export writes with the other


def requirements(lines):
    found = [Requirement(line) for line in lines]
    return {r.name: r for r in found if r.name != PROJECT["name"]}


def lowest(requirement):
    [bound] = [spec.version for spec in requirement.specifier if spec.operator in (">=", "==")]
    return bound


def imported(folder):
    """Modules that are neither ours nor Python's, as distributions."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    names -= {*sys.stdlib_module_names, "oldphoto_jax", "configs", "experiments", "tests"}
    return {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source, dist, site = folder / "source", folder / "dist", folder / "site"
    source.mkdir()
    for name in ("configs", "experiments", "oldphoto_jax", "tests"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source)
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(dist)!r})"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    [file] = dist.glob("*.whl")
    assert file.name == f"oldphoto_jax-{oldphoto_jax.__version__}-py3-none-any.whl"
    zipfile.ZipFile(file).extractall(site)
    return site


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert {path.name.partition("-")[0] for path in wheel.iterdir()} == {"oldphoto_jax"}
    package = ROOT / "oldphoto_jax"
    kinds = ("*.py", "py.typed", "metrics/imagenet.txt", "photo/prior.csv", "weights/files/*")
    expected = {path.relative_to(package) for kind in kinds for path in package.rglob(kind)}
    inside = wheel / "oldphoto_jax"
    assert {p.relative_to(inside) for p in inside.rglob("*") if p.is_file()} == expected
    assert pathlib.Path("py.typed") in expected


def test_the_wheel_carries_licence_and_description(wheel):
    [info] = wheel.glob("*.dist-info")
    assert (info / "licenses" / "LICENSE").read_text("utf-8").count("Apache License") > 0
    metadata = (info / "METADATA").read_text("utf-8")
    assert "License-Expression: Apache-2.0" in metadata
    assert (ROOT / "README.md").read_text("utf-8").strip() in metadata


def test_the_wheel_starts(wheel, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    command = [sys.executable, "-m", "oldphoto_jax.cli", "--version"]
    options = dict(cwd=tmp_path, capture_output=True, text=True)
    answer = subprocess.run(command, env=environment, **options)
    assert answer.stdout.strip() == oldphoto_jax.__version__, answer.stderr


def test_what_is_imported_is_required_and_what_is_required_is_imported():
    core = requirements(PROJECT["dependencies"])
    extra = {name for one in OPTIONAL for name in requirements(EXTRAS[one])}
    assert imported("oldphoto_jax") | UNSEEN == core.keys() | extra
    everything = core.keys() | extra | requirements(EXTRAS["test"]).keys()
    more = {
        "docs": requirements(EXTRAS["docs"]).keys(),
        "experiments": requirements([*EXTRAS["compare"], *EXTRAS["experiments"]]).keys(),
    }
    for folder in ("configs", "docs", "experiments", "tests"):
        assert imported(folder) <= everything | more.get(folder, set())


def test_the_oldest_versions_tested_are_the_oldest_allowed():
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines)
    every = [PROJECT["dependencies"], *(EXTRAS[name] for name in ("test", *BROUGHT))]
    assert pinned == {r.name: lowest(r) for one in every for r in requirements(one).values()}


def test_the_test_command_brings_whatever_tests_can_need():
    assert EXTRAS.keys() - ELSEWHERE - {"test"} == BROUGHT


def test_only_tools_that_change_their_mind_have_a_newest_version():
    every = requirements([*PROJECT["dependencies"], *EXTRAS["test"]])
    capped = {
        name
        for name, requirement in every.items()
        if {spec.operator for spec in requirement.specifier} != {">="}
    }
    assert capped == {"mypy", "ruff"}


def test_pythons_that_are_named_are_those_of_the_statement_and_of_ci():
    named = [c for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    versions = [c.rpartition(" ")[2] for c in named]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert set(versions) == set(re.findall(r"find_python (3\.\d+)", script))
    assert f"Python {versions[0]} or newer" in (ROOT / "README.md").read_text("utf-8")
    assert f"Python {versions[-1]}" in (ROOT / "docs" / "limits.md").read_text("utf-8")


def test_versions_agree():
    version = re.escape(oldphoto_jax.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    first = re.search(r"^## \[(.*?)\] - ", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert first[1] == oldphoto_jax.__version__


def test_ci_runs_on_what_is_there():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    answer = subprocess.run([script, "newest"], capture_output=True, text=True)
    assert answer.returncode == 2 and "unknown argument 'newest'" in answer.stderr


SKIPS = """
import pytest

def test_one():
    pytest.skip("on the moon")

def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("options", "code"),
    [(["-n0"], 0), (["-n0", "--none-skipped"], 1), (["-n2", "--none-skipped"], 1)],
)
def test_where_nothing_may_be_skipped_a_skipped_test_fails_the_run(tmp_path, options, code):
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "test_lacks.py").write_text("import pytest\npytest.importorskip('moon_rocks')")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += [f"--rootdir={tmp_path}", str(tmp_path), *options]
    environment = {
        k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"
    }  # it may forbid too
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "1 passed, 2 skipped" in answer.stdout.splitlines()[-1]
    assert ("on the moon" in answer.stdout and "moon_rocks" in answer.stdout) == bool(code)
