import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from oldphoto_jax.train import state as states
from oldphoto_jax.train import step as steps
from oldphoto_jax.train.optimizer import Adam, Sgd
from tests import toy

OPTIMIZERS = {"painter": Adam(rate=1e-2, clip=0.1, ema=0.9), "critic": Sgd(rate=1e-2, every=2)}


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def rules(task=None, precision="float32", optimizers=OPTIMIZERS):
    transforms = {name: o.transform(100) for name, o in optimizers.items()}
    return steps.Rules(task or toy.Toy(), optimizers, transforms, precision)


@functools.cache
def fresh():
    return states.create(toy.Toy(), rules().transforms, 0, {"painter"})


def create(rules):
    """A fresh state for these rules; the networks of all tasks here are drawn once."""
    state = fresh()
    parts = {
        name: dataclasses.replace(
            part,
            opt=rules.transforms[name].init(part.params) if name in rules.transforms else (),
            ema=part.params if name in rules.optimizers and rules.optimizers[name].ema else None,
        )
        for name, part in state.parts.items()
    }
    return dataclasses.replace(state, parts=parts)


def jitted(rules):
    return jax.jit(functools.partial(steps.train_step, rules), static_argnums=0)


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return {key: rng.random((4, 8, 8, 3), np.float32) for key in ("photo", "target")}


def walk(rules, count, frozen=()):
    """The states before, between and after so many steps, and what each logged."""
    step, walked, logs = jitted(rules), [create(rules)], []
    for number in range(count):
        state, terms = step(frozen, walked[-1], batch(number))
        walked.append(state)
        logs.append(terms)
    return walked, logs


@pytest.fixture(scope="module")
def walked():
    return walk(rules(), 4)


def raw(tree):
    """Leaves as NumPy arrays, random keys as their bits."""
    leaves = jax.tree.leaves(tree)
    kind = jax.dtypes.prng_key
    bits = [jax.random.key_data(x) if jnp.issubdtype(x.dtype, kind) else x for x in leaves]
    return [np.asarray(x) for x in bits]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(raw(a), raw(b), strict=True))


def test_terms_carry_the_names_of_player_and_term(walked):
    _, logs = walked
    assert logs[0].keys() == {
        *("painter/pixel", "painter/seen", "painter/fool", "painter/gradient"),
        *("critic/real", "critic/fake", "critic/gradient"),
    }
    assert all(value.shape == () and value.dtype == jnp.float32 for value in logs[0].values())


def test_a_frozen_network_never_changes(walked):
    states, _ = walked
    assert all(same(states[0].parts["eye"], state.parts["eye"]) for state in states)


def test_a_player_changes_all_that_is_its_own(walked):
    (before, after, *_), _ = walked
    for name in ("painter", "critic"):
        old, new = before.parts[name], after.parts[name]
        pairs = zip(raw(old.params), raw(new.params), strict=True)
        moved = [not np.array_equal(a, b) for a, b in pairs]
        assert np.mean(moved) > 0.5, name
        assert not same(old.rest, new.rest) and not same(old.opt, new.opt)
    assert after.parts["painter"].rest["calls"] == 1
    counts = [int(s.parts["painter"].rest["drop"]["rngs"]["count"]) for s in (before, after)]
    assert counts == [0, 1]


def test_a_player_of_every_second_step_rests_at_the_others(walked):
    states, logs = walked
    for step in range(4):
        rested = same(states[step].parts["critic"], states[step + 1].parts["critic"])
        assert rested == (step % 2 == 1)
        assert not same(states[step].parts["painter"], states[step + 1].parts["painter"])
    assert logs[1]["critic/real"] == 0 and logs[2]["critic/real"] > 0


def test_weights_of_a_frozen_part_never_move_while_the_rest_learns():
    painter = Adam(rate=1e-2, ema=0.9, weight_decay=0.1, freeze_weights_in="encoder")
    (before, *_, after), _ = walk(rules(optimizers=OPTIMIZERS | {"painter": painter}), 2)
    old, new = before.parts["painter"], after.parts["painter"]
    assert same(old.params["encoder"], new.params["encoder"])
    assert same(old.params["encoder"], new.ema["encoder"])
    for name in ("decoder", "final"):
        assert not same(old.params[name], new.params[name])
    assert not same(old.rest["encoder"], new.rest["encoder"])  # its statistics follow the batch


