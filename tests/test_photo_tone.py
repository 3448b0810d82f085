"""Gray, toned, faded and colour photos, made here or public domain: what each is taken for."""

import collections
import json

import numpy as np
import pytest
import skimage.data

from experiments import tone_kinds
from oldphoto_jax.damage import fading
from oldphoto_jax.photo import image, tone
from oldphoto_jax.photo.disk import files

SIDE = 256
COLORED = ("astronaut", "chelsea", "coffee")  # public domain and CC0, carried by scikit-image
CONFUSION = {  # true kind: what it was taken for; the whole table is in experiments/tone_kinds.md
    tone.GRAY: {tone.GRAY: 6},
    tone.TONED: {tone.TONED: 15},
    tone.FADED: {tone.FADED: 23, tone.COLOR: 13},
    tone.COLOR: {tone.COLOR: 5, tone.FADED: 1},  # coffee after JPEG: the browns of its shadows
}


@pytest.fixture(scope="module")
def photos():
    """The colour photos by name, [H,W,3] float32 0..1, none longer than SIDE."""
    found = {}
    for name in COLORED:
        pixels = getattr(skimage.data, name)()
        height, width = (SIDE * side // max(pixels.shape) for side in pixels.shape[:2])
        found[name] = image.to_float(image.resize(pixels, height, width))
    return found


@pytest.fixture(scope="module")
def gray(photos):
    return fading.desaturate(photos["astronaut"])


def judged(photo):
    return tone.kind(image.to_uint8(photo))


def toned(gray, name):
    shadow, highlight = (np.float32(end) for end in fading.TONES[name])
    return shadow + (highlight - shadow) * gray


def weaker(photo, saturation):
    return fading.desaturate(photo) * (1 - saturation) + photo * saturation


@pytest.mark.parametrize("scan", [image.to_uint8, image.to_uint16])
def test_gray_in_one_and_three_channels(gray, scan):
    measured = tone.measure(scan(gray))
    assert measured.kind == tone.GRAY
    assert measured.chroma < 0.1 and measured.residual < 0.1
    assert tone.measure(scan(gray)[..., :1]) == measured


@pytest.mark.parametrize("name", fading.TONES)
@pytest.mark.parametrize("base", COLORED)
def test_every_tone_at_full_strength(photos, base, name):
    assert judged(toned(fading.desaturate(photos[base]), name)) == tone.TONED


def test_hue_of_a_tone_is_told(gray):
    hue = {name: tone.measure(image.to_uint8(toned(gray, name))).hue for name in fading.TONES}
    assert 55 < hue["sepia"] < 90 and 85 < hue["yellow"] < 110
    assert 120 < hue["green"] < 180 and 240 < hue["blue"] < 300


def test_both_depths_agree(photos):
    red = tone_kinds.print_of(photos["coffee"], "red", 1)
    for photo in (*photos.values(), toned(photos["coffee"][..., :1], "sepia"), red):
        eight, sixteen = (tone.measure(scan(photo)) for scan in (image.to_uint8, image.to_uint16))
        assert eight.kind == sixteen.kind
        assert eight.residual == pytest.approx(sixteen.residual, abs=0.1)


def test_confusion_matrix(photos):
    """What three photos in the lives of experiments/tone_kinds.py are taken for, to the count."""
    told = {
        kind: collections.Counter(
            judged(life(photo, np.random.default_rng(seed)))
            for life in named.values()
            for seed, photo in enumerate(photos.values())
        )
        for kind, named in tone_kinds.lives().items()
    }
    assert told == CONFUSION


def test_aged_by_the_recipe_of_training_none_crosses_to_the_other_side(photos):
    """What becomes of three photos in six lives, each aged three times."""
    lives = {
        "gray": lambda gray, photo, rng: fading.compress(fading.grain(gray, rng), rng),
        "edges": lambda gray, photo, rng: fading.compress(fading.light(gray, rng), rng),
        "toned": lambda gray, photo, rng: fading.compress(
            fading.grain(fading.light(fading.tone(gray, rng), rng), rng), rng
        ),
        "colour": lambda gray, photo, rng: photo,
        "faded": lambda gray, photo, rng: fading.shift(fading.fade(photo, rng), rng),
        "weak": lambda gray, photo, rng: weaker(photo, 0.3),
    }
    counts = {
        life: collections.Counter(
            judged(age(fading.desaturate(photo), photo, np.random.default_rng(seed)))
            for photo in photos.values()
            for seed in range(3)
        )
        for life, age in lives.items()
    }
    left_alone = {life: sum(taken[kind] for kind in tone.COLORED) for life, taken in counts.items()}
    assert left_alone == {
        "gray": 0,
        "edges": 0,
        "toned": 0,
        "colour": 9,
        "faded": 8,  # coffee: brown and gone yellow, one hue
        "weak": 9,
    }
    assert counts["gray"] == counts["edges"] == {tone.GRAY: 9}
    assert counts["toned"] == {tone.TONED: 9}
    assert counts["colour"] == {tone.COLOR: 9}


def test_dyes_that_kept_everything_are_as_new(photos):
    photo = np.maximum(photos["coffee"], 0.002)
    as_new = tone_kinds.print_of(photo, "red", 0)
    np.testing.assert_allclose(as_new, photo, atol=1e-6)


@pytest.mark.parametrize("name", tone_kinds.PRINTS)
def test_the_black_rises_as_dyes_fade(photos, name):
    strengths = (0, 0.3, 0.6, 1)
    for photo in photos.values():
        aged = [image.to_uint16(tone_kinds.print_of(photo, name, share)) for share in strengths]
        black = [tone.measure(pixels).black for pixels in aged]
        assert black == sorted(black) and black[-1] > black[0] + 1


def test_a_photo_of_another_size_is_of_the_same_kind(photos):
    for base in photos.values():
        for life in ("gray", "sepia", "red print, badly", "colour"):
            named = {
                name: each for kind in tone_kinds.lives().values() for name, each in kind.items()
            }
            photo = named[life](base, np.random.default_rng(0))
            height, width = photo.shape[:2]
            sizes = [(height // 2, width // 2), (2 * height, 2 * width), (height, width // 2)]
            kinds = {judged(np.clip(image.resize(photo, *size), 0, 1)) for size in sizes}
            assert kinds == {judged(photo)}, life


def test_colours_of_their_own_are_those_that_have_or_had_them():
    assert {tone.FADED, tone.COLOR} == tone.COLORED
    assert len({tone.GRAY, tone.TONED, *tone.COLORED}) == 4


def test_a_stamp_pen_marks_and_an_album_page_are_no_colour_photo(gray):
    stamped = gray.copy()
    stamped[150:175, 150:182] = (0.1, 0.2, 0.7)
    for row in (60, 84, 108):
        stamped[row, 60:160] = (0.8, 0.1, 0.1)
    assert judged(stamped) == tone.GRAY
    assert judged(np.where(stamped == gray, toned(gray, "sepia"), stamped)) == tone.TONED
    page = np.full((gray.shape[0] + 90, gray.shape[1] + 90, 3), (0.35, 0.2, 0.15), np.float32)
    page[45:-45, 45:-45] = gray
    assert judged(page) not in tone.COLORED


def test_a_red_coat_in_the_snow_is_a_colour_photo(gray):
    snow = 0.7 + 0.3 * gray
    snow[100:180, 110:170] *= (1.0, 0.3, 0.3)
    assert judged(snow) in tone.COLORED


def test_noise_of_a_scanner_is_no_colour(gray):
    noise = np.random.default_rng(0).normal(0, 0.06, (768, 768, 3))
    large = np.clip(image.resize(gray, 768, 768) + noise, 0, 1)
    assert judged(large) == tone.GRAY
    assert judged(np.clip(toned(large, "sepia"), 0, 1)) == tone.TONED


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 8), (3, 400)])
def test_tiny_and_narrow_pictures(shape):
    assert tone.kind(np.full((*shape, 3), 90, np.uint8)) == tone.GRAY
    assert tone.kind(np.full((*shape, 3), (120, 100, 70), np.uint8)) == tone.TONED
    assert tone.measure(np.zeros((*shape, 3), np.uint8)).chroma < 1e-3


