"""The laws of the whole recipe: seeded, honest mask, bounded thickness, equal target outside."""

import dataclasses
import json
import pickle

import cv2
import numpy as np
import pytest

from oldphoto_jax.damage.blend import VISIBLE, thickness
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.inks import Inks
from oldphoto_jax.damage.lookalikes import LOOKALIKES
from oldphoto_jax.damage.recipe import EVERYTHING, Damage
from oldphoto_jax.described import describe, restore


@pytest.fixture(scope="module")
def photo():
    """A scene with smooth, busy, dark and bright parts, [96,112,3] uint8."""
    y, x = np.mgrid[0:96, 0:112]
    scene = np.stack([40 + x, 30 + 2 * y, 128 + 60 * np.sin(x / 5.0)], axis=2)
    scene[60:, 60:] = np.random.default_rng(0).integers(0, 256, (36, 52, 1))
    return scene.clip(0, 255).astype(np.uint8)


PLAIN = {"lookalikes": 0.0, "gray": 0.0, "ageing": 0.0, "scan": 0.0}


def run(recipe, photo, seed):
    return recipe(photo, np.random.default_rng(seed))


def test_same_photo_and_generator_give_the_same_bytes(photo):
    for seed in range(10):
        first, again = (run(Damage(**EVERYTHING), photo, seed) for _ in range(2))
        assert {k: v.tobytes() for k, v in first.items()} == {
            k: v.tobytes() for k, v in again.items()
        }
    assert run(Damage(), photo, 0)["photo"].tobytes() != run(Damage(), photo, 1)["photo"].tobytes()


def test_shapes_types_and_ranges(photo):
    for seed in range(20):
        out = run(Damage(), photo, seed)
        assert set(out) == {"photo", "mask", "target"}
        assert out["photo"].shape == out["target"].shape == photo.shape
        assert out["mask"].shape == (*photo.shape[:2], 1)
        assert all(v.dtype == np.float32 for v in out.values())
        assert set(np.unique(out["mask"])) <= {0.0, 1.0}
        assert all(v.min() >= 0 and v.max() <= 1 for v in out.values())


def test_bytes_and_floats_are_the_same_photo(photo):
    floats = photo.astype(np.float32) / 255
    np.testing.assert_array_equal(
        run(Damage(), photo, 2)["photo"], run(Damage(), floats, 2)["photo"]
    )


@pytest.mark.parametrize("max_size", [12, 24, 64])
def test_no_defect_is_thicker_than_max_size(photo, max_size):
    big = cv2.resize(photo, (192, 192))
    recipe = Damage(max_size=max_size, amount=3.0, clean=0.0, lookalikes=0.0, ageing=0.0)
    sizes = [thickness(run(recipe, big, seed)["mask"][..., 0] > 0) for seed in range(25)]
    assert max(sizes) <= max_size
    assert max(sizes) > max_size / 4


@pytest.mark.parametrize("recipe", [Damage(), Damage(**EVERYTHING)])
def test_photo_equals_target_outside_the_mask(photo, recipe):
    for seed in range(40):
        out = run(recipe, photo, seed)
        change = np.abs(out["photo"] - out["target"]).max(axis=2, keepdims=True)
        assert (change * (1 - out["mask"])).max() <= VISIBLE + 1e-6


def test_the_mask_holds_all_that_the_defects_changed(photo):
    """With nothing but defects, the photo that came in is the truth."""
    recipe = Damage(clean=0.0, **PLAIN)
    truth = photo.astype(np.float32) / 255
    for seed in range(40):
        out = run(recipe, photo, seed)
        np.testing.assert_array_equal(out["target"], truth)
        change = np.abs(out["photo"] - truth).max(axis=2)
        marked = out["mask"][..., 0] > 0
        assert change[~marked].max() <= VISIBLE + 1e-6
        assert not marked.any() or np.mean(change[marked] > VISIBLE) > 0.7


