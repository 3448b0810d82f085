"""Several versions of a photo, and the colours of another: what may differ, and by how much."""

import jax
import numpy as np
import pytest

from oldphoto_jax.data.sources import Samples
from oldphoto_jax.models import lite_unet
from oldphoto_jax.photo import color, planes
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.predictors.colors import ChoicePredictor, ColorPredictor
from oldphoto_jax.restore import choices
from tests import untrained

H, W, STRIDE = 64, 96, 4
FACE, SKY, COAT = (slice(0, 8), slice(0, 12)), (slice(0, 8), slice(12, 24)), slice(8, 16)


def answer(palette, temperature=0.7, gain=1.0, luma=None):
    """Certain of a face and of a sky, in two minds about the coat below."""
    logits = np.full((H // STRIDE, W // STRIDE, len(palette)), -9.0, np.float32)
    near = {
        name: np.asarray(palette.nearest(planes.colours(np.float32(rgb), palette.plane)))
        for name, rgb in {
            "skin": (0.8, 0.6, 0.5),
            "blue": (0.4, 0.55, 0.75),
            "red": (0.65, 0.35, 0.35),
            "green": (0.35, 0.55, 0.35),
        }.items()
    }
    logits[(*FACE, near["skin"])] = 3
    logits[(*SKY, near["blue"])] = 3
    logits[COAT, :, near["red"]] = 2
    logits[COAT, :, near["green"]] = 1.6
    if luma is None:
        rows = np.arange(H) < H // 2
        luma = np.broadcast_to(np.where(rows, 0.6, 0.4)[:, None, None], (H, W, 1))
    predictor = ChoicePredictor(
        network=lite_unet.Blueprint(widths=(8, 8, 8), out_stride=STRIDE),
        palette=palette,
        temperature=temperature,
        gain=gain,
    )
    return choices.Answer(predictor, luma.astype(np.float32), logits, H, W)


def ab(one, chroma):
    return planes.ab_beside(one.luma[: one.height, : one.width], chroma)


@pytest.mark.parametrize("palette", [Grid(side=19), AbBins()])
def test_candidates_differ_where_the_network_is_in_two_minds(palette):
    one = answer(palette)
    made = choices.candidates(one, 4)
    colours = [ab(one, chroma) for chroma, _ in made]
    np.testing.assert_array_equal(made[0][0], one.chroma())
    for n, first in enumerate(colours):
        for second in colours[n + 1 :]:
            assert choices.difference(first, second) >= 6
    for other in colours[1:3]:  # those after them have to give up what is certain
        far = np.linalg.norm(other - colours[0], axis=-1)
        assert np.median(far[: H // 2 - 6]) < 1 < np.median(far[H // 2 + 6 :])
    entropies = [entropy for _, entropy in made]
    assert entropies[0] == 0 < min(entropies[1:])


def test_more_candidates_only_add_some():
    one = answer(Grid(side=19), gain=1.2)
    few, many = choices.candidates(one, 2), choices.candidates(one, 5)
    assert len(many) == 5
    for (mine, _), (theirs, _) in zip(few, many, strict=False):
        np.testing.assert_array_equal(mine, theirs)


def test_where_srgb_has_no_colours_candidates_are_alike():
    one = answer(Grid(side=19), luma=np.ones((H, W, 1)))
    for chroma, _ in choices.candidates(one, 3):
        np.testing.assert_allclose(chroma, 0.5, atol=1e-6)


@pytest.mark.parametrize("palette", [Grid(side=19), AbBins()])
def test_the_colours_of_another_photo_decide_what_was_open(palette):
    one = answer(palette)
    own = ab(one, one.chroma())
    for rgb in ((0.35, 0.55, 0.35), (0.65, 0.35, 0.35)):
        pixels = np.uint8([[(200, 152, 128), (102, 140, 191), np.multiply(rgb, 255)]])
        pixels = pixels.repeat(40, 0).repeat(20, 1)
        after = ab(one, choices.like(one, choices.Reference(pixels)))
        wanted = color.rgb_to_lab(np.float32(rgb))[1:]
        coat, face = np.s_[H // 2 + 8 :, 8:-8], np.s_[4:24, 4:40]
        before = np.linalg.norm(own[coat] - wanted, axis=-1).mean()
        assert np.linalg.norm(after[coat] - wanted, axis=-1).mean() < 0.5 * before
        assert np.linalg.norm(after[face] - own[face], axis=-1).mean() < 3


def test_a_photo_without_colours_is_no_reference():
    gray = Samples("val")[0]["photo"].mean(-1, keepdims=True).astype(np.uint8)
    with pytest.raises(ValueError, match="is a gray photo"):
        choices.Reference(gray)
    with pytest.raises(ValueError, match="is a gray photo"):
        choices.Reference(np.repeat(gray, 3, -1))


def test_a_choice_predictor_says_the_same_and_what_it_chose_from():
    plain = ColorPredictor(
        network=lite_unet.Blueprint(widths=(8, 8, 8), out_stride=STRIDE),
        palette=AbBins(),
        temperature=0.5,
        gain=1.3,
    )
    nets = untrained.networks(plain)
    for net in nets.values():
        net.eval()
    photo = np.random.default_rng(1).random((1, H, W, 3), np.float32)
    both, alone = jax.jit(
        lambda batch: (ChoicePredictor.of(plain)(nets, batch), plain(nets, batch))
    )({"photo": photo})
    np.testing.assert_allclose(both["photo"], alone["photo"], atol=1e-5)
    luma = color.rgb_to_gray(photo[0])
    one = choices.Answer(plain, luma, np.asarray(both["answer"][0]), H - 7, W - 10)
    wanted = 0.5 + 1.3 * (color.rgb_to_ycbcr(np.asarray(both["photo"][0]))[..., 1:] - 0.5)
    np.testing.assert_allclose(one.chroma(), wanted[: H - 7, : W - 10], atol=1e-4)


def test_a_network_that_names_one_colour_has_no_others():
    with pytest.raises(ValueError, match="such as colorize-lite or eccv16"):
        ChoicePredictor.of(ColorPredictor())
