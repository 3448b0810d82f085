"""The contract of tasks."""

import numpy as np
import pytest

from oldphoto_jax import task as contract


def test_a_bare_task_answers_no_question():
    task = contract.Task()
    calls = [
        lambda: task.networks(None),
        lambda: task.example({}, np.random.default_rng(0)),
        task.losses,
        task.predictor,
        lambda: task.metrics({}, {}),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