def test_dark_defects_are_as_common_as_light_ones():
    """On a photo that is its own negative."""
    middle = np.full((64, 64, 3), 0.5, np.float32)
    recipe, lighter = Damage(clean=0.0, **PLAIN, negative=0.5, obvious=0.45), []
    for seed in range(400):
        out = run(recipe, middle, seed)
        change = (out["photo"] - out["target"]).mean(axis=2)[out["mask"][..., 0] > 0]
        if change.size:
            lighter.append(np.mean(change > 0))
    assert len(lighter) > 350 and abs(np.mean(lighter) - 0.5) < 0.05


def test_as_a_negative_a_photo_gets_the_negative_of_the_damage(photo, monkeypatch):
    """Gray: the same draws and inks on the photo's negative, turned back."""
    gray = photo[..., :1].repeat(3, axis=2) / np.float32(255)
    tones = {"paper": 0.9, "soot": 0.1, "stain": 0.4, "behind": 0.05, "lid": 0.97}
    inks = Inks(
        **{name: np.full(3, tone, np.float32) for name, tone in tones.items()},
        surface=np.random.default_rng(0).normal(size=gray.shape[:2]).astype(np.float32),
    )

    def damaged(scene, negative, seed):
        def choose(photo, rng, lid, tinted):
            rng.random(0 if negative else 1)  # only of a negative is asked whether it is tinted
            return inks

        monkeypatch.setattr("oldphoto_jax.damage.recipe.choose_inks", choose)
        recipe = Damage(clean=0.0, only=("blots", "cut"), negative=float(negative), **PLAIN)
        return run(recipe, scene, seed)

    for seed in range(8):
        one, other = damaged(1 - gray, False, seed), damaged(gray, True, seed)
        assert one["mask"].any()
        np.testing.assert_array_equal(other["mask"], one["mask"])
        np.testing.assert_array_equal(other["target"], gray)
        np.testing.assert_allclose(other["photo"], 1 - one["photo"], atol=1e-6)


def test_obvious_damage_is_broad_and_opaque(photo):
    big = cv2.resize(photo, (192, 192))
    recipe = Damage(clean=0.0, **EVERYTHING | PLAIN | {"obvious": 1.0, "margin": 0.0})
    sizes, areas, hidden = [], [], []
    for seed in range(40):
        out = run(recipe, big, seed)
        mask = out["mask"][..., 0] > 0
        sizes.append(thickness(mask))
        areas.append(mask.mean())
        hidden.append(np.abs(out["photo"] - out["target"]).max(axis=2)[mask].max(initial=0))
    assert np.mean(np.array(sizes) > 24) > 0.25 and max(sizes) > 48
    assert np.median(areas) > 0.01 and max(areas) < 0.7
    assert np.median(hidden) > 0.4


def test_a_margin_is_left_and_what_is_lost_beside_it_is_not():
    """Of a print of one gray, all that has another tone in the target is the lid around it."""
    middle = np.full((96, 96, 3), 0.5, np.float32)
    recipe = Damage(clean=0.0, only=("lost_corner",), margin=1.0, **PLAIN)
    margins = beside = 0
    for seed in range(40):
        out = run(recipe, middle, seed)
        lid = (out["target"] != 0.5).any(axis=2)
        mask = out["mask"][..., 0] > 0
        assert not (lid & mask).any()
        rows, columns = np.nonzero(~lid)
        assert not lid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].any()
        margins += bool(lid.any())
        if lid.any() and mask.any():
            level = np.median(out["photo"].mean(axis=2)[lid])
            beside += np.mean(np.abs(out["photo"].mean(axis=2)[mask] - level) < 0.1) > 0.3
    assert margins > 20 and beside > 8


def test_clean_photos_have_no_defects(photo):
    for seed in range(20):
        out = run(Damage(clean=1.0, lookalikes=1.0), photo, seed)
        assert not out["mask"].any()
        np.testing.assert_array_equal(out["photo"], out["target"])


