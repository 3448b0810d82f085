import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from oldphoto_jax.train.optimizer import Adam, Optimizer, Sgd


def rates(optimizer, steps):
    schedule = optimizer.rates(steps)
    return np.array([schedule(step) for step in range(steps)])


def test_a_constant_rate_stays():
    np.testing.assert_allclose(rates(Adam(rate=0.5), 5), 0.5)


def test_warmup_rises_to_the_rate_and_starts_above_zero():
    found = rates(Adam(rate=1.0, warmup=4), 6)
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(rates(Adam(rate=1.0, warmup=1), 3), 1)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_fall_begins_after_warmup_and_hold_and_ends_at_the_final_share(schedule):
    optimizer = Adam(rate=2.0, warmup=3, hold=4, schedule=schedule, final=0.1)
    found = rates(optimizer, 107)
    np.testing.assert_allclose(found[2:8], 2, rtol=1e-6)  # also the first step of the fall
    assert (np.diff(found[7:]) < 0).all()
    assert optimizer.rates(107)(107) == pytest.approx(0.2)
    middle = 7 + 50
    assert found[middle] == pytest.approx(1.1, rel=1e-5)  # half way down for both
    quarter = {"linear": 0.75, "cosine": (1 + math.cos(math.pi / 4)) / 2}[schedule]
    assert found[7 + 25] == pytest.approx(0.2 + 1.8 * quarter, rel=1e-5)


def test_drops_multiply_from_their_step_on():
    found = rates(Sgd(rate=1.0, drops={2: 0.1, 4: 0.5}), 6)
    np.testing.assert_allclose(found, [1, 1, 0.1, 0.1, 0.05, 0.05], rtol=1e-6)
    as_json = dataclasses.replace(Sgd(rate=1.0), drops={"2": 0.1, "4": 0.5})  # keys are text there
    np.testing.assert_allclose(rates(as_json, 6), found)


def test_a_run_shorter_than_the_warmup_just_rises():
    assert (np.diff(rates(Adam(rate=1.0, warmup=100, schedule="cosine"), 5)) > 0).all()


def test_a_player_that_rests_follows_the_schedule_of_the_run():
    """Its n-th move is at step n * every, and has the rate of that step."""
    optimizer = Sgd(rate=1.0, momentum=0.0, drops={4: 0.1, 6: 0.1}, every=2)
    transform = optimizer.transform(10)
    params = jnp.zeros(())
    state, moves = transform.init(params), []
    for _ in range(4):
        update, state = transform.update(jnp.ones(()), state, params)
        moves.append(float(update))
    np.testing.assert_allclose(moves, [-1, -1, -0.1, -0.01], rtol=1e-6)


def moved(transform, gradients, start=1.0):
    params = jnp.full(2, start)
    state = transform.init(params)
    for gradient in gradients:
        updates, state = transform.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
    return params


GRADIENTS = [[3.0, 4.0], [0.1, -0.2], [1.0, 1.0]]


def test_adam_is_adam_and_with_decay_adamw():
    ours = Adam(rate=0.1, betas=(0.5, 0.9), epsilon=1e-6)
    theirs = optax.adam(0.1, 0.5, 0.9, 1e-6)
    np.testing.assert_allclose(
        moved(ours.transform(9), GRADIENTS), moved(theirs, GRADIENTS), rtol=1e-6
    )
    theirs = optax.adamw(0.1, weight_decay=0.3)
    found = moved(Adam(rate=0.1, weight_decay=0.3).transform(9), GRADIENTS)
    np.testing.assert_allclose(found, moved(theirs, GRADIENTS), rtol=1e-6)


def test_sgd_is_sgd_with_momentum():
    ours, theirs = Sgd(rate=0.1, momentum=0.8, nesterov=True), optax.sgd(0.1, 0.8, nesterov=True)
    np.testing.assert_allclose(
        moved(ours.transform(9), GRADIENTS), moved(theirs, GRADIENTS), rtol=1e-6
    )
    decayed = moved(Sgd(rate=0.1, momentum=0.0, weight_decay=0.5).transform(9), [[0.0, 0.0]])
    np.testing.assert_allclose(decayed, 0.95, rtol=1e-6)


def test_clipping_limits_the_norm_and_leaves_small_gradients():
    clipped = Sgd(rate=1.0, momentum=0.0, clip=1.0).transform(9)
    np.testing.assert_allclose(moved(clipped, [[3.0, 4.0]]), [0.4, 0.2], rtol=1e-6)
    np.testing.assert_allclose(moved(clipped, [[0.3, 0.4]]), [0.7, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(rate=0.0), "rate must be positive"),
        (dict(every=0), "every must be 1 or more"),
        (dict(ema=1.0), "ema must be"),
        (dict(final=2.0), "final must be"),
        (dict(clip=-1.0), "clip must not"),
        (dict(warmup=-1), "warmup and hold"),
        (dict(hold=-1), "warmup and hold"),
        (dict(drops={5: 0.0}), "drops must be"),
        (dict(shares={"encoder": 0.0}), "shares must be positive"),
        (dict(shares={"encoder": 0.5, "": 0.5}), "shares must name a part"),
        (dict(freeze_norm_from=-2), "freeze_norm_from must"),
        (dict(freeze_norm_in="encoder"), "freeze_norm_in needs freeze_norm_from"),
        (dict(schedule="step"), "constant, linear or cosine"),
    ],
)
def test_settings_that_make_no_sense_are_named(change, message):
    with pytest.raises(ValueError, match=rf"optimizers\['painter'\]: .*{message}"):
        Adam(**change).check("painter")
    Adam().check("painter")


def test_the_base_has_no_rule():
    with pytest.raises(NotImplementedError):
        Optimizer().transform(1)
