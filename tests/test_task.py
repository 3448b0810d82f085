import dataclasses
import json

import numpy as np
import pytest

from oldphoto_jax import task as contract
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.tasks.segment import Segment


@dataclasses.dataclass
class Foreign(contract.Task):
    side: int = 3


def test_a_task_comes_back_from_its_text():
    task = Segment(size=96, enlarge=(0.5, 1.5), damage=Damage(exclude=("stain",), amount=2.0))
    back = contract.from_json(contract.to_json(task))
    assert back == task and isinstance(back.enlarge, tuple)


def test_text_is_the_same_for_the_same_task():
    orders = [{"bce": 1.0, "dice": 2.0}, {"dice": 2.0, "bce": 1.0}]
    first, second = (contract.to_json(Segment(weight=weight)) for weight in orders)
    assert first == second


def test_descriptions_are_json_with_the_class():
    described = contract.describe(Foreign())
    assert json.loads(json.dumps(described)) == described
    assert described == {"class": f"{__name__}:Foreign", "side": 3}


@pytest.mark.parametrize("thing", [object(), np.zeros(2), print, {"a": [1, {2}]}])
def test_what_text_can_not_bring_back_is_refused(thing):
    with pytest.raises(TypeError, match="can't be written into a config file"):
        contract.describe(thing)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (contract.describe(Foreign()), "not part of oldphoto_jax"),
        ({"class": "os:system", "command": "true"}, "not part of oldphoto_jax"),
        ({"class": "oldphoto_jax.evil:Thing"}, "evil"),
        ({"class": "oldphoto_jax.task:Task"}, "no dataclass"),
        ({"class": "oldphoto_jax.tasks.nothing:Task"}, "no dataclass"),
        ({"class": "oldphoto_jax.task:describe"}, "no dataclass"),
        ({"class": "oldphoto_jax.tasks.segment:Segment", "sise": 3}, r"no field \['sise'\]"),
    ],
)
def test_only_known_dataclasses_of_this_package_are_built(description, message):
    with pytest.raises(ValueError, match=message):
        contract.restore(description)


def test_a_text_that_is_no_task_is_refused():
    with pytest.raises(ValueError, match="describes a Damage, not a task"):
        contract.from_json(json.dumps(contract.describe(Damage())))


def test_a_bare_task_answers_no_question():
    task = contract.Task()
    calls = [
        lambda: task.networks(None),
        lambda: task.example({}, np.random.default_rng(0)),
        task.losses,
        lambda: task.predict({}, {}),
        lambda: task.metrics({}, {}),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
    assert task.informed({"any": 1.0}) is task
