import dataclasses
import json

import pytest

from oldphoto_jax.tasks.segment import Segment
from oldphoto_jax.train import config as configs
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam
from tests import toy


def small():
    return Config(
        task=Segment(size=32, enlarge=(1.0, 1.5)),
        optimizers={"segmenter": Adam(rate=1e-3, drops={5: 0.1}, betas=(0.5, 0.9))},
    )


def changed(**fields):
    return dataclasses.replace(small(), **fields)


def test_text_brings_a_configuration_back():
    text = configs.to_text(small())
    back = configs.from_text(text)
    assert configs.to_text(back) == text
    assert back.task == small().task
    assert isinstance(back, Config) and back.optimizers["segmenter"].betas == (0.5, 0.9)


def test_a_foreign_task_is_written_but_not_built_from_text():
    text = configs.to_text(toy.get_config())
    assert json.loads(text)["task"]["class"] == "tests.toy:Toy"
    with pytest.raises(ValueError, match="tests.toy:Toy"):
        configs.from_text(text)


def test_source_objects_are_written_in_their_own_words():
    class Wordy(toy.Noise):
        def __repr__(self):
            return f"Wordy({self.count})"

    described = [
        json.loads(configs.to_text(changed(photos=source, validation="")))["photos"]
        for source in (Wordy(3), toy.Noise(3), toy.Noise(3), toy.Noise(4))
    ]
    assert described[0] == "Wordy(3)"
    assert described[1] == described[2] == "Noise of 3 photos"  # no address, it changes
    assert described[3] != described[1]


def test_what_no_text_can_hold_is_refused():
    with pytest.raises(TypeError, match="can't be written into a config file"):
        configs.to_text(changed(task=Segment(weight={"bce": print})))


def test_differences_name_the_fields():
    old = configs.to_text(small())
    task = dataclasses.replace(small().task, size=64, weight={"bce": 1.0})
    new = configs.to_text(changed(task=task, steps=7))
    assert configs.differences(old, new) == [
        "steps: 1000 -> 7",
        "task.size: 32 -> 64",
        "task.weight.dice: 1.0 -> '(absent)'",
        "task.weight.focal: 0.0 -> '(absent)'",
    ]
    assert configs.differences(old, old) == []


def test_a_field_that_is_new_had_its_default():
    old = json.loads(configs.to_text(small()))
    assert old.pop("patience") == 0
    for patience, told in ((0, []), (3, ["patience: 0 -> 3"])):
        new = configs.to_text(changed(patience=patience, best="x"))
        old["best"] = "x"
        assert configs.differences(json.dumps(old), new) == told


def test_operational_fields_are_free():
    free = dict(log_every=1, save_every=2, sheet_rows=1, workers=3, threads=4, tensorboard=True)
    assert configs.differences(configs.to_text(small()), configs.to_text(changed(**free))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(batch_size=0), "config.batch_size must be 1 or more, it is 0"),
        (dict(accumulate=3), "config.accumulate=3 does not divide config.batch_size="),
        (dict(validation_batch=0), "config.validation_batch"),
        (dict(steps=-1), "config.steps"),
        (dict(evaluate_every=0), "config.evaluate_every"),
        (dict(log_every=0), "config.log_every"),
        (dict(save_every=0), "config.save_every"),
        (dict(workers=-1), "config.workers must be 0 or more"),
        (dict(patience=3), "config.patience=3 needs config.validation and, .* config.best"),
        (dict(precision="float16"), "config.precision .* 'float16'"),
        (dict(best_is="big"), "config.best_is .* 'big'"),
        (dict(optimizers={}), r"players of the task, \['segmenter'\]; it names \[\]"),
        (dict(optimizers={"segmenter": Adam(), "vgg": Adam()}), r"\['segmenter', 'vgg'\]"),
        (dict(optimizers={"segmenter": Adam(rate=-1)}), r"optimizers\['segmenter'\]: rate"),
    ],
)
def test_settings_that_can_not_run_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        changed(**change).check()
    small().check()