def test_a_part_with_a_share_of_the_rate_moves_by_that_share_and_nested_shares_multiply():
    whole = Adam(rate=1e-2)
    shared = dataclasses.replace(whole, shares={"encoder": 0.25, "encoder.norm": 0.5})
    moves = {}
    for name, painter in {"whole": whole, "shared": shared}.items():
        (before, after), _ = walk(rules(optimizers=OPTIMIZERS | {"painter": painter}), 1)
        old, new = before.parts["painter"].params, after.parts["painter"].params
        moves[name] = jax.tree.map(lambda a, b: np.asarray(b - a), old, new)
        moves[name] = moves[name]["encoder"] | {"final": moves[name]["final"]}
    for part, share in {"conv": 0.25, "norm": 0.125, "final": 1}.items():
        pairs = zip(*(jax.tree.leaves(moves[n][part]) for n in moves), strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(other, share * one, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("setting", [{"freeze_weights_in": "enc"}, {"shares": {"enc": 0.5}}])
def test_a_part_that_is_not_there_is_told_with_its_setting(setting):
    painter = Adam(**setting)
    (name,) = setting
    with pytest.raises(ValueError, match=rf"^optimizers\['painter'\]\.{name} names 'enc', but "):
        walk(rules(optimizers=OPTIMIZERS | {"painter": painter}), 1)


def test_all_players_look_at_the_same_board(walked):
    """Turning the order of the losses around changes nothing."""

    class Turned(toy.Toy):
        def losses(self):
            return dict(reversed(super().losses().items()))

    (_, once, *_), _ = walked
    (_, turned), _ = walk(rules(Turned()), 1)
    for name in ("painter", "critic"):
        for a, b in zip(raw(once.parts[name]), raw(turned.parts[name]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_a_move_is_what_optax_makes_of_the_gradient_of_the_sum():
    task = toy.Toy()
    optimizers = {"painter": Sgd(rate=0.5, momentum=0.0, clip=0.01), "critic": Sgd(rate=0.1)}
    (before, after), (logs,) = walk(rules(task, optimizers=optimizers), 1)

    @jax.jit
    @jax.grad
    def slope(params):
        nets = {n: p.wake(train=n != "eye") for n, p in before.parts.items()}
        nets["painter"] = before.parts["painter"].wake(params, train=True)
        return sum(task.paint(nets, batch()).values())

    gradient = slope(before.parts["painter"].params)
    norm = float(optax.tree_utils.tree_norm(gradient))
    assert norm > 0.01  # so that it is clipped
    assert logs["painter/gradient"] == pytest.approx(norm, rel=1e-5)
    expected = jax.tree.map(
        lambda x, g: x - 0.5 * 0.01 / norm * g, before.parts["painter"].params, gradient
    )
    for a, b in zip(raw(after.parts["painter"].params), raw(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_averages_follow_their_formula(walked):
    states, _ = walked
    average = raw(states[0].parts["painter"].params)
    for step, state in enumerate(states[1:]):
        part = state.parts["painter"]
        decay = min(0.9, (1 + step) / (10 + step))
        pairs = zip(average, raw(part.params), strict=True)
        average = [decay * a + (1 - decay) * x for a, x in pairs]
        for a, b in zip(average, raw(part.ema), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert states[-1].parts["critic"].ema is None


def test_predicting_uses_the_averages_and_no_dropout(walked):
    state = walked[0][-1]
    photo = batch()["photo"]
    part = state.parts["painter"]
    predict = jax.jit(functools.partial(steps.predict_step, rules()))
    found = predict(state, {"photo": photo})["photo"]
    averaged = part.wake(part.ema, train=False)
    np.testing.assert_allclose(found, averaged(photo), rtol=1e-5, atol=1e-6)
    assert np.abs(found - part.wake(train=False)(photo)).max() > 1e-4


@pytest.mark.parametrize("where", ["", "encoder"])
def test_frozen_norms_stand_still_where_they_are_meant_to(where):
    (before, after), _ = walk(rules(), 1, frozen=(("painter", where),))
    old, new = before.parts["painter"].rest, after.parts["painter"].rest
    assert same(old["encoder"]["norm"], new["encoder"]["norm"])
    assert same(old["decoder"]["norm"], new["decoder"]["norm"]) == (where == "")
    scales = [s.parts["painter"].params["encoder"]["norm"]["scale"] for s in (before, after)]
    assert not same(*scales)  # only the statistics are frozen
    assert not same(before.parts["critic"].rest, after.parts["critic"].rest)


def test_low_precision_is_only_for_computing(walked):
    low = rules(precision="bfloat16")
    (before, after), (logs,) = walk(low, 1)
    text = str(jax.make_jaxpr(functools.partial(steps.train_step, low, ()))(before, batch()))
    assert "bf16[4,8,8,4] = conv_general_dilated" in text
    assert "f32[4,8,8,4] = conv_general_dilated" not in text
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert a.dtype == b.dtype != jnp.bfloat16
    assert all(value.dtype == jnp.float32 for value in logs.values())
    high = walked[1][0]
    assert logs["painter/pixel"] == pytest.approx(float(high["painter/pixel"]), rel=0.05)
    assert logs["painter/pixel"] != high["painter/pixel"]
    found = jax.eval_shape(functools.partial(steps.predict_step, low), after, batch())
    assert found["photo"].dtype == jnp.float32


def test_terms_of_low_precision_add_up_in_float32():
    class Coarse(toy.Toy):
        def paint(self, nets, batch):
            tiny = nets["painter"](batch["photo"]).mean().astype(jnp.bfloat16)
            return {"large": jnp.bfloat16(256) + 0 * tiny, "small": tiny}

    (_, after), (logs,) = walk(rules(Coarse()), 1)
    assert logs["painter/gradient"] > 0 and logs["painter/small"].dtype == jnp.float32


def test_a_term_that_is_no_scalar_is_named():
    class Wide(toy.Toy):
        def judge(self, nets, batch):
            return {"wide": nets["critic"](batch["photo"])}

    wide = rules(Wide())
    with pytest.raises(ValueError, match=r"'wide' of 'critic' has the shape \(4,\)"):
        jax.eval_shape(functools.partial(steps.train_step, wide, ()), create(wide), batch())


def test_a_step_is_a_function(walked):
    """The same state and batch give the same next state, in a program compiled anew too."""
    (before, after, *_), _ = walked
    again, _ = jitted(rules())((), before, batch(0))
    assert same(after, again) and again.step == 1


@dataclasses.dataclass(kw_only=True)
class Steady(toy.Toy):
    """Nothing in it depends on what else is in the batch once its norms are frozen."""

    def networks(self, rngs):
        nets = super().networks(rngs)
        nets["painter"].drop = nnx.Dropout(0.0, rngs=rngs)
        return nets


def accumulated(count, frozen):
    """The state after two steps of a batch in so many parts, and what the second logged."""
    ruled = dataclasses.replace(rules(Steady()), accumulate=count)
    state = states.create(ruled.task, ruled.transforms, 0, {"painter"})
    step = jitted(ruled)
    for number in range(2):
        state, terms = step(frozen, state, batch(number))
    return state, terms


def test_parts_of_a_batch_move_a_player_as_the_whole_does_without_batch_norm():
    frozen = (("painter", ""), ("critic", ""))
    whole, terms = accumulated(1, frozen)
    parts, same_terms = accumulated(2, frozen)
    for name in ("painter", "critic"):
        for a, b in zip(raw(whole.parts[name].params), raw(parts.parts[name].params), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    for name, value in terms.items():
        np.testing.assert_allclose(same_terms[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_batch_norm_follows_one_part_after_the_other():
    whole, _ = accumulated(1, ())
    parts, _ = accumulated(2, ())
    assert parts.parts["painter"].rest["calls"] == 4 and whole.parts["painter"].rest["calls"] == 2
    means = [s.parts["painter"].rest["encoder"]["norm"]["mean"] for s in (whole, parts)]
    assert not np.allclose(*means, rtol=1e-3)


@dataclasses.dataclass(kw_only=True)
class Pair(Steady):
    """One player, `painter`, that moves two networks, or one beside a frozen one."""

    both: bool = True

    def losses(self):
        return {"painter": self.paint}

    def players(self):
        return {"painter": ("painter", "eye") if self.both else ("painter",)}

    def measure(self, nets, batch, prediction):
        return {"seen": nets["eye"](prediction["photo"])}


@pytest.mark.parametrize("both", [True, False])
def test_a_network_is_moved_by_one_configuration_and_frozen_by_another(both):
    optimizer = Adam(rate=1e-2, clip=0.1, ema=0.9)
    ruled = rules(Pair(both=both), optimizers={"painter": optimizer})
    before = states.create(ruled.task, ruled.transforms, 0, {"painter"})
    after, _ = jitted(ruled)((), before, batch())
    assert same(before.parts["eye"], after.parts["eye"]) != both
    assert not same(before.parts["painter"].params, after.parts["painter"].params)
    assert (after.parts["eye"].ema is not None) == both and after.parts["eye"].opt == ()
    assert same(before.parts["critic"], after.parts["critic"])


def test_parts_of_a_player_of_two_networks_are_named_from_the_network_on():
    still = Adam(rate=1e-2, freeze_weights_in="eye.conv", shares={"painter": 0.5})
    ruled = rules(Pair(), optimizers={"painter": still})
    before = states.create(ruled.task, ruled.transforms, 0)
    after, _ = jitted(ruled)((), before, batch())
    conv, norm = (
        same(before.parts["eye"].params[name], after.parts["eye"].params[name])
        for name in ("conv", "norm")
    )
    assert conv and not norm
    assert ruled.inside("painter", "eye.conv") == {"eye": "conv"}
    assert ruled.inside("painter", "") == {"painter": "", "eye": ""}
    with pytest.raises(ValueError, match="begin with one of its networks, painter, eye"):
        ruled.inside("painter", "critic")


def test_a_network_has_one_player():
    task = Pair()
    task.players = lambda: {"painter": ("painter", "eye"), "critic": ("critic", "eye")}
    with pytest.raises(ValueError, match=r"two players move \['eye'\]"):
        states.create(task, rules().transforms, 0)


def test_what_networks_measure_stands_beside_the_prediction():
    ruled = rules(Pair(), optimizers={"painter": Adam(rate=1e-2)})
    state = states.create(ruled.task, ruled.transforms, 0)
    told = jax.eval_shape(functools.partial(steps.predict_step, ruled), state, batch())
    assert {name: x.shape for name, x in told.items()} == {
        "photo": (4, 8, 8, 3),
        "measured/seen": (4, 8, 8, 4),
    }
