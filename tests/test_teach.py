"""Learning from corrections: what is held back judges, and a file is written only for a gain."""

import json
import pathlib
import signal

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax import cli, teach
from oldphoto_jax.data.pairs import Pairs
from oldphoto_jax.models import unet
from oldphoto_jax.photo.disk import files
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.tasks import segment
from oldphoto_jax.train.log import Log
from oldphoto_jax.weights import store
from tests import toy, untrained

# One is a family of textures that is not here, as weights trained with a folder of them have it.
FINDER = DefectPredictor(unseen=("flakes", "crackforest-masks"))


class Tiny(nnx.Module):
    """In place of a U-Net: one layer, and what it says of each pixel."""

    def __init__(self, *_, rngs, **__):
        self.encoder = toy.Layer(3, 4, rngs=rngs)
        self.final = nnx.Conv(4, 1, (1, 1), rngs=rngs)

    def __call__(self, x):
        return self.final(self.encoder(x))


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Little of everything, learned fast; prints are no negatives, so that light is damage."""
    numbers = {"CROPS": 1, "SIDE": 32, "LOOKS": 2, "BATCH": 4, "EVERY": 4, "RATE": 0.05}
    for name, number in numbers.items():
        monkeypatch.setattr(teach, name, number)
    monkeypatch.setattr(segment, "NEGATIVE", 0.0)
    monkeypatch.setattr(unet, "AlbuNet", Tiny)
    monkeypatch.setattr(stage, "prepare", lambda: None)


@pytest.fixture
def weights(tmp_path):
    return untrained.save(tmp_path / "base.safetensors", FINDER)


@pytest.fixture
def album(tmp_path):
    """Six photos; on all but the last something is damaged."""
    folder, rng = tmp_path / "album", np.random.default_rng(0)
    folder.mkdir()
    for number in range(6):
        mask = np.zeros((64, 64, 1), np.uint8)
        if number < 5:
            top, left = rng.integers(0, 40, 2)
            mask[top : top + 20, left : left + 12] = 255
        photo = np.where(mask, 255, rng.integers(20, 140, (64, 64, 3))).astype(np.uint8)
        files.write_png(folder / f"{number}.png", photo)
        files.write_png(folder / f"{number}_mask.png", mask)
    return folder


def run(album, weights, out, *options):
    more = ["--weights", str(weights), "--out", str(out), *options]
    return cli.main(["teach", str(album), *more])


def test_a_fifth_of_the_damaged_photos_is_held_back(album):
    pairs = Pairs(album)
    for seed in range(4):
        lessons, held = teach.parted(pairs, seed)
        assert len(held) == 1 and held.names != ["5.png"]  # nothing could be found in that one
        assert sorted(lessons.names + held.names) == pairs.names
        assert teach.parted(pairs, seed)[1].names == held.names
    assert len({*(teach.parted(pairs, seed)[1].names[0] for seed in range(9))}) > 1


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (range(3), "3 photos have a mask that can be used, 2 of them show damage; at least 4"),
        (range(4), "2 photos have a mask that can be used, 1 of them show damage"),
    ],
)
def test_too_few_photos_are_told(album, weights, tmp_path, capsys, gone, words):
    for number in gone:
        (album / f"{number}_mask.png").unlink()
    assert run(album, weights, tmp_path / "out.safetensors") == 2
    assert words in capsys.readouterr().err


def test_masks_that_are_none_do_not_count_and_are_named(album, weights, tmp_path, capsys):
    for number in range(3):
        files.write_png(album / f"{number}_mask.png", np.full((64, 64, 1), 128, np.uint8))
    assert run(album, weights, tmp_path / "out.safetensors") == 2
    told = capsys.readouterr().err
    assert "or mend these:" in told and "0.png: 100% of its pixels are gray" in told


@pytest.mark.parametrize(("steps", "seed"), [(0, 0), (1, -1)])
def test_numbers_that_can_not_be_are_told(album, tmp_path, steps, seed):
    with pytest.raises(ValueError, match=r"--(steps 0|seed -1): give \d or more"):
        teach.teach(Pairs(album), tmp_path / "none", tmp_path / "taught", steps, seed)


def test_a_file_that_is_there_stays(album, weights, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    assert run(album, weights, out) == 2
    assert "is there already" in capsys.readouterr().err and out.read_bytes() == b"mine"


def test_it_trains_and_writes_what_restoring_takes(album, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(teach, "CLEAN", 1.0)  # on photos unlike these it knows nothing
    out = tmp_path / "taught" / "album.safetensors"
    assert run(album, weights, out, "--steps", "12") == 0
    told = capsys.readouterr().out
    assert "6 photos with masks: 5 to learn from, 1 held back" in told
    assert "held back: AP" in told and f"--detector {out}" in told
    base, taught = stage.load(weights), stage.load(out, kind=DefectPredictor)
    assert taught.predictor == base.predictor and taught.checksum != base.checksum
    before, (after, metadata) = store.load(weights)[0], store.load(out)
    assert {k: (v.shape, v.dtype) for k, v in before.items()} == {
        k: (v.shape, v.dtype) for k, v in after.items()
    }
    still = [k for k in before if k.endswith(("mean", "var"))]
    assert still and all(np.array_equal(before[k], after[k]) for k in still)
    notes = json.loads(metadata["taught"])
    assert notes["photos"] == 6 and notes["held_back"] == 1 and notes["base"] == base.checksum
    assert not any(str(tmp_path) in value or ".png" in value for value in metadata.values())
    figures = json.loads(metadata["figures"])
    gain = [figures[when]["average_precision"] for when in ("before", "after")]
    assert gain[1] > gain[0] + teach.GAIN
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"RATE": 1e-9}, "on what was held back changed by "), ({"GAIN": -1}, "of undamaged photos")],
)
def test_what_does_not_gain_is_told_and_not_written(
    album, weights, tmp_path, monkeypatch, capsys, limit, words
):
    out, clean = tmp_path / "out.safetensors", iter([0.001, 0.9])
    real = teach.defects.evaluate

    def marking(exam, methods):
        figures = real(exam, methods)["figures"]
        return {"figures": [one | {"clean_marked": next(clean)} for one in figures]}

    monkeypatch.setattr(teach.defects, "evaluate", marking)
    for name, number in limit.items():
        monkeypatch.setattr(teach, name, number)
    assert run(album, weights, out, "--steps", "4") == 1
    told = capsys.readouterr().out
    assert "nothing was written" in told and words in told
    assert not out.exists()


def test_ctrl_c_leaves_nothing(album, weights, tmp_path, monkeypatch, capsys):
    add = Log.add

    def interrupting(self, step, terms):
        signal.raise_signal(signal.SIGINT)
        add(self, step, terms)

    monkeypatch.setattr(Log, "add", interrupting)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(teach.tempfile, "tempdir", str(tmp_path))
    assert run(album, weights, tmp_path / "out.safetensors", "--steps", "4") == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_the_run_rehearses_and_draws_only_what_is_here(album, weights):
    lessons, held = teach.parted(Pairs(album))
    config = teach.configured(FINDER, lessons, held, weights, 240, 0)
    config.check()
    config.task.ready()  # without the folder of textures
    assert config.task.damage.exclude == ("flakes",)
    kinds = ["mask" in config.photos[index] for index in range(len(config.photos))]
    assert np.mean(kinds) == pytest.approx(1 / 2, abs=0.1)


def test_the_documents_have_its_numbers():
    told = (pathlib.Path(__file__).parents[1] / "docs" / "masks.md").read_text("utf-8")
    told = " ".join(told.split())
    for words in (
        f"at least one and at most {teach.HELD}, is held back",
        f"average precision on what was held back does not rise by {teach.GAIN},",
        f"after {teach.STEPS} steps at the latest",
    ):
        assert words in told
