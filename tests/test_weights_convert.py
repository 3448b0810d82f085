"""Published files become ours once, and then fill a network of ours."""

import json

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful, unet
from oldphoto_jax.predictors import metadata
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.filling import FillingPredictor
from oldphoto_jax.restore import stage
from oldphoto_jax.weights import convert, names, store
from tests.golden import golden


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
    assert metadata == {"kind": "resnet18", "source_sha256": store.checksum(published)}
    net = nnx.eval_shape(
        lambda: unet.AlbuNet(18, stem_kernel=3, stem_stride=1, pool=None, rngs=nnx.Rngs(0))
    )
    names.fill(net.encoder.stages, names.within(arrays, "segmenter.encoder.stages"))
    assert float(net.encoder.stages[3][1].conv2.kernel[...].mean()) == 0.5


@pytest.mark.parametrize("family", ["naoto", "mmagic"])
def test_a_published_inpainter_becomes_a_stage(family, tmp_path):
    there = {
        "naoto": ("enc_{}.conv.input_conv", "dec_{}.conv.input_conv", "enc_{}.bn", "dec_{}.bn"),
        "mmagic": tuple(
            f"generator.{part}"
            for part in (
                "encoder.enc{}.conv",
                "decoder.dec{}.conv",
                "encoder.enc{}.bn",
                "decoder.dec{}.bn",
            )
        ),
    }[family]
    channels, kernels, state = [64, 128, 256, *[512] * 4], [7, 5, 5, *[3] * 4], {}
    for i, (c, kernel) in enumerate(zip(channels, kernels, strict=True)):
        enc, dec, enc_norm, dec_norm = (name.format(i + 1) for name in there)
        below = channels[i - 1] if i else 3
        state[f"{enc}.weight"] = np.zeros((c, below, kernel, kernel), np.float32)
        state[f"{dec}.weight"] = np.zeros((below, c + below, 3, 3), np.float32)
        if not i:
            state[f"{dec}.bias"] = np.zeros(below, np.float32)
            if family == "mmagic":
                state[f"{enc}.bias"] = np.zeros(c, np.float32)
            continue
        for norm, size in (enc_norm, c), (dec_norm, below):
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{norm}.{part}"] = np.ones(size, np.float32)
    store.save(tmp_path / "published.safetensors", state, {})
    target = tmp_path / "ours.safetensors"
    source = str(tmp_path / "published.safetensors")
    assert convert.main([f"pconv-{family}", source, str(target)]) == 0
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


def test_a_file_of_another_kind_is_refused_and_nothing_is_written(published, tmp_path, capsys):
    target = tmp_path / "encoder.safetensors"
    assert convert.main(["albunet34", str(published), str(target)]) == 1
    assert "missing: center" in capsys.readouterr().err
    assert not target.exists()