def test_two_hues_in_eight_pixels():
    flag = np.full((8, 8, 3), (200, 40, 40), np.uint8)
    flag[::2, ::2] = (40, 40, 200)
    flag[4:] = (40, 160, 40)
    assert tone.kind(flag) in tone.COLORED


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3), (1, 4, 4, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\[H,W,1\] or \[H,W,3\]"):
        tone.measure(np.zeros(shape, np.uint8))


def test_floats_are_refused(gray):
    with pytest.raises(TypeError, match="float32"):
        tone.measure(gray)


def test_the_experiment_prints_and_writes_what_was_taken_for_what(photos, tmp_path, capsys):
    folder, told = tmp_path / "photos", tmp_path / "out" / "taken.json"
    folder.mkdir()
    files.write_png(folder / "coffee.png", image.to_uint8(photos["coffee"]))
    tone_kinds.main([f"--photos={folder}", f"--json={told}"])
    matrix, border, each = capsys.readouterr().out.split("\n\n")
    assert "| gray | 2 (100.0%) | 0 (0.0%) | 0 (0.0%) | 0 (0.0%) |" in matrix
    assert "| to be coloured | 2 (28.6%) | 5 (71.4%) | 0 (0.0%) | 0 (0.0%) |" in border
    assert "| sepia | 0 (0.0%) | 1 (100.0%) | 0 (0.0%) | 0 (0.0%) |" in each
    assert json.loads(told.read_text("utf-8"))[tone.TONED]["sepia"] == {tone.TONED: 1}
    tone_kinds.main([f"--photos={folder}", "--list"])
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(tone.COLOR) and line.endswith("coffee.png")
    with pytest.raises(SystemExit, match="nowhere"):
        tone_kinds.main(["--photos=nowhere"])
