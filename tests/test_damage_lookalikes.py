"""Look-alikes: photo to photo, seeded, without a mask; even and shaded as things of a scene are."""

import cv2
import numpy as np
import pytest

from oldphoto_jax.damage import regions, scenery
from oldphoto_jax.damage.lookalikes import LOOKALIKE_WEIGHTS, LOOKALIKES

SEEDS = range(12)
GLOW = {"highlights", "lamps"}  # light has one polarity
WHOLE = {"halftone", "paper", "moire"}  # as much lighter as darker, in each photo
CROSS = np.ones((3, 3), np.uint8)
AROUND = {"caption", "mount", "border", "corners", "film", "lid"}


@pytest.fixture(scope="module")
def photo():
    y, x = np.mgrid[0:72, 0:88] / 88
    return np.stack([x, y, 0.5 + 0.3 * np.sin(12 * x)], axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def changes():
    """What kinds of patterns add to a flat gray photo, by name: a list of [160,192] each."""
    flat = np.full((160, 192, 3), 0.5, np.float32)
    names = ("dots", "page", "tiles", "rigging", "leaves", "buttons")
    return {
        name: [
            (LOOKALIKES[name](flat, np.random.default_rng(seed)) - flat).mean(axis=2)
            for seed in SEEDS
        ]
        for name in names
    }


@pytest.mark.parametrize("name", LOOKALIKES)
def test_lookalikes_show_and_are_seeded(name, photo):
    draw = LOOKALIKES[name]
    before, shown = photo.copy(), 0
    for seed in range(8):
        drawn = draw(photo, np.random.default_rng(seed))
        assert drawn.shape == photo.shape and drawn.dtype == np.float32
        assert drawn.min() >= -1e-5 and drawn.max() <= 1 + 1e-5
        np.testing.assert_array_equal(drawn, draw(photo, np.random.default_rng(seed)))
        shown += np.abs(drawn - photo).max() > 0.1
    assert shown >= 4
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize("name", LOOKALIKES)
@pytest.mark.parametrize("shape", [(16, 16), (20, 150), (150, 33)])
def test_lookalikes_fit_photos_of_any_shape(name, shape):
    flat = np.full((*shape, 3), 0.5, np.float32)
    for seed in range(4):
        drawn = LOOKALIKES[name](flat, np.random.default_rng(seed))
        assert drawn.shape == flat.shape and np.isfinite(drawn).all()


def repetition(change):
    """How like itself a pattern is after a step: the second peak of its autocorrelation."""
    fine = change - cv2.GaussianBlur(change, (0, 0), 12)
    spectrum = np.abs(np.fft.rfft2(fine * np.outer(np.hanning(160), np.hanning(192)))) ** 2
    match = np.fft.fftshift(np.fft.irfft2(spectrum))
    match /= match.max()
    valley = match < 0.05  # the first peak ends where it first falls
    _, places = cv2.connectedComponents((~valley).astype(np.uint8))
    return match[places != places[80, 96]].max()


def straightness(change):
    """The longest straight edge, as a share of the shorter side."""
    edges = cv2.Canny((np.abs(change) > 0.08).astype(np.uint8) * 255, 50, 150)
    lines = cv2.HoughLinesP(edges, 1, np.pi / 360, 30, minLineLength=20, maxLineGap=2)
    if lines is None:
        return 0.0
    ends = lines.reshape(-1, 4).astype(float)
    return np.hypot(*(ends[:, :2] - ends[:, 2:]).T).max() / 160


def sides(change):
    """Of what became brighter and what became darker, the smaller as a share of the larger."""
    bright, dark = (change > 0.08).sum(), (change < -0.08).sum()
    return min(bright, dark) / max(bright, dark, 1)


def crowding(change):
    """How much more ink the fullest tenth of the photo holds than the whole on average."""
    ink = (np.abs(change) > 0.08).astype(np.float32)
    blocks = np.sort(cv2.resize(ink, (12, 10), interpolation=cv2.INTER_AREA).ravel())
    return blocks[-12:].mean() / max(ink.mean(), 1e-6)


def medians(measure, changes):
    return {name: np.median([measure(change) for change in changes[name]]) for name in changes}


def test_dots_and_lines_of_print_repeat_where_leaves_do_not(changes):
    repeated = medians(repetition, changes)
    assert repeated["dots"] > 2 * repeated["leaves"]
    assert repeated["page"] > 2 * repeated["leaves"]


def test_tiles_and_rigging_are_straight_where_leaves_and_buttons_are_not(changes):
    straight = medians(straightness, changes)
    assert min(straight["tiles"], straight["rigging"]) > 0.3
    assert max(straight["leaves"], straight["buttons"]) < 0.1


def test_leaves_are_crowded_where_dots_are_spread(changes):
    crowded = medians(crowding, changes)
    assert crowded["leaves"] > 2 * crowded["dots"]


def test_buttons_have_a_lit_side_and_a_dark_one(changes):
    solid = [sides(change) > 0.35 for change in changes["buttons"]]
    assert np.mean(solid) >= 0.5  # bubbles are clear
    assert not any(sides(change) > 0.35 for change in changes["dots"] + changes["leaves"])


def test_paint_leaves_no_seams_and_nothing_where_there_is_no_ink():
    flat, rng = np.full((75, 40, 3), 0.5, np.float32), np.random.default_rng(0)
    everywhere = scenery.paint(flat, np.ones((75, 40), np.float32), rng, light=1, uneven=0)
    assert np.ptp(everywhere, axis=(0, 1)).max() < 1e-6 and everywhere.min() > 0.53
    alpha = np.zeros((75, 40), np.float32)
    alpha[50:60, 10:20] = 1
    change = scenery.paint(flat, alpha, rng, light=1) - flat
    assert np.abs(change[50:60, 10:20]).min() > 0.01
    change[45:65, 5:25] = 0
    assert not change.any()


def test_weights_name_every_kind():
    assert LOOKALIKE_WEIGHTS.keys() == LOOKALIKES.keys()
    assert min(LOOKALIKE_WEIGHTS.values()) > 0


@pytest.fixture(scope="module")
def small_changes():
    """What every kind adds to a small flat gray photo: 40 times [64,72] each."""
    flat = np.full((64, 72, 3), 0.5, np.float32)
    return {
        name: np.stack([draw(flat, np.random.default_rng(s))[..., 0] - 0.5 for s in range(40)])
        for name, draw in LOOKALIKES.items()
    }


@pytest.mark.parametrize("name", sorted(LOOKALIKES.keys() - GLOW - WHOLE))
def test_a_kind_is_as_often_lighter_than_its_photo_as_darker(name, small_changes):
    lightens = small_changes[name].mean(axis=(1, 2)) > 0
    assert 0.25 <= lightens.mean() <= 0.75


def test_of_all_kinds_together_as_many_lighten_as_darken(small_changes):
    two_sided = [small_changes[name] for name in LOOKALIKES.keys() - GLOW - WHOLE]
    lightens = np.concatenate(two_sided).mean(axis=(1, 2)) > 0
    assert 0.45 <= lightens.mean() <= 0.55


@pytest.mark.parametrize("name", sorted(AROUND))
def test_what_is_around_a_print_reaches_its_rim_and_leaves_its_middle(name, small_changes):
    changed = np.abs(small_changes[name]) > 0.02
    rim = np.concatenate([changed[:, [0, -1]], changed[:, :, [0, -1]].transpose(0, 2, 1)], axis=2)
    assert np.mean(rim.any(axis=(1, 2))) > 0.9
    assert changed[:, 26:38, 29:43].mean() < 0.02


def things(shape=(128, 144), seed=0):
    """A photo of some plain things, each of one gray, with a little grain."""
    rng = np.random.default_rng(seed)
    gray = np.full(shape, 0.5, np.float32)
    for _ in range(6):
        center = tuple(int(c) for c in rng.uniform(0.1, 0.9, 2) * shape[::-1])
        axes = tuple(int(a) for a in rng.integers(12, 40, 2))
        tone = float(rng.uniform(0.1, 0.9))
        cv2.ellipse(gray, center, axes, float(rng.uniform(0, 180)), 0, 360, tone, -1)
    gray += rng.normal(0, 0.01, shape).astype(np.float32)
    return cv2.cvtColor(np.clip(gray, 0, 1), cv2.COLOR_GRAY2RGB)


def test_a_mass_ends_where_a_thing_ends_and_a_moved_piece_does_not():
    def met(name, seed):
        """How much more than elsewhere the photo changes along the outline of what is drawn."""
        photo = things(seed=seed)
        changed = np.abs(LOOKALIKES[name](photo, np.random.default_rng(seed)) - photo).max(axis=2)
        changed = cv2.morphologyEx((changed > 0.06).astype(np.uint8), cv2.MORPH_OPEN, CROSS)
        outline = cv2.morphologyEx(changed, cv2.MORPH_GRADIENT, CROSS) > 0
        edges = cv2.morphologyEx(photo[..., 0], cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
        return edges[outline].mean() / edges.mean() if outline.any() else 0.0

    follows = {name: np.median([met(name, seed) for seed in SEEDS]) for name in ("mass", "piece")}
    assert follows["mass"] > 1.8 * follows["piece"]
    assert follows["mass"] > 2


def test_regions_are_parts_of_the_photo_and_hide_what_is_behind_them():
    alpha = np.ones((128, 144), np.float32)
    hidden = []
    for seed in SEEDS:
        found = regions.region(things(seed=seed), np.random.default_rng(seed))
        assert found.shape == alpha.shape and found.min() >= 0 and found.max() <= 1
        assert 0.01 < found.mean() < 0.6
        left = regions.behind(alpha, things(seed=seed), np.random.default_rng(seed))
        assert (left <= alpha).all() and left.max() > 0.9
        hidden.append(left.min() < 0.1)
    assert 0.5 < np.mean(hidden) < 1


def test_fur_bristles():
    def roughness(name, seed):
        photo = things(seed=seed)
        changed = np.abs(LOOKALIKES[name](photo, np.random.default_rng(seed)) - photo).max(axis=2)
        changed = (changed > 0.06).astype(np.uint8)
        outline = cv2.morphologyEx(changed, cv2.MORPH_GRADIENT, CROSS)
        return outline.sum() / np.sqrt(changed.sum())

    fur, mass = (np.median([roughness(name, s) for s in SEEDS]) for name in ("fur", "mass"))
    assert fur > 1.3 * mass


def test_a_shadow_keeps_what_it_falls_on():
    photo = things()
    for seed in SEEDS:
        drawn = LOOKALIKES["shadow"](photo, np.random.default_rng(seed))
        assert (drawn >= 0.3 * photo - 1e-3).all()
        assert (drawn <= photo / 0.3 + 1e-3).all()


def test_a_screen_repeats_and_goes_over_the_whole_photo():
    flat = np.full((160, 192, 3), 0.5, np.float32)
    for seed in SEEDS:
        change = (LOOKALIKES["halftone"](flat, np.random.default_rng(seed)) - flat)[..., 0]
        assert repetition(change) > 0.5
        blocks = cv2.resize(change * change, (6, 5), interpolation=cv2.INTER_AREA)
        assert blocks.min() > 0.5 * blocks.max()
