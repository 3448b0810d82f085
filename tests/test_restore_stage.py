import pathlib
import re

import jax
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.models import unet
from oldphoto_jax.photo import image
from oldphoto_jax.predictors.defects import DefectPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.predictors.predictor import Predictor
from oldphoto_jax.restore import detect, stage
from oldphoto_jax.weights import catalogue, rows, store
from tests import untrained
from tests.tiled import run

FINDER = untrained.finder(threshold=0.3)
RNG = np.random.default_rng(0)


class Near(nnx.Module):
    """A network that sees one pixel far."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 1, (3, 3), rngs=rngs)
        self.norm = norm.BatchNorm(1)

    def __call__(self, x):
        return self.norm(self.conv(x))


class Local(Predictor):
    """Finds defects with it."""

    multiple = 16

    def networks(self, rngs):
        return {"segmenter": Near(rngs)}

    def __call__(self, nets, batch):
        return {"mask": jax.nn.sigmoid(nets["segmenter"](batch["photo"]))}


@pytest.fixture
def small():
    return stage.Stage(Local(), untrained.networks(Local()))


def test_one_program_for_each_shape(small):
    for size in (32, 48, 32, 48, 48):
        small(np.zeros((1, size, size, 3), np.float32))
    assert small.compiled == [(1, 32, 32, 3), (1, 48, 48, 3)]


def test_photos_of_a_batch_do_not_see_each_other(small):
    photos = RNG.random((2, 32, 32, 3), np.float32)
    together = small(photos)["mask"]
    alone = np.concatenate([small(photo[None])["mask"] for photo in photos])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_same_photo_gives_the_same_bytes(small):
    photo = RNG.random((1, 32, 32, 3), np.float32)
    assert np.array_equal(small(photo)["mask"], small(photo)["mask"])


def test_it_answers_as_the_predictor_does(small):
    photo = RNG.random((1, 32, 32, 3), np.float32)
    nets = untrained.networks(Local())
    nets["segmenter"].eval()
    expected = Local()(nets, {"photo": photo})["mask"]
    np.testing.assert_allclose(small(photo)["mask"], expected, atol=1e-6)


def test_a_folder_of_many_sizes_compiles_few_programs(small):
    for height, width in [(20, 30), (100, 100), (130, 40), (64, 65), (90, 300), (33, 200)]:
        photo = RNG.random((height, width, 3), np.float32)
        assert detect.probability(small, photo, tile=64, overlap=8).shape == (height, width)
    assert {*small.compiled} == {(1, 32, 32, 3), (1, 64, 64, 3)}


def test_tiles_and_whole_agree_for_a_network_that_sees_near(small):
    photo = RNG.random((96, 160, 3), np.float32)
    whole, tiled = (
        image.to_float(detect.probability(small, photo, tile=tile, overlap=overlap))
        for tile, overlap in ((160, 0), (48, 16))
    )
    assert whole.std() > 0.01
    np.testing.assert_allclose(tiled[:95, :159], whole[:95, :159], atol=1e-6 + 1 / 65535)


def test_weights_bring_their_predictor_along(tmp_path):
    path = untrained.save(tmp_path / "w.safetensors", FINDER)
    loaded = stage.load(path)
    assert loaded.predictor == FINDER
    assert loaded.checksum == store.checksum(path)
    _, params = nnx.split(dict(untrained.networks(FINDER)))
    for mine, theirs in zip(*map(jax.tree.leaves, (loaded.params, params)), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_work_folder_gives_its_best_weights_or_else_its_last(tmp_path):
    with pytest.raises(store.WeightsError, match=r"weights/best\.safetensors"):
        stage.find(tmp_path)
    for name in ("last", "best"):
        kept = untrained.save(tmp_path / "weights" / f"{name}.safetensors", Local(), {})
        assert stage.find(tmp_path) == stage.find(kept) == kept
    with pytest.raises(store.WeightsError, match="no such weights file or work folder"):
        stage.find(tmp_path / "nowhere")


def test_weights_that_say_nothing_or_do_not_fit_are_refused(tmp_path):
    path = untrained.save(tmp_path / "w.safetensors", FINDER, {})
    with pytest.raises(store.WeightsError, match="no predictor"):
        stage.load(path)
    untrained.save(path, FINDER, DefectPredictor(network=unet.Blueprint(width=8)).metadata())
    with pytest.raises(store.WeightsError, match=re.escape(str(path)) + ", segmenter: "):
        stage.load(path)


def test_without_weights_the_packaged_ones_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "FILES", tmp_path)
    with pytest.raises(store.WeightsError, match="none.*--config=configs/lite.py"):
        stage.load(None, "lite")
    untrained.save(tmp_path / "lite.safetensors", FINDER)
    assert stage.load(None, "lite").predictor == FINDER
    assert [file.stem for file in catalogue.all_packaged()] == ["lite"]


def short_of_memory(largest):
    def function(batch):
        if batch.shape[1] > largest:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte")
        return batch

    return function


def within_memory(function, photo, tile, overlap):
    """What the function makes of all tiles, made smaller where need be."""

    def go(tile, overlap):
        return run(function, photo, tile=tile, overlap=overlap, multiple=16)

    return stage.within_memory(go, tile, overlap, 16)


def test_tiles_shrink_until_the_device_can_take_them(capsys):
    photo = RNG.random((300, 500, 3), np.float32)
    assert np.array_equal(within_memory(short_of_memory(64), photo, 256, 128), photo)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "out of device memory: tile 256 becomes 128",
        "out of device memory: tile 128 becomes 64",
    ]


def test_no_tile_is_too_small_to_give_up():
    photo = RNG.random((30, 50, 3), np.float32)
    with pytest.raises(MemoryError, match="tile of 16 pixels"):
        within_memory(short_of_memory(0), photo, 64, 32)


def test_other_errors_of_the_device_are_not_taken_for_a_lack_of_memory():
    def broken(batch):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
        within_memory(broken, np.zeros((9, 9, 3)), 64, 0)


@pytest.mark.parametrize(
    ("platform", "variable"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")]
)
def test_compiled_programs_lie_in_the_users_cache(monkeypatch, tmp_path, platform, variable):
    monkeypatch.setattr(stage.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert stage.cache_folder() == tmp_path / "oldphoto_jax" / "compiled"
    monkeypatch.delenv(variable)
    assert pathlib.Path.home() in stage.cache_folder().parents


def test_weights_for_something_else_are_refused(tmp_path):
    file = untrained.save(tmp_path / "segment.safetensors", FINDER)
    assert stage.load(file, kind=DefectPredictor).predictor == FINDER
    with pytest.raises(
        store.WeightsError, match="these weights find defects, but it takes some that fill holes"
    ):
        stage.load(file, kind=FillingPredictor)


def test_outside_the_mask_a_loaded_filler_leaves_the_photo(tmp_path):
    loaded = stage.load(untrained.save(tmp_path / "filler.safetensors", untrained.filler()))
    photo = RNG.random((1, 16, 16, 3), np.float32)
    mask = np.zeros((1, 16, 16, 1), np.float32)
    assert np.array_equal(loaded(photo, mask=mask)["photo"], photo)
