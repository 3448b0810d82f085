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
TESTED = ("test", "tensorboard")  # the other extras need other machines
OPTIONAL = ("tensorboard", "heic", "ray")  # extras whose packages are imported where they are used

DISTRIBUTIONS = {  # where the name differs from that of the module
    "PIL": "pillow",
    "absl": "absl-py",
    "cv2": "opencv-python-headless",
    "orbax": "orbax-checkpoint",
    "skimage": "scikit-image",
}
UNSEEN = {"array-record"}  # TFDS reads with it


def requirements(lines):
    found = [Requirement(line) for line in lines]
    return {r.name: r for r in found if r.name != PROJECT["name"]}


def lowest(requirement):
    [bound] = [spec.version for spec in requirement.specifier if spec.operator == ">="]
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
    kinds = ("*.py", "py.typed", "weights/files/*")
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
    more = {"experiments": requirements(EXTRAS["compare"]).keys()}  # to be measured against
    for folder in ("configs", "experiments", "tests"):
        assert imported(folder) <= everything | more.get(folder, set())


def test_the_oldest_versions_tested_are_the_oldest_allowed():
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines)
    every = [PROJECT["dependencies"], *(EXTRAS[name] for name in TESTED)]
    assert pinned == {r.name: lowest(r) for one in every for r in requirements(one).values()}


def test_only_the_formatter_has_a_newest_version():
    every = requirements([*PROJECT["dependencies"], *EXTRAS["test"]])
    capped = {
        name
        for name, requirement in every.items()
        if {spec.operator for spec in requirement.specifier} != {">="}
    }
    assert capped == {"ruff"}


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
