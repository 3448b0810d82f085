"""Colours that somebody gave: read from JSON, drawn at any size, seen in a picture drawn over."""

import re

import cv2
import numpy as np
import pytest

from oldphoto_jax.photo import color, hints
from oldphoto_jax.photo.disk import hint_files

RED = color.rgb_to_lab(np.float32([1, 0, 0]))[1:]


def parsed(**more):
    return hints.parse({"hints": [{"points": [[0.5, 0.5]], "color": "#ff0000"} | more]})


def test_a_dab_lies_at_the_same_place_of_a_photo_and_of_its_view():
    for height, width in ((60, 90), (600, 900)):
        drawn = hints.drawn(parsed(points=[[0.25, 0.75]], radius=0.05), height, width)
        rows, columns = np.nonzero(drawn[..., 2])
        assert abs((rows.mean() + 0.5) / height - 0.75) < 1 / height
        assert abs((columns.mean() + 0.5) / width - 0.25) < 1 / width
        wanted = np.pi * (0.05 * height) ** 2
        assert 0.7 < len(rows) / wanted < 1.4
        np.testing.assert_allclose(drawn[rows[0], columns[0]], [*RED, 1], atol=1e-4)
    assert not drawn[drawn[..., 2] == 0].any()


def test_the_smallest_hint_is_a_pixel_and_corners_are_inside():
    for corner in ([0, 0], [1, 1], [0, 1], [1, 0]):
        drawn = hints.drawn(parsed(points=[corner], radius=1e-6), 7, 12)
        x, y = corner
        assert drawn[..., 2].sum() == 1 and drawn[y * 6, x * 11, 2] == 1


def test_a_stroke_is_as_wide_as_asked_and_the_later_one_covers():
    both = hints.parse(
        {
            "hints": [
                {"points": [[0.1, 0.5], [0.9, 0.5]], "color": "#ff0000", "radius": 0.1},
                {"points": [[0.5, 0.1], [0.5, 0.9]], "color": [0, 0, 255], "radius": 0.02},
            ]
        }
    )
    drawn = hints.drawn(both, 100, 100)
    assert 18 <= drawn[:, 25, 2].sum() <= 22 and 3 <= drawn[20, :, 2].sum() <= 5
    assert drawn[50, 25, 1] > 0 > drawn[50, 50, 1]  # red below, blue above


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([], "no list of hints"),
        ({"hints": []}, "no hint"),
        ({"hints": [{"color": "#ff0000"}]}, "hint 1 has no points"),
        ({"hints": [{"points": [[0.5, 0.5]], "color": "#ff0000", "size": 3}]}, "'size'"),
        ({"hints": [{"points": [[0.5, 1.5]], "color": "#ff0000"}]}, "from 0 to 1"),
        ({"hints": [{"points": [], "color": "#ff0000"}]}, "from 0 to 1"),
        ({"hints": [{"points": "ab", "color": "#ff0000"}]}, "from 0 to 1"),
        ({"hints": [{"points": [[float("nan"), 0]], "color": "#ff0000"}]}, "from 0 to 1"),
        ({"hints": [{"points": [[0.5, 0.5]], "color": "red"}]}, "'#rrggbb'"),
        ({"hints": [{"points": [[0.5, 0.5]], "color": "#ggff00"}]}, "'#rrggbb'"),
        ({"hints": [{"points": [[0.5, 0.5]], "color": [0, 0, 256]}]}, "'#rrggbb'"),
        ({"hints": [{"points": [[0.5, 0.5]], "color": "#ff0000", "radius": 0}]}, "radius 0"),
    ],
)
def test_what_is_no_hint_is_named(told, words):
    with pytest.raises(ValueError, match=words):
        hints.parse(told)


def test_a_picture_drawn_over_the_photo_gives_its_colours_where_it_is_solid():
    picture = np.zeros((80, 120, 4), np.uint8)
    picture[20:40, 30:60] = (255, 0, 0, 255)
    picture[50:60, 30:60] = (0, 255, 0, 100)  # hardly seen
    for height, width in ((80, 120), (40, 60), (160, 240)):
        drawn = hints.seen(picture, height, width)
        assert drawn.shape == (height, width, 3) and drawn.dtype == np.float32
        assert drawn[..., 2].sum() == 20 * 30 * height * width / (80 * 120)
        np.testing.assert_allclose(
            drawn[drawn[..., 2] == 1][:, :2],
            RED[None].repeat(int(drawn[..., 2].sum()), 0),
            atol=1e-3,
        )


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((8, 12, 3), np.uint8), "no transparency"),
        (np.zeros((8, 12, 4), np.uint8), "every pixel is transparent"),
        (np.full((8, 12, 4), 255, np.uint8), "covers the whole photo"),
        (np.full((12, 12, 4), 255, np.uint8), "proportions"),
    ],
)
def test_a_picture_that_gives_no_hints_is_refused(picture, words):
    with pytest.raises(ValueError, match=words):
        hints.seen(picture, 80, 120)


def test_files_of_hints_are_read_and_what_is_wrong_is_told_with_the_path(tmp_path):
    told = tmp_path / "a_hints.json"
    told.write_text('{"hints": [{"points": [[0.5, 0.5]], "color": "#ff0000"}]}', "utf-8")
    np.testing.assert_allclose(hint_files.read(told, 9, 9).at(9, 9)[4, 4], [*RED, 1], atol=1e-4)
    drawn = tmp_path / "a_hints.png"
    picture = np.zeros((9, 9, 4), np.uint8)
    picture[4, 4] = (0, 0, 255, 255)  # OpenCV writes blue, green, red
    cv2.imwrite(str(drawn), picture)
    np.testing.assert_allclose(hint_files.read(drawn, 9, 9).at(9, 9)[4, 4], [*RED, 1], atol=1e-4)
    cv2.imwrite(str(drawn), picture[..., :3])
    for path, text in ((told, "{"), (told, "[" * 99999), (told, "[]"), (drawn, None)):
        if text:
            path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=re.escape(str(path))):
            hint_files.read(path, 9, 9)


def test_rows_of_hints_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 4), np.uint8)
    strokes = (
        hints.Stroke(((0.1, 0.9), (0.8, 0.2), (0.95, 0.97)), (1, 0, 0), 0.05),
        hints.Stroke(((0.5, 0.5),), (0, 0, 1), 0.2),
    )
    for one, (height, width) in (
        (hints.Hints(strokes), (83, 121)),
        (hints.Hints(picture=picture), (80, 120)),
        (hints.Hints(strokes, picture), (40, 60)),
    ):
        whole = one.at(height, width)
        parts = [one.rows(top, min(top + 7, height), height, width) for top in range(0, height, 7)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)
        assert 0 < whole[..., 2].mean() < 1 and {*np.unique(whole[..., 2])} == {0, 1}
