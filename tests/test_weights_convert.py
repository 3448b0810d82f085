"""Published files become ours once, and then fill a network of ours."""

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful, unet
from oldphoto_jax.predictors import metadata
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.weights import cache, catalogue, convert, names, store
from tests import pickled
from tests.golden import golden
from tests.test_weights_colorful import COLOURS


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file with the names and shapes of torchvision's ResNet-18."""
    with np.load(f"{golden.FOLDER}/resnet18.npz") as data:
        spec = json.loads(bytes(data["spec"]).decode())
    state = {key: np.full(shape, 0.5, np.float32) for key, shape, _ in spec["params"]}
    path = tmp_path_factory.mktemp("published") / "resnet18.safetensors"
    store.save(path, state, {})
    return path


def test_the_stages_of_the_articles_segmenter_take_a_converted_encoder(published, tmp_path):
    target = tmp_path / "encoder.safetensors"
    assert convert.main(["resnet18", str(published), str(target)]) == 0
    arrays, metadata = store.load(target)
    assert metadata == {
        "kind": "resnet18",
        "source_sha256": store.checksum(published),
        "arrays": store.digest(arrays),
    }
    net = nnx.eval_shape(
        lambda: unet.AlbuNet(18, stem_kernel=3, stem_stride=1, pool=None, rngs=nnx.Rngs(0))
    )
    names.fill(net.encoder.stages, names.within(arrays, "segmenter.encoder.stages"))
    assert float(net.encoder.stages[3][1].conv2.kernel[...].mean()) == 0.5


def mmagic():
    """The tensors of OpenMMLab's partial convolution, but for those of masks."""
    channels, kernels, state = [64, 128, 256, *[512] * 4], [7, 5, 5, *[3] * 4], {}
    for i, (c, kernel) in enumerate(zip(channels, kernels, strict=True)):
        below = channels[i - 1] if i else 3
        enc, dec = f"generator.encoder.enc{i + 1}", f"generator.decoder.dec{i + 1}"
        state[f"{enc}.conv.weight"] = np.zeros((c, below, kernel, kernel), np.float32)
        state[f"{dec}.conv.weight"] = np.zeros((below, c + below, 3, 3), np.float32)
        if not i:
            state[f"{enc}.conv.bias"] = np.zeros(c, np.float32)
            state[f"{dec}.conv.bias"] = np.zeros(below, np.float32)
            continue
        for norm, size in (f"{enc}.bn", c), (f"{dec}.bn", below):
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{norm}.{part}"] = np.ones(size, np.float32)
    return state


def shapes(fixture):
    """The names and shapes of a published state dict."""
    with np.load(f"{golden.FOLDER}/{fixture}.npz") as data:
        return [
            (key, shape) for key, shape, _ in json.loads(bytes(data["spec"]).decode())["params"]
        ]


def naoto():
    """The tensors of naoto0804's file; those of masks, which are ignored, have one number."""
    return {
        key: np.zeros([1] * 4 if "mask_conv" in key else shape, np.float32)
        for key, shape in shapes("pconv_unet")
    }


@pytest.mark.parametrize("tensors", [naoto, mmagic])
def test_a_published_inpainter_becomes_a_stage(tensors, tmp_path, monkeypatch):
    family = tensors.__name__
    store.save(tmp_path / "published.safetensors", tensors(), {})
    monkeypatch.setattr(cache, "folder", lambda room: tmp_path / "cache")
    name, source = f"pconv-{family}", str(tmp_path / "published.safetensors")
    if family == "naoto":  # of which no checksum is known
        monkeypatch.setenv("OLDPHOTO_OFFLINE", "1")
        with pytest.raises(store.WeightsError, match="may not be used.*`oldphoto weights import"):
            stage.find(name)
        target = catalogue.bring(name, source)
        assert stage.find(name) == target
        assert store.load(target)[1]["licence"] == catalogue.row(name).licence
    else:
        target = tmp_path / "ours.safetensors"
        assert convert.main([name, source, str(target)]) == 0
    loaded = stage.load(target, kind=FillingPredictor)
    assert loaded.predictor.multiple == 128
    assert loaded.predictor.network.form == {"naoto": "sum"}.get(family, "ratio")
    assert loaded.predictor.space == {"naoto": "imagenet", "mmagic": "signed"}[family]


@pytest.mark.parametrize(
    ("kind", "network"),
    [("eccv16", colorful.ECCV16Blueprint()), ("siggraph17", colorful.SIGGRAPH17Blueprint())],
)
def test_published_colours_have_a_predictor_of_their_network(kind, network):
    name, text = convert.PREDICTORS[kind]
    found = metadata.read({"predictor": json.dumps(text)})
    assert isinstance(found, ColorPredictor) and found.network == network
    nets = nnx.eval_shape(lambda: found.networks(nnx.Rngs(0)))
    assert [*nets] == [name] and found.told_in == "ab" and found.multiple == 8
    assert found.hints == (kind == "siggraph17")


def test_what_colours_is_imported_and_used_by_its_name(tmp_path, monkeypatch):
    """A file as PyTorch wrote it, of the real names and shapes."""
    monkeypatch.setattr(cache, "folder", lambda room: tmp_path / "cache")
    state = {key: np.zeros(shape, np.float32) for key, shape in shapes("eccv16")}
    centres = COLOURS.T[..., None, None] / 110
    state["model_out.weight"] = np.ascontiguousarray(centres, np.float32)
    file = tmp_path / "published.pth"
    pickled.write(file, pickled.stored(state), pickled.fake_torch(monkeypatch), old=True)
    row = catalogue.row("eccv16")
    source = dataclasses.replace(row.source, sha256=store.checksum(file))
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(row, source=source),))
    assert catalogue.bring("eccv16", file) == row.path
    file.unlink()
    loaded = stage.load("eccv16", kind=ColorPredictor)
    numbers = sum(array.size for key, array in state.items() if "num_batches" not in key)
    assert sum(array.size for array in loaded.params.values()) == numbers


def test_a_file_of_another_kind_is_refused_and_nothing_is_written(published, tmp_path, capsys):
    target = tmp_path / "encoder.safetensors"
    assert convert.main(["albunet34", str(published), str(target)]) == 1
    assert "missing: center" in capsys.readouterr().err
    assert not target.exists()
