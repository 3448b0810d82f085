"""Published files become ours once, and then fill a network of ours."""

import json

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import unet
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
        lambda: unet.AlbuNet(18, stem_kernel=3, stem_stride=1, pool=False, rngs=nnx.Rngs(0))
    )
    names.fill(net.encoder.stages, names.within(arrays, "segmenter.encoder.stages"))
    assert float(net.encoder.stages[3][1].conv2.kernel[...].mean()) == 0.5


def test_a_file_of_another_kind_is_refused_and_nothing_is_written(published, tmp_path, capsys):
    target = tmp_path / "encoder.safetensors"
    assert convert.main(["albunet34", str(published), str(target)]) == 1
    assert "missing: center" in capsys.readouterr().err
    assert not target.exists()