def test_most_photos_are_damaged_a_little(photo):
    recipe = Damage(clean=0.0)
    areas = np.array([run(recipe, photo, seed)["mask"].mean() for seed in range(60)])
    assert np.mean(areas > 0) > 0.9
    assert 0.005 < np.median(areas) < 0.06
    assert areas.max() < 0.35


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_alone_marks_something(photo, name):
    recipe = Damage(clean=0.0, exclude=tuple(k for k in KINDS if k != name), amount=3.0)
    assert set(recipe.kinds()) == {name}
    assert any(run(recipe, photo, seed)["mask"].any() for seed in range(5))


def test_drawn_alone_is_everything_else_excluded(photo):
    alone = Damage(clean=0.0, only=("tear", "hair"))
    others = Damage(clean=0.0, exclude=tuple(KINDS.keys() - {"tear", "hair"}))
    assert alone.kinds() == others.kinds() and set(alone.kinds()) == {"tear", "hair"}
    for seed in range(5):
        one, other = run(alone, photo, seed), run(others, photo, seed)
        assert {k: v.tobytes() for k, v in one.items()} == {
            k: v.tobytes() for k, v in other.items()
        }


def test_weights_of_an_excluded_kind_may_stay_when_others_are_drawn_alone(photo):
    recipe = Damage(only=("crease",), exclude=("hair",), weights={"hair": 2.0, "crease": 3.0})
    assert {name: kind.weight for name, kind in recipe.kinds().items()} == {
        "crease": 3 * KINDS["crease"].weight
    }
    assert run(recipe, photo, 0)["mask"].any()


def test_a_recipe_written_before_there_was_only_excludes_as_ever():
    old = describe(Damage(exclude=("tear",)))
    del old["only"]
    assert restore(old) == Damage(exclude=("tear",))
    assert set(Damage().kinds()) == set(KINDS)


def test_lookalikes_and_ageing_touch_photo_and_target_alike(photo):
    recipe = Damage(clean=1.0, lookalikes=1.0, ageing=1.0, scan=1.0)
    out = run(recipe, photo, 0)
    assert np.abs(out["target"] - photo / np.float32(255)).max() > 0.1
    assert len(LOOKALIKES) >= 8


def test_gray_photos_stay_gray_without_a_tone(photo):
    recipe = Damage(clean=1.0, **PLAIN | {"gray": 1.0})
    assert np.ptp(run(recipe, photo, 0)["photo"], axis=2).max() == 0


def test_the_recipe_is_plain_data():
    recipe = Damage(exclude=("hair",), only=("crease", "tear"), weights={"crease": 2.0})
    fields = json.loads(json.dumps(dataclasses.asdict(recipe)))
    again = Damage(**(fields | {name: tuple(fields[name]) for name in ("exclude", "only")}))
    assert again == recipe == pickle.loads(pickle.dumps(recipe))
    assert recipe.kinds()["crease"].weight == 2 * KINDS["crease"].weight


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"clean": 1.5}, "clean=1.5"),
        ({"negative": -0.1}, "negative=-0.1"),
        ({"max_size": 2}, "max_size=2"),
        ({"amount": 0.0}, "amount=0"),
        ({"exclude": ("scrach",)}, "'scrach'"),
        ({"weights": {"folding": 1.0}}, "'folding'"),
        ({"exclude": tuple(KINDS)}, "no kind is left"),
        ({"only": ("scrach",)}, "no kind 'scrach'"),
        ({"only": ("tear", "hair"), "exclude": ("hair",)}, "'hair' is in only, and exclude"),
        ({"only": ("tear",), "weights": {"tear": 0.0}}, "no kind is left"),
    ],
)
def test_impossible_settings_are_refused(photo, fields, words):
    with pytest.raises(ValueError, match=words):
        run(Damage(**fields), photo, 0)


@pytest.mark.parametrize("bad", [np.zeros((32, 32)), np.zeros((32, 32, 3), np.int32)])
def test_other_arrays_are_refused(bad):
    with pytest.raises(ValueError, match="photo of"):
        Damage()(bad, np.random.default_rng(0))
