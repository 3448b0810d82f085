"""Configurations and predictors as plain values, and back again."""

import dataclasses
import json

import numpy as np
import pytest

from oldphoto_jax import described
from oldphoto_jax.damage.recipe import Damage
from oldphoto_jax.tasks.segment import Segment


@dataclasses.dataclass
class Foreign:
    side: int = 3


def test_a_task_comes_back_from_its_description():
    task = Segment(size=96, enlarge=(0.5, 1.5), damage=Damage(exclude=("stain",), amount=2.0))
    back = described.restore(json.loads(json.dumps(described.describe(task))))
    assert back == task and isinstance(back.enlarge, tuple)


def test_descriptions_are_json_with_the_class():
    description = described.describe(Foreign())
    assert json.loads(json.dumps(description)) == description
    assert description == {"class": f"{__name__}:Foreign", "side": 3}


@pytest.mark.parametrize("thing", [object(), np.zeros(2), print, {"a": [1, {2}]}])
def test_what_text_can_not_bring_back_is_refused(thing):
    with pytest.raises(TypeError, match="can't be written into a config file"):
        described.describe(thing)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (described.describe(Foreign()), "not part of oldphoto_jax"),
        ({"class": "os:system", "command": "true"}, "not part of oldphoto_jax"),
        ({"class": "oldphoto_jax.evil:Thing"}, "evil"),
        ({"class": "oldphoto_jax.task:Task"}, "no dataclass"),
        ({"class": "oldphoto_jax.tasks.nothing:Task"}, "no dataclass"),
        ({"class": "oldphoto_jax.described:describe"}, "no dataclass"),
        ({"class": "oldphoto_jax.tasks.segment:Segment", "sise": 3}, r"no field \['sise'\]"),
    ],
)
def test_only_known_dataclasses_of_this_package_are_built(description, message):
    with pytest.raises(ValueError, match=message):
        described.restore(description)
