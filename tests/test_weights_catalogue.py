"""The weights that come with the package are what the zoo says they are."""

import json
import pathlib

import pytest

from configs import colorize, inpaint, segment
from oldphoto_jax import task as contract
from oldphoto_jax.restore import stage
from oldphoto_jax.train import config as configs
from oldphoto_jax.weights import catalogue, store

ZOO = pathlib.Path(__file__).parents[1] / "MODEL_ZOO.md"


@pytest.mark.parametrize("file", catalogue.all_packaged(), ids=lambda file: file.stem)
def test_the_zoo_names_the_file_and_the_file_its_task(file):
    text = ZOO.read_text("utf-8")
    assert f"## {file.stem}" in text and store.checksum(file) in text
    _, metadata = store.load(file)
    assert json.loads(contract.to_json(stage.load(file).task)) == json.loads(metadata["task"])
    assert not [value for value in metadata.values() if '"/' in value], "a path of one machine"


ELSEWHERE = {"photos", "validation"}  # what a run may be told besides
FREE = {
    segment: ELSEWHERE | {"task.damage.textures"},
    inpaint: ELSEWHERE | {"task.damage.textures"},
    # The rest is of a critic, which has no say in these weights.
    colorize: ELSEWHERE | {"task.critic_levels", "task.attention.0", "task.attention.1"},
}


@pytest.mark.parametrize("module", FREE, ids=lambda module: module.__name__)
def test_lite_was_trained_by_the_shipped_configuration(module):
    name = module.__name__.rpartition(".")[2]
    _, metadata = store.load(catalogue.packaged(f"{name}-lite"))
    # Fields that came later have the value by which nothing changes.
    run = configs.to_text(configs.from_text(metadata["config"]))
    differing = configs.differences(run, configs.to_text(module.get_config("lite")))
    names = {difference.partition(":")[0] for difference in differing}
    assert names == FREE[module]


def test_missing_weights_are_told_with_those_there_are():
    with pytest.raises(store.WeightsError, match="it has: .*segment-lite"):
        catalogue.packaged("segment-huge")
