"""Skin is sought in the true photo, its hue in the answer; each complexion has its figures."""

import math

import numpy as np
import pytest

from oldphoto_jax.exams import skin_figures
from oldphoto_jax.exams.skin_figures import COMPLEXIONS, HUES, OF_EACH, Skin, figures
from oldphoto_jax.photo import color

WOOD = np.full((1, 40, 40, 3), (224, 172, 105)) / 255
TONES = {"light": (240, 200, 180), "tan": (200, 150, 120), "dark": (110, 72, 55)}


def skin(hue, complexion="light", error=0.0):
    return Skin(complexion=complexion, hue=hue, ab_error=error)


def test_skin_is_plausible_within_the_hues_of_most_true_photos():
    """Photos without skin do not count; skin that stayed gray counts as wrong."""
    truths = [skin(40 + i + 1 / 3) for i in range(21)] + [skin(170.0, "")]
    assert skin_figures.usual(truths) == pytest.approx((41 + 1 / 3, 59 + 1 / 3))
    ours = [skin(45.0)] * 14 + [skin(-170.0)] * 4 + [skin(math.nan)] * 3
    found = figures([*ours, skin(50.0, "")], truths)
    assert {key: found[key] for key in HUES} == {
        "skin_hue": 45.0,
        "skin_plausible": pytest.approx(14 / 21, abs=1e-6),
    }
    assert figures(truths, truths)["skin_plausible"] == pytest.approx(19 / 21, abs=1e-6)
    for few in ([skin(50 / 3)], [skin(50 / 3), skin(70 / 3)]):
        assert figures(few, few)["skin_plausible"] == 1
    green = [skin(hue) for hue in (170.0, 170.0, -170.0, -170.0, -179.0)]
    assert abs(figures(green, truths[:5])["skin_hue"]) > 169  # angles have no ends
    none = [skin(50.0, "")]
    assert skin_figures.usual(none) is None
    assert figures(none, none) == dict.fromkeys([*HUES, *OF_EACH])


def test_each_complexion_has_its_own_error_and_hue():
    truths = [skin(50.0, name) for name in ("light", "light", "dark", "")]
    hues, errors = (40.0, 60.0, math.nan, 10.0), (1.0, 3.0, 7.0, 100.0)
    ours = [skin(*each) for each in zip(hues, ("light", "light", "dark", ""), errors, strict=True)]
    found = figures(ours, truths)
    assert {key: found[key] for key in OF_EACH} == {
        "skin_ab_light": 2.0,
        "skin_hue_light": 50.0,
        "skin_ab_tan": None,
        "skin_hue_tan": None,
        "skin_ab_dark": 7.0,
        "skin_hue_dark": None,  # it stayed gray
    }
    assert skin_figures.counts(truths) == {"light": 2, "tan": 0, "dark": 1}


def test_skin_is_sought_in_the_truth_and_its_hue_in_the_answer():
    gray = color.gray_to_rgb(color.rgb_to_gray(WOOD))
    assert Skin.of(gray, WOOD).complexion and math.isnan(Skin.of(gray, WOOD).hue)
    assert Skin.of(gray, WOOD).ab_error > 30 and Skin.of(WOOD, WOOD).ab_error == 0
    blue = WOOD[..., ::-1]
    assert Skin.of(blue, WOOD).hue < -60
    assert not Skin.of(WOOD, blue).complexion
    some = np.where(np.arange(40)[:, None, None] < 1, WOOD, blue)  # a 40th, which is too little
    assert not Skin.of(some, some).complexion


@pytest.mark.parametrize("name", COMPLEXIONS)
def test_complexion_is_the_truth_s_whatever_the_answer_is(name):
    """And of its skin alone, beside which there is a sky."""
    truth = np.where(np.arange(40)[:, None] < 30, TONES[name], (110, 160, 230)) / 255
    truth = np.broadcast_to(truth, (1, 40, 40, 3))
    assert Skin.of(WOOD, truth).complexion == name
    right = np.where(np.arange(40)[:, None] < 30, truth, 0.5)
    assert Skin.of(right, truth).ab_error == 0


def test_people_are_told_how_many_photos_show_each_complexion():
    counts = {"skin": 6, "skin_light": 3, "skin_tan": 2, "skin_dark": 1}
    [line] = skin_figures.note({"usual": [41.2, 69.8], "counts": counts})
    assert "6 photos show skin" in line and "between 41 and 70 degrees" in line
    assert line.endswith("3 of them light, 2 of them tan, 1 of them dark")
    assert skin_figures.note({"usual": None, "counts": {}}) == []
    assert "light from 41, tan from 10, dark below, in degrees of" in skin_figures.protocol()
