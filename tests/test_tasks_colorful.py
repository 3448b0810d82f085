"""Zhang et al.'s networks coloured with and taught: luma stays, each head learns in its turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.models import colorful as networks
from oldphoto_jax.photo import color
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.tasks.colorful import TwoHeads
from oldphoto_jax.tasks.hints import Hints
from oldphoto_jax.weights import names
from tests import scene, toy, untrained

WIDTHS = (2, 3, 4, 4, 4, 4, 4, 4, 4, 4)
ECCV16 = networks.ECCV16Blueprint(widths=WIDTHS[:8])
SIGGRAPH17 = networks.SIGGRAPH17Blueprint(widths=WIDTHS)
NAMED = dict(network=SIGGRAPH17, plane="ab", hints=True)


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory):
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        yield


@pytest.fixture(scope="module")
def batch():
    task = TwoHeads(network=SIGGRAPH17, size=32, hints=Hints(none=0.0, points=20.0))
    examples = [task.example(scene.record(), np.random.default_rng(i)) for i in range(2)]
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def trained(whose):
    nets = untrained.networks(whose)
    for net in nets.values():
        net.eval()
    return nets


@pytest.mark.parametrize(
    "predictor",
    [ColorPredictor(network=ECCV16, palette=AbBins(), temperature=0.38), ColorPredictor(**NAMED)],
    ids=["eccv16", "siggraph17"],
)
def test_both_colour_photos_and_keep_their_luma(predictor, batch):
    nets = trained(predictor)
    answer, photo = jax.jit(
        lambda batch: (predictor.answer(nets, batch), predictor(nets, batch)["photo"])
    )(batch)
    luma = batch["photo"][..., :1]
    np.testing.assert_allclose(color.rgb_to_gray(np.asarray(photo)), luma, atol=1e-5)
    assert photo.min() > -1e-5 and photo.max() < 1 + 1e-5 and np.ptp(photo, axis=-1).mean() > 0.01
    if predictor.palette is None:  # what it names is what there is, where sRGB has it
        found = color.rgb_to_lab(np.asarray(photo))[..., 1:]
        off = np.linalg.norm(found - np.asarray(answer), axis=-1)
        assert np.median(off) < 0.1
    else:
        assert answer.shape == (2, 8, 8, 313)


def test_an_untaught_one_is_gray_and_knows_its_colours():
    """As tests of networks tell: a silent head says zeros; the colours are the palette's."""
    predictor = ColorPredictor(network=ECCV16, palette=AbBins())
    centres = jax.jit(lambda: predictor.networks(nnx.Rngs(0))["generator"].centres[...])()
    np.testing.assert_array_equal(centres, AbBins().centres)


@pytest.mark.parametrize("head", ["classes", "names"])
def test_the_trunk_learns_with_one_head_and_the_other_beside(head, batch):
    task = TwoHeads(network=SIGGRAPH17, head=head, hints=Hints(), weight={"bins": 1, "pixel": 2})
    nets = trained(task)
    graph, params, rest = nnx.split(nets["generator"], nnx.Param, ...)

    @jax.jit
    def slopes(params):
        def terms(params):
            return task.paint({"generator": nnx.merge(graph, params, rest)}, batch)

        values, pull = jax.vjp(terms, params)
        alone = {name: {one: jnp.float32(one == name) for one in values} for name in values}
        return {name: pull(one)[0] for name, one in alone.items()}

    own = {"bins": {"logits"}, "pixel": {"up9", "block9", "up10", "conv10", "out"}}
    first = {"classes": "bins", "names": "pixel"}[head]
    for name, slope in slopes(params).items():
        flat = names.flatten(nnx.to_pure_dict(slope))
        moved = {path.split(".")[0] for path, array in flat.items() if np.any(array)}
        assert own[name] <= moved
        assert ("encoder" in moved) == (name == first)
        assert name == first or moved == own[name]


@pytest.mark.parametrize(
    ("predictor", "told"),
    [
        (ColorPredictor(network=SIGGRAPH17), 'a SIGGRAPH17 names a and b: set plane="ab"'),
        (ColorPredictor(network=SIGGRAPH17, palette=AbBins()), "a SIGGRAPH17 names a and b"),
        (ColorPredictor(network=ECCV16), "an ECCV16 chooses among AbBins"),
        (ColorPredictor(network=ECCV16, palette=Grid()), "an ECCV16 chooses among AbBins"),
        (ColorPredictor(network=ECCV16, palette=AbBins(), hints=True), "takes no hints"),
        (TwoHeads(network=SIGGRAPH17, head="tail"), "head 'tail' is unknown"),
        (TwoHeads(network=SIGGRAPH17, weight={"fool": 1.0}), r"weight has \['fool'\]"),
    ],
)
def test_what_a_network_cannot_do_is_told(predictor, told):
    with pytest.raises(ValueError, match=told):
        predictor.networks(nnx.Rngs(0))
