import jax
import numpy as np
import optax
import pytest
from flax import nnx

from oldphoto_jax.train import state as states
from oldphoto_jax.weights import names, store
from tests import toy

TRANSFORMS = {"painter": optax.adam(1e-3), "critic": optax.sgd(1e-3)}


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


def create(**options):
    return states.create(toy.Toy(), TRANSFORMS, 0, {"painter"}, **options)


@pytest.fixture(scope="module")
def state():
    return create()


@pytest.fixture
def file(tmp_path):
    """Weights of the painter as another run would have written them, all of them 0.5."""

    def write(within=""):
        painter = nnx.eval_shape(lambda: toy.Toy().networks(nnx.Rngs(0))["painter"])
        arrays = {
            name.removeprefix(within): np.full(leaf.shape, 0.5, np.float32)
            for name, leaf in names.flatten(painter).items()
            if name.startswith(within)
        }
        path = tmp_path / "weights.safetensors"
        store.save(path, arrays, {})
        return str(path)

    return write


def test_a_fresh_state_has_a_part_for_every_network(state):
    assert state.parts.keys() == {"painter", "critic", "eye"} and state.step == 0
    assert state.parts["eye"].opt == () and state.parts["critic"].opt != ()
    assert state.parts["critic"].ema is None
    painter = state.parts["painter"]
    jax.tree.map(np.testing.assert_array_equal, painter.ema, painter.params)
    assert painter.ema["final"]["kernel"] is not painter.params["final"]["kernel"]  # donated


def test_the_seed_decides(state):
    jax.tree.map(np.testing.assert_array_equal, create().parts["eye"], state.parts["eye"])
    other = states.create(toy.Toy(), TRANSFORMS, 1)
    kernels = [s.parts["eye"].params["conv"]["kernel"] for s in (state, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_the_networks_are_those_that_the_task_builds(state):
    built = nnx.jit(lambda: toy.Toy().networks(nnx.Rngs(0)))()
    for name, part in state.parts.items():
        woken = names.flatten(part.wake(train=False))
        for key, value in names.flatten(built[name]).items():
            np.testing.assert_allclose(woken[key], value, rtol=1e-6, atol=1e-7)


def test_woken_networks_are_in_the_mode_asked_for_and_leave_the_part_alone(state):
    part = state.parts["painter"]
    training, still = part.wake(train=True), part.wake(train=False)
    assert not training.drop.deterministic and still.drop.deterministic
    assert not training.encoder.norm.use_running_average
    frozen = part.wake(train=True, frozen="encoder")
    assert frozen.encoder.norm.use_running_average
    assert not frozen.decoder.norm.use_running_average
    assert all(
        layer.norm.use_running_average
        for net in (still, part.wake(train=True, frozen=""))
        for layer in (net.encoder, net.decoder)
    )
    training.final.kernel[...] = 0 * training.final.kernel[...]
    assert np.abs(part.params["final"]["kernel"]).max() > 0
    with pytest.raises(ValueError, match="'encodre' of Painter"):
        part.wake(train=True, frozen="encodre")


def test_weights_fill_a_whole_network_by_name(state, file):
    filled = create(weights={"painter": file()}).parts["painter"]
    assert all(np.all(x == 0.5) for x in jax.tree.leaves(filled.params))
    assert all(np.all(x == 0.5) for x in jax.tree.leaves(filled.ema))
    assert np.all(filled.rest["encoder"]["norm"]["mean"] == 0.5)


def test_weights_fill_a_part_of_a_network_by_name(state, file):
    filled = create(weights={"painter.encoder": file("encoder.")}).parts["painter"]
    assert all(np.all(x == 0.5) for x in jax.tree.leaves(filled.params["encoder"]))
    for name in ("decoder", "final"):
        params = state.parts["painter"].params[name]
        jax.tree.map(np.testing.assert_array_equal, filled.params[name], params)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("panter", r"config.weights names 'panter'; the networks are \['critic', 'eye', 'painter'"),
        ("painter.encodre", "names 'painter.encodre', but there is no 'encodre'"),
        ("critic", "missing: layer.conv.kernel"),
    ],
)
def test_weights_that_fit_nowhere_are_refused(where, message, file):
    with pytest.raises(ValueError, match=message):
        create(weights={where: file()})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("painter", "no such weights file"),
        ("panter", "names 'panter'; the networks"),
        ("painter.encodre", "there is no 'encodre'"),
    ],
)
def test_missing_weights_and_wrong_names_are_refused_before_networks_are_drawn(
    where, message, tmp_path
):
    built = []

    class Counted(toy.Toy):
        def networks(self, rngs):
            built.append(rngs)
            return super().networks(rngs)

    weights = {where: str(tmp_path / "none.safetensors")}
    with pytest.raises(ValueError, match=message):
        states.create(Counted(), TRANSFORMS, 0, weights=weights)
    assert len(built) == 1  # their shapes alone
    states.create(Counted(), TRANSFORMS, 0)
    assert len(built) == 3


def test_a_player_without_a_network_is_named():
    with pytest.raises(ValueError, match=r"no network is named \['panter'\]; there are \['critic'"):
        states.create(toy.Toy(), {"panter": optax.sgd(1.0)}, 0)


def test_what_predicting_needs_is_named_as_in_weights_files(state):
    assert states.asked(toy.Toy()) == ("painter",)
    found = states.kept(state, state.parts)
    painter = {name for name in found if name.startswith("painter.")}
    assert {"painter.final.kernel", "painter.encoder.norm.mean", "painter.calls"} <= painter
    assert {name.partition(".")[0] for name in found} == {"painter", "critic", "eye"}
    nets = nnx.eval_shape(lambda: toy.Toy().networks(nnx.Rngs(0)))
    for name, net in nets.items():
        names.fill(net, names.within(found, name))  # raises if one is missing or left over
        assert names.flatten(net).keys() == names.within(found, name).keys()
